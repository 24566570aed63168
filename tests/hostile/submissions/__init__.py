"""Every group of hostile submissions: module names here, submissions in `GROUPS`."""

from __future__ import annotations

from tests.hostile.maker import Hostile
from tests.hostile.submissions import (
    database,
    exfiltration,
    forging_machinery,
    forging_values,
    malformed,
    resources,
    tampering,
)

GROUPS: dict[str, list[Hostile]] = {
    module.__name__.rsplit(".", 1)[-1]: module.SUBMISSIONS
    for module in (malformed, tampering, forging_values, forging_machinery, resources, exfiltration, database)
}
