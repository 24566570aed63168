"""What an instructor hands out, one function per command: feedback pages and the grades as a file."""

from __future__ import annotations

from pathlib import Path

from coursekit import manifest, settings
from coursekit.errors import GradingError
from coursekit.grading.reporting import exports
from coursekit.grading.reporting import feedback as feedback_module


def feedback(where: settings.Settings, module: manifest.Module) -> list[Path]:
    """Write a feedback page for every graded submission; returns the pages.

    Raises:
        GradingError: nothing has been graded yet, or some pages could not be written (the others are).
    """
    pages = feedback_module.write(where, module)
    if problems := [f"{page.student}: {page.problem}" for page in pages if page.problem]:
        raise GradingError("no feedback for " + "\n".join(problems))
    return [page.path for page in pages]


def export_grades(where: settings.Settings, target: Path) -> int:
    """Write the gradebook to `target` in nbgrader's own CSV columns; returns the number of rows.

    Raises:
        GradingError: there is no gradebook yet, or the file cannot be written.
    """
    return exports.write(where, target)
