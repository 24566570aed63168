"""What the instructions ask of the answer's form: citations, abstention, length.

Only general English phrasing is recognised. What is not understood is ignored, as small models do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from simllm.skills.limits import read_limits

DEFAULT_ABSTENTION = "I don't know based on the provided context."
_CITE = re.compile(
    r"\b(?:cit(?:e|es|ed|ing|ation|ations)|source ids?|reference (?:the|each|your)|attribut\w+|bracketed)\b|"
    r"\b(?:numbers?|ids?) of (?:the|each|every) (?:\w+ )?(?:passage|source|document|chunk|excerpt)s?\b|"
    r"\b(?:passage|source|document|chunk|excerpt)(?:['’]s)? numbers?\b|\[(?:n|number)\]",
    re.I,
)
_NO_CITE = re.compile(r"\b(?:do not|don't|never|without) (?:cit\w+|citations?|sources)\b", re.I)
_CITE_EXAMPLE = re.compile(r"\[([^\[\]\n]{1,40})\]")
_UNSURE = re.compile(
    r"\b(?:(?:does|do|did|is|are|was|can|could) ?(?:not|n't|n’t)|cannot|no (?:answer|context|source|document|passage|information|relevant)|"
    r"nothing|insufficient|missing|not (?:in|found|contain|enough|answer|cover|mention|support|state)\w*|unsure|uncertain|"
    r"absent|unanswerable|none of)\b",
    re.I,
)
_SAY = re.compile(
    r"\b(?:say|saying|answer|reply|respond|write|return|output|state)\b(?: only| just| exactly| with| that| literally|"
    r" the (?:single |exact )?(?:word|words|phrase|sentence|string|text))*\s*:?\s*"
    r"(?:\"([^\"\n]{1,200})\"|“([^”\n]{1,200})”|`([^`\n]{1,200})`|'((?:[^'\n]|'(?=\w)){1,200})'|"
    r"(?-i:(?!(?:JSON|YAML|XML|HTML|CSV|ONLY|EXACTLY)\b)([A-Z][A-Z_]{2,40}(?:[ -][A-Z][A-Z_'’]+)*|[A-Z]{2}(?:[ -][A-Z][A-Z_'’]+)+))\b)",
    re.I,
)
_SAY_BARE = re.compile(
    r"\b(?:say|answer|reply|respond|write|return|output|state)\b"
    r"(?:(?: only| just| exactly| with| literally| the (?:single |exact )?(?:word|words|phrase|sentence|string|text))*"
    r"(?:\s*:\s*| (?=(?-i:[A-Z])))|(?: with)?(?: the)? (?:exact|literal) (?:words?|phrase|sentence) )"
    r"(?!\[|(?:in|with|as|by|json|yaml|xml|html|csv|only|exactly)\b)([^\s.!?;:\n][^.!?;:\n]{0,80})|"
    r"\b(?:say|answer|reply|respond|write|return|output)(?: with)? (null|none|nothing found|n/a|unknown|unanswerable)\b",
    re.I,
)
_SAID_UNTIL = re.compile(r"(?:,|\s(?:and|then|instead|without|rather)\b).*$", re.I | re.S)
_CONDITION = re.compile(r"\b(?:if|when|unless|otherwise)\b", re.I)
MOST_SAID = 10  # words of an abstention that stands without quotes
_SAY_UNKNOWN = re.compile(
    r"\b(?:say|answer|reply|respond|state|admit|tell)\w*\b[^.\n]{0,40}\b(?:(?:you |it |that |i )*(?:do not|don't|don’t|cannot|can't) (?:know|answer|find)|"
    r"(?:is |are )?(?:unknown|unsure|not (?:available|known|found)))|\bsay so\b|\babstain\b|\b(?:do not|don't|never) (?:guess|invent|make (?:things|it|anything|up)|fabricat\w+|speculate)",
    re.I,
)
_BRIEF = re.compile(
    r"\b(?:one|single|1) (?:short )?(?:sentence|line|phrase|word)\b|\b(?:briefly|concise(?:ly)?|succinct\w*|terse\w*)\b",
    re.I,
)


_BULLETS = re.compile(
    r"\b(?:bullets?|bullet(?:ed)?[- ](?:points?|list)|(?:as|in) an? (?:unordered )?list|list items)\b", re.I
)
_VERBATIM = re.compile(
    r"\bverbatim\b|\bword[- ]for[- ]word\b|\bexact (?:quote|quotation|words|sentence)s?\b|\bquote\s*:|\bquot(?:e|ing) (?:the|each|every|exactly|literally)\b",
    re.I,
)
_FOOTNOTES = re.compile(r"\bfootnotes?\b|\[\^\w+\]", re.I)
_PARENTHESES = re.compile(r"\(((?:source|sources|ref|reference|see|from|doc|document|id)[ :=]+)[^()\n]{1,40}\)", re.I)
_PREFIX = re.compile(r"^((?:source|src|doc|document|id|ref|passage)\s*[:=#]\s*)\S", re.I)


@dataclass(frozen=True)
class Rules:
    """How the answer should look.

    Attributes:
        cite: "" (no citations), "label" (as the source is named) or "number" (its position).
        abstention: the sentence to say when the context has no answer; None when the prompt does not allow that.
        words: the most that it may have; None without a limit.
        sentences: the same.
        mark: what a citation looks like; {} stands for the source.
        footnotes: whether the sources are listed below the answer.
        verbatim: whether statements are given as quotations.
        bullets: whether the answer is a list.
    """

    cite: str = ""
    abstention: str | None = None
    words: int | None = None
    sentences: int | None = None
    mark: str = "[{}]"
    footnotes: bool = False
    verbatim: bool = False
    bullets: bool = False


def read_rules(text: str) -> Rules:
    """Read the rules from the instruction text."""
    footnotes = bool(_FOOTNOTES.search(text))
    limits = read_limits(text)
    counted = limits.sentences if limits.sentences and limits.sentences > 1 else None  # "a sentence" is no count
    return Rules(
        cite=_citation(text) or ("label" if footnotes or _PARENTHESES.search(text) else ""),
        abstention=_abstention(text),
        words=limits.words,
        sentences=1 if _BRIEF.search(text) else counted,
        mark=_mark(text),
        footnotes=footnotes,
        verbatim=bool(_VERBATIM.search(text)),
        bullets=bool(_BULLETS.search(text)),
    )


def _mark(text: str) -> str:
    if _FOOTNOTES.search(text):
        return "[^{}]"
    round_one = _PARENTHESES.search(text)
    if round_one:
        return "(" + round_one.group(1).replace("{", "").replace("}", "") + "{})"
    prefixes = [found.group(1) for example in _CITE_EXAMPLE.findall(text) if (found := _PREFIX.match(example))]
    return f"[{prefixes[0]}{{}}]" if prefixes else "[{}]"


def _citation(text: str) -> str:
    if not _CITE.search(text) or _NO_CITE.search(text):
        return ""
    examples = _CITE_EXAMPLE.findall(text)
    numeric = [
        example for example in examples if example.strip().isdigit() or example.strip().lower() in ("n", "number")
    ]
    return "number" if examples and len(numeric) == len(examples) else "label"


def _abstention(text: str) -> str | None:
    bare = ""
    for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])|\n", text):
        unsure = _UNSURE.search(sentence)
        quoted = _SAY.search(sentence) if unsure or _CONDITION.search(sentence) else None
        if quoted:
            return next(group for group in quoted.groups() if group).strip()
        if unsure and not bare:
            bare = _said_bare(sentence, unsure.start())
    return bare or (DEFAULT_ABSTENTION if _SAY_UNKNOWN.search(text) else None)


def _said_bare(sentence: str, after: int) -> str:
    """What an order without quotation marks says ("reply exactly: Cannot tell."); "" when it is no short phrase."""
    found = next((m for m in _SAY_BARE.finditer(sentence) if m.start() > after or "therwise" in sentence), None)
    if not found:
        return ""
    phrase = _SAID_UNTIL.sub("", found.group(1) or found.group(2)).strip()
    if not 0 < len(phrase.split()) <= MOST_SAID:
        return ""
    whole = (
        " " in phrase
        and not phrase.isupper()
        and sentence[found.end() : found.end() + 1] == "."
        and found.group().endswith(phrase)
    )
    return f"{phrase}." if whole else phrase
