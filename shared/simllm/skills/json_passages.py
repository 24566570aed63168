"""Passages that a prompt hands over as JSON: `[{"id": "a", "text": "..."}]`, alone or under a key of an object."""

from __future__ import annotations

import json
import re
from typing import Any

from simllm.skills.layout import Passage

LEAST_SHARE = 0.4  # of a text is JSON that hands over passages; less is an example inside a document
_TEXTS = ("text", "content", "page_content", "body", "passage", "chunk", "snippet")
_NAMES = ("id", "doc_id", "chunk_id", "source", "name", "title", "file", "path", "url", "key", "number", "index")
_START = re.compile(r"\[\s*\{|\{\s*\"")
_ASKED = ("question", "query", "user_question")


def json_passages(text: str) -> tuple[list[Passage], str, str]:
    """(passages, question, the text without the JSON); no passages where no large JSON in the text holds any."""
    decoder = json.JSONDecoder()
    for found in _START.finditer(text):
        try:
            value, length = decoder.raw_decode(text[found.start() :])
        except (ValueError, RecursionError):
            continue
        passages = _passages(value) if length >= LEAST_SHARE * len(text) else []
        if passages:
            question = (
                next((value[key] for key in _ASKED if isinstance(value.get(key), str)), "")
                if isinstance(value, dict)
                else ""
            )
            return passages, question, f"{text[: found.start()]}\n\n{text[found.start() + length :]}"
    return [], "", text


def _passages(value: Any) -> list[Passage]:
    if isinstance(value, dict):
        lists = [child for child in value.values() if isinstance(child, list)]
        found = next((made for child in lists if (made := _passages(child))), [])
        context = value.get("context")  # {"context": "...", "question": "..."}
        asks = any(isinstance(value.get(key), str) for key in _ASKED)
        return found or (
            [Passage("", context.strip())] if asks and isinstance(context, str) and context.strip() else []
        )
    if not isinstance(value, list) or not value:
        return []
    made = [passage for item in value if (passage := _passage(item)) is not None]
    return made if len(made) == len(value) else []


def _passage(item: Any) -> Passage | None:
    """One object as a passage: its text, and the first of its usual names, also inside "metadata"."""
    if not isinstance(item, dict):
        return None
    text = next((item[key] for key in _TEXTS if isinstance(item.get(key), str) and item[key].strip()), None)
    if text is None:
        return None
    more = item.get("metadata")
    given = {**(more if isinstance(more, dict) else {}), **item}
    label = next(
        (given[key] for key in _NAMES if isinstance(given.get(key), str | int) and str(given[key]).strip()), ""
    )
    return Passage(str(label), text.strip())
