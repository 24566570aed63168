"""What a judge is asked: which criterion, about which texts, in which words or numbers.

Recognised from the instructions and the names of the parts. Labels are understood by their polarity ("unfaithful",
"not_relevant", "partially correct"), so a judge answers in whatever words the prompt offers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simllm.schema import ReplyFormat, schema_types
from simllm.skills.brief import Brief, Part
from simllm.skills.outcome import Scale, read_scale

YES, PARTLY, NO = "yes", "partly", "no"
_TASK = re.compile(
    r"\b(?:judge|judging|evaluat\w+|assess\w*|rate|rating|rates|score|scoring|grade|grading|grader|verdict|decide|determine|check\w*|"
    r"verif\w+|compare|classify|label|whether|entail\w*|fact[- ]?check\w*|review\w*|say if|tell (?:me )?(?:if|whether|which)|"
    r"which (?:of the (?:two|answers)|answer|response|one)|"
    r"(?:is|are|does|do) (?:the|this|that|every|each|all)\b[^.\n]{0,60}\b(?:answer|response|reply|claim|statement|passage|document|candidate|snippet|chunk|summary))\b",
    re.I,
)
_CRITERION = re.compile(
    r"support\w*|faithful\w*|ground(?:ed|ing|edness)|entail\w*|hallucinat\w*|attribut\w*|consisten\w*|back(?:ed|s) (?:up )?by|follows? from|contradict\w*|"
    r"relevan\w*|useful|help(?:s|ful\w*)|on[- ]topic|correct\w*|accura\w*|match\w*|equivalen\w*|same (?:fact|meaning|as|thing)|right|wrong|true|quality|complete\w*|better|prefer\w*|contain\w*|answers? the (?:question|query)|concise\w*|clarity|factual\w*|"
    r"\bpass(?:ed)?\b[^.\n]{0,12}\bfail|\b(?:rate|score|grade)\b[^.\n]{0,20}\banswer",
    re.I,
)
_RELEVANCE = re.compile(r"relevan\w*|useful|help\w*|on[- ]topic|answers? the|contains?|needed|retriev\w*", re.I)
_PREFERENCE = re.compile(r"\bbetter\b|\bprefer\w*|\bwins?\b|\bwinner\b|\bbest\b|\bsuperior\b", re.I)
_GENERATES = re.compile(
    r"^\W*(?:please )?(?:answer (?:the|my|this|their) (?:user's )?question|summari[sz]e|rewrite|translate|extract)\b",
    re.I,
)

_QUALITY = (
    r"supported|faithful|grounded|correct|accurate|relevant|consistent|valid|helpful|equivalent|attributable|verified|"
    r"related|entailed|entailment|useful|acceptable|justified|right|true|complete|matching|answerable|responsive"
)
_PART = r"partly|partial(?:ly)?|in part|mixed|somewhat|borderline|incomplete|neutral|not enough info(?:rmation)?|marginal(?:ly)?|half[- ]?right|ambiguous"
_NEG = (
    rf"no|false|fail(?:ed|s)?|wrong|bad|contradict(?:ed|ion|s|ory)|hallucinat(?:ed|ion)|reject(?:ed)?|mismatch|off[- ]topic|refuted|fabricated|"
    rf"not[ _-](?:{_QUALITY})|(?:un|in|im|ir|non|mis)-?(?:{_QUALITY})|useless|unrelated"
)
_POS = rf"(?:(?:fully|highly|entirely|completely)[ _-])?(?:{_QUALITY})|yes|pass(?:ed|es)?|match(?:es)?|good|accept(?:ed)?|ok"
_TERM = re.compile(
    rf"(?<![\w-])(?:(?P<part>(?:{_PART})(?:[ _-](?:{_QUALITY}))?)|(?P<neg>{_NEG})|(?P<pos>{_POS}))(?![\w-])", re.I
)
_GAP = re.compile(
    r"^[\"'`*<>\[\](){}“”‘’.]*\s*(?:[,;/|:]|\bor\b|\band\b|\bvs\.?|\n|[-*•])[\s\"'`*<>\[\](){},;/|:•“”‘’-]*(?:or|and|else)?[\s\"'`*<>“”‘’-]*$",
    re.I,
)
_AT_START = re.compile(r"(?:^|\n)[ \t]*(?:[-*•]|\d[.)])?[ \t]*[\"'`*“]*$")
_ONE_ZERO = re.compile(r"\b1\b[^.\n]{0,60}\b0\b|\b0\b[^.\n]{0,60}\b1\b")
_RUBRIC = re.compile(r"^[ \t>*-]*(\d{1,2})[ \t]*(?:=|:|–|—|-|\)|points?\b)[ \t]*(?=[A-Za-z])", re.I | re.M)
_DEFAULTS = {
    "faithfulness": {YES: "supported", PARTLY: "partly supported", NO: "unsupported"},
    "relevance": {YES: "relevant", NO: "not relevant"},
    "correctness": {YES: "correct", PARTLY: "partly correct", NO: "incorrect"},
    "quality": {YES: "good", NO: "bad"},
}


@dataclass(frozen=True)
class Case:
    """One thing to judge.

    Attributes:
        kind: "faithfulness", "relevance", "correctness", "quality" or "preference".
        question: "" where none is given.
        evidence: context or passage.
        reference: the answer to compare with.
        candidates: what is judged; two for a preference, and for relevance the passage is in `evidence`.
        labels: grade -> the word that the prompt offers; without "partly" where it does not offer that.
        scale: for scores; None for words.
    """

    kind: str
    question: str
    evidence: str
    reference: str
    candidates: tuple[str, ...]
    labels: Mapping[str, str]
    scale: Scale | None


def read_case(brief: Brief, wanted: ReplyFormat) -> Case | None:
    """What to judge; None when the request is not for a judge."""
    asked = brief.instructions
    rubric = "\n".join(part.text for part in brief.parts if re.search(r"rubric|criteri", part.name))
    asked = f"{rubric}\n\n{asked}" if rubric else asked
    criterion = _CRITERION.search(asked) or _PREFERENCE.search(asked)
    if not _TASK.search(asked) or not criterion or _GENERATES.match(asked):
        return None
    parts = [part for part in brief.parts if part.text]
    reference = _join(parts, r"reference|expected|gold|ground|correct|official|solution")
    evidence = _join(
        parts, r"context|source|passage|document|premise|article|evidence|snippet|chunk|text|report|content|transcript"
    )
    question = _join(parts, r"question|query")
    candidates = tuple(part.text for part in parts if _is_candidate(part.name))
    kind = _kind(asked, question, evidence, reference, candidates)
    if kind is None:
        return None
    options = _schema_options(wanted)
    labels = _by_polarity(options) if options else read_labels(asked)
    scale = None if options else read_rubric(asked)
    if scale is None and not labels:
        scale = read_scale(asked) or (Scale(0, 1) if _ONE_ZERO.search(asked) else None)
        labels = dict(_DEFAULTS.get(kind, {YES: "A", NO: "B"}))
    return Case(kind, question, evidence, reference, candidates, labels, scale)


def read_rubric(text: str) -> Scale | None:
    """The scale whose steps a text describes one by one ("1 = wrong", "2 = partly right", "3 = right"); None without one."""
    steps = [int(number) for number in _RUBRIC.findall(text)]
    ordered = sorted(set(steps))
    if len(steps) < 2 or len(ordered) != len(steps) or ordered != list(range(ordered[0], ordered[-1] + 1)):
        return None
    rising = _rises(text, ordered[0], ordered[-1])
    return Scale(ordered[0], ordered[-1]) if rising else None


def _rises(text: str, low: int, high: int) -> bool:
    """Whether the highest number stands for the best: its words are no worse than the lowest one's."""
    said = {int(m.group(1)): text[m.end() :].split("\n")[0] for m in _RUBRIC.finditer(text)}
    return not (polarity(said[low]) == YES and polarity(said[high]) == NO)


def _join(parts: Sequence[Part], names: str) -> str:
    return "\n".join(part.text for part in parts if re.search(names, part.name) and not _is_candidate(part.name))


def _is_candidate(name: str) -> bool:
    if re.search(r"reference|expected|gold|ground|correct|official|question|query", name):
        return False
    return bool(
        re.search(r"answer|response|repl|candidate|claim|statement|hypothesis|summary|option|actual|prediction", name)
    )


def _kind(asked: str, question: str, evidence: str, reference: str, candidates: Sequence[str]) -> str | None:
    if len(candidates) >= 2 and _PREFERENCE.search(asked):
        return "preference"
    if reference and candidates:
        return "correctness"
    if candidates and evidence:
        return "faithfulness"
    if question and evidence and not candidates:
        return "relevance" if _RELEVANCE.search(asked) else None
    return "quality" if question and candidates else None


def read_labels(text: str) -> dict[str, str]:
    """Grade -> word, for the words that a prompt offers as answers; {} when it offers none."""
    found = list(_TERM.finditer(text))
    clusters: list[list[re.Match[str]]] = []
    for i, match in enumerate(found):
        if i and _GAP.match(text[found[i - 1].end() : match.start()]):
            clusters[-1].append(match)
        else:
            clusters.append([match])
    clusters.append([m for m in found if _AT_START.search(text[: m.start()])])
    clusters.append([m for m in found if text[m.start() - 1 : m.start()] in tuple("\"'`“*") and m.start()])
    clusters.append([m for m in found if m.group().isupper() and len(m.group()) > 1])
    read = [_by_polarity([m.group() for m in cluster]) for cluster in clusters]
    best = max(read, key=len, default={})
    return best if len(best) > 1 else {}


def polarity(label: str) -> str | None:
    """Whether a label says yes, no or partly; None when it says neither."""
    match = _TERM.search(label.replace("_", " "))
    if not match:
        return None
    return PARTLY if match.group("part") else NO if match.group("neg") else YES


def _by_polarity(labels: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for label in labels:
        grade = polarity(label)
        if grade is not None:
            found.setdefault(grade, label)
    return found if YES in found and NO in found else {}


def _schema_options(wanted: ReplyFormat) -> list[str]:
    """The words of the schema's first enum that tells good from bad."""
    return next((options for options in _enums(wanted.schema or {}) if _by_polarity(options)), [])


def _enums(schema: Mapping[str, Any]) -> list[list[str]]:
    found = [[option for option in schema["enum"] if isinstance(option, str)]] if "enum" in schema else []
    for child in schema.get("properties", {}).values():
        found += _enums(child)
    if "array" in schema_types(schema) and "items" in schema:
        found += _enums(schema["items"])
    return found
