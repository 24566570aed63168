"""How a class did, exercise by exercise and check by check: what is hard, what separates, what goes wrong.

Discrimination is the point-biserial correlation of passing an item with the score on all *other* items (Crocker and Algina
1986, "corrected item-total correlation"): near 0 or below, those who know the rest do not pass this one more often, so the item
or its wording deserves a look. Only submissions that could be graded count; automatic scores only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from traitlets.config import Config

from coursekit import manifest, notebooks, settings
from coursekit.errors import GradingError
from coursekit.grading.nbgrader_settings import configure
from coursekit.grading.recording import audit as audit_module
from coursekit.grading.recording import registering
from coursekit.grading.recording.audit import Entry
from coursekit.grading.results import CheckGrade

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIN_FOR_CORRELATION = 3
MAX_MESSAGES = 3


@dataclass(frozen=True)
class Item:
    """One exercise (all of its checks together) or one check.

    `pass_rate` is the share with full points, `mean_share` the mean of points earned / possible. `discrimination` is None when
    everybody or nobody passed, or fewer than three were graded. `messages` are the most frequent failures with their counts.
    """

    kind: Literal["exercise", "check"]
    name: str
    exercise: str
    n: int
    pass_rate: float
    mean_share: float
    discrimination: float | None
    messages: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Statistics:
    """One module: how many were graded and rejected, and its items (each exercise before its checks)."""

    module_id: str
    graded: int
    rejected: int
    items: tuple[Item, ...]


def of_module(where: settings.Settings, module: manifest.Module) -> Statistics:
    """Statistics of everything that has been graded.

    Raises:
        GradingError: nothing has been graded yet.
    """
    with audit_module.reading(where.grading_dir) as audit:
        entries = list(audit.latest(module.id, valid=True))
        rejected = sum(entry.error is not None for entry in audit.latest(module.id))
    if not entries:
        raise GradingError(f"no graded submission of {module.id}. Run first: course grade {module.short}")
    source = where.solution(module.id)
    exercises = notebooks.exercises(registering.prepare(source, configure(Config(), where.grading_dir)))
    return Statistics(module.id, len(entries), rejected, tuple(_items(entries, exercises)))


def _items(entries: Sequence[Entry], exercises: Mapping[str, str]) -> Iterable[Item]:
    by_check: dict[str, dict[str, CheckGrade]] = defaultdict(dict)
    totals: dict[str, float] = {}
    for entry in entries:
        totals[entry.student] = sum(check.points for check in entry.checks)
        for check in entry.checks:
            by_check[check.check_id][entry.student] = check
    groups: dict[str, list[str]] = defaultdict(list)
    for name in by_check:  # in the order of the notebook: checks are recorded so
        groups[exercises.get(name, name)].append(name)
    for exercise, names in groups.items():
        yield _item("exercise", exercise, exercise, [by_check[name] for name in names], totals)
        for name in names:
            yield _item("check", name, exercise, [by_check[name]], totals)


def _item(
    kind: Literal["exercise", "check"],
    name: str,
    exercise: str,
    checks: Sequence[Mapping[str, CheckGrade]],
    totals: Mapping[str, float],
) -> Item:
    students = [student for student in totals if all(student in check for check in checks)]
    points = np.array([sum(check[s].points for check in checks) for s in students], dtype=float)
    worth = np.array([sum(check[s].max_points for check in checks) for s in students], dtype=float)
    passed = points >= worth
    rest = np.array([totals[s] for s in students], dtype=float) - points
    messages = Counter(problem(check[s]) for check in checks for s in students if not check[s].passed)
    return Item(
        kind=kind,
        name=name,
        exercise=exercise,
        n=len(students),
        pass_rate=float(passed.mean()) if students else 0.0,
        mean_share=float((points / np.where(worth > 0, worth, 1)).mean()) if students else 0.0,
        discrimination=point_biserial(passed, rest),
        messages=tuple(messages.most_common(MAX_MESSAGES)),
    )


def point_biserial(passed: np.ndarray, rest: np.ndarray) -> float | None:
    """The correlation of a yes/no with a score, in [-1, 1]; None when either does not vary or there are fewer than three.

    >>> round(point_biserial(np.array([True, True, False, False]), np.array([4.0, 3.0, 1.0, 0.0])), 4)
    0.9487
    """
    if len(passed) < MIN_FOR_CORRELATION or np.ptp(rest) == 0 or passed.all() or not passed.any():
        return None
    return float(np.corrcoef(passed.astype(float), rest)[0, 1])


def problem(check: CheckGrade) -> str:
    """What a failure message is about: its first line, without the check's name."""
    first = next(iter(check.message.strip().splitlines()), "") or "no message"
    return first.removeprefix(f"{check.check_id}:").strip()


def figure(statistics: Statistics) -> Figure:
    """Bars of the pass rate, item by item, with the discrimination as a number beside each; exercises dark, checks light."""
    from matplotlib.figure import Figure

    from coursekit import plots

    items = statistics.items[::-1]  # the first exercise on top
    picture = Figure(figsize=(8, 1.2 + 0.3 * len(items)), layout="constrained")
    axes = picture.subplots()
    colours = [plots.BLUE if item.kind == "exercise" else plots.GREY for item in items]
    names = [item.name if item.kind == "exercise" else f"{item.name}  " for item in items]
    axes.barh(range(len(items)), [100 * item.pass_rate for item in items], color=colours)
    axes.set_yticks(range(len(items)), names)
    axes.set_xlim(0, 100)
    axes.set_xlabel("submissions with full points, %")
    for row, item in enumerate(items):
        text = "–" if item.discrimination is None else f"{item.discrimination:+.2f}"
        axes.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center", annotation_clip=False)
    axes.set_title(f"{statistics.module_id}: {statistics.graded} graded   (right: discrimination)", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return picture
