"""What a late submission loses, in the course's time zone; for our recorder and, as a plugin, for stock nbgrader.

A submission is late when it comes after the due date (with the student's extension) and the grace. From that moment every
day *started* costs `percent_per_day` of the points earned, up to `max_percent`. A day is a day of the clock on the wall: with
a due date at 18:00 the second day begins at 18:00, also when the clocks were changed in between.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from nbgrader.plugins import LateSubmissionPlugin
from traitlets import Float, Unicode


class Policy(Protocol):
    """What `coursekit.manifest.Late` and the plugin below have in common."""

    @property
    def grace_minutes(self) -> float: ...
    @property
    def percent_per_day(self) -> float: ...
    @property
    def max_percent(self) -> float: ...


def days_late(due: datetime, submitted: datetime, time_zone: str, grace_minutes: float = 0) -> int:
    """How many days after the due date have been started; 0 when the submission is in time or within the grace.

    Both times are in UTC without an offset, as nbgrader's gradebook keeps them.

    >>> days_late(datetime(2026, 3, 28, 17), datetime(2026, 3, 29, 16), "Europe/Berlin")  # 23 hours: a short night
    1
    >>> days_late(datetime(2026, 3, 28, 17), datetime(2026, 3, 29, 16, 1), "Europe/Berlin")
    2
    """
    limit = due + timedelta(minutes=grace_minutes)
    if submitted <= limit:
        return 0
    zone = ZoneInfo(time_zone)
    wall_limit, wall_submitted = (
        moment.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None) for moment in (limit, submitted)
    )
    return max(1, math.ceil((wall_submitted - wall_limit) / timedelta(days=1)))


def penalty(score: float, days: int, policy: Policy) -> float | None:
    """The points lost of `score`; None when nothing is lost."""
    percent = min(days * policy.percent_per_day, policy.max_percent)
    return max(score, 0.0) * percent / 100 if percent > 0 and days > 0 else None


def penalty_at(
    score: float, due: datetime | None, submitted: datetime | None, time_zone: str, policy: Policy
) -> float | None:
    """The points lost of `score` by a submission at a time (UTC); None when a time is unknown, or nothing is lost."""
    if due is None or submitted is None:
        return None
    return penalty(score, days_late(due, submitted, time_zone, policy.grace_minutes), policy)


class CourseLatePenalty(LateSubmissionPlugin):
    """The same policy for stock `nbgrader autograde`; `coursekit.grading.nbgrader_settings` configures it."""

    time_zone = Unicode("UTC", help="IANA name of the course's time zone").tag(config=True)
    grace_minutes = Float(0, help="minutes after the due date that cost nothing").tag(config=True)
    percent_per_day = Float(0, help="percent of the points earned that each day started costs").tag(config=True)
    max_percent = Float(100, help="the most that can be lost, in percent").tag(config=True)

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float | None:
        """nbgrader's hook. The times are looked up in its gradebook: seconds alone do not say where a day ends."""
        step: Any = self.parent  # nbgrader's AssignLatePenalties, while it holds the gradebook open
        submission = step.gradebook.find_submission(step.assignment_id, student_id)
        return penalty_at(score, submission.duedate, submission.timestamp, self.time_zone, self)
