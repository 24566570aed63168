"""nbgrader's own autograder, as it is: to compare our grader with, in tests and in `course bench grading`.

It runs a submission in a kernel with the rights of whoever calls it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from traitlets.config import Config

from coursekit import manifest, notebooks, settings
from coursekit.grading.nbgrader_settings import configure
from coursekit.grading.recording import gradebooks
from coursekit.grading.release import generate_assignment, log_reason
from coursekit.grading.results import CheckGrade, Grade

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def grade(where: settings.Settings, module: manifest.Module, submissions: Mapping[str, Path]) -> Iterator[Grade]:
    """Autograde notebooks one after the other, with a gradebook that is thrown away; `submissions` maps a name to a file."""
    from nbgrader.apps import NbGraderAPI

    _keep_database(module)
    base = where.state_dir / "apart"
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="grading-", dir=base) as folder:
        grading = Path(folder)
        gradebooks.ensure(where, grading / "gradebook.db")
        config = configure(Config(), grading, grading / "release")
        generate_assignment(config, module.id)
        for name, path in submissions.items():
            target = grading / "submitted" / name / module.id / f"{module.id}.ipynb"
            target.parent.mkdir(parents=True)
            shutil.copyfile(path, target)
            result = NbGraderAPI(config=config).autograde(module.id, name, force=True, create=True)
            if not result["success"]:
                yield Grade(name, module.id, error=log_reason(result))
                continue
            graded = notebooks.read(grading / "autograded" / name / module.id / f"{module.id}.ipynb")
            yield Grade(name, module.id, tuple(_check_grades(graded)))


def _check_grades(graded: notebooks.NotebookNode) -> Iterator[CheckGrade]:
    from nbgrader.utils import determine_grade

    for cell in graded.cells:
        if notebooks.is_test(cell):
            points, maximum = determine_grade(cell)
            yield CheckGrade(str(notebooks.grade_id(cell)), points or 0.0, maximum, _message(cell))


def _message(cell: notebooks.NotebookNode) -> str:
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            return _ANSI.sub("", f"{output.ename}: {output.evalue}").strip()
    return ""


def _keep_database(module: manifest.Module) -> None:
    """Start the embedded Postgres in this process, so that it outlives the kernels that come and go."""
    if module.database:
        from coursekit import database

        database.server_url()
