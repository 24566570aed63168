"""Bytes become text: byte order marks, UTF-16 and UTF-32, and Latin-1 where no other reading is possible.

Also says what a file is that is no notebook, for the reason that a learner reads. Looks at bytes only.
"""

from __future__ import annotations

import codecs
import json
import re

INSTEAD = "hand in the notebook itself, the .ipynb file as JupyterLab saves it"

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_KINDS = (
    (b"PK\x03\x04", "a zip archive (or a Word file)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"SQLite format 3", "a database"),
    (b"\x7fELF", "a program"),
    (b"\xd0\xcf\x11\xe0", "an old Office file"),
)
_BLANK = b"\x00\t\n\x0b\x0c\r \x1a"
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_SCRIPT = re.compile(r"^(?:import \w|from [\w.]+ import|def \w+\(|class \w+|# ?%%|#!.*python|@\w|\w+ = )", re.MULTILINE)


class Refused(Exception):
    """The file cannot be graded; `str(error)` is the sentence for the learner."""


def decode(data: bytes) -> tuple[str, list[str]]:
    """The text of a file and what had to be mended for it.

    Bytes that fit no encoding come through as lone surrogates; `repairs` refuses them where they stand in code.

    Raises:
        Refused: the file is empty, another kind of file, or cut in the middle of a character.
    """
    if not data.strip(_BLANK) or data in _MARKS:
        raise Refused(f"The file is empty: {INSTEAD}.")
    kind = next((name for start, name in _KINDS if data.startswith(start)), None)
    if kind:
        raise Refused(f"The file is {kind}, not a notebook: {INSTEAD}.")
    encoding = json.detect_encoding(data)
    if encoding.startswith(("utf-16", "utf-32")):
        try:
            return data.decode(encoding).lstrip("\ufeff"), [f"the file was {encoding.upper()}, not UTF-8"]
        except UnicodeDecodeError as error:
            raise Refused(
                f"The file is {encoding.upper()} text that breaks off or is damaged at byte {error.start}: {INSTEAD}."
            ) from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return _not_utf8(data)
    bare = text.lstrip("\ufeff")
    return bare, ["the file began with a byte order mark"] if bare != text else []


def _not_utf8(data: bytes) -> tuple[str, list[str]]:
    if not _MULTIBYTE.search(data):
        try:
            return data.decode("cp1252"), ["the file was Latin-1 (Windows-1252), not UTF-8"]
        except UnicodeDecodeError:
            pass
    return data.decode("utf-8", "surrogateescape").lstrip("\ufeff"), ["some bytes of the file were no text"]


def what_it_is(text: str) -> str:
    """What a text is that does not begin as JSON, as the learner's reason."""
    start = text.lstrip()[:2000]
    if start.startswith("<"):
        return f"The file is a web page (HTML), perhaps a login page, not a notebook: download the raw file, then {INSTEAD}."
    if _SCRIPT.search(start):
        return f"The file is a Python script, not a notebook: {INSTEAD}."
    return f"The file is not a notebook (it does not begin as JSON): {INSTEAD}."
