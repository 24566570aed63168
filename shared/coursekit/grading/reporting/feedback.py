"""Feedback pages: nbgrader's own layout and folder, made from the graded notebooks that are in place.

Those hold no hidden tests and no scripts (see `coursekit.grading.recording.autograded`). As a second fence each page carries a content
security policy that lets only the scripts of nbgrader's own page header run, whatever stands in the body.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbconvert.writers import FilesWriter
from nbformat import NotebookNode
from nbgrader.converters import GenerateFeedback
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Any
from traitlets.config import Config

from coursekit import manifest, settings
from coursekit.errors import GradingError
from coursekit.grading.nbgrader_settings import configure
from coursekit.grading.recording import audit as audit_module
from coursekit.grading.recording import autograded
from coursekit.grading.recording.audit import Entry

_SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_SRC = re.compile(r"""src\s*=\s*["']([^"'?]+)""")
_SHOWN = ("repair", "note")  # tampering is between the instructor and the learner


@dataclass(frozen=True)
class Page:
    """One student's feedback page; `problem` says why there is none."""

    student: str
    path: Path
    problem: str | None = None


def write(
    where: settings.Settings,
    module: manifest.Module,
    students: Sequence[str] = (),
    on_page: Callable[[Page], None] = lambda page: None,
) -> list[Page]:
    """Write a page for every graded submission of a module (or of these students) to `.course/grading/feedback/`.

    Raises:
        GradingError: nothing, or nothing of a named student, has been graded yet.
    """
    grading = where.grading_dir
    graded = sorted(path.parent.parent.name for path in grading.glob(f"autograded/*/{module.id}/{module.id}.ipynb"))
    if not graded:
        raise GradingError(f"no graded submission of {module.id}. Run first: course grade {module.short}")
    if missing := sorted(set(students) - set(graded)):
        raise GradingError(
            f"no graded submission of {module.id} by {', '.join(missing)}. There are: {', '.join(graded)}."
        )
    with audit_module.reading(grading) as audit:
        entries = {entry.student: entry for entry in audit.latest(module.id)}
    config = configure(Config(), grading)
    config.CourseDirectory.assignment_id = module.id
    config.GenerateFeedback.force = True
    converter = _Converter(coursedir=CourseDirectory(config=config), config=config)
    pages = []
    for student in students or graded:
        path = grading / "feedback" / student / module.id / f"{module.id}.html"
        pages.append(Page(student, path, converter.convert(student, entries.get(student))))
        on_page(pages[-1])
    return pages


class _Converter(GenerateFeedback):
    """nbgrader's converter for one student after the other, with the grader's notices and a content security policy."""

    def __init__(self, coursedir: CourseDirectory, config: Config) -> None:
        super().__init__(coursedir=coursedir, config=config)
        self._notices = _AddNotices()
        self.writer = FilesWriter(parent=self, config=self.config)
        self.exporter = self.exporter_class(parent=self, config=self.config)  # its template takes long to compile: once
        for step in (*self.preprocessors, self._notices):
            self.exporter.register_preprocessor(step)

    def convert(self, student: str, entry: Entry | None) -> str | None:
        """Write one student's page; returns why that failed, None when it did not."""
        folder = self._format_source(self.coursedir.assignment_id, student)
        self.assignments = {folder: [os.path.join(folder, f"{self.coursedir.assignment_id}.ipynb")]}
        self._notices.entry = entry
        level = self.log.level
        self.log.setLevel("CRITICAL")  # its progress and warnings are not for this command's reader
        try:
            self.convert_notebooks()  # not `start`: it looks for students by glob, and a name may hold brackets
        except NbGraderException as error:
            return (
                f"{error}. Look closer: nbgrader generate_feedback {self.coursedir.assignment_id} --student {student}"
            )
        finally:
            self.log.setLevel(level)
        return None

    def write_single_notebook(self, output: str, resources: dict[str, object]) -> None:
        super().write_single_notebook(with_policy(output), resources)


class _AddNotices(NbGraderPreprocessor):
    """Put what the audit knows about a submission on top of its notebook."""

    entry = Any(None, allow_none=True)

    def preprocess(self, nb: NotebookNode, resources: dict[str, object]) -> tuple[NotebookNode, dict[str, object]]:
        notices = []
        entry: Entry | None = self.entry
        if entry and entry.error and autograded.REJECTED not in nb.metadata:
            text = f"{entry.error} Your earlier file and its grade stand: they are what this page shows."
            notices.append(("Your newest file was not graded", text))
        for finding in entry.findings if entry else ():
            if finding.kind in _SHOWN:
                place = f" (cell {finding.cell})" if finding.cell else ""
                notices.append(("Note from the grader", finding.message + place))
        for title, text in reversed(notices):
            autograded.add_notice(nb, title, text)
        return nb, resources


def with_policy(page: str) -> str:
    """The page with a policy that allows exactly the scripts that stand in its head.

    The head is nbgrader's template; everything from the notebook is in the body.
    """
    head, separator, rest = page.partition("</head>")
    if not separator:
        raise GradingError("nbgrader's feedback page has no </head>; its layout has changed, please report this.")
    allowed = []
    for attributes, body in _SCRIPT.findall(head):
        source = _SRC.search(attributes)
        if source:
            allowed.append(source[1])
        elif body:
            allowed.append(f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'")
    scripts = " ".join(allowed) or "'none'"
    policy = f"script-src {scripts}; object-src 'none'; frame-src 'none'; form-action 'none'; base-uri 'none'"
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    style = "<style>.output_area pre, .output pre { white-space: pre-wrap; overflow-wrap: anywhere; }</style>"
    return head.replace("<head>", f"<head>\n{meta}", 1) + style + separator + rest
