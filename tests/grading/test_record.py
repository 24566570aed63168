"""What is recorded: nbgrader's own tables and folders, whatever was killed, locked, late, rejected or graded by hand before."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.utils import determine_grade
from traitlets.config import Config

from coursekit import manifest, notebooks, settings
from coursekit.errors import GradingError
from coursekit.grading import release
from coursekit.grading.nbgrader_settings import configure
from coursekit.grading.recording import audit, autograded, submitting
from coursekit.grading.results import Finding
from tests import notebook_files
from tests.grading import record_files
from tests.grading.record_files import MODULE, grade, recording, solved, submit

PENALTIES = {"time_zone": "Europe/Berlin", "late": {"grace_minutes": 10, "percent_per_day": 10, "max_percent": 50}}


@pytest.fixture
def root(small_course: Callable[..., Path]) -> Path:
    return record_files.make_course(small_course)


def _record(student: str = "ada", timestamp: str | None = None, content: str = "x", **what: Any) -> Any:
    with recording() as recorder:
        digest = submit(student, timestamp, content)
        return recorder.record(grade(student, **what), recorder.submission(student, digest))


@contextmanager
def _gradebook() -> Iterator[Gradebook]:
    config = configure(Config(), settings.load().grading_dir)
    with Gradebook(config.CourseDirectory.db_url, config.CourseDirectory.course_id) as gradebook:
        yield gradebook


def _query(sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(settings.load().grading_dir / "gradebook.db")) as db:
        return db.execute(sql).fetchall()


def _rows(student: str) -> dict[str, tuple[Any, ...]]:
    found = _query(
        "SELECT c.name, g.auto_score, g.manual_score, g.extra_credit, g.needs_manual_grade FROM grade g "
        "JOIN base_cell c ON c.id = g.cell_id JOIN submitted_notebook n ON n.id = g.notebook_id "
        f"JOIN submitted_assignment a ON a.id = n.assignment_id WHERE a.student_id = '{student}'"
    )
    return {name: tuple(values) for name, *values in found}


def _graded(student: str = "ada") -> Path:
    return autograded.path_of(settings.load().grading_dir, student, MODULE)


def _killed(work: Callable[[], None]) -> None:
    """Do something in a process of its own that kills itself on the way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of forking beside threads; this child uses none of them
        pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            work()
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def _die(*args: object, **options: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# ── the same as nbgrader's own ───────────────────────────────────────────────────────────────────────────────


def test_registering_equals_nbgraders_generate_assignment(root: Path) -> None:
    where = settings.load()

    def dump() -> list[Any]:
        joins = {
            "assignment": "SELECT name, duedate, course_id FROM assignment",
            "notebook": "SELECT name, kernelspec FROM notebook",
            "cells": "SELECT name, type FROM base_cell ORDER BY name, type",
            "grades": "SELECT b.name, g.max_score, g.cell_type FROM grade_cells g JOIN base_cell b USING (id)",
            "tasks": "SELECT b.name, g.max_score, g.cell_type FROM task_cells g JOIN base_cell b USING (id)",
            "solutions": "SELECT b.name FROM solution_cells s JOIN base_cell b USING (id) ORDER BY b.name",
            "sources": "SELECT name, cell_type, locked, source, checksum FROM source_cell",
        }
        return [_query(sql) for sql in joins.values()]

    with recording():
        ours = dump()
    with recording():
        assert dump() == ours
    (where.grading_dir / "gradebook.db").unlink()
    release.register(where, manifest.load(root).module(MODULE))
    assert dump() == ours


def test_recording_equals_nbgraders_autograde_penalty_included(
    small_course: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbgrader.apps import NbGraderAPI

    root = record_files.make_course(small_course, {"grading": {"cell_timeout_seconds": 30, **PENALTIES}})
    text = (root / "course.yml").read_text(encoding="utf-8")
    text = text.replace("title: First", "title: First\n  due: 2026-03-28 18:00", 1)
    (root / "course.yml").write_text(text, encoding="utf-8")
    where = settings.load()
    late_by_a_short_night = "2026-03-29 16:05:00 UTC"  # 18:05 in Berlin, within the grace of the second day: one day
    (blank,) = release.release(where, [manifest.load(root).module(MODULE)])
    with recording() as recorder:
        for student in ("ada", "bob"):
            submit(student, late_by_a_short_night)
            notebook_files.write(where.grading_dir / "submitted" / student / MODULE / f"{MODULE}.ipynb", solved().cells)
        recorder.record(grade("ada"), recorder.submission("ada", "digest"))
    config = configure(Config(), where.grading_dir)
    result = NbGraderAPI(config=config).autograde(MODULE, "bob", force=True, create=True)
    assert result["success"], result
    assert _rows("ada") == _rows("bob")
    assert _rows("ada")["a1-add-basic"] == (2.0, None, None, 0)
    submissions = _query("SELECT timestamp FROM submitted_assignment")
    assert submissions[0] == submissions[1]
    assert _query("SELECT late_submission_penalty FROM submitted_notebook") == [(0.2,), (0.2,)]
    comments = _query(
        "SELECT c.name, o.auto_comment, o.manual_comment FROM comment o JOIN base_cell c ON c.id = o.cell_id"
    )
    assert sorted(comments, key=str) == sorted(2 * [*dict.fromkeys(comments)], key=str)
    assert (_graded("ada").stat().st_mode & 0o777) == (_graded("bob").stat().st_mode & 0o777) == 0o444
    assert blank.exists()


def test_formgraders_queries_find_what_was_recorded(root: Path) -> None:
    from nbgrader.apps import NbGraderAPI

    _record("ada", points=0.5)
    _record("bob")
    api = NbGraderAPI(config=configure(Config(), settings.load().grading_dir))
    assert api.get_autograded_students(MODULE) == {"ada", "bob"}
    assert api.get_assignment(MODULE)["num_submissions"] == 2
    shown = {row["student"]: row for row in api.get_notebook_submissions(MODULE, MODULE)}
    assert (shown["ada"]["score"], shown["ada"]["failed_tests"], shown["bob"]["failed_tests"]) == (0.5, True, False)
    assert {row["id"] for row in api.get_submissions(MODULE)} == {row["id"] for row in api.get_submissions(MODULE)}
    with _gradebook() as gradebook:
        assert gradebook.find_grade("a1-essay", MODULE, MODULE, "ada").needs_manual_grade


@pytest.mark.parametrize("points", [2, 1.25, 1e-9, 0.0])
def test_nbgraders_determine_grade_reads_the_same_points_from_the_notebook(points: float, root: Path) -> None:
    _record(points=points)
    (check,) = (c for c in notebooks.read(_graded()).cells if notebooks.grade_id(c) == "a1-add-basic")
    assert determine_grade(check) == (points, 2)
    assert _rows("ada")["a1-add-basic"][0] == points


@pytest.mark.parametrize(
    ("points", "counted", "words"),
    [
        (float("nan"), 0, "not a finite number"),
        (float("inf"), 0, "not a finite number"),
        (-1, 0, "outside of 0 to 2"),
        (1e9, 2, "outside of 0 to 2"),
        (True, 0, "not a finite number"),
        ("2", 0, "not a finite number"),
    ],
)
def test_a_score_that_cannot_be_is_refused_with_a_finding(points: Any, counted: float, words: str, root: Path) -> None:
    recorded = _record(points=points, message="odd")
    assert recorded.status == "graded"
    assert _rows("ada")["a1-add-basic"][0] == counted
    assert any(words in finding.message for finding in recorded.findings)


# ── what people did by hand ──────────────────────────────────────────────────────────────────────────────────


def _grade_by_hand() -> None:
    with _gradebook() as gradebook:
        for name, score in (("a1-essay", 2.5), ("a1-add-basic", 1.5)):
            row = gradebook.find_grade(name, MODULE, MODULE, "ada")
            row.manual_score, row.needs_manual_grade, row.extra_credit = score, False, 0.5
        gradebook.find_comment("a1-essay", MODULE, MODULE, "ada").manual_comment = "good"
        gradebook.find_submission_notebook(MODULE, MODULE, "ada").flagged = True
        gradebook.db.commit()


def test_work_done_by_hand_survives_a_regrade_of_the_same_text(root: Path) -> None:
    _record()
    _grade_by_hand()
    _record()
    assert _rows("ada")["a1-essay"] == (None, 2.5, 0.5, 0)
    assert _rows("ada")["a1-add-basic"] == (2, 1.5, 0.5, 0)
    assert _query("SELECT flagged FROM submitted_notebook") == [(1,)]
    assert ("good",) in _query("SELECT manual_comment FROM comment")


@pytest.mark.parametrize(
    ("notebook", "points", "again"),
    [
        (solved(essay="Because I changed it."), 2, {"a1-essay"}),
        (solved(body="    return b + a"), 2, {"a1-add-basic"}),
        (solved(), 0, {"a1-add-basic"}),
    ],
)
def test_a_cell_graded_by_hand_needs_it_again_only_when_its_exercise_or_score_changed(
    notebook: nbformat.NotebookNode, points: float, again: set[str], root: Path
) -> None:
    _record()
    _grade_by_hand()
    _record(notebook=notebook, points=points)
    assert {name for name, row in _rows("ada").items() if row[3] and name != "a1-task"} == again
    assert (_rows("ada")["a1-essay"][1:3], _rows("ada")["a1-add-basic"][1:3]) == ((2.5, 0.5), (1.5, 0.5))


def test_a_new_check_reaches_those_who_submitted_before_and_a_removed_one_never_takes_manual_points(root: Path) -> None:
    _record()
    cells = record_files.source_cells()
    source = root / "solutions" / MODULE / f"{MODULE}.ipynb"
    extra = notebook_files.code(
        "assert add(0, 0) == 0", "zero", **notebook_files.nbgrader_metadata("a1-zero", points=1)
    )
    notebook_files.write(source, [*cells, extra])
    with recording():
        assert _rows("ada")["a1-zero"] == (None, None, None, 1)
    notebook_files.write(source, cells)
    with recording():
        assert "a1-zero" not in _rows("ada")
    _grade_by_hand()
    notebook_files.write(source, [c for c in cells if notebooks.grade_id(c) != "a1-essay"])
    with pytest.raises(GradingError, match="'a1-essay' is no longer in the source.*ada"), recording():
        pass
    assert _rows("ada")["a1-essay"][1] == 2.5


# ── rejected submissions ─────────────────────────────────────────────────────────────────────────────────────


def test_a_rejected_file_is_recorded_with_no_points_and_its_reason(root: Path) -> None:
    recorded = _record(error="the file is empty. Hand in the notebook.")
    assert (recorded.status, recorded.points, recorded.max_points) == ("rejected", 0, 6)
    assert _rows("ada")["a1-add-basic"] == (0, None, None, 0)
    text = _graded().read_text(encoding="utf-8")
    assert "the file is empty" in text and "42" not in text
    assert _record(content="better").status == "graded"
    assert _rows("ada")["a1-add-basic"][0] == 2


def test_a_rejected_file_does_not_touch_the_grade_of_an_earlier_one(root: Path) -> None:
    _record(timestamp="2026-03-01 10:00:00 UTC")
    before = _graded().read_bytes()
    recorded = _record(error="the file is HTML", content="<html>", timestamp="2026-03-09 10:00:00 UTC")
    assert (recorded.status, recorded.points) == ("kept", 2)
    assert _graded().read_bytes() == before
    assert _query("SELECT timestamp FROM submitted_assignment") == [("2026-03-01 10:00:00.000000",)]
    with audit.reading(settings.load().grading_dir) as log:
        (entry,) = log.latest(MODULE)
        assert (entry.error, entry.points) == ("the file is HTML", 2)
        assert [e.error for e in log.latest(MODULE, valid=True)] == [None]


# ── what lies in autograded/ ─────────────────────────────────────────────────────────────────────────────────


def test_the_graded_notebook_holds_no_hidden_test_and_no_script(root: Path) -> None:
    evil = [
        nbformat.v4.new_markdown_cell(
            "<script>alert(1)</script> <b>kept</b> [x](java&#115;cript:alert(1)) <img src=x onerror=alert(1)>",
            id="own-1",
        ),
        nbformat.v4.new_code_cell(
            "1",
            id="own-2",
            outputs=[
                nbformat.v4.new_output(
                    "display_data", data={"text/html": "<table><td onclick='x'>1</td></table><script>y"}
                ),
                nbformat.v4.new_output("display_data", data={"application/javascript": "alert(1)"}),
                nbformat.v4.new_output("display_data", data={"image/svg+xml": "<svg onload='alert(1)'/>"}),
                nbformat.v4.new_output(
                    "display_data", data={"image/png": 'iVBO"><script>'}, metadata={"width": '"><script>'}
                ),
            ],
        ),
    ]
    _record(points=0, notebook=solved(own=evil))
    notebook = notebooks.read(_graded())
    text = json.dumps(notebook)
    assert "42" not in text and "hidden()" not in text and "hello" in text and "1 + 2 = 3" in text
    for active in ("<script", "onclick", "application/javascript", "<svg", "javascript:", "<img"):
        assert active not in text, active
    (own,) = (cell for cell in notebook.cells if cell.id == "own-1")
    assert "<b>kept</b>" in own.source


def test_text_that_is_not_unicode_is_recorded_all_the_same(root: Path) -> None:
    notebook = solved(body='    return a + b  # "\ud800"')
    assert _record(notebook=notebook, points=0, message="got '\ud800'").status == "graded"
    notebooks.read(_graded())


def test_a_students_name_that_nbgrader_cannot_use_fails_alone(root: Path) -> None:
    with recording() as recorder:
        for student in (".hidden", "a\nb", "eve"):
            submit("eve")
            recorded = recorder.record(grade(student), recorder.submission(student, "d"))
            assert recorded.status == ("graded" if student == "eve" else "failed"), recorded
    assert _query("SELECT id FROM student") == [("eve",)]


# ── locks, crashes, resuming ─────────────────────────────────────────────────────────────────────────────────

_HOLD = (
    "import sqlite3, sys, time\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    "db.execute('BEGIN EXCLUSIVE')\nprint('held', flush=True)\ntime.sleep(float(sys.argv[2]))"
)


@contextmanager
def _held(seconds: float) -> Iterator[None]:
    path = settings.load().grading_dir / "gradebook.db"
    command = [sys.executable, "-c", _HOLD, str(path), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            holder.kill()


def test_a_locked_gradebook_is_waited_for(root: Path) -> None:
    with recording() as recorder, _held(1):
        assert recorder.record(grade(), recorder.submission("ada", submit())).status == "graded"
    assert _rows("ada")["a1-add-basic"][0] == 2


def test_a_gradebook_that_stays_locked_fails_one_student_and_the_others_go_on(root: Path) -> None:
    with recording(patience_seconds=0.3) as recorder:
        with _held(30):
            first = recorder.submission("ada", submit())
            recorded = recorder.record(grade(), first)
            assert recorded.status == "failed" and "stayed locked" in recorded.message
        assert not recorder.is_done(first.key)
        assert recorder.record(grade("bob"), recorder.submission("bob", submit("bob"))).status == "graded"
    with audit.reading(settings.load().grading_dir) as log:
        assert [(run.graded, run.failed, run.interrupted) for run in log.runs()] == [(1, 1, False)]


def test_two_graders_at_once_are_refused_and_a_dead_ones_lock_is_taken_over(root: Path) -> None:
    lock = settings.load().grading_dir / "grading.lock"
    code = "import sys, pathlib\nfrom coursekit.grading.recording.locking import only_grader\n"
    code += "with only_grader(pathlib.Path(sys.argv[1])): pass"
    with recording():
        with pytest.raises(GradingError, match="this process"), recording():
            pass
        done = subprocess.run([sys.executable, "-c", code, str(lock)], capture_output=True, text=True, timeout=60)
        assert f"process {os.getpid()} on" in done.stderr and "is grading already" in done.stderr
    assert lock.read_text() == ""

    def grade_and_die() -> None:
        with recording():
            _die()

    _killed(grade_and_die)
    assert "pid" in json.loads(lock.read_text())
    with recording():
        assert json.loads(lock.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize(
    "place", ["stage", "save", "publish", "before the first rename", "before the second rename", "audit"]
)
def test_killed_at_any_point_the_next_run_repairs_it(place: str, root: Path) -> None:
    _record(content="old")
    _grade_by_hand()
    changed = grade(points=1, notebook=solved(body="    return b + a"))

    def be_killed() -> None:
        rename, calls = os.rename, []

        def die_at_a_rename(*paths: Path) -> None:
            calls.append(paths)
            if len(calls) == (1 if "first" in place else 2):
                _die()
            rename(*paths)

        with recording() as recorder, pytest.MonkeyPatch.context() as patch:
            info = recorder.submission("ada", submit(content="new"))
            if "rename" in place:
                patch.setattr(os, "rename", die_at_a_rename)
            else:
                owners = {"stage": autograded, "publish": autograded, "save": submitting, "audit": audit.Audit}
                patch.setattr(owners[place], "add" if place == "audit" else place, _die)
            recorder.record(changed, info)

    _killed(be_killed)
    with recording() as recorder:
        assert _graded().is_file() and "return" in _graded().read_text(encoding="utf-8")
        info = recorder.submission("ada", submit(content="new"))
        assert not recorder.is_done(info.key)
        assert recorder.record(changed, info).status == "graded"
        assert recorder.is_done(info.key)
    assert _rows("ada")["a1-add-basic"] == (1, 1.5, 0.5, 1)
    assert _rows("ada")["a1-essay"] == (None, 2.5, 0.5, 0)
    assert "return b + a" in _graded().read_text(encoding="utf-8")
    assert [path.name for path in _graded().parent.parent.iterdir()] == [MODULE]
    with audit.reading(settings.load().grading_dir) as log:
        assert [run.interrupted for run in log.runs()] == [False, True, False]


def test_what_is_done_is_known_again_until_something_that_it_depends_on_changes(root: Path) -> None:
    _record(timestamp="2026-03-01 10:00:00 UTC", findings=(Finding("tamper", "points changed", "a1-add-basic"),))
    digest = submit()

    def is_done(isolation: str = "plain", digest: str = digest) -> bool:
        with recording(isolation) as recorder:
            return recorder.is_done(recorder.submission("ada", digest).key)

    assert is_done()
    assert not is_done(isolation="bwrap")
    assert not is_done(digest=submit(content="y"))
    submit(timestamp="2026-03-02 10:00:00 UTC")
    assert not is_done()
    submit(timestamp="2026-03-01 10:00:00 UTC")
    assert is_done()
    source = root / "solutions" / MODULE / f"{MODULE}.ipynb"
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace("why=", "why  ="), encoding="utf-8")
    assert not is_done()
    source.write_text(text, encoding="utf-8")
    with closing(sqlite3.connect(settings.load().grading_dir / "gradebook.db")) as db, db:
        db.execute("UPDATE grade SET auto_score = 1 WHERE auto_score = 2")  # an older gradebook was put back
    assert not is_done()


def test_a_penalty_follows_the_due_date_and_extensions_without_grading_again(small_course: Callable[..., Path]) -> None:
    root = record_files.make_course(small_course, {"grading": {"cell_timeout_seconds": 30, **PENALTIES}})
    assert _record(timestamp="2026-03-03 12:00:00 UTC").penalty is None
    text = (root / "course.yml").read_text(encoding="utf-8")
    due = text.replace("title: First", "title: First\n  due: 2026-03-01 18:00", 1)
    (root / "course.yml").write_text(due, encoding="utf-8")
    with recording() as recorder:
        assert recorder.is_done(recorder.submission("ada", submit()).key)
    assert _query("SELECT late_submission_penalty FROM submitted_notebook") == [(0.4,)]
    with _gradebook() as gradebook:
        gradebook.grant_extension(MODULE, "ada", days=3)
    with recording():
        assert _query("SELECT late_submission_penalty FROM submitted_notebook") == [(None,)]
