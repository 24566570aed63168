"""The measured part of docs/simulated-models.md: one table per skill, a column per model and half."""

from __future__ import annotations

from collections.abc import Sequence

from coursekit.corpus.page import table
from coursekit.model_card.measuring import ExamShare

PAGE = "docs/simulated-models.md"
SECTION = "measured"
COMMAND = f"course models measure --write {PAGE}"


def markdown(found: Sequence[ExamShare]) -> str:
    """The whole section."""
    columns = list(dict.fromkeys((m.model, m.split) for m in found))
    parts = [f"Made by `{COMMAND}`; do not edit. Shares in percent with 95 % bootstrap intervals over cases."]
    for skill in dict.fromkeys(m.skill for m in found):
        rows = []
        for measure in dict.fromkeys(m.measure for m in found if m.skill == skill):
            cells = {(m.model, m.split): m.share for m in found if (m.skill, m.measure) == (skill, measure)}
            shown = [cells.get(column) for column in columns]
            rows.append(
                [
                    measure,
                    *(
                        "–" if s is None else f"{100 * s.mean:.0f} ({100 * s.low:.0f}–{100 * s.high:.0f})"
                        for s in shown
                    ),
                ]
            )
        parts += [f"### {skill}", table(["Measure", *(f"{model} {split}" for model, split in columns)], rows)]
    return "\n\n".join(parts)
