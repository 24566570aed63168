"""What a conversation is about: the topic of a question, its phrases, the names that an answer brings in.

No parser: function words, a list of common verbs, capitals and prepositions mark where a phrase begins and ends. It
serves the rewriting of follow-up questions (Elgohary et al. 2019, CANARD) and knows no particular subject.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from simllm.skills.words import STOP_WORDS, is_identifier

_VERBS = frozenset(
    re.findall(
        r"\w+",
        """open close take cost work start end begin finish run go come leave arrive depart happen apply need want use get
    have include contain cover last stay change return order buy pay book reserve cancel renew extend borrow bring give
    send receive ask tell call contact visit see find look know mean become make do let allow require expire support
    play perform fit serve offer sell live stop help handle store keep set add remove delete install configure reset
    restart deploy release connect fail appear show win lose write wrote written paint build built invent found discover
    direct sing produce offered located held made written used called born die died own lead teach weigh drive swim
    matter count belong reach pick drop charge refund exchange ship deliver deploy scale roll""",
    )
)
_WORD = re.compile(r"[\w&]+(?:[-_./'’:]\w+)*|[^\w\s]")
PREPOSITIONS = frozenset(
    re.findall(
        r"\w+",
        "of for in at on from to with by about during under between near after before within through via without per",
    )
)
_DETERMINERS = frozenset(
    re.findall(r"\w+", "the a an my your our their his her its this that these those any some all each every another")
)
_AUXILIARY = frozenset(
    re.findall(r"\w+", "do does did can could should would will shall may might must is are was were am has have had")
)
_WH = frozenset(re.findall(r"\w+", "what which who whose when where why how whom"))
_QUANTITY = frozenset(re.findall(r"\w+", "many much long often far large big old fast high soon late early"))


@dataclass(frozen=True)
class Phrase:
    """A noun phrase without its preposition; `preposition` is the one before it, "" when there is none."""

    text: str
    preposition: str
    start: int
    stop: int

    @property
    def named(self) -> bool:
        """Whether it holds a name or an identifier."""
        words = self.text.split()
        return any(is_identifier(w) or (w[:1].isupper() and w.lower() not in STOP_WORDS) for w in words)

    @property
    def plural(self) -> bool:
        """Whether it names several things, as far as an ending tells."""
        head = re.split(rf"\s(?:{'|'.join(PREPOSITIONS)})\s", self.text)[0].split()[-1].lower()
        return (
            head.endswith("s")
            and not head.endswith(("ss", "us", "is"))
            or head in ("children", "people", "men", "women")
        )


def phrases(text: str) -> list[Phrase]:
    """The phrases of a text, in order."""
    found: list[Phrase] = []
    words = [(m.group(), m.start(), m.end()) for m in _WORD.finditer(text)]
    first: int | None = None
    determiner: int | None = None
    preposition = ""
    last = 0

    def end() -> None:
        nonlocal first, determiner, preposition
        if first is not None:
            start = determiner if determiner is not None else first
            found.append(Phrase(text[start:last], preposition, start, last))
            preposition = ""
        first = determiner = None

    for i, (word, start, stop) in enumerate(words):
        lower = word.lower()
        mid_name = word[:1].isupper() and i > 0 and lower not in STOP_WORDS
        verb = lower in _VERBS and not mid_name and (first is not None or determiner is None)
        if (
            verb
            and first is not None
            and i + 1 < len(words)
            and words[i + 1][0].lower() not in STOP_WORDS
            and words[i + 1][0].isalpha()
        ):
            verb = lower not in (
                "return",
                "order",
                "change",
                "support",
                "store",
                "release",
                "book",
                "work",
                "start",
                "play",
                "drop",
            )
        if (
            not re.match(r"\w", word)
            or lower in STOP_WORDS
            or lower in PREPOSITIONS
            or lower in _QUANTITY
            or lower in _WH
            or verb
        ):
            if lower == "the" and first is None or lower in _DETERMINERS and first is None:
                determiner = start
                continue
            end()
            if lower in PREPOSITIONS:
                preposition = lower
            elif lower in _DETERMINERS:
                determiner = start
            elif re.match(r"\w", word):
                preposition = ""
        else:
            if first is None:
                first = start
            last = stop
    end()
    return found


def topic(question: str, *, owner: bool = True) -> str:
    """What a question is about: from its first phrase to the end of the phrases that hang on it; "" when it has none.

    Args:
        question: a question that stands on its own.
        owner: of "the opening hours of the pool", take the pool.
    """
    measured = re.match(r"\W*how \w+ (?=is\b|are\b|was\b|were\b|does\b|do\b|did\b|can\b)", question, re.I)
    skipped = measured.end() if measured else 0
    found = [phrase for phrase in phrases(question) if phrase.start >= skipped]
    if not found:
        return ""
    start = found[0]
    attribute = (
        owner
        and re.match(r"\W*(?:what|which|how)\b", question, re.I)
        and len(found) > 1
        and found[1].preposition == "of"
    )
    if attribute:  # "the opening hours of the pool": about the pool
        start = found[1]
    wh_head = re.match(r"\W*(?:which|what)\s+(?!is\b|are\b|was\b|were\b|does\b|do\b|did\b)", question, re.I)
    if wh_head and len(found) > 1 and not attribute:  # "Which train goes to Lyon?"
        start = found[0]
    stop = start.stop
    for phrase in found[found.index(start) + 1 :]:
        between = question[stop : phrase.start].strip().lower()
        if between not in PREPOSITIONS and between != "and":
            break
        stop = phrase.stop
    return question[start.start : stop]


_ACTION = re.compile(
    r"^\W*(?:(?:how|when|where|why|what) )?(?:do|can|may|could|should|must|does|would|shall) (?:i|you|we|one|someone|people) ((?:[a-z]+) .+?)[\s?.]*$",
    re.I,
)


def action(question: str) -> str:
    """What a question is about doing: "How do I renew my card?" as "renewing my card"; "" when it is not of that form."""
    found = _ACTION.match(question)
    if not found:
        return ""
    verb, _, rest = found.group(1).partition(" ")
    return f"{verb[:-1] if verb.endswith('e') and not verb.endswith('ee') else verb}ing {rest}"


def names(text: str) -> list[str]:
    """Names and identifiers, in order; a capital at the start of a sentence is no sign."""
    found = []
    for match in re.finditer(
        r"\b[A-ZÀ-Þ0-9][\w&.'’/-]*\w(?: (?:(?:of|de|the|la|van|von) )?[A-ZÀ-Þ0-9][\w&.'’/-]*)*|\b\w*\d\w*(?:[-_.]\w+)*",
        text,
    ):
        word = match.group().rstrip(".,'’")
        opening = not text[: match.start()].strip() or text[: match.start()].rstrip()[-1:] in ".!?:"
        head = word.split()[0]
        if opening and head.lower() in STOP_WORDS | _WH | _AUXILIARY | {"yes", "it", "you"}:
            word = " ".join(word.split()[1:])
        elif (
            opening
            and " " not in word
            and not is_identifier(word)
            and not re.match(rf"{re.escape(word)} (?:is|was|has|wrote|and)\b", text[match.start() :])
        ):
            continue
        if word and word not in found and not re.fullmatch(r"\d{1,3}", word):
            found.append(word)
    return found
