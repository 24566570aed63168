"""How strongly the words around a mention speak for a field.

Sentence structure, not lists of parameters: a field's own words, or words near them in meaning, right before or after
the mention; the label that it stands behind ("Total: 5"); and whether the same words speak more for another field.
Likeness of words is that of static vectors, so "costs" leads to "price". Reads one text and one schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simllm.skills.evidence import Evidence
from simllm.skills.fields import Field
from simllm.skills.matching import likeness
from simllm.skills.mention import Mention
from simllm.skills.words import stem

NAMED = 0.55  # for the field's own word right before the mention ...
FADING = 0.07  # ... less per word in between
FOLLOWED = 0.42
LABELLED = 0.5
BESIDE = 0.25  # more for what stands right behind its label
ALIKE_FROM = 0.3  # likeness from which a word counts as the field's own
DESCRIBED = 0.3  # share of a likeness to the description instead of the name
FOREIGN = 0.35  # at most, against a field, for words that speak for another one
_NEVER_NEAREST = frozenset(["the", "a", "an", "my", "our", "least", "most", "up"])
_BOUNDS = frozenset(["least", "most", "up", "max", "min", "maximum", "minimum"])


class Affinity:
    """The words of a text against the words of all fields of a schema."""

    def __init__(self, targets: Sequence[Field], evidence: Evidence) -> None:
        self.targets = list(targets)
        words = sorted({word for target in targets for word in (*target.words, *target.described)})
        heard = sorted(
            {word for mention in evidence.mentions for word in (*mention.cue, *mention.after, *mention.label)}
        )
        table = likeness(words, heard, evidence.embedder)
        self._table: Mapping[tuple[str, str], float] = {
            (word, other): 1.0 if stem(word) == stem(other) else float(table[i, j])
            for i, word in enumerate(words)
            for j, other in enumerate(heard)
        }
        self._near: dict[tuple[tuple[str, ...], Mention], float] = {}

    def alike(self, target: Field, word: str) -> float:
        """How alike a word and the field's own words are, in [0, 1]."""
        own = max((self._table.get((w, word), 0.0) for w in target.words), default=0.0)
        told = max((self._table.get((w, word), 0.0) for w in target.described), default=0.0)
        best = max(own, DESCRIBED * told)
        return best if best >= ALIKE_FROM * (1 if own >= DESCRIBED * told else DESCRIBED) else 0.0

    def near(self, target: Field, mention: Mention) -> float:
        """What the words right before and after a mention say for a field."""
        known = self._near.get((target.path, mention))
        if known is not None:
            return known
        best = 0.0
        for distance, word in enumerate(reversed(mention.cue[-5:])):
            best = max(best, self.alike(target, word) * (NAMED - FADING * distance))
        reach = 2 if mention.kind in ("number", "name", "when") else 1
        for distance, word in enumerate(mention.after[:reach]):
            best = max(best, self.alike(target, word) * (FOLLOWED - 0.12 * distance))
        self._near[target.path, mention] = best
        return best

    def label(self, target: Field, mention: Mention) -> float:
        """How well the label in front of a mention names a field, in [0, 1]."""
        if not mention.label:
            return 0.0
        fits = [self.alike(target, word) for word in mention.label]
        best = max(fits)
        return best * (0.75 + 0.25 * sum(fit > 0 for fit in fits) / len(fits))

    def score(self, target: Field, mention: Mention) -> float:
        """All that the surroundings say for a field, less what they say for a rival."""
        rivals = [t for t in self.targets if t.path != target.path and _same_sort(t, target)]
        near = self.near(target, mention)
        other = max((self.near(rival, mention) for rival in rivals), default=0.0)
        score = near - FOREIGN * min(1.0, max(0.0, other - near - 0.1) / 0.3)
        if mention.label:
            own = self.label(target, mention)
            foreign = max((self.label(t, mention) for t in self.targets if t.path != target.path), default=0.0)
            if own >= max(0.4, foreign - 0.1):
                score += own * (LABELLED + BESIDE * mention.next_to_label)
            elif foreign >= 0.6 and mention.kind != target.wants:
                score -= FOREIGN * (1.4 if mention.next_to_label else 0.4)
        return score + self._led(target, mention, rivals)

    def _led(self, target: Field, mention: Mention, rivals: Sequence[Field]) -> float:
        """What the preposition says: "to" leads to a destination."""
        last = [word for word in mention.cue[-3:] if word not in _NEVER_NEAREST]
        nearest = last[-1] if last else ""
        if nearest in target.leads or set(mention.cue[-2:]) & target.leads & _BOUNDS:
            return 0.4
        return -0.25 if nearest and any(nearest in rival.leads for rival in rivals) else 0.0


def _same_sort(one: Field, other: Field) -> bool:
    numeric = ("number", "integer")
    if one.kind in numeric or other.kind in numeric:
        return one.kind in numeric and other.kind in numeric
    timed = ("date", "time", "date-time", "month")
    return (one.wants in timed) == (other.wants in timed)
