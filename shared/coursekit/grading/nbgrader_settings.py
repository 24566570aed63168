"""The one place that configures nbgrader, for stock commands (nbgrader_config.py) and for coursekit's own.

Source is `solutions/`, the release is `notebooks/`; everything that holds learners' work stays under `.course/grading/`.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

from sqlalchemy.exc import SAWarning
from traitlets.config import Config

from coursekit import manifest, settings

STUDENT_PACKAGES_IGNORED = ("*.py",)  # the twins hold answers, and nbgrader copies a notebook's siblings


def configure(config: Config, grading_dir: Path | None = None, release_dir: Path | None = None) -> Config:
    """Fill `config` for the course around the current folder.

    Args:
        config: nbgrader's configuration object; changed in place and returned.
        grading_dir: where submissions, grades and the gradebook are (default: `.course/grading`).
        release_dir: where releases are written (default: `notebooks`).
    """
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.preprocessors import ClearSolutions

    from coursekit.grading.recording.late import CourseLatePenalty
    from coursekit.grading.stubs import NamedStubs

    _put_scripts_on_path()
    warnings.filterwarnings("ignore", category=SAWarning)  # nbgrader 0.9.6 with SQLAlchemy 2.1, harmless
    where = settings.load()
    course = manifest.load(where.root)
    grading = grading_dir or where.grading_dir
    exchange = where.state_dir / "exchange"
    for folder in (grading, exchange):
        folder.mkdir(parents=True, exist_ok=True)

    config.CourseDirectory.course_id = course.package
    config.CourseDirectory.root = str(where.root)
    config.CourseDirectory.source_directory = str(where.solutions_dir)
    config.CourseDirectory.release_directory = str(release_dir or where.notebooks_dir)
    config.CourseDirectory.submitted_directory = str(grading / "submitted")
    config.CourseDirectory.autograded_directory = str(grading / "autograded")
    config.CourseDirectory.feedback_directory = str(grading / "feedback")
    config.CourseDirectory.source_with_tests_directory = str(grading / "source_with_tests")
    config.CourseDirectory.solution_directory = str(grading / "solution")
    config.CourseDirectory.db_url = f"sqlite:///{grading / 'gradebook.db'}"
    defaults = CourseDirectory().ignore
    config.CourseDirectory.ignore = [*defaults, *(p for p in STUDENT_PACKAGES_IGNORED if p not in defaults)]
    config.Exchange.root = str(exchange)
    config.Exchange.cache = str(where.state_dir / "exchange-cache")
    config.ExecutePreprocessor.timeout = course.grading.cell_timeout_seconds
    config.Execute.extra_arguments = ["--IPKernelApp.log_level=40"]  # no word about TCP on loopback
    config.Execute.timeout = course.grading.cell_timeout_seconds
    config.ClearSolutions.enforce_metadata = True
    config.AssignLatePenalties.plugin_class = CourseLatePenalty
    config.CourseLatePenalty.time_zone = course.grading.time_zone
    config.CourseLatePenalty.update(course.grading.late.model_dump())
    config.NbGraderAPI.timezone = course.grading.time_zone  # what the formgrader shows; the gradebook keeps UTC
    config.GenerateAssignment.preprocessors = [
        NamedStubs if step is ClearSolutions else step
        for step in GenerateAssignment.class_traits()["preprocessors"].default()
    ]
    return config


def _put_scripts_on_path() -> None:
    """nbgrader runs `alembic` by its name, wherever Python itself was started from."""
    scripts = str(Path(sys.executable).parent)
    folders = os.environ.get("PATH", "").split(os.pathsep)
    if scripts not in folders:
        os.environ["PATH"] = os.pathsep.join([scripts, *folders])
