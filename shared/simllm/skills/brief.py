"""Read a task prompt: the named parts it hands over, and what it wants done with them.

`prompt.py` looks for one question and its context. Tasks such as judging or rewriting come with several texts under
names of their own ("Answer:", "<reference>", "## Conversation"); this reader keeps every part under its name, and
everything else as instructions. It knows usual names and layouts, and no particular prompt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from simllm.chat import Message
from simllm.skills.unmarked import own_lines

_ADJECTIVE = (
    r"(?:the|user(?:['’]s)?|latest|last|new|original|student(?:['’]s)?|candidate(?:['’]s)?|model(?:['’]s)?|"
    r"assistant(?:['’]s)?|reference|expected|correct|gold(?:en)?|ground[- ]truth|retrieved|source|given|follow[- ]?up|chat|"
    r"input|customer(?:['’]s)?|generated|system(?:['’]s)?|ai|proposed|submitted|official|current|previous|search|allowed|possible|"
    r"available|supporting|trusted|evidence)"
)
_NOUN = (
    r"(?:contexts?|sources?|passages?|documents?|questions?|query|queries|answers?|responses?|repl(?:y|ies)|candidates?|"
    r"references?|claims?|statements?|texts?|messages?|e-?mails?|tickets?|conversations?|history|dialog(?:ue)?|"
    r"transcript|follow[- ]?up|labels?|categor(?:y|ies)|classes|rubric|criteri(?:a|on)|article|ground[- ]truth|premise|expected|actual|prediction|"
    r"hypothesis|solution|evidence|snippet|chunk|option|turn|input|review|paragraph|content|data|body|report)"
)
_NAME = rf"((?:{_ADJECTIVE}[ _-])*(?:{_NOUN}|{_ADJECTIVE}[ _-]{_NOUN})(?:[ _-](?:text|message|turn|history|question|answer|[A-D]|[1-9]))?)"
_LABEL = re.compile(
    rf"^[ \t]*(?:#{{1,5}}[ \t]*)?[*_]{{0,2}}\[?{_NAME}\]?[ \t]*(?:\([^()\n]{{0,80}}\))?[*_]{{0,2}}"
    rf"[ \t]*(?::[*_]{{0,2}}|(?<=[*\]])[ \t]*$)[ \t]*",
    re.I | re.M,
)
_HEADING = re.compile(rf"^[ \t]*(?:#{{1,5}}|={{2,}}|-{{2,}})[ \t]*{_NAME}[ \t]*(?:=*|-*|#*):?[ \t]*$", re.I | re.M)
_TAG = re.compile(r"<([a-z][\w-]*)(?:\s[^<>]*)?>(.*?)</\1\s*>", re.S | re.I)
_ANY_TAG = re.compile(r"</?[a-z][\w-]*(?:\s[^<>]*)?>", re.I)
_FENCED = re.compile(r'^\s*(?:"""|\'\'\'|```\w*|---+)\s*\n?(.*?)\s*(?:"""|\'\'\'|```|---+)\s*$', re.S)
_CUE = re.compile(r"\n[ \t#*]*[\w '’/-]{2,40}:[ \t*]*\s*\Z")
_CLOSING = re.compile(
    r"^\W*(?:now |please |then |first |finally |only )*(?:(?:reply|answer|respond|return|output)\b\W+(?:only|with|in|as|using|by|just|exactly|yes|no|one|a|the)\b|"
    r"(?:rate|score|classify|judge|grade|evaluate|assess|decide|choose|pick|summari[sz]e|rewrite|rephrase|reformulate|explain|write|give|generate|produce|label|categori[sz]e|assign|list)\b|"
    r"(?:is|does|do|are|did) (?:the|this|that|every|each|all|it)\b[^\n]*\b(?:answer|response|claim|statement|passage|document|candidate|question|text)|which (?:of|label|category|class|answer|response|one)\b|"
    r"what (?:is the|label|category|class)\b|(?:your )?(?:verdict|label|summary)\b|use (?:one|exactly|only)\b|do not\b|don['’]t\b|no explanation|one word\b|remember\b)",
    re.I,
)
_BRACED = re.compile(r"\{[^{}]*\}")
_COLON = re.compile(r":(?=\n)\n|:(?![\s\S]*:\n) ")
_LEADS = re.compile(
    r"^\W*(?:you(?:r|'re)?|please|act|here(?:'s| is| are)|below|read|given|i|we|as an?|my|our|task|instructions?)\b|\b(?:following|below)\b|[:?]\s*$",
    re.I,
)
_TWO = re.compile(r"\b(?:A (?:or|and|vs\.?) B|A/B)\b|\"A\"\s*(?:\||or|,|/)\s*\"B\"")
_ONE_OF_TWO = re.compile(r"^[ \t]*\(?([AB])(?:[):.]|\):)[ \t]+(?=\S)", re.M)
_ASKED_SO = re.compile(r"\s*[\"'“‘]?([^?]+\?)[\"'”’]?\s+(\S.{2,90})$", re.S)
_FORM = re.compile(
    r"\W*(?:(?:as|in) (?:an? )?(?:json|array|(?:numbered |bulleted? |plain )?list|separate lines)|(?:one|each)\b[^.\n]{0,20}\b(?:per|on its own|on a) |"
    r"(?:on|in) separate lines|numbered\b|separated by|no (?:numbers|numbering|comments?|explanations?)\b|without\b)",
    re.I,
)
_TURN = re.compile(
    r"^[ \t>*_-]*\[?(user|human|customer|client|visitor|learner|student|assistant|ai|bot|agent|system|model|support|q|a)\]?[ \t*_]*(?:\([^()\n]*\))?:[ \t*_]*",
    re.I | re.M,
)
_USERS = ("user", "human", "customer", "client", "visitor", "learner", "student", "q")


@dataclass(frozen=True)
class Part:
    """A text that the prompt hands over. `name` is lower case, "" where it has none."""

    name: str
    text: str


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation that the prompt reports or that the request itself is."""

    user: bool
    text: str


@dataclass(frozen=True)
class Brief:
    """A task prompt.

    Attributes:
        instructions: what is not a part, of all messages.
        parts: in prompt order.
        turns: the messages between instructions and the last one, for tasks about the chat itself.
    """

    instructions: str
    parts: tuple[Part, ...]
    turns: tuple[Turn, ...] = ()

    def find(self, *words: str, last: bool = False) -> str:
        """The text of the first (or last) part whose name holds one of the words; "" when there is none."""
        found = [part.text for part in self.parts if any(re.search(rf"\b{word}", part.name) for word in words)]
        return found[-1 if last else 0] if found else ""


def read_brief(messages: Sequence[Message]) -> Brief:
    """Split a chat into instructions and parts."""
    return _read(tuple((message.role, message.text) for message in messages if message.role != "tool"))


@lru_cache(maxsize=128)
def _read(messages: tuple[tuple[str, str], ...]) -> Brief:
    background = [text for role, text in messages if role in ("system", "developer")]
    talk = [(role, text) for role, text in messages if role not in ("system", "developer")]
    instructions: list[str] = []
    parts: list[Part] = []
    for text in background:
        found, rest = _split(text)
        parts += found
        instructions.append(rest)
    turns = tuple(Turn(role == "user", text.strip()) for role, text in talk[:-1])
    if talk:
        found, rest = _split(talk[-1][1])
        if found:
            own = [p for p in _paragraphs(rest) if not background or _CLOSING.match(p) or p.endswith(":")]
            instructions += own
            parts += [*found, *(Part("", p) for p in _paragraphs(rest) if p not in own)]
        elif any(text.strip() for text in background):
            parts.append(Part("", _bare(talk[-1][1])))
        else:
            lead, body, closing = _unnamed(talk[-1][1])
            instructions += [lead, closing]
            parts += [Part("", body)] if body else []
    return Brief("\n\n".join(text.strip() for text in instructions if text.strip()), tuple(parts), turns)


def _split(text: str) -> tuple[list[Part], str]:
    """(parts, what is left)."""
    text = own_lines(text)
    found = [
        Part(m.group(1).lower().replace("_", " "), _bare(_ANY_TAG.sub(" ", m.group(2)))) for m in _TAG.finditer(text)
    ]
    if found:
        rest = _TAG.sub("\n\n", text)
        more, rest = _labelled(rest)
        return [part for part in found + more if part.text], rest
    return _labelled(text)


def _labelled(text: str) -> tuple[list[Part], str]:
    text = _CUE.sub("\n", "\n" + text)
    if _TWO.search(text) and len(set(_ONE_OF_TWO.findall(text))) == 2:  # "A: ..." and "B: ..." are the two answers
        text = _ONE_OF_TWO.sub(r"Answer \1: ", text)
    marks = sorted([*_LABEL.finditer(text), *_HEADING.finditer(text)], key=lambda m: m.start())
    marks = [m for i, m in enumerate(marks) if i == 0 or m.start() >= marks[i - 1].end()]
    if not marks:
        return [], text
    parts: list[Part] = []
    rest = [text[: marks[0].start()]]
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        body = text[mark.end() : following.start() if following else len(text)]
        paragraphs = _paragraphs(body)
        while len(paragraphs) > 1 and _CLOSING.match(paragraphs[-1]):
            rest.append(paragraphs.pop())
        if (
            not following and len(parts) and len(paragraphs) == 1
        ):  # an order in the line below the last of several parts
            body, cut, order = paragraphs[0].rpartition("\n")
            if cut and _CLOSING.match(order):
                paragraphs[0] = body
                rest.append(order)
        parts.append(Part(re.sub(r"[ _]+", " ", mark.group(1)).lower(), _bare("\n\n".join(paragraphs))))
    return [part for part in parts if part.text], "\n\n".join(rest)


def _unnamed(text: str) -> tuple[str, str, str]:
    """(instructions, body, closing instructions) of a message without any names."""
    paragraphs = _paragraphs(text)
    if len(paragraphs) < 2:
        mark = _COLON.search(_BRACED.sub(lambda found: "_" * len(found.group()), text))
        lead, body = (text[: mark.start()], text[mark.end() :]) if mark else (text, "")
        if not mark or len(body.split()) < 4:
            return text, "", ""
        body, order = _without_order(body)
        return lead, _bare(body), order
    closing: list[str] = []
    while len(paragraphs) > 2 and _CLOSING.match(paragraphs[-1]):
        closing.insert(0, paragraphs.pop())
    start = 0 if closing and not _LEADS.search(paragraphs[0]) and not _CLOSING.match(paragraphs[0]) else 1
    while start < len(paragraphs) - 1 and (
        _CLOSING.match(paragraphs[start]) or re.match(r"[-*•] |\d[.)] ", paragraphs[start])
    ):
        start += 1
    if _CLOSING.match(paragraphs[-1]) and not _CLOSING.match(paragraphs[0]) and len(paragraphs) == 2:
        return paragraphs[1], _bare(paragraphs[0]), ""
    return "\n\n".join(paragraphs[:start]), _bare("\n\n".join(paragraphs[start:])), "\n\n".join(closing)


def _without_order(body: str) -> tuple[str, str]:
    """A question, and what is said behind it about the form of the reply ("... ? One per line.")."""
    found = _ASKED_SO.match(body)
    if not found or "?" in found.group(2) or not (_FORM.match(found.group(2)) or _CLOSING.match(found.group(2))):
        return body, ""
    return found.group(1).strip(), found.group(2)


def _paragraphs(text: str) -> list[str]:
    return [p.strip() for p in re.split(r"\n[ \t]*\n", text) if p.strip()]


def _bare(text: str) -> str:
    """A text without the quotes or fence around it."""
    fenced = _FENCED.match(text)
    text = (fenced.group(1) if fenced else text).strip()
    if len(text) > 1 and text[0] + text[-1] in ('""', "“”") and not set('"“”') & set(text[1:-1]):
        return text[1:-1]
    return text


def read_turns(text: str) -> tuple[Turn, ...]:
    """The turns of a conversation written as "User: ... Assistant: ..."; without marks, paragraphs take turns."""
    marks = list(_TURN.finditer(text))
    if not marks:
        return tuple(Turn(i % 2 == 0, part) for i, part in enumerate(_paragraphs(text)))
    stops = [*(mark.start() for mark in marks[1:]), len(text)]
    return tuple(
        Turn(mark.group(1).lower() in _USERS, text[mark.end() : stop].strip())
        for mark, stop in zip(marks, stops, strict=True)
    )
