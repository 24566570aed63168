"""`POST /v1/embeddings`: strings or token lists in, floats or base64 out."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from simllm.catalogue import ModelCard, read_model
from simllm.embeddings import Vectors, normalise
from simllm.engine import Engine
from simllm.errors import ApiError, bad_type, bad_value, missing
from simllm.requests import Fields, check_text
from simllm.tokenizer import Tokenizer
from simllm.wire import JsonReply

MAX_INPUTS = 2_048


def handle(engine: Engine, data: dict[str, Any], client: str) -> JsonReply:
    """Embed the input. The same text always gives the same vector, for every client."""
    fields = Fields(data)
    model = read_model(fields, "embedding", "/v1/embeddings")
    fields.check_names(["model", "input", "encoding_format", "dimensions", "user"], bare=True)
    fields.text("user", "")
    encoding = fields.one_of("encoding_format", ["float", "base64"], "float")
    dimensions = _read_dimensions(fields, model)
    inputs = _read_input(data.get("input"), engine.tokenizer)
    _check_length(model, max(engine.tokenizer.at_least(text) for text, _ in inputs), "at least ")
    tokens = [engine.tokenizer.count(text) if sent is None else sent for text, sent in inputs]
    _check_length(model, max(tokens))
    vectors = engine.embedder.embed([text for text, _ in inputs], model.id)
    if dimensions < vectors.shape[1]:
        vectors = normalise(vectors[:, :dimensions])
    items = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(_encode(vectors, encoding))]
    usage = {"prompt_tokens": sum(tokens), "total_tokens": sum(tokens)}
    body = {"object": "list", "data": items, "model": model.id, "usage": usage}
    return JsonReply(body, sum(tokens), 0, model.latency_ms(sum(tokens)))


def _check_length(model: ModelCard, tokens: int, about: str = "") -> None:
    if tokens > model.context_window:
        message = (
            f"This model's maximum context length is {model.context_window} tokens, however you requested "
            f"{about}{tokens} tokens ({about}{tokens} in your prompt; 0 for the completion). Please reduce your prompt."
        )
        raise ApiError(400, message, param="input", code="context_length_exceeded")


def _read_dimensions(fields: Fields, model: ModelCard) -> int:
    wanted = fields.integer("dimensions", 1, 10_000)
    if wanted is None:
        return model.default_dimensions
    if len(model.dimensions) == 1:  # the real API's words; it leaves `param` null
        raise bad_value("dimensions", "This model does not support specifying dimensions.", None)
    if wanted not in model.dimensions:
        allowed = ", ".join(map(str, model.dimensions))
        message = f"Invalid 'dimensions': model '{model.id}' offers {allowed}, but got {wanted} instead."
        raise bad_value("dimensions", message)
    return wanted


def _read_input(value: object, tokenizer: Tokenizer) -> list[tuple[str, int | None]]:
    """The texts of a string, strings, one token list, or token lists, each with the number of tokens it was sent as."""
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        items: list[Any] = [value]
    elif isinstance(value, list):
        items = [value] if value and _is_int(value[0]) else value
    else:
        raise bad_type("input", "a string or an array", value)
    if not items:
        raise bad_value("input", "Invalid 'input': the array is empty. Send at least one text.", "empty_array")
    if len(items) > MAX_INPUTS:
        message = f"Invalid 'input': array too long. Expected at most {MAX_INPUTS} items, but got {len(items)}."
        raise bad_value("input", message, "array_above_max_length")
    if len({isinstance(item, list) for item in items}) > 1:
        raise bad_type("input", "an array of strings or an array of token arrays, not both in one", value)
    names = [f"input[{i}]" for i in range(len(items))] if items is value else ["input"]
    return [_read_item(name, item, tokenizer) for name, item in zip(names, items, strict=True)]


def _read_item(name: str, item: object, tokenizer: Tokenizer) -> tuple[str, int | None]:
    if isinstance(item, list):
        for token in item:
            if not _is_int(token) or not 0 <= token < tokenizer.vocab_size:
                raise bad_value(name, f"Invalid '{name}': tokens are integers from 0 to {tokenizer.vocab_size - 1}.")
        text = tokenizer.decode(item)
    else:
        text = check_text(name, item)
    if not text.strip():
        raise bad_value(name, f"Invalid '{name}': input cannot be an empty string.", "empty_string")
    return text, len(item) if isinstance(item, list) else None


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _encode(vectors: Vectors, encoding: str) -> list[Any]:
    if encoding == "base64":  # little-endian float32, as the real API sends it
        return [base64.b64encode(np.ascontiguousarray(row, dtype="<f4").tobytes()).decode() for row in vectors]
    return [[float(x) for x in row] for row in vectors]
