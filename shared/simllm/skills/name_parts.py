"""First and last name as two fields: both are read from one person's name.

"Ana Maria Silva" is "Ana" (the first word) and "Maria Silva" (the rest); which order a culture has is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from simllm.skills.fields import Field
from simllm.skills.filling import Filling

_FIRST = frozenset(["first", "given", "fore", "forename", "firstname", "christian"])
_LAST = frozenset(["last", "family", "sur", "surname", "lastname"])


def joined_names(targets: Sequence[Field]) -> tuple[list[Field], list[tuple[Field, Field, Field]]]:
    """(the fields, with one for the whole name in place of its parts; (whole, first, last) per pair)."""
    made, pairs = list(targets), []
    for first in targets:
        for last in targets:
            if first.path[:-1] != last.path[:-1] or not (_is_part(first, _FIRST) and _is_part(last, _LAST)):
                continue
            whole = replace(first, path=(*first.path[:-1], "name"), required=first.required or last.required)
            made = [whole if t is first else t for t in made if t is not last]
            pairs.append((whole, first, last))
    return made, pairs


def _is_part(target: Field, words: frozenset[str]) -> bool:
    return target.kind == "string" and bool(target.own & words) and target.own <= words | {"name"}


def split_names(pairs: Sequence[tuple[Field, Field, Field]], made: Filling) -> None:
    """Give each part of a found name to its own field; a single word is the last name."""
    for whole, first, last in pairs:
        if whole.path not in made.values:
            continue
        words = str(made.values.pop(whole.path)).split()
        score, span = made.scores.pop(whole.path), made.spans.pop(whole.path, None)
        mention = made.mentions.pop(whole.path, None)
        parts = [(last, " ".join(words[1:]) or words[0])]
        parts += [(first, words[0])] if len(words) > 1 else []
        for target, text in parts:
            made.put(target, text, score, span)
            if mention is not None:
                made.mentions[target.path] = mention
