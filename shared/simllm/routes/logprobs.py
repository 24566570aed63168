"""Log-probabilities of tokens as both chat routes report them."""

from __future__ import annotations

from typing import Any

from simllm.choices import Choice
from simllm.generation import TokenLogprob
from simllm.tokenizer import Tokenizer


def choice_logprobs(choice: Choice, start: int, stop: int, tokenizer: Tokenizer) -> dict[str, Any] | None:
    """`logprobs` of a choice for its pieces start..stop; null when they hold none, e.g. beside a tool call."""
    tokens = token_logprobs(choice, start, stop, tokenizer)
    if not tokens:
        return None
    return {"content": None, "refusal": tokens} if choice.refused else {"content": tokens, "refusal": None}


def token_logprobs(choice: Choice, start: int, stop: int, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """One object per token: text, natural logarithm of the probability, UTF-8 bytes, the strongest competitors."""
    return [_token(item, tokenizer, first=i == 0) for i, item in enumerate(choice.logprobs[:stop]) if i >= start]


def _token(item: TokenLogprob, tokenizer: Tokenizer, *, first: bool) -> dict[str, Any]:
    top = [_one(token, logprob, tokenizer, first=first) for token, logprob in item.top]
    return _one(item.token, item.logprob, tokenizer, first=first) | {"top_logprobs": top}


def _one(token: int, logprob: float, tokenizer: Tokenizer, *, first: bool) -> dict[str, Any]:
    data = tokenizer.piece(token, first=first)
    return {"token": data.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(data)}
