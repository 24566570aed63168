"""When a notebook was handed in: the `timestamp.txt` beside it, in the formats that nbgrader accepts.

nbgrader reads `2026-03-01 18:00:00 +0200` as 200 seconds and an unknown zone as UTC; here the first is two hours and the
second is unreadable. An unreadable time is never held against the learner, and the file's own time is never used: copying
changes it.
"""

from __future__ import annotations

import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

import dateutil.parser  # type: ignore[import-untyped]
import dateutil.tz  # type: ignore[import-untyped]

from coursekit.grading.results import Finding

FILE_NAME = "timestamp.txt"
MAX_BYTES = 200
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_OFFSET = re.compile(r"[+-]\d{2}:?\d{2}")


def read(folder: Path) -> tuple[datetime | None, tuple[Finding, ...]]:
    """The time in `<folder>/timestamp.txt`, in UTC without an offset; None and a finding when it cannot be read."""
    try:
        descriptor = os.open(folder / FILE_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None, ()
    except OSError as error:
        return None, (_unreadable(error.strerror or "unreadable"),)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None, (_unreadable("not a regular file"),)
        text = file.read(MAX_BYTES).decode("utf-8-sig", errors="replace").strip()
    try:
        return parse(text), ()
    except ValueError as error:
        return None, (_unreadable(str(error)),)


def parse(text: str) -> datetime:
    """One time in UTC without an offset; a time without a zone is in UTC already, as nbgrader has it.

    Raises:
        ValueError: no date with a year, or a zone that does not exist.

    >>> parse("2026-03-01 18:00:00 +0200"), parse("2026-07-01 18:00:00.5 Europe/Berlin")
    (datetime.datetime(2026, 3, 1, 16, 0), datetime.datetime(2026, 7, 1, 16, 0, 0, 500000))
    """
    if not _YEAR.search(text):
        raise ValueError(f"{text!r:.60} is not a date with a year")
    moment, zone = text, None
    parts = text.split(" ")
    if len(parts) == 3 and not _OFFSET.fullmatch(parts[2]) and parts[0][:4].isdigit():
        moment, zone = f"{parts[0]} {parts[1]}", dateutil.tz.gettz(parts[2])
        if zone is None:
            raise ValueError(f"{parts[2]!r:.60} is not a time zone; use UTC, an offset such as +0200, or an IANA name")
    try:
        parsed: datetime = dateutil.parser.parse(moment)
        if zone is not None:
            parsed = parsed.replace(tzinfo=zone)
        return parsed.astimezone(UTC).replace(tzinfo=None) if parsed.tzinfo else parsed
    except (ValueError, OverflowError, TypeError):
        raise ValueError(f"{text!r:.60} is not a date and a time") from None


def _unreadable(reason: str) -> Finding:
    return Finding("note", f"{FILE_NAME} cannot be read ({reason}); the submission counts as handed in in time")
