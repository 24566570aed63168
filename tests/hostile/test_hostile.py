"""Every hostile submission gets what its honest part deserves, and nobody else notices that it was there.

A group is graded in one run per isolation; each submission is then a test of its own. With the plain process, those that need
isolation are left out. Select with, for example, `-k "bwrap and forging"`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from coursekit.grading.results import Grade
from tests.hostile import course, maker, runs, scene
from tests.hostile.conftest import NewScene, sweep
from tests.hostile.maker import Hostile, Maker
from tests.hostile.runs import Run
from tests.hostile.scene import CLASSMATE, MANUAL, Scene
from tests.hostile.submissions import GROUPS

ISOLATIONS = ("bwrap", "namespaces", "plain")


@dataclass
class Aftermath:
    """A group's run, and what the test saw before and after it."""

    scene: Scene
    run: Run
    scores: dict[str, float]
    before: dict[str, str]
    after: dict[str, str]
    damage: dict[str, str]  # by submission: what it has left, as its own `leaves` found it
    left_behind: list[str]


Graded = Callable[[str, str], Aftermath]


def _chosen(group: str, isolation: str) -> list[Hostile]:
    return [hostile for hostile in GROUPS[group] if isolation != "plain" or not hostile.needs_isolation]


def _watched(place: Scene) -> dict[str, str]:
    """What must not change: solutions, releases, the classmate's folder."""
    folders = [place.root / "solutions", place.root / "notebooks", place.grading / "submitted" / CLASSMATE]
    return {f"{folder.name}/{name}": text for folder in folders for name, text in scene.fingerprint(folder).items()}


@pytest.fixture(scope="session")
def graded(new_scene: NewScene) -> Graded:
    """Grade a group with an isolation, once."""
    done: dict[tuple[str, str], Aftermath] = {}

    def grade(group: str, isolation: str) -> Aftermath:
        if (group, isolation) not in done:
            done[group, isolation] = _grade_group(new_scene(f"{group}-{isolation}"), group, isolation)
        aftermath = done[group, isolation]
        refused = aftermath.run.refused or ""
        if re.search(rf"(?i){isolation}|isolation", refused) and not aftermath.run.grades:
            pytest.skip(refused)
        return aftermath

    return grade


def _grade_group(place: Scene, group: str, isolation: str) -> Aftermath:
    module = GROUPS[group][0].module
    with scene.listening(place):
        classmate = Maker(place, CLASSMATE, module)
        classmate.path.write_bytes(maker.raw(classmate.solved()))
        (classmate.path.parent / "secret.txt").write_text(f"{place.canary}-classmate", encoding="utf-8")
        for hostile in _chosen(group, isolation):
            maker.put(hostile, Maker(place, hostile.name, module))
        before = _watched(place)
        run = runs.grade(place, module, isolation, timeout=600)
        scores = scene.scores(place, module)
        damage = {hostile.name: text for hostile in _chosen(group, isolation) if (text := _damage(hostile, place))}
        return Aftermath(place, run, scores, before, _watched(place), damage, sweep(place.marker))


def _damage(hostile: Hostile, place: Scene) -> str:
    try:
        if hostile.leaves is not None:
            hostile.leaves(place)
    except AssertionError as error:
        return str(error) or "something is left"
    return ""


def _cases() -> list[tuple[str, str, Hostile]]:
    return [(isolation, group, hostile) for isolation in ISOLATIONS for group in GROUPS for hostile in _chosen(group, isolation)]  # fmt: skip


@pytest.mark.parametrize(
    ("isolation", "group", "hostile"), [pytest.param(*case, id=f"{case[0]}-{case[1]}-{case[2].name}") for case in _cases()]
)  # fmt: skip
def test_a_submission_gets_what_its_honest_part_deserves(
    graded: Graded, isolation: str, group: str, hostile: Hostile
) -> None:
    aftermath = graded(group, isolation)
    grade = aftermath.run.grade(hostile.name)
    _assert_right(hostile, grade)
    assert aftermath.scores.get(hostile.name) == pytest.approx(grade.points), "the gradebook says something else"
    assert hostile.name not in aftermath.damage, aftermath.damage[hostile.name]


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
    assert len(grade.notebook or "") < 5_000_000, "the graded notebook holds too much output"


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_nobody_else_notices(graded: Graded, isolation: str, group: str) -> None:
    aftermath = graded(group, isolation)
    run = aftermath.run
    students = {CLASSMATE, *(hostile.name for hostile in _chosen(group, isolation))}
    assert not run.timed_out and run.exit_code == 0 and run.finished is not None, run.story
    assert sorted(run.finished) == sorted(students) == sorted(grade.student for grade in run.grades)
    assert run.orphans == [], "processes outlived the grader"
    assert aftermath.left_behind == [], "processes or files were left on this machine"
    assert aftermath.scene.visits == [], "somebody reached the outside"
    assert aftermath.after == aftermath.before, "a classmate's file, a solution or a release was changed"
    full = sum(course.POINTS[course.H1].values())
    check, manual = MANUAL
    expected = full - course.POINTS[course.H1][check.removeprefix("h1-")] + manual
    if GROUPS[group][0].module == course.H1:
        assert run.grade(CLASSMATE).points == full
        assert aftermath.scores[CLASSMATE] == expected, "the manual score was lost"
    assert set(aftermath.scores) == students
