"""Free text behind a field's own name: "subject: lunch", "with the note call me", "room 207"."""

from __future__ import annotations

import re

from simllm.skills.evidence import Evidence
from simllm.skills.fields import Field
from simllm.skills.mention import Mention
from simllm.skills.sentence_words import PREPOSITIONS

_FORMED = ("date", "time", "date-time", "email", "url", "phone")
_GAP = r"\s*:\s*|\s*=\s*|\s+(?:is|of|saying|that says)\s+|\s+"
_CODE = re.compile(r"[\w.-]*\d[\w./-]*(?<![.-])")


def labelled(target: Field, evidence: Evidence) -> list[Mention]:
    """What stands behind the name of a field that takes text; a code right behind it is a mention of its own."""
    if target.kind != "string" or target.wants in _FORMED:
        return []
    found = []
    names = {re.escape(target.label), *(re.escape(word) for word in target.own if len(word) > 3)}
    for name in sorted(names):
        gap = r"\s*:\s*|\s*=\s*" if name.lower() in PREPOSITIONS else _GAP  # "moved to 3 pm" does not name a "to"
        for match in re.finditer(
            rf"\b{name}s?\b({gap})((?<==)[^\s,;]+|[^\n.;,!?/]+)",
            evidence.text,
            re.I,
        ):
            strong = match.group(1).strip() in (":", "=")
            kind = "labelled" if strong else "following"
            found.append(Mention(kind, match.group(2).strip(" \"'“”"), match.start(2), match.end(2)))
            code = _CODE.match(evidence.text, match.start(2))
            if code and not strong:
                found.append(Mention("labelled", code.group(), code.start(), code.end()))
    return found
