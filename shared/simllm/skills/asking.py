"""A question for what a tool needs and nobody said."""

from __future__ import annotations

import re
from collections.abc import Sequence

from simllm.skills.candidates import Candidate, Plan
from simllm.skills.fields import Field
from simllm.tools import Tool


def asking(tool: Tool, missing: Sequence[Field]) -> Plan:
    """A question for what the tool needs and nobody said."""
    names = []
    for field in missing:
        described = field.description.split(";")[0].strip().rstrip(".")
        names.append(f"{field.label} ({described})" if described else field.label)
    wanted = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    deed = " ".join(re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", tool.name).lower()))
    text = f"To {deed}, I need some more information: what is the {wanted}?"
    return Plan((Candidate(text, 1.0),), wander=0.0)
