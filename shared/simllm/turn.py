"""One turn of the assistant as one sequence of tokens: text, a refusal, tool calls.

Chat models mark such parts with control tokens; so does this one, with two ids that text never encodes to:

    text CALL name ARGUMENTS {"json": …} CALL …          text, then any number of calls
    REFUSAL text                                         a refusal

What a reply is sampled, billed and streamed by is this sequence, and the same sequence is counted again when the
turn comes back as history. A control token costs one token. Pure functions: no model, no request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from simllm.tokenizer import Tokenizer
from simllm.tools import Call

CALL = 1
ARGUMENTS = 0
REFUSAL = 0  # only at the start of a turn, where no arguments can stand
CONTROL = (ARGUMENTS, CALL)


@dataclass(frozen=True)
class MadeCall:
    """A call as it was written: the name, the pieces of the arguments token by token, and where they start."""

    name: str
    pieces: tuple[str, ...]
    start: int

    @property
    def arguments(self) -> str:
        """The arguments as JSON text; cut short where the turn was."""
        return "".join(self.pieces)


def write(tokenizer: Tokenizer, text: str, calls: Sequence[Call] = (), *, refusal: bool = False) -> list[int]:
    """The tokens of a turn."""
    tokens = [REFUSAL] if refusal else []
    tokens += tokenizer.encode(text)
    for call in calls:
        tokens += [CALL, *tokenizer.encode(call.name), ARGUMENTS, *tokenizer.encode(call.arguments)]
    return tokens


def said(tokens: Sequence[int]) -> range:
    """Where the text (or the refusal's text) of a turn stands in its tokens."""
    start = 1 if tokens and tokens[0] == REFUSAL else 0
    end = next((i for i in range(start, len(tokens)) if tokens[i] in CONTROL), len(tokens))
    return range(start, end)


def made_calls(tokenizer: Tokenizer, tokens: Sequence[int]) -> tuple[MadeCall, ...]:
    """The calls of a turn; one whose name was cut short is left out."""
    starts = [i for i, token in enumerate(tokens) if token == CALL]
    calls = []
    for start, end in pairwise([*starts, len(tokens)]):
        split = next((i for i in range(start, end) if tokens[i] == ARGUMENTS), None)
        if split is not None:
            name = tokenizer.decode(tokens[start + 1 : split])
            calls.append(MadeCall(name, tuple(tokenizer.decode_steps(tokens[split + 1 : end])), split + 1))
    return tuple(calls)
