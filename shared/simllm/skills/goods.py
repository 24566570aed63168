"""Things that a text counts: "3 crates of apples, 2 sacks of flour and a lamp" as "crates of apples", "sacks of flour".

By form only: an amount without a measure or a currency, and the plain words behind it up to the next border.
Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from simllm.skills.amounts import CURRENCIES, NUMBER_WORDS
from simllm.skills.fields import Field
from simllm.skills.measures import measure_of
from simllm.skills.mention import Mention
from simllm.skills.sentence_words import PREPOSITIONS, word_set
from simllm.skills.words import STOP_WORDS

_GOODS = word_set("""
    item items goods product products article articles line lines position positions thing things contents content
    ingredient ingredients material materials part parts purchase purchases
""")
_COUNTED = re.compile(
    rf"(?<![\w.,€$£¥-])(?P<n>\d{{1,6}}|{'|'.join(sorted(NUMBER_WORDS, key=len, reverse=True))})\s*(?:[x×]\s*)?\s"
    r"(?P<thing>[^\W\d_][\w'’-]*(?: [^\W\d_][\w'’-]*){0,5})",
    re.I,
)
_BORDERS = (PREPOSITIONS - {"of"}) | word_set("and or plus but at per each are is was were")
MOST_WORDS = 5


def takes_goods(target: Field) -> bool:
    """Whether a list of texts is called after what is counted: "items", "goods"."""
    items = target.schema.get("items", {})
    return (
        bool(target.own & _GOODS) and items.get("type") == "string" and not {"enum", "pattern", "format"} & set(items)
    )


def goods(text: str, taken: Sequence[Mention] = ()) -> list[Mention]:
    """The counted things, without their number.

    Args:
        text: what to read.
        taken: stretches that count nothing, such as dates and times.
    """
    found = []
    for match in _COUNTED.finditer(text):
        if any(m.start < match.end("n") and match.start("n") < m.end for m in taken):
            continue
        words: list[str] = []
        for word in match["thing"].split(" "):
            if word.lower() in _BORDERS or len(words) == MOST_WORDS:
                break
            words.append(word)
        while words and words[-1].lower() == "of":
            words.pop()
        if (
            not words
            or words[0].lower() in STOP_WORDS | CURRENCIES.keys()
            or measure_of(words[0])
            and words[1:2] != ["of"]
        ):
            continue
        thing = " ".join(words)
        found.append(Mention("thing", thing, match.start("thing"), match.start("thing") + len(thing)))
    return found
