"""A Python source file without what no docstring needs: the bodies of its functions.

Most of the time of reading an installation went into syntax trees of statements that nobody looks at. Parsing an
outline takes about half as long, and gives the same docstrings and signatures. Lines are found with regular
expressions, so an outline of unusual code can be no Python at all: then the caller parses the source itself.
"""

from __future__ import annotations

import re
from functools import cache

_STRING_OR_COMMENT = re.compile(
    r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'
    r"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'"
    r"|#[^\n]*",
    re.DOTALL,
)
_DEFINITION = re.compile(r"^([ \t]*)(?:async )?def ", re.MULTILINE)
_FIRST_STATEMENT = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*([ \t]+)([^\n]*)\n?")
_DOCSTRING = re.compile(r"[rRuU]?[\"']")
_MIXED_INDENTATION = re.compile("^(?: +\t|\t+ )", re.MULTILINE)
_NEWLINE_IN_STRING = "\0"


def outline(source: str) -> str:
    r"""`source` with its functions cut down to their headers and docstrings; one without a docstring loses its name.

    An error in the body of a function is gone with the body.

    >>> print(outline('def f(x):\n    "Add."\n    return x + 1\ndef g():\n    return 0\n'), end="")
    def f(x):
        "Add."
    def _(): pass
    """
    if "\0" in source or "\f" in source or ("\t" in source and _MIXED_INDENTATION.search(source)):
        return source  # unusual: indentation is not to be told by its length
    text = _STRING_OR_COMMENT.sub(_on_one_line, source if source.endswith("\n") else source + "\n")
    kept: list[str] = []
    done = position = 0
    while (found := _DEFINITION.search(text, position)) is not None:
        header_end = _end_of_header(text, found.end())
        body = _deeper_than(len(found[1])).match(text, header_end)
        position = body.end() if body else header_end
        first = _FIRST_STATEMENT.match(text, header_end, position)
        if first is None or first[2][:1] in ("", "#", "("):
            continue  # all on one line, or a docstring in parentheses
        if not _DOCSTRING.match(first[2]):
            kept += [text[done : found.start()], f"{found[1]}def _(): pass\n"]
        elif first[2].rstrip().endswith("\\"):
            continue  # it goes on in the next line
        else:
            kept += [text[done:header_end], first[0]]
        done = position
    return "".join([*kept, text[done:]]).replace(_NEWLINE_IN_STRING, "\n")


def _on_one_line(token: re.Match[str]) -> str:
    return token[0].replace("\n", _NEWLINE_IN_STRING)


def _end_of_header(text: str, position: int) -> int:
    """Where the line ends that closes the last bracket; a bracket in a string makes it later, which costs time only."""
    depth = 0
    while True:
        end = text.find("\n", position) + 1
        line = text[position:end]
        depth += sum(map(line.count, "([{")) - sum(map(line.count, ")]}"))
        position = end
        if end == len(text) or (depth <= 0 and not line.endswith("\\\n")):
            return end


@cache
def _deeper_than(indent: int) -> re.Pattern[str]:
    """Lines that are indented by more than this, empty, or comments."""
    return re.compile(rf"(?:(?:[ \t]{{{indent + 1},}}[^\n]*|[ \t]*(?:#[^\n]*)?)\n)*")
