"""What has been found for the fields of a schema, and where; and how well a mention suits a field by its form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simllm.skills.conforming import fits_text, within
from simllm.skills.fields import Field, Path
from simllm.skills.mention import Mention
from simllm.skills.values import number_for, text_for


@dataclass
class Filling:
    """Values by path, the stretches of text they came from, and the required fields that stayed empty."""

    values: dict[Path, Any] = field(default_factory=dict)
    spans: dict[Path, tuple[int, int]] = field(default_factory=dict)
    mentions: dict[Path, Mention] = field(default_factory=dict)
    scores: dict[Path, float] = field(default_factory=dict)
    missing: list[Field] = field(default_factory=list)

    def put(self, target: Field, value: Any, score: float, span: tuple[int, int] | None = None) -> None:
        """Fill one field."""
        self.values[target.path] = value
        self.scores[target.path] = score
        if span:
            self.spans[target.path] = span

    def drop(self, target: Field) -> None:
        """Empty one field again."""
        for kept in (self.values, self.spans, self.mentions, self.scores):
            kept.pop(target.path, None)
        if target.required and not target.nullable:
            self.missing.append(target)

    def used(self, mention: Mention) -> bool:
        """Whether a field has taken any of this stretch."""
        return any(mention.start < end and start < mention.end for start, end in self.spans.values())


def value_of(target: Field, mention: Mention) -> tuple[Any, float]:
    """The mention as a value of the field's type, and how well its kind suits; (None, 0) when it cannot be one."""
    if target.kind in ("number", "integer"):
        amount, score = number_for(target, mention)
        if amount is None or not within(amount, target.schema) or target.kind == "integer" and amount != int(amount):
            return None, 0.0
        return (int(amount) if float(amount).is_integer() else amount), score
    text, score = text_for(target, mention)
    if not text or not fits_text(text, target.schema):
        return None, 0.0
    if "pattern" in target.schema:
        score += 0.7
    return text, score
