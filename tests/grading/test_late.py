"""Late days and timestamps: in the course's time zone, in favour of the learner where a time cannot be read."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest

from coursekit.grading.recording import late, timestamps
from coursekit.manifest import Late

DUE = datetime(2026, 3, 28, 17)  # 18:00 in Berlin, the evening before the clocks go forward


@pytest.mark.parametrize(
    ("submitted", "grace", "days"),
    [
        (datetime(2026, 3, 28, 16, 59), 0, 0),
        (datetime(2026, 3, 28, 17), 0, 0),
        (datetime(2026, 3, 28, 17, 0, 1), 0, 1),
        (datetime(2026, 3, 28, 17, 10), 10, 0),
        (datetime(2026, 3, 28, 17, 11), 10, 1),
        (datetime(2026, 3, 29, 16), 0, 1),  # 18:00 in Berlin, after 23 hours
        (datetime(2026, 3, 29, 16, 1), 0, 2),
        (datetime(2026, 3, 29, 16, 10), 10, 1),
        (datetime(2026, 4, 4, 16), 0, 7),
    ],
)
def test_a_day_late_ends_at_the_same_time_on_the_wall(submitted: datetime, grace: float, days: int) -> None:
    assert late.days_late(DUE, submitted, "Europe/Berlin", grace) == days


def test_a_long_night_belongs_to_the_day_before(  # 2026-10-25 has 25 hours in Berlin
) -> None:
    due = datetime(2026, 10, 24, 16)
    assert late.days_late(due, datetime(2026, 10, 25, 17), "Europe/Berlin") == 1
    assert late.days_late(due, datetime(2026, 10, 25, 16, 30), "UTC") == 2


@pytest.mark.parametrize(("days", "lost"), [(0, None), (1, 0.8), (3, 2.4), (9, 4.0)])
def test_each_day_started_costs_its_percent_up_to_the_maximum(days: int, lost: float | None) -> None:
    policy = Late(percent_per_day=10, max_percent=50)
    assert late.penalty(8.0, days, policy) == (pytest.approx(lost) if lost else None)
    assert late.penalty(8.0, days, Late()) is None


def test_without_a_due_date_or_a_time_nothing_is_late() -> None:
    policy = Late(percent_per_day=10)
    assert late.penalty_at(8, None, DUE, "UTC", policy) is None
    assert late.penalty_at(8, DUE, None, "UTC", policy) is None


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-01 18:00:00.123456 UTC", datetime(2026, 3, 1, 18, 0, 0, 123456)),
        ("2026-07-01 18:00:00 Europe/Berlin", datetime(2026, 7, 1, 16)),
        ("2026-03-01 18:00:00 +0200", datetime(2026, 3, 1, 16)),  # nbgrader: 200 seconds
        ("2026-03-01T18:00:00-05:30", datetime(2026, 3, 1, 23, 30)),
        ("2026-03-01 18:00", datetime(2026, 3, 1, 18)),
        ("\ufeff2 Feb 2015 15:58\n", datetime(2015, 2, 2, 15, 58)),
    ],
)
def test_nbgraders_formats_are_read(text: str, utc: datetime, tmp_path: Path) -> None:
    (tmp_path / "timestamp.txt").write_text(text, encoding="utf-8")
    assert timestamps.read(tmp_path) == (utc, ())


@pytest.mark.parametrize("text", ["", "yesterday", "12", "2026-03-01 18:00:00 Nowhere/City", "9" * 5000, "2026-99-99"])
def test_an_unreadable_time_is_a_finding_and_not_late(text: str, tmp_path: Path) -> None:
    (tmp_path / "timestamp.txt").write_text(text, encoding="utf-8")
    moment, (finding,) = timestamps.read(tmp_path)
    assert (moment, finding.kind) == (None, "note") and "timestamp.txt cannot be read" in finding.message


def test_a_timestamp_that_is_no_file_never_blocks(tmp_path: Path) -> None:
    assert timestamps.read(tmp_path) == (None, ())
    path = tmp_path / "timestamp.txt"
    os.mkfifo(path)
    assert "not a regular file" in timestamps.read(tmp_path)[1][0].message
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert len(timestamps.read(tmp_path)[1]) == 1
