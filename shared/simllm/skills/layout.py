"""Find context passages in text by the way prompts commonly mark them.

Three layouts: XML-like elements (`<document id="...">`), a heading such as "Context:", and labels at the start of a
line ("[1] ...", "[name] ...", "Document 2: ...", "(id: x) ...", "### manual.pdf", "Title: ...", "S1: ..."). Text inside code fences never counts as a label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Passage:
    """One piece of context.

    Attributes:
        label: what an answer would cite it by; "" when the prompt gives it no name.
        text: its content.
        number: position in the prompt, from 1.
    """

    label: str
    text: str
    number: int = 0


_ITEM = "document|doc|passage|chunk|source|snippet|article|item|result|reference|page|file|excerpt|note"
_BLOCK = "context|documents|docs|passages|chunks|sources|snippets|search_results|results|references|knowledge|data|text"
_ITEM_TAG = re.compile(rf"<({_ITEM})(?:_?(\d+))?((?:\s[^<>]*)?)>(.*?)</\1(?:_?\d+)?\s*>", re.S | re.I)
_BLOCK_TAG = re.compile(rf"<({_BLOCK})((?:\s[^<>]*)?)>(.*?)</\1\s*>", re.S | re.I)
_ATTRIBUTE = re.compile(r"(id|name|source|label|key|index|n|number|title|path|url)\s*=\s*[\"']?([^\"'>]+)", re.I)
_INNER = re.compile(r"<(id|source|name|title|label|index|url|path)>\s*(.*?)\s*</\1>", re.S | re.I)
_ANY_TAG = re.compile(r"</?[a-z_][\w-]*(?:\s[^<>]*)?>", re.I)
_HEADING = re.compile(
    r"^[ \t#*_=-]*(?:(?:the |relevant |retrieved |provided |following |reference |background )*"
    r"(?:context|sources?|documents?|passages?|excerpts?|search results|references?|notes|knowledge|background|information|"
    r"documentation|text)"
    r"(?: (?:information|documents?|passages?|excerpts?|material|text))?)(?:[ \t]*\([^()\n]*\))?[ \t*_]*(?::[ \t*_]*|$)",
    re.I | re.M,
)
_BRACKET_LABEL = re.compile(
    r"^[ \t>*#-]*\[(?:(?:doc|document|source|passage|id|ref)[ :=#]+)?([^\]\[\n]{1,80})\](?!\()[ \t:.-]*", re.I
)
_WORD_LABEL = re.compile(
    rf"^[ \t>*#-]*(?:{_ITEM})(?![a-z])[ \t]*(?:#|no\.?|id|name)?[ \t]*[:=]?[ \t]*\[?([\w][\w./-]*)\]?[ \t]*(?:\(([^()\n]*)\))?[ \t*]*(?:[:.—–-][ \t*]*|$)",
    re.I,
)
_ROUND_LABEL = re.compile(
    rf"^[ \t>*#-]*(?:(?:{_ITEM})[ \t]*\d*[ \t]*)?"
    r"(?:\((?:doc|document|source|passage|id|ref|file|name|key)[ \t]*[:=#][ \t]*([^(),\n]{1,60})[^()\n]{0,60}\)|【([^【】\n]{1,60})】)[ \t*]*[:.—–-]?[ \t]*",
    re.I,
)
_FILE_LABEL = re.compile(
    r"^[ \t]*(?:[-=#*]{2,}|#)[ \t]*(?:(?:file|source|document|doc)[ \t]*[:=]?[ \t]*)?([\w./-]+\.(?:md|txt|pdf|html?|docx?|rst))\b[ \t]*[-=#*]*[ \t]*$",
    re.I,
)
_TITLE_LABEL = re.compile(r"^[ \t>*#-]*(?:title|file ?name)[ \t]*:[ \t]*([^\n]{1,80}?)[ \t]*$", re.I)
_CODE_LABEL = re.compile(
    r"^[ \t>*-]*(?!(?:q|a|step|day|week|ps|note)\d)([A-Za-z]{1,12}[-_]?\d{1,5})[ \t]*:[ \t]+(?=\S)", re.I
)
_BODY_CUE = re.compile(r"^[ \t]*(?:text|content|body|passage)[ \t]*:[ \t]*", re.I)
_SURE_LABELS = (_ROUND_LABEL, _FILE_LABEL)  # nothing but a label looks like these
_COUNT_LABEL = re.compile(r"^[ \t]*\(?(\d{1,3})[.)][ \t]+")
_USUAL_LABELS = (_BRACKET_LABEL, _WORD_LABEL, _COUNT_LABEL)
_RARER_LABELS = (_ROUND_LABEL, _FILE_LABEL, _TITLE_LABEL, _CODE_LABEL)  # asked when the usual ones are not there
_ID_IN_HEADER = re.compile(r"\b(?:id|source|doc|document|name|key)[ \t]*[:=][ \t]*([\w][\w./-]*)", re.I)
_FENCE = re.compile(r"^\s*(```|~~~)")


def tagged_passages(text: str) -> tuple[list[Passage], str]:
    """Passages in XML-like elements, and the text without them."""
    items = list(_ITEM_TAG.finditer(text))
    if items:
        passages = [_element(m.group(2) or "", m.group(3), m.group(4)) for m in items]
        rest = _BLOCK_TAG.sub(lambda m: "\n" if _ITEM_TAG.search(m.group(0)) else m.group(0), text)
        return [p for p in passages if p.text], _ITEM_TAG.sub("\n", rest)
    blocks = list(_BLOCK_TAG.finditer(text))
    passages = []
    for match in blocks:
        labelled, lead = labelled_passages(match.group(3))
        passages += [Passage("", p) for p in paragraphs(lead)] + labelled
    return passages, _BLOCK_TAG.sub("\n", text)


def _element(number: str, attributes: str, content: str) -> Passage:
    given = {key.lower(): value.strip() for key, value in _ATTRIBUTE.findall(attributes)}
    given |= {key.lower(): value for key, value in _INNER.findall(content)}
    names = ("id", "key", "label", "name", "source", "path", "url", "index", "n", "number", "title")
    label = next((given[name] for name in names if given.get(name)), number)
    content = _INNER.sub(lambda m: m.group(2) + "\n" if m.group(1).lower() == "title" else "", content)
    return Passage(label, _ANY_TAG.sub("", content).strip())


def headed_passages(text: str) -> tuple[list[Passage], str]:
    """Passages under a heading such as "Context:", up to the end of the text, and the text before it."""
    found = next((m for m in _HEADING.finditer(text) if not _ROUND_LABEL.match(text[m.start() :])), None)
    if not found or len(text[found.end() :].split()) < 3:
        return [], text
    body = text[found.end() :]
    labelled, lead = labelled_passages(body)
    return [Passage("", p) for p in paragraphs(lead)] + labelled, text[: found.start()]


def labelled_passages(text: str) -> tuple[list[Passage], str]:
    """Passages that start with a label at the start of a line, and the text before the first."""
    lines = text.split("\n")
    for pattern in (*_USUAL_LABELS, *_RARER_LABELS):
        starts = _label_lines(lines, pattern)
        if len(starts) == 1 and pattern is not _COUNT_LABEL:
            starts = _uncounted(lines, pattern) or starts
        if pattern in _RARER_LABELS and len({label for _, label, _ in starts}) < len(starts):
            continue
        if starts and _are_labels(lines, starts[0][0], len(starts), pattern):
            borders = [*(i for i, _, _ in starts), len(lines)]
            passages = []
            for (i, label, rest), stop in zip(starts, borders[1:], strict=True):
                content = "\n".join([rest, *lines[i + 1 : stop]]).strip()
                content = _BODY_CUE.sub("", content) if pattern is _TITLE_LABEL else content
                passages.append(Passage(label, content.strip("-= \n")))
            return [p for p in passages if p.text], "\n".join(lines[: starts[0][0]])
    return [], text


def _are_labels(lines: list[str], first: int, count: int, pattern: re.Pattern[str]) -> bool:
    """Whether label-like lines label passages: "1." also starts a step, and "[WARN]" a log line."""
    at_start = not any(line.strip() for line in lines[:first])
    if pattern is _COUNT_LABEL:
        return at_start and count > 1
    if pattern is _BRACKET_LABEL or pattern in _SURE_LABELS:
        return at_start or count > 1 or not lines[first - 1].strip()
    return count > 1 and (pattern is not _CODE_LABEL or at_start or not lines[first - 1].strip())


def _uncounted(lines: list[str], pattern: re.Pattern[str]) -> list[tuple[int, str, str]]:
    """Numbers that name and do not count ("[12] ...", "[4] ..."): each once, at the head of a block or right below another."""
    found = _label_lines(lines, pattern, counting=False)
    heads = {i for i, _, _ in found}
    apart = all(i == found[0][0] or not lines[i - 1].strip() or i - 1 in heads for i in heads)
    return found if apart and len(found) == len({label for _, label, _ in found}) > 1 else []


def _label_lines(lines: list[str], pattern: re.Pattern[str], *, counting: bool = True) -> list[tuple[int, str, str]]:
    """(line number, label, rest of the line) of every label; numbers must count up from the first where they count."""
    found: list[tuple[int, str, str]] = []
    fenced = False
    for i, line in enumerate(lines):
        if _FENCE.match(line):
            fenced = not fenced
        match = None if fenced else pattern.match(line)
        if not match:
            continue
        label, rest = next(filter(None, match.groups())).strip(" '\""), line[match.end() :]
        if label.lower() in ("", "x") or (
            pattern is _WORD_LABEL and not any(c.isdigit() for c in line[: match.end()]) and rest
        ):
            continue
        if found and label.isdigit() != found[0][1].isdigit():
            continue
        if counting and found and label.isdigit() and int(label) != int(found[-1][1]) + 1:
            continue
        if not label.isdigit() and (label.count(" ") > 6 or (found and i and lines[i - 1].strip() and len(rest) > 200)):
            continue
        found.append((i, label, rest))
    return [(i, _named(label, lines[i]), rest) for i, label, rest in found]


def _named(label: str, line: str) -> str:
    """Prefer an explicit id in the label's line over a bare number."""
    explicit = _ID_IN_HEADER.search(line) if label.isdigit() else None
    return explicit.group(1) if explicit and not explicit.group(1).isdigit() else label


def paragraphs(text: str) -> list[str]:
    """Blank-line separated blocks; a code fence stays whole, and what a colon announces stays with its announcement."""
    blocks: list[list[str]] = [[]]
    fenced = False
    for line in text.strip().split("\n"):
        if _FENCE.match(line):
            fenced = not fenced
        announces = bool(blocks[-1]) and blocks[-1][-1].rstrip().endswith(":")
        if not line.strip() and not fenced and not announces:
            blocks.append([])
        elif not line.strip() and not fenced:
            continue
        else:
            blocks[-1].append(line)
    return ["\n".join(block) for block in blocks if any(line.strip(" -=*") for line in block)]


def number(passages: Iterable[Passage]) -> list[Passage]:
    """Number passages from 1 in prompt order."""
    return [replace(passage, number=i) for i, passage in enumerate(passages, start=1)]
