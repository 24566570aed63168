"""One grading run through the public API, as a process of its own: `python -m tests.hostile.grade_once ROOT MODULE ISOLATION WORKERS OUT`.

Each grade is appended to OUT as a line of JSON when it is there (`skipped` names who was done already); the last line says how the run ended.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from coursekit import manifest, settings
from coursekit.errors import CourseError
from coursekit.grading import autograde


def main(root: str, module_id: str, isolation: str, workers: str, out: str) -> None:
    """Grade every submission of one module."""
    os.chdir(root)
    where = settings.load()
    course = manifest.load(where.root)
    with Path(out).open("a", encoding="utf-8") as file:

        def keep(report: autograde.Report) -> None:
            record = {"skipped": report.student} if report.grade is None else {"grade": asdict(report.grade)}
            file.write(json.dumps(record) + "\n")
            file.flush()

        try:
            reports = autograde.grade_course(
                where, course, course.module(module_id), isolation=isolation, workers=int(workers), on_grade=keep
            )
            file.write(json.dumps({"finished": [report.student for report in reports]}) + "\n")
        except CourseError as error:
            file.write(json.dumps({"refused": str(error)}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
