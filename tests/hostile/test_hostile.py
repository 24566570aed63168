"""Every hostile submission gets what its honest part deserves, and nobody else notices that it was there.

All groups of a module are graded in one run per isolation; each submission is then a test of its own. With the plain process, those that need
isolation are left out. Select with, for example, `-k "bwrap and forging"`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from coursekit.grading.results import Grade
from tests.hostile import course, maker, runs, scene
from tests.hostile.conftest import NewScene, sweep
from tests.hostile.maker import Hostile, Maker
from tests.hostile.runs import Run
from tests.hostile.scene import CLASSMATE, MANUAL, Scene
from tests.hostile.submissions import GROUPS

GRADED = "test_a_submission_gets_what_its_honest_part_deserves"
ISOLATIONS = ("bwrap", "namespaces", "plain")


@dataclass
class Aftermath:
    """A run over some groups, and what the test saw before and after it."""

    scene: Scene
    run: Run
    scores: dict[str, float]
    before: dict[str, str]
    after: dict[str, str]
    damage: dict[str, str]  # by student: what the submission has left, as its own `leaves` found it
    left_behind: list[str]
    students: set[str]


Graded = Callable[[str, str], Aftermath]


def _chosen(group: str, isolation: str) -> list[Hostile]:
    return [hostile for hostile in GROUPS[group] if isolation != "plain" or not hostile.needs_isolation]


def _student(group: str, hostile: Hostile) -> str:
    return f"{group.replace('_', '-')}-{hostile.name}"


def _watched(place: Scene) -> dict[str, str]:
    """What must not change: solutions, releases, the classmate's folder."""
    folders = [place.root / "solutions", place.root / "notebooks", place.grading / "submitted" / CLASSMATE]
    return {f"{folder.name}/{name}": text for folder in folders for name, text in scene.fingerprint(folder).items()}


@pytest.fixture(scope="session")
def graded(new_scene: NewScene, request: pytest.FixtureRequest) -> Graded:
    """Grade with an isolation, once: all submissions of the module that this session asks for."""
    wanted: dict[tuple[str, str], list[tuple[str, Hostile]]] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.originalname == GRADED:
            given: dict[str, Any] = dict(item.callspec.params)
            wanted.setdefault((given["hostile"].module, given["isolation"]), []).append(
                (given["group"], given["hostile"])
            )
    done: dict[tuple[str, str], Aftermath] = {}

    def grade(group: str, isolation: str) -> Aftermath:
        key = (GROUPS[group][0].module, isolation)
        if key not in done:
            done[key] = _grade(new_scene(f"{key[0]}-{isolation}"), *key, wanted.get(key, []))
        aftermath = done[key]
        refused = aftermath.run.refused or ""
        if re.search(rf"(?i){isolation}|isolation", refused) and not aftermath.run.grades:
            pytest.skip(refused)
        return aftermath

    return grade


def _grade(place: Scene, module: str, isolation: str, wanted: list[tuple[str, Hostile]]) -> Aftermath:
    chosen = {_student(group, hostile): hostile for group, hostile in wanted}
    with scene.listening(place):
        classmate = Maker(place, CLASSMATE, module)
        classmate.path.write_bytes(maker.raw(classmate.solved()))
        (classmate.path.parent / "secret.txt").write_text(f"{place.canary}-classmate", encoding="utf-8")
        for student, hostile in chosen.items():
            maker.put(hostile, Maker(place, student, module))
        before = _watched(place)
        run = runs.grade(place, module, isolation, timeout=900)
        scores = scene.scores(place, module)
        damage = {student: text for student, hostile in chosen.items() if (text := _damage(hostile, place))}
        left_behind = sweep(place.marker)
        return Aftermath(place, run, scores, before, _watched(place), damage, left_behind, {CLASSMATE, *chosen})


def _damage(hostile: Hostile, place: Scene) -> str:
    try:
        if hostile.leaves is not None:
            hostile.leaves(place)
    except AssertionError as error:
        return str(error) or "something is left"
    return ""


def _cases() -> list[Any]:
    found = [(isolation, group, hostile) for isolation in ISOLATIONS for group in GROUPS for hostile in _chosen(group, isolation)]  # fmt: skip
    return [pytest.param(*case, id=f"{case[0]}-{case[1]}-{case[2].name}") for case in found]


@pytest.mark.parametrize(("isolation", "group", "hostile"), _cases())
def test_a_submission_gets_what_its_honest_part_deserves(
    graded: Graded, isolation: str, group: str, hostile: Hostile
) -> None:
    aftermath = graded(group, isolation)
    student = _student(group, hostile)
    grade = aftermath.run.grade(student)
    _assert_right(hostile, grade)
    assert aftermath.scores.get(student) == pytest.approx(grade.points), "the gradebook says something else"
    assert student not in aftermath.damage, aftermath.damage[student]


def _assert_right(hostile: Hostile, grade: Grade) -> None:
    story = f"{hostile.what}\n{grade.error}\n" + "\n".join(check.message for check in grade.checks if check.message)
    if hostile.error is None:
        assert grade.error is None, story
    else:
        assert re.search(hostile.error, grade.error or ""), story
        assert "\n" not in (grade.error or "").strip() and len(grade.error or "") < 500, "a reason is one sentence"
    prefix = f"{hostile.module[:2]}-"
    earned = {check.check_id.removeprefix(prefix) for check in grade.checks if check.points > 0}
    assert hostile.earns <= earned <= hostile.earns | hostile.may_earn, f"earned {sorted(earned)}\n{story}"
    assert hostile.points <= grade.points <= hostile.most_points
    assert all(0 <= check.points <= check.max_points for check in grade.checks)
    if hostile.error is None:
        wanted = {f"{prefix}{name}": points for name, points in course.POINTS[hostile.module].items()}
        assert {check.check_id: check.max_points for check in grade.checks} == wanted
    if hostile.finding is not None:
        assert hostile.finding in {finding.kind for finding in grade.findings}, grade.findings
    if hostile.never is not None:
        assert not re.search(hostile.never, story), "a message tells what is hidden"
    assert len(grade.notebook or "") < 5_000_000, "the graded notebook holds too much output"


@pytest.mark.parametrize("module", course.POINTS)
@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_nobody_else_notices(graded: Graded, isolation: str, module: str) -> None:
    aftermath = graded(next(group for group, found in GROUPS.items() if found[0].module == module), isolation)
    run, students = aftermath.run, aftermath.students
    assert not run.timed_out and run.exit_code == 0 and run.finished is not None, run.story
    assert sorted(run.finished) == sorted(students) == sorted(grade.student for grade in run.grades)
    assert run.orphans == [], "processes outlived the grader"
    assert aftermath.left_behind == [], "processes or files were left on this machine"
    assert aftermath.scene.visits == [], "somebody reached the outside"
    assert aftermath.after == aftermath.before, "a classmate's file, a solution or a release was changed"
    full = sum(course.POINTS[module].values())
    assert run.grade(CLASSMATE).points == full
    check, manual = MANUAL
    if module == course.H1:
        full += manual - course.POINTS[module][check.removeprefix("h1-")]
    assert aftermath.scores[CLASSMATE] == full, "the manual score was lost"
    assert set(aftermath.scores) == students
