"""A question that nothing sets apart: the last line of a context, the line before one, a label in mid-line.

Asked only where the usual marks (a heading, a blank line, a tag) show no question; what they show is never changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from simllm.skills.layout import Passage

LEAST_WORDS = 6  # of what is taken for a context
_CONTEXTS = r"context|passages?|text|source|document|excerpt|facts|article|background|notes"
_OWN_LINE = re.compile(
    rf"^[ \t#*_]*(?:{_CONTEXTS})[ \t*_]*(?::[ \t*_]*|$)",
    re.I | re.M,
)
_MID_LINE = re.compile(
    r"(?<=[.!?:;\"”'’)])[ \t]+(?=(?:the )?(?:context|question|query|answer|passage|source|reference|claim|text|document|expected|actual)(?: [ab12])?:\s)",
    re.I,
)
_BARE_HEADING = re.compile(r"^[ \t]*(?:user |the )?(?:question|query)[ \t]*$", re.I | re.M)
_FENCED = re.compile(r"\s*(?:```\w*|\"{3}|'{3})[ \t]*\n(.*?)\n[ \t]*(?:```|\"{3}|'{3})[ \t]*\n\s*([^\n`]+\?)\s*", re.S)
_CUE = re.compile(r"\n[ \t]*A[ \t]*:\s*\Z")


def own_lines(text: str) -> str:
    """ "Context: … Question: … Answer: …" on one line, cut into lines; other texts as they are."""
    if "\n" in text.strip():
        return text
    cut = _MID_LINE.sub("\n", text)
    return cut if cut.count("\n") else text


def question_heading(text: str) -> tuple[str, str] | None:
    """(question, text before it) where "QUESTION" stands alone on a line; None where it does not."""
    found = list(_BARE_HEADING.finditer(text))
    if len(found) != 1 or not text[found[0].end() :].strip() or not text[: found[0].start()].strip():
        return None
    return text[found[0].end() :].strip(), text[: found[0].start()]


def context_behind(question: str) -> tuple[str, str]:
    """A marked question that runs into its context ("…?\\nPassage: …"), cut in two; ("…", "") where it does not."""
    found = _OWN_LINE.search(question)
    if not found or not question[: found.start()].strip() or len(question[found.end() :].split()) < LEAST_WORDS:
        return question, ""
    return question[: found.start()].strip(), question[found.end() :].strip()


def question_within(passages: Sequence[Passage]) -> tuple[str, list[Passage]]:
    """The question that the last line of the last passage asks, and the passages without it; "" where none asks."""
    if not passages:
        return "", []
    last = passages[-1]
    lead, line = _last_line(last.text)
    if not line.endswith("?"):
        return "", list(passages)
    left = [*passages[:-1], replace(last, text=lead)] if lead else list(passages[:-1])
    return (line, left) if left else ("", list(passages))


def context_below(paragraph: str) -> tuple[str, str]:
    """ "Question?\\nFacts. More facts." as (facts, question); ("", paragraph) for anything else."""
    first, _, rest = paragraph.partition("\n")
    if first.rstrip().endswith("?") and len(rest.split()) >= LEAST_WORDS and "?" not in rest:
        return rest.strip(), first.strip()
    return "", paragraph


def fenced_context(paragraph: str) -> tuple[str, str]:
    """A context in a fence with a question below it, as (context, question); ("", paragraph) for anything else."""
    found = _FENCED.fullmatch(paragraph)
    prose = found is not None and len(found.group(1).split()) >= LEAST_WORDS
    return (found.group(1).strip(), found.group(2)) if found and prose else ("", paragraph)


def without_cue(text: str) -> str:
    """A text without the "A:" at its end that waits for the answer."""
    return _CUE.sub("", text)


def _last_line(text: str) -> tuple[str, str]:
    lead, _, line = text.rstrip("*_\"' \n").rpartition("\n")
    return lead.rstrip(), line.strip("*_\"' ")
