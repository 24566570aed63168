"""Every group of hostile submissions: module names here, submissions in `GROUPS`."""

from __future__ import annotations

from tests.hostile.maker import Hostile
from tests.hostile.submissions import (
    channel,
    database,
    escapes,
    exfiltration,
    forging_machinery,
    forging_values,
    malformed,
    odd_cells,
    resources,
    tampering,
)

GROUPS: dict[str, list[Hostile]] = {
    module.__name__.rsplit(".", 1)[-1]: module.SUBMISSIONS
    for module in (
        malformed,
        tampering,
        odd_cells,
        forging_values,
        forging_machinery,
        channel,
        resources,
        escapes,
        exfiltration,
        database,
    )  # fmt: skip
}
