"""From what a check cell did to points and a message; hidden lines never reach the message."""

from __future__ import annotations

import math
import traceback
from dataclasses import dataclass

from coursekit.checks import CheckFailed
from coursekit.grading.judging.cells import CellResult

BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"


@dataclass(frozen=True)
class Score:
    points: float
    message: str = ""


class Stopped(Exception):
    """A check that could not be judged to its end; the message is for the learner."""


def score(result: CellResult, source: str, maximum: float) -> Score:
    """All points, none, or those that the cell's last expression gives (nbgrader's partial credit), within 0 and `maximum`."""
    if result.error is not None:
        return Score(0.0, failure_message(result.error, source))
    value = result.value
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return Score(maximum)
    if math.isnan(value):
        return Score(0.0, "the check gave NaN for points, which counts as 0")
    return Score(float(min(max(value, 0.0), maximum)))


def failure_message(error: BaseException, source: str) -> str:
    """What a learner may read about a failed check."""
    if isinstance(error, (CheckFailed, Stopped)):
        return str(error)
    if isinstance(error, NotImplementedError) and hasattr(error, "_render_traceback_"):
        return "\n".join(error._render_traceback_())
    name = type(error).__name__
    if _failing_line(error, source) in _hidden_lines(source):
        return f"a hidden test failed ({_python_name(error)})"
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  its __str__ may be anybody's code
        text = ""
    line = _failing_line(error, source)
    shown = source.splitlines()[line - 1].strip() if 0 < line <= len(source.splitlines()) else ""
    return f"{name}: {text}" if text or not shown else f"{name}: {shown}"


def _python_name(error: BaseException) -> str:
    """Python's own name for this kind of error: a learner's class could be named after a hidden test's input."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")


def _hidden_lines(source: str) -> set[int]:
    hidden, inside = set(), False
    for number, line in enumerate(source.splitlines(), start=1):
        inside = inside or BEGIN_HIDDEN in line
        if inside:
            hidden.add(number)
        if END_HIDDEN in line:
            inside = False
    return hidden


def _failing_line(error: BaseException, source: str) -> int:
    """The line of the check cell where the error came through; 0 when it cannot be told."""
    if isinstance(error, SyntaxError):
        return error.lineno or 0
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith("<ipython-input") and frame.name.startswith(("<module>", "<cell line")):
            return frame.lineno or 0
    return 0
