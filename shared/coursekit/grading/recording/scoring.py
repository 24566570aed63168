"""From what the judge reported to what may stand in a gradebook: a number between 0 and a check's points, for every check."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from nbformat import NotebookNode

from coursekit import notebooks
from coursekit.grading.results import CheckGrade, Finding


def settle(checks: Iterable[CheckGrade], registered: NotebookNode) -> tuple[dict[str, CheckGrade], tuple[Finding, ...]]:
    """One verdict for each test cell of the registered notebook, and what had to be corrected.

    A score that is not a finite number counts as 0, one outside of its range as the nearest end; the maximum is the source's.
    """
    worth = {str(notebooks.grade_id(c)): notebooks.points(c) for c in registered.cells if notebooks.is_test(c)}
    settled: dict[str, CheckGrade] = {}
    findings: list[Finding] = []
    for check in checks:
        if check.check_id not in worth or check.check_id in settled:
            problem = "reported twice" if check.check_id in settled else "not a check of this module"
            findings.append(Finding("note", f"a verdict was left out: {problem}", check.check_id))
            continue
        maximum = worth[check.check_id]
        points, problem = _points(check.points, maximum)
        if problem:
            findings.append(Finding("note", problem, check.check_id))
        message = check.message.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be stored
        settled[check.check_id] = replace(check, points=points, max_points=maximum, message=message)
    for check_id in worth.keys() - settled.keys():
        message = "the check was not run"
        findings.append(Finding("note", message, check_id))
        settled[check_id] = CheckGrade(check_id, 0.0, worth[check_id], message)
    return {check_id: settled[check_id] for check_id in worth}, tuple(findings)


def _points(value: float, maximum: float) -> tuple[float, str]:
    if type(value) not in (int, float) or not math.isfinite(value):  # neither a bool nor a subclass with its own ideas
        return 0.0, f"the score {value!r:.40} is not a finite number; counted as 0"
    number = float(min(max(value, 0), maximum))
    return (
        number,
        "" if number == value else f"the score {value!r:.40} is outside of 0 to {maximum:g}; counted as {number:g}",
    )
