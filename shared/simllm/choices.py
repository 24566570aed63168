"""A finished reply: what was generated, read as text or refusal, tool calls, and why it ended.

Stands between the generator, which knows only tokens, and the routes, which know only JSON. The id of a tool call
comes from the id of its reply, so it is as unique: a caller may use it as an idempotency key, as on the real API.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simllm import turn
from simllm.generation import Generated, TokenLogprob
from simllm.sampling import generator
from simllm.tokenizer import Tokenizer
from simllm.tools import ToolChoice


@dataclass(frozen=True)
class Choice:
    """One reply.

    Attributes:
        tokens: the visible tokens, control tokens included.
        pieces: the text (or the refusal) token by token.
        start: the position in `tokens` of the first piece's token.
        refused: whether the text is a refusal.
        calls: the tool calls, each with its id.
        finish_reason: "stop", "length", "tool_calls" or "content_filter".
        logprobs: one per piece when they were asked for.
        reasoning_tokens: hidden tokens written before.
    """

    tokens: tuple[int, ...]
    pieces: tuple[str, ...]
    start: int
    refused: bool
    calls: tuple[tuple[str, turn.MadeCall], ...]
    finish_reason: str
    logprobs: tuple[TokenLogprob, ...] = ()
    reasoning_tokens: int = 0

    @property
    def text(self) -> str:
        """The text, or the refusal's text."""
        return "".join(self.pieces)

    @property
    def completion_tokens(self) -> int:
        """What the reply is billed for: hidden and visible tokens."""
        return self.reasoning_tokens + len(self.tokens)


def read_choice(
    generated: Generated, tokenizer: Tokenizer, choice: ToolChoice, reasoning_tokens: int, reply_id: str, index: int
) -> Choice:
    """Take a generated reply apart.

    Args:
        generated: its tokens.
        tokenizer: what made them.
        choice: what the caller allowed or demanded.
        reasoning_tokens: the hidden tokens before it.
        reply_id: the id of the whole reply, for the ids of its calls.
        index: which choice of the reply it is.

    A call that the caller forced by name ends with "stop", any other call with "tool_calls", as on the real API.
    """
    tokens = generated.tokens
    span = turn.said(tokens)
    refused = span.start == 1
    pieces = tuple(tokenizer.decode_steps([tokens[i] for i in span])) if refused else generated.pieces
    calls = turn.made_calls(tokenizer, tokens)
    reason = generated.finish_reason
    if reason == "stop" and calls and not choice.named:
        reason = "tool_calls"
    logprobs = generated.logprobs[span.start : span.start + len(pieces)]
    return Choice(
        tokens, pieces, span.start, refused, _with_ids(calls, f"{reply_id}{index}"), reason, logprobs, reasoning_tokens
    )


def _with_ids(calls: Sequence[turn.MadeCall], origin: str) -> tuple[tuple[str, turn.MadeCall], ...]:
    return tuple((f"call_{generator(origin, i).getrandbits(96):024x}", call) for i, call in enumerate(calls))
