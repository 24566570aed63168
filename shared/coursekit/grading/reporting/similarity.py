"""Solutions that are more alike than chance: winnowing fingerprints (Schleimer, Wilkerson and Aiken, SIGMOD 2003).

Each solution becomes a sequence of tokens in which names, numbers and strings no longer matter; of the hashes of all runs of
GRAM tokens, one per window of WINDOW is kept. What also stands in the stub or in the reference is taken away, and so is what
a large part of the class has in common: those are the exercise's own shape. A shared run of GRAM + WINDOW - 1 tokens is always
found. A pair in the report is a reason to look at both texts, never a verdict.
"""

from __future__ import annotations

import hashlib
import keyword
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from coursekit import manifest, notebooks, settings
from coursekit.errors import CourseError, GradingError

GRAM = 12
WINDOW = 5
MIN_SHARED = 4  # fingerprints; fewer are one common idiom
COMMON_SHARE = 0.3  # of the class: a fingerprint in more solutions than this is common knowledge ...
COMMON_MIN = 5  # ... but never one that so few have

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<string>[rbfuRBFU]{0,2}(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
      | (?P<name>[^\W\d]\w*) | (?P<number>\d[\w.]*) | (?P<operator>[^\w\s])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Pair:
    """Two students' solutions of one exercise; `share` is the part of the shorter one's own fingerprints that both have."""

    exercise: str
    first: str
    second: str
    share: float
    shared: int


def tokens(code: str) -> list[str]:
    """Keywords and operators as they are, `n` for a name, `0` for a number, `s` for a string; comments vanish.

    Works on code that does not parse.

    >>> tokens("for item in rows:  # all\\n    total += item['n'] * 2")
    ['for', 'n', 'in', 'n', ':', 'n', '+', '=', 'n', '[', 's', ']', '*', '0']
    """
    found = []
    for match in _TOKEN.finditer(code):
        text = match.group()
        if match.lastgroup == "name":
            found.append(text if keyword.iskeyword(text) else "n")
        elif match.lastgroup != "comment":
            found.append({"string": "s", "number": "0"}.get(str(match.lastgroup), text))
    return found


def fingerprints(code: str, known: frozenset[int] = frozenset()) -> frozenset[int]:
    """The winnowed hashes of a text, those in `known` aside; empty for one that is shorter than GRAM tokens."""
    hashes = _hashes(code)
    windows = (hashes[i : i + WINDOW] for i in range(max(len(hashes) - WINDOW + 1, min(len(hashes), 1))))
    own = ([value for value in window if value not in known] for window in windows)
    return frozenset(min(window) for window in own if window)


def pairs(
    solutions: Mapping[str, str], known: Iterable[str] = (), *, exercise: str = "", threshold: float = 0.6
) -> list[Pair]:
    """The students whose solutions of one exercise share at least `threshold`, most alike first.

    Args:
        solutions: student -> text.
        known: texts that everybody may share: the stub, the reference.
    """
    given = frozenset[int]().union(*map(_hashes, known))
    own = {student: fingerprints(text, given) for student, text in solutions.items()}
    index: dict[int, list[str]] = defaultdict(list)
    for student, prints in own.items():
        for value in prints:
            index[value].append(student)
    limit = max(COMMON_MIN, COMMON_SHARE * len(solutions))
    rare = {value: students for value, students in index.items() if len(students) <= limit}
    sizes = Counter(student for students in rare.values() for student in students)
    shared: Counter[tuple[str, str]] = Counter()
    for students in rare.values():
        shared.update(combinations(sorted(students), 2))
    found = [
        Pair(exercise, first, second, count / min(sizes[first], sizes[second]), count)
        for (first, second), count in shared.items()
        if count >= MIN_SHARED
    ]
    return sorted((p for p in found if p.share >= threshold), key=lambda p: (-p.share, -p.shared, p.first, p.second))


def of_module(where: settings.Settings, module: manifest.Module, threshold: float = 0.6) -> list[Pair]:
    """The suspiciously similar pairs of every exercise of a module, from the graded notebooks.

    Raises:
        GradingError: nothing has been graded yet.
    """
    paths = sorted(where.grading_dir.glob(f"autograded/*/{module.id}/{module.id}.ipynb"))
    if not paths:
        raise GradingError(f"no graded submission of {module.id}. Run first: course grade {module.short}")
    known: dict[str, list[str]] = defaultdict(list)
    for folder in (where.solutions_dir, where.notebooks_dir):
        path = folder / module.id / f"{module.id}.ipynb"
        for exercise, text in _solutions(path).items() if path.is_file() else ():
            known[exercise].append(text)
    by_exercise: dict[str, dict[str, str]] = defaultdict(dict)
    for path in paths:
        for exercise, text in _solutions(path).items():
            by_exercise[exercise][path.parent.parent.name] = text
    found = [
        pair
        for exercise, solutions in by_exercise.items()
        for pair in pairs(solutions, known[exercise], exercise=exercise, threshold=threshold)
    ]
    return sorted(found, key=lambda pair: (-pair.share, -pair.shared))


def _solutions(path: Path) -> dict[str, str]:
    try:
        cells = notebooks.read(path).cells
    except CourseError:
        return {}
    return {str(notebooks.grade_id(c)): c.source for c in cells if notebooks.is_solution(c) and c.cell_type == "code"}


def _hashes(code: str) -> list[int]:
    """The hash of every run of GRAM tokens."""
    sequence = tokens(code)
    runs = (" ".join(sequence[i : i + GRAM]) for i in range(len(sequence) - GRAM + 1))
    return [
        int.from_bytes(hashlib.blake2b(run.encode("utf-8", "replace"), digest_size=8).digest(), "big") for run in runs
    ]
