"""What an instructor hands out: feedback pages and the grades as CSV, by nbgrader's own means."""

from __future__ import annotations

from pathlib import Path

from traitlets.config import Config

from coursekit import manifest, settings
from coursekit.errors import GradingError
from coursekit.grading.nbgrader_settings import configure
from coursekit.grading.release import log_reason


def feedback(where: settings.Settings, module: manifest.Module) -> list[Path]:
    """Write a feedback page for every autograded submission; returns the pages.

    Raises:
        GradingError: nothing has been graded yet, or nbgrader fails.
    """
    from nbgrader.apps import NbGraderAPI

    graded = sorted(path.parent.name for path in (where.grading_dir / "autograded").glob(f"*/{module.id}"))
    if not graded:
        raise GradingError(f"no graded submission of {module.id}. Run first: course grade {module.short}")
    api = NbGraderAPI(config=configure(Config(), where.grading_dir))
    for student in graded:
        result = api.generate_feedback(module.id, student, force=True)
        if not result["success"]:
            raise GradingError(f"no feedback for {student}:\n{log_reason(result)}")
    return [where.grading_dir / "feedback" / student / module.id / f"{module.id}.html" for student in graded]


def export_grades(where: settings.Settings, target: Path) -> int:
    """Write the gradebook to `target` in nbgrader's own CSV columns; returns the number of rows.

    Raises:
        GradingError: there is no gradebook yet, or the file cannot be written.
    """
    from nbgrader.api import Gradebook
    from nbgrader.plugins import CsvExportPlugin

    config = configure(Config(), where.grading_dir)
    if not (where.grading_dir / "gradebook.db").exists():
        raise GradingError("there is no gradebook yet. Run first: course release, then course grade MODULE")
    plugin = CsvExportPlugin(config=config)
    plugin.to = str(target)
    try:
        with Gradebook(config.CourseDirectory.db_url, config.CourseDirectory.course_id) as gradebook:
            plugin.export(gradebook)
            return len(target.read_text(encoding="utf-8").splitlines()) - 1
    except OSError as error:
        raise GradingError(
            f"{target} cannot be written: {error.strerror}. Name a file in a folder that you may write to."
        ) from error
