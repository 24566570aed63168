"""From IPython's error output to what a reader needs: the frames inside the notebook's own cells, and the line."""

from __future__ import annotations

import re
from collections.abc import Sequence

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_TEMPORARY_FILE = re.compile(r" \(\d+\.py, line \d+\)$")
_FRAME = re.compile(r"\s*Cell In\[(?P<cell>\d+)\], line (?P<line>\d+)")

MAX_FRAMES = 8
MAX_FRAME_CHARACTERS = 2_000


def without_colour(text: str) -> str:
    """The text without terminal colour codes.

    >>> without_colour("\\x1b[31mred\\x1b[0m")
    'red'
    """
    return _COLOUR.sub("", text)


def error_text(evalue: str) -> str:
    """An error's message; of a syntax error, without the temporary file that IPython made of the cell.

    >>> error_text("invalid syntax (3046560625.py, line 1)")
    'invalid syntax'
    """
    return _TEMPORARY_FILE.sub("", without_colour(evalue))


def cell_frames(traceback: Sequence[str]) -> tuple[str, ...]:
    """The frames that are inside cells, outermost first; of a deep recursion, the first and the last ones."""
    plain = [without_colour(entry) for entry in traceback]
    frames = [frame.strip("\n")[:MAX_FRAME_CHARACTERS] for frame in plain if _FRAME.match(frame)]
    if len(frames) > MAX_FRAMES:
        half = MAX_FRAMES // 2
        frames = [*frames[:half], f"… {len(frames) - MAX_FRAMES} more frames …", *frames[-half:]]
    return tuple(frames)


def failing_line(frames: Sequence[str], execution_count: int | None) -> int | None:
    """The line, from 1, at which the cell `In [execution_count]` failed; None when no frame is in it.

    >>> failing_line(["Cell In[3], line 2\\n      1 x = 0\\n----> 2 1 / x"], 3)
    2
    """
    for frame in frames:
        match = _FRAME.match(frame)
        if match and int(match["cell"]) == execution_count:
            return int(match["line"])
    return None
