"""course.yml: what is wrong is named with file, line, key, value and what is allowed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from coursekit import manifest
from coursekit.errors import ManifestError
from tests.conftest import SMALL_COURSE


def test_our_own_course_yml_is_valid(course: manifest.Manifest) -> None:
    assert [module.short for module in course.modules][:2] == ["m00", "m01"]


def _broken(change: Callable[[dict[str, Any]], None], folder: Path) -> str:
    data = copy.deepcopy(SMALL_COURSE)
    change(data)
    (folder / "course.yml").write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    with pytest.raises(ManifestError) as caught:
        manifest.load(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["modules"][0].update(minutes=-5), ["modules.0.minutes", "-5", "greater than or equal to 1"]),
        (lambda d: d["modules"][0].update(points="many"), ["modules.0.points", "'many'", "valid integer"]),
        (lambda d: d["modules"][1].pop("title"), ["modules.1.title", "missing"]),
        (lambda d: d["modules"][1].update(mintues=3), ["modules.1.mintues", "Did you mean 'minutes'", "Allowed:"]),
        (lambda d: d.update(grading={"cell_timeout_seconds": 0}), ["grading.cell_timeout_seconds", "0"]),
        (lambda d: d["modules"][0].update(id="Bad Id"), ["modules.0.id", "'Bad Id'", "pattern"]),
        (lambda d: d["modules"][1].update(id="a1_first"), ["a1_first", "twice"]),
        (lambda d: d["modules"][1].update(id="a1_other"), ["'a1'", "unique"]),
        (lambda d: d["modules"][0].update(prerequisites=["a2_second"]), ["prerequisite", "a2_second", "listed above"]),
        (lambda d: d["modules"][1].update(exports=["adding.py"]), ["'adding.py'", "a1_first", "exactly one module"]),
        (lambda d: d["modules"][1].update(exports=["../evil.py"]), ["'../evil.py'", "retrieval.py"]),
        (lambda d: d.update(modules=[]), ["modules", "at least 1"]),
        (lambda d: d["modules"][0].update(due="soon"), ["modules.0.due", "'soon'", "2026-03-29 18:00"]),
        (lambda d: d["modules"][0].update(due=date(2026, 3, 29)), ["modules.0.due", "needs its time too"]),
        (lambda d: d["modules"][0].update(due=1800), ["modules.0.due", "1800", "needs its time too"]),
        (lambda d: d["grading"].update(time_zone="Mars/Olympus"), ["grading.time_zone", "'Mars/Olympus'", "IANA"]),
        (lambda d: d["grading"].update(time_zone="America"), ["grading.time_zone", "'America'", "IANA"]),
        (lambda d: d["grading"].update(time_zone="/etc/localtime"), ["grading.time_zone", "IANA"]),
        (lambda d: d["grading"].update(late={"percent_per_day": 101}), ["grading.late.percent_per_day", "101"]),
        (
            lambda d: d["grading"].update(late={"percent_per_dy": 5}),
            ["grading.late.percent_per_dy", "Did you mean 'percent_per_day'", "grace_minutes"],
        ),
    ],
)
def test_a_bad_value_is_named_with_its_key_and_what_is_allowed(
    change: Callable[[dict[str, Any]], None], words: list[str], tmp_path: Path
) -> None:
    message = _broken(change, tmp_path)
    assert "course.yml:" in message
    for word in words:
        assert word in message


def test_the_line_of_a_bad_value_is_given(tmp_path: Path) -> None:
    message = _broken(lambda d: d["modules"][1].update(minutes=0), tmp_path)
    line = int(message.split(":")[1])
    assert "minutes: 0" in (tmp_path / "course.yml").read_text(encoding="utf-8").splitlines()[line - 1]


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["modules"][0]["minutes"] = 0
        data["modules"][1]["points"] = 0

    assert len(_broken(change, tmp_path).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [("modules: [", "not valid YAML"), ("- a\n- b\n", "must be a mapping"), ("", "must be a mapping")],
)
def test_a_file_that_is_not_a_manifest_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "course.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match=words):
        manifest.load(tmp_path)


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"course\.yml is missing"):
        manifest.load(tmp_path)
    (tmp_path / "course.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="UTF-8"):
        manifest.load(tmp_path)


def test_a_module_is_found_by_its_beginning_and_a_typo_gets_a_suggestion(course: manifest.Manifest) -> None:
    assert course.module("m01").id == "m01_models_as_dependencies"
    with pytest.raises(ManifestError, match="Did you mean 'm01'"):
        course.module("n01")
    with pytest.raises(ManifestError, match="several"):
        course.module("m0")


@pytest.mark.parametrize(
    ("due", "utc"),
    [
        ("2026-01-15 18:00", datetime(2026, 1, 15, 17)),
        ("2026-07-15T18:00:00", datetime(2026, 7, 15, 16)),
        (datetime(2026, 7, 15, 18), datetime(2026, 7, 15, 16)),
        ("2026-07-15T18:00:00+05:30", datetime(2026, 7, 15, 12, 30)),
        ("2026-03-29 02:30", datetime(2026, 3, 29, 1, 30)),  # skipped: the clocks go from 2:00 to 3:00
        ("2026-10-25 02:30", datetime(2026, 10, 25, 0, 30)),  # repeated: the first of the two
    ],
)
def test_a_due_date_without_an_offset_is_in_the_courses_time_zone(due: object, utc: datetime, tmp_path: Path) -> None:
    data = copy.deepcopy(SMALL_COURSE)
    data["grading"]["time_zone"] = "Europe/Berlin"
    data["modules"][0]["due"] = due
    (tmp_path / "course.yml").write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    course = manifest.load(tmp_path)
    assert course.due_utc(course.modules[0]) == utc
    assert course.due_utc(course.modules[1]) is None
