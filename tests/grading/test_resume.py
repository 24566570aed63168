"""The endurance run in small: a grader that is killed and started again, with every row compared, and nothing left over."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from coursekit.grading import endurance, sample_course
from coursekit.grading.memory import proportional_mb, resident_mb


@pytest.mark.skipif(sys.platform != "linux", reason="finds a killed grader's processes in /proc")
def test_a_class_graded_by_a_grader_that_is_killed_has_every_row_right() -> None:
    told: list[int] = []
    result = endurance.endure(12, kills=[0.3], say=told.append)
    assert result.wrong == () and result.left_over == 0
    assert result.kills == 1 and told and max(told) <= 12
    assert result.last.grader_mb > 0


def test_the_samples_course_has_submissions_of_every_kind(tmp_path: Path) -> None:
    where, course, module = sample_course.write(tmp_path / "course")
    totals = sample_course.hand_in(where, 25)
    assert list(course.modules) == [module]
    assert set(totals.values()) == {0.0, 2.0} and totals["student-00024"] == 0.0


def test_a_process_that_is_gone_takes_no_memory() -> None:
    assert proportional_mb(2**22 + 1) == resident_mb(2**22 + 1) == 0.0
