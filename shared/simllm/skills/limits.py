"""How long a reply may be: the words, sentences, characters or points that instructions allow."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simllm.skills.quantities import COUNTS

_NUMBERS = {w: i for i, w in enumerate(COUNTS)}
_N = rf"(\d{{1,4}}|{'|'.join(_NUMBERS)})"
_WORDS = re.compile(rf"\b{_N}[ -]?words?\b", re.I)
_SENTENCES = re.compile(rf"\b(?:{_N}|a single|a)[ -](?:short )?(?:sentences?|lines?)\b", re.I)
_BULLETS = re.compile(rf"\b{_N}? ?(?:short )?(?:bullets?(?:[ -]points?)?|key points|points|list items)\b", re.I)
_CHARACTERS = re.compile(r"\b(\d{2,5}) (?:characters|chars|letters)\b", re.I)


@dataclass(frozen=True)
class Limits:
    """What instructions allow; None where they set no such limit."""

    words: int | None
    sentences: int | None
    characters: int | None
    bullets: bool


def read_limits(text: str) -> Limits:
    """The limits that a text sets; numbers may be written out."""
    words, lines, characters, bullets = (p.search(text) for p in (_WORDS, _SENTENCES, _CHARACTERS, _BULLETS))
    most = _number(lines.group(1)) or 1 if lines else None
    if bullets and bullets.group(1):
        most = _number(bullets.group(1))
    return Limits(
        _number(words.group(1)) if words else None,
        most,
        int(characters.group(1)) if characters else None,
        bool(bullets),
    )


def _number(word: str | None) -> int | None:
    return None if word is None else int(word) if word.isdigit() else _NUMBERS[word.lower()]
