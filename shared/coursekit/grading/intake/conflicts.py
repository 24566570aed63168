"""Merge-conflict markers that git left between a notebook's lines: both sides as texts of their own.

A line of valid JSON never begins with `<<<<<<<`, so a marker at a line's start is git's. Splits text only; whether the
sides agree is for `reading` to say.
"""

from __future__ import annotations

import re

from coursekit.grading.intake.decoding import Refused

_MARKED = re.compile(r"^<{7}(?: |\r?$)", re.MULTILINE)


def has_markers(text: str) -> bool:
    """Does a line begin with git's opening marker?"""
    return _MARKED.search(text) is not None


def sides(text: str) -> tuple[str, str]:
    """The text with every conflict resolved to "ours", and to "theirs" (a diff3 base is in neither).

    Raises:
        Refused: the markers do not pair up.
    """
    ours: list[str] = []
    theirs: list[str] = []
    state = ""
    for line in text.splitlines(keepends=True):
        mark = line[:7] if line[7:8] in ("", " ", "\r", "\n") else ""
        if mark == "<<<<<<<" and state == "":
            state = "ours"
        elif mark == "|||||||" and state == "ours":
            state = "base"
        elif mark == "=======" and state in ("ours", "base"):
            state = "theirs"
        elif mark == ">>>>>>>" and state == "theirs":
            state = ""
        elif mark in ("<<<<<<<", ">>>>>>>"):
            raise Refused(
                "The file holds conflict markers of git that do not pair up: resolve the merge and hand in again."
            )
        else:
            if state in ("", "ours"):
                ours.append(line)
            if state in ("", "theirs"):
                theirs.append(line)
    if state:
        raise Refused("The file holds a conflict marker of git without its end: resolve the merge and hand in again.")
    return "".join(ours), "".join(theirs)
