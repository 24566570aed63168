"""Names and phrases of a text: runs of capitalised words, and stretches between prepositions and punctuation.

By form only; no list of anybody's names. Words that open a sentence ("Book", "Please") are no names. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from simllm.skills.mention import Mention
from simllm.skills.sentence_words import ARTICLES, BORDERS, EMPTY, PARTICLES, PREPOSITIONS, STARTERS
from simllm.skills.words import STOP_WORDS

_NAME = re.compile(
    r"(?:(?:Dr|Mr|Mrs|Ms|Prof|St)\.\s)?[^\W\d_a-z](?:[\w'’&-]|\.(?=\w)|(?<=\b\w)\.)*(?:(?:[ ](?:of|the|de|la|van|von|der|du|del|da|&))*[ ](?:[^\W\d_a-z](?:[\w'’&-]|\.(?=\w)|(?<=\b\w)\.)*|\d{1,4}(?![\w:,.]*\d)))*"
)
_SAYING = re.compile(
    r"\b(?:"
    r"(?:tell|text|message|ping|inform|notify|write|remind|e-?mail)\s+(?:(?-i:[A-Z][\w'’-]*(?: [A-Z][\w'’-]*){0,2})|him|her|them|(?:my|our|the)\s+\w+)"
    r"(?:\s*[:,]|(?=\s+(?:the|an?|i|i['’]m|i['’]ll|we|we['’]re|we['’]ll|he|she|it|it['’]s|they|there|my|our|his|her|their|this|please|dinner|lunch|nobody|everybody|everything|nothing|all|no|not|yes|tomorrow|today)\b))|"
    r"(?:saying|says|say|that says)(?: that)?|(?:tell|remind|inform|notify|let)\s+(?:\w+|[A-Z][\w.]+(?: [A-Z]\w+)*)\s+(?:that|to|know(?: that)?|about)|"
    r"search(?: the \w+| \w+)? for|(?:e-?mail|message|text|write|tell|inform|notify|note|mail|let)\w*\s(?:[^\n.;,]|\.(?=\S)){0,60}?\bthat|look(?:ing)? for|find(?: me)?|translate|(?:[A-Z][\w'’-]+ )(?:will|is to|must|should|shall|has to|needs to)|with the (?:text|message|note|title|subject|name))\s*:?\s+([^\n.;]+)",
    re.I,
)
FIRM = re.compile(
    r"(?<!^)\b(?:B\.?V|N\.?V|GmbH|AG|KG|SE|Ltd|Limited|LLC|LLP|Inc|Corp|Corporation|Co|plc|PLC|S\.?A|S\.?A\.?S|SARL|SpA|"
    r"S\.?r\.?l|AB|ASA?|ApS|Oy|Sp\. z o\.o|s\.r\.o|Pty|Holdings?|Group|& Sons?|& Söhne|Bros)\.?$"
)  # how the name of a company ends
_HEAD = re.compile(r"[A-Za-z][\w'’-]*|\d[\w.,:]*|[^\w\s]")


def names(text: str, taken: list[tuple[int, int]]) -> Iterator[Mention]:
    """Runs of capitalised words; one that ends in a number also without it ("Rovers 3" may be a team and its goals).

    Args:
        taken: stretches that are dates, addresses or codes.
    """
    masked = text
    for begin, end in taken:
        masked = masked[:begin] + "\0" * (end - begin) + masked[end:]
    for match in _NAME.finditer(masked):
        if match.start() and (text[match.start() - 1].isalnum() or text[match.start() - 1] in "-_@/"):
            continue
        start, words = match.start(), match.group(0)
        at_start = re.search(r"(?:^|[.!?:>\n\"“-])\s*$", text[:start]) is not None
        first = re.match(r"\S+\s*", words)
        while (
            first
            and re.sub(r"[^a-z']", "", first.group(0).lower().replace("’", "'")) in STARTERS
            and (at_start or first.group(0).strip() in ("I", "I'd", "I'm", "I've"))
        ):
            start += first.end()
            words = words[first.end() :]
            first = re.match(r"\S+\s*", words)
        words = re.sub(r"(?:['’]s)?[.,'’&\s-]*$", "", words)
        alone = " " not in words and (
            re.search(r"(?:^|[.!?]\s)\s*$", text[:start]) or words.isupper() and len(words) > 4
        )
        # a single word at the start of a sentence is a name only if it is written so elsewhere too
        weak = alone and not re.search(rf"[^.!?\s] +{re.escape(words)}\b", text)
        for name in dict.fromkeys((words, re.sub(r"\s+\d+$", "", words))):
            mention = Mention("phrase" if weak else "name", name, start, start + len(name))
            if len(name) > 1 and not mention.inside(taken):
                yield mention


def said(text: str, whens: Sequence[Mention] = ()) -> Iterator[Mention]:
    """What somebody is to be told or reminded of: all that follows a verb of saying, also without the time at its end."""
    for match in _SAYING.finditer(text):
        words = re.split(r"\s+(?:by|until|before)\s+(?=\d|[A-Z])", match.group(1))[0].strip(" .!?\"'“”")
        if words:
            yield Mention("said", words, match.start(1), match.start(1) + len(words))
            undated = _cut_before(words, match.start(1), whens)
            if undated != words and undated:
                yield Mention("said", undated, match.start(1), match.start(1) + len(undated))


def _cut_before(words: str, start: int, whens: Sequence[Mention]) -> str:
    """The words up to the dates and times that they end with."""
    for when in sorted(whens, key=lambda m: -m.start):
        inside = start < when.start and when.end <= start + len(words)
        if inside and not words[when.end - start :].strip(" .!?\"'"):
            words = re.sub(
                r"(?:\s+(?:on|at|by|for|from|in|until|before|the|every))*\s*$", "", words[: when.start - start]
            )
    return words.rstrip(" ,")


def phrases(text: str, empty: frozenset[str]) -> Iterator[Mention]:
    """Stretches between prepositions, conjunctions, codes and punctuation, without their articles and without `empty`."""
    start = end = -1
    for match in [*_HEAD.finditer(text), None]:
        word = match.group(0) if match else "."
        new_line = match is not None and start >= 0 and "\n" in text[end : match.start()]
        border = (
            not word[0].isalnum()
            or word.lower() in PREPOSITIONS
            or word.lower() in PARTICLES
            or word.lower() in BORDERS
            or any(c.isdigit() for c in word)
            or start >= 0
            and word.lower() in ARTICLES
        )
        if (border or new_line) and start >= 0:
            if text[start:end].lower() not in EMPTY and text[start:end].lower() not in empty:
                yield Mention("phrase", text[start:end], start, end)
            start = -1
        if not border and match:
            if start < 0 and (word.lower() in ARTICLES or word.lower() in STARTERS or word.lower() in STOP_WORDS):
                continue
            if start < 0:
                start = match.start()
            end = match.end()
