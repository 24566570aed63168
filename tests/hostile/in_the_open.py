"""Run a submission where nothing guards: one IPython shell for answers and checks, as an ordinary grader would.

Shows that right answers pass and that attacks bite: `python -m tests.hostile.in_the_open NOTEBOOK SOURCE` prints what the
failed checks said, as JSON. SOURCE is the instructor's notebook, whose check cells replace the submission's. For submissions
that one has written oneself only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from coursekit import notebooks
from tests.conftest import ROOT


def failures(submission: Path, source: Path, *, database_url: str | None = None, timeout: float = 60) -> dict[str, str]:
    """What the failed checks of this submission said, by grade_id."""
    with tempfile.TemporaryDirectory() as workspace:
        course = {"COURSE_ROOT": str(source.parents[2]), "COURSE_MODE": "run", "COURSE_WORKSPACE": workspace}
        database = {"DATABASE_URL": database_url, "COURSE_DATABASE_READY": "1"} if database_url else {}
        done = subprocess.run(
            [sys.executable, "-m", "tests.hostile.in_the_open", str(submission), str(source)],
            env={**os.environ, **course, **database, "PYTHONPATH": str(ROOT)},
            cwd=workspace, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(submission: str, source: str) -> None:
    """Run all cells in order; print the failures as the last line."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    tests = {
        notebooks.grade_id(cell): cell.source for cell in notebooks.read(Path(source)).cells if notebooks.is_test(cell)
    }
    shell = InteractiveShell.instance()
    shell.run_cell("import re")  # an answer that leaves out the exercise's import must not be stopped by that alone
    failed = {}
    for cell in notebooks.code_cells(notebooks.read(Path(submission))):
        name = notebooks.grade_id(cell)
        with capture_output():
            result = shell.run_cell(tests.get(name, cell.source))
        if name in tests and not result.success:
            error = result.error_in_exec or result.error_before_exec
            failed[str(name)] = f"{type(error).__name__}: {error}"
    print(json.dumps(failed))


if __name__ == "__main__":
    main(*sys.argv[1:])
