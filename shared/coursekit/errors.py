"""Every exception that coursekit raises on purpose.

    CourseError                 a sentence for a person: what happened, where, and how to fix it
    ├── ManifestError           course.yml is missing, unreadable or holds a value that is not allowed
    ├── CorpusError             the corpus folder has problems (all of them, each with file and line)
    ├── DatabaseError           no usable Postgres: cannot start, cannot connect, too old, no pgvector
    ├── ModelsError             the model endpoint cannot be started or reached, or has no such role
    ├── NotebookError           a file is not a notebook, or lacks what a course notebook needs
    ├── ExportError             an `#| export` cell cannot become part of the learner's package
    ├── RunError                notebooks could not be executed (kernel missing, interrupted)
    ├── BenchError              a benchmark has nothing to measure, or a system under test failed
    └── GradingError            a release, an autograding run or a report could not be made

    CheckFailed (AssertionError) a learner's answer is wrong: see `coursekit.checks`

The library raises these and prints nothing; `coursekit.cli` prints the sentence and sets the exit code.
"""

from __future__ import annotations


class CourseError(Exception):
    """A problem that a person can fix; `str(error)` says what, where and how."""

    exit_code = 1


class ManifestError(CourseError):
    """course.yml is missing, unreadable or holds a value that is not allowed."""

    exit_code = 2


class CorpusError(CourseError):
    """The corpus has problems; the message lists every one with file and line."""

    exit_code = 2


class DatabaseError(CourseError):
    """No usable Postgres."""


class ModelsError(CourseError):
    """The model endpoint cannot be started or reached, or has no such role."""


class NotebookError(CourseError):
    """A file is not a notebook, or lacks what a course notebook needs."""

    exit_code = 2


class ExportError(CourseError):
    """An exported cell cannot become part of the learner's package."""


class RunError(CourseError):
    """Notebooks could not be executed."""


class GradingError(CourseError):
    """A release, an autograding run or a report could not be made."""


class BenchError(CourseError):
    """A benchmark has nothing to measure, or a system under test failed."""
