"""Words as the skills see them: lower-cased, lightly stemmed, without function words.

Identifiers (anything with a digit, or parts joined by - _ . / :) are kept whole as well as in parts.
"""

from __future__ import annotations

import re
from functools import lru_cache

_TOKEN = re.compile(r"\w+(?:[-_./:]\w+)*")
_PART = re.compile(r"[-_./:]")
_FUNCTION_WORDS = """
    a an the of to in on at by for from with without into onto over under as and or but if then than that this these
    those it its is are was were be been being am do does did doing done have has had having can could should would will
    shall may might must i me my we us our you your he she they them their his her who whom whose what which when where
    why how there here not no yes so too very just about any some all each every please tell give show explain describe
    many much long often get gets got happen happens mean means up out s t re ve ll d m
"""
STOP_WORDS = frozenset(re.findall(r"\w+", _FUNCTION_WORDS))


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Strip the commonest English endings; deliberately weaker than Porter's stemmer."""
    if any(c.isdigit() for c in word) or len(word) < 4:
        return word
    for ending, replacement in (
        ("ies", "y"),
        ("sses", "ss"),
        ("ing", ""),
        ("ed", ""),
        ("es", ""),
        ("ly", ""),
        ("s", ""),
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: len(word) - len(ending)] + replacement
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiousl":
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def is_identifier(word: str) -> bool:
    """Whether a word names one thing exactly, e.g. "E-42", "max_size" or "http2"."""
    return any(c.isdigit() for c in word) or bool(_PART.search(word))


def terms(text: str) -> list[str]:
    """Content terms of a text in order; identifiers whole, then in parts."""
    found: list[str] = []
    for match in _TOKEN.finditer(text.lower()):
        word = match.group()
        parts = _PART.split(word)
        if len(parts) > 1:
            found.append(word)
        found += [stem(part) for part in parts if part not in STOP_WORDS]
    return found
