"""Units of time, once for all who reckon with them: those of fixed length in seconds, those of the calendar in months.

A month has no fixed number of days, so who only converts units keeps the two kinds apart; who compares amounts takes
30 days for a month and 365 for a year. General knowledge only.
"""

from __future__ import annotations

SECONDS: dict[str, float] = {
    "millisecond": 0.001, "ms": 0.001, "second": 1, "sec": 1, "s": 1, "minute": 60, "min": 60, "hour": 3600, "hr": 3600,
    "h": 3600, "day": 86400, "night": 86400, "week": 604800, "fortnight": 1209600,
}  # fmt: skip
MONTHS: dict[str, float] = {"month": 1, "quarter": 3, "year": 12}
MONTH_SECONDS = 30 * SECONDS["day"]
ROUGHLY = SECONDS | {"month": MONTH_SECONDS, "quarter": 3 * MONTH_SECONDS, "year": 365 * SECONDS["day"]}
