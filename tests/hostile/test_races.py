"""Runs that are killed, interrupted, locked out, doubled, or whose submissions change under their hands."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coursekit import notebooks
from tests.hostile import course, maker, runs, scene
from tests.hostile.conftest import NewScene, sweep
from tests.hostile.course import H1
from tests.hostile.maker import Maker
from tests.hostile.runs import Run
from tests.hostile.scene import Scene

FULL = sum(course.POINTS[H1].values())
WRONG_SLUG = "def slug(text):\n    return text"
SLOW = "import time\n\ntime.sleep(2)"


@pytest.fixture
def place(new_scene: NewScene, request: pytest.FixtureRequest) -> Iterator[Scene]:
    made = new_scene(f"race-{abs(hash(request.node.name)) % 10**6}")
    yield made
    assert sweep(made.marker) == []


def _hand_in(place: Scene, student: str, *, own_cell: str = "", **replaced: str) -> Path:
    made = Maker(place, student)
    notebook = made.solved(**replaced)
    if own_cell:
        notebook.cells.append(maker.own(own_cell))
    made.path.write_bytes(maker.raw(notebook))
    return made.path


def _class_of(place: Scene, size: int) -> dict[str, float]:
    """Hand in for a small class, every third with a wrong answer; returns the right totals."""
    totals = {}
    for number in range(size):
        student = f"student-{number:02}"
        wrong = {"slug": WRONG_SLUG} if number % 3 == 0 else {}
        _hand_in(place, student, own_cell="import time\n\ntime.sleep(0.3)", **wrong)
        totals[student] = FULL - 2 if wrong else FULL
    return totals


def _assert_complete(run: Run, place: Scene, totals: dict[str, float]) -> None:
    assert run.exit_code == 0 and not run.timed_out and run.orphans == [], run.story
    assert {grade.student: grade.points for grade in run.grades}.items() <= totals.items()
    assert sorted([*run.skipped, *(grade.student for grade in run.grades)]) == sorted(totals), "graded twice, or never"
    found = scene.scores(place, H1)
    assert {student: found.get(student) for student in totals} == totals
    for student in totals:
        graded = place.grading / "autograded" / student / H1 / f"{H1}.ipynb"
        assert notebooks.read(graded).cells, "a row without its notebook"


def test_a_run_killed_twice_is_resumed_and_every_row_is_right(place: Scene) -> None:
    totals = _class_of(place, 12)
    first = runs.grade(place, H1, signal=signal.SIGKILL, after=3)
    assert first.exit_code == -signal.SIGKILL and first.orphans == [], first.story
    second = runs.grade(place, H1, signal=signal.SIGKILL, after=8)
    assert second.exit_code == -signal.SIGKILL and second.orphans == [], second.story
    third = runs.grade(place, H1)
    _assert_complete(third, place, totals)
    assert len(third.skipped) >= 6, "what was done was done again"


def test_a_resumed_run_does_not_grade_again_what_is_done(place: Scene) -> None:
    totals = _class_of(place, 6)
    _assert_complete(runs.grade(place, H1), place, totals)
    before = scene.fingerprint(place.grading / "autograded")
    again = runs.grade(place, H1)
    _assert_complete(again, place, totals)
    assert again.grades == [] and len(again.skipped) == 6
    assert scene.fingerprint(place.grading / "autograded") == before


def test_an_interrupted_run_ends_soon_and_leaves_whole_rows(place: Scene) -> None:
    totals = _class_of(place, 12)
    run = runs.grade(place, H1, signal=signal.SIGINT, after=3)
    assert run.exit_code != 0 and not run.timed_out and run.orphans == [], run.story
    found = scene.scores(place, H1)
    assert all(found.get(grade.student) == totals[grade.student] for grade in run.grades)
    _assert_complete(runs.grade(place, H1), place, totals)


@contextmanager
def _locking(path: Path, seconds: float) -> Iterator[None]:
    """Another process's transaction on the gradebook."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")

    def release() -> None:
        connection.execute("ROLLBACK")
        connection.close()

    timer = threading.Timer(seconds, release)
    timer.start()
    yield
    timer.join()


def test_a_locked_gradebook_is_waited_for(place: Scene) -> None:
    totals = _class_of(place, 3)
    with runs.started(place, H1) as run:
        _wait_for_process(place)
        with _locking(place.gradebook, 2):
            pass
    _assert_complete(run, place, totals)


def test_a_gradebook_locked_from_the_start_is_waited_for(place: Scene) -> None:
    totals = _class_of(place, 3)
    with _locking(place.gradebook, 4), runs.started(place, H1) as run:
        pass
    _assert_complete(run, place, totals)


def _wait_for_process(place: Scene) -> None:
    """Until the run has begun to write."""
    end = time.monotonic() + 10
    while not list(place.root.parent.glob("run-*.jsonl")) and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(1)


def test_three_files_of_one_student_give_one_grade_of_the_right_file(place: Scene) -> None:
    path = _hand_in(place, "ada")
    for name in (f"{H1} (1).ipynb", f"{H1}-copy.ipynb"):
        path.with_name(name).write_bytes(maker.raw(Maker(place, "ada").blank()))
    unlucky = _hand_in(place, "bob")
    unlucky.rename(unlucky.with_name(f"{H1} (2).ipynb"))
    run = runs.grade(place, H1)
    assert (run.grade("ada").points, run.grade("bob").points) == (FULL, FULL)
    found = scene.scores(place, H1)
    assert (found["ada"], found["bob"]) == (FULL, FULL)


def test_the_same_submission_three_times_is_one_row_and_a_changed_one_is_graded_again(place: Scene) -> None:
    _hand_in(place, "ada", slug=WRONG_SLUG)
    for _ in range(3):
        assert runs.grade(place, H1).finished == ["ada"]
        assert scene.scores(place, H1)["ada"] == FULL - 2
    _hand_in(place, "ada")
    assert runs.grade(place, H1).grade("ada").points == FULL
    assert scene.scores(place, H1)["ada"] == FULL


def test_a_second_grader_is_refused_while_the_first_goes_on(place: Scene) -> None:
    for number in range(4):
        _hand_in(place, f"student-{number}", own_cell=SLOW)
    with runs.started(place, H1) as first:
        _wait_for_process(place)
        second = runs.grade(place, H1)
    refusal = min((run for run in (first, second)), key=lambda run: len(run.grades))
    winner = first if refusal is second else second
    assert refusal.grades == [] and refusal.refused and "grad" in refusal.refused, refusal.story
    assert [grade.points for grade in winner.grades] == [FULL] * 4, winner.story


ODD_NAMES = [
    "Ada Lovelace",
    "ada",
    "Ada",
    "josé",
    "-rf",
    "$(touch x)",
    "a'; DROP TABLE student; --",
    "a+b,c=d",
    "名前",
    "x" * 200,
]


def test_odd_names_of_students_are_graded_or_refused_with_a_reason(place: Scene) -> None:
    for name in ODD_NAMES:
        _hand_in(place, name)
    _hand_in(place, "zoe")
    run = runs.grade(place, H1)
    assert run.exit_code == 0, run.story
    assert run.grade("zoe").points == FULL
    for name in ODD_NAMES:
        grade = run.grade(name)
        assert grade.points == FULL or grade.error, f"{name!r}: {grade.points}"
    assert scene.scores(place, H1)["zoe"] == FULL


@contextmanager
def _disturbing(step: Callable[[int], None]) -> Iterator[None]:
    """Call `step` again and again, beside the run."""
    ended = threading.Event()

    def work() -> None:
        number = 0
        while not ended.is_set():
            step(number)
            number += 1
            time.sleep(0.005)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_file_that_changes_while_it_is_read_costs_nobody_else_anything(place: Scene) -> None:
    path = _hand_in(place, "mallory")
    right = path.read_bytes()
    for number in range(4):
        _hand_in(place, f"student-{number}")

    def change(number: int) -> None:
        beside = path.with_suffix(".tmp")
        kinds: list[Callable[[], object]] = [
            lambda: beside.write_bytes(right),
            lambda: beside.write_bytes(right[: len(right) // 2]),
            lambda: os.mkfifo(beside),
            lambda: beside.symlink_to(place.root / "solutions" / H1 / f"{H1}.ipynb"),
        ]
        kinds[number % 4]()
        os.replace(beside, path)

    with _disturbing(change):
        run = runs.grade(place, H1)
    assert run.exit_code == 0 and not run.timed_out, run.story
    assert [run.grade(f"student-{number}").points for number in range(4)] == [FULL] * 4
    grade = run.grade("mallory")
    assert grade.points == FULL or grade.error


def test_a_folder_that_vanishes_costs_nobody_else_anything(place: Scene) -> None:
    totals = _class_of(place, 6)
    gone = _hand_in(place, "zz-gone").parent
    with runs.started(place, H1) as run:
        _wait_for_process(place)
        shutil.rmtree(gone, ignore_errors=True)
    assert run.exit_code == 0, run.story
    assert {grade.student: grade.points for grade in run.grades if grade.student != "zz-gone"} == totals
