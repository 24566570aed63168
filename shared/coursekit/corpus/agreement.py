"""How far two judges agree beyond chance: Cohen's kappa, plain, for relevant or not, and weighted by distance.

kappa = 1 − disagreement observed / disagreement expected if both kept their own habits and judged blindly.
Cohen, "A coefficient of agreement for nominal scales" (1960) counts every disagreement as 1; Cohen, "Weighted kappa"
(1968) lets a disagreement weigh more the further the grades lie apart, here linearly: |i − j|.
Only pairs that both have judged count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from coursekit.corpus.records import Judgment
from coursekit.errors import CorpusError

GRADES = (0, 1, 2)
Table = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Agreement:
    """Two judges compared on the pairs that both judged.

    `table[i][j]` counts the pairs that the first judge gave grade i and the second grade j. `observed` is the share of
    equal grades, `observed_binary` that of equal verdicts (grade above 0 or not), both in [0, 1]. The kappas lie in
    [−1, 1]; None = undefined: both judges gave one and the same grade throughout, so nothing tells agreement from habit.
    """

    table: Table
    pairs: int
    observed: float
    observed_binary: float
    kappa: float | None
    kappa_binary: float | None
    kappa_linear: float | None

    @property
    def relevant(self) -> int:
        """The pairs that at least one judge graded above 0."""
        return self.pairs - self.table[0][0]

    @property
    def observed_relevant(self) -> float | None:
        """The share of equal grades among `relevant`; None = there are none. No zeros agreed upon can raise it."""
        return (self.table[1][1] + self.table[2][2]) / self.relevant if self.relevant else None


def compare(first: Sequence[Judgment], second: Sequence[Judgment]) -> Agreement:
    """Compare two judges.

    Raises:
        CorpusError: no pair was judged by both.
    """
    theirs = {(judgment.query_id, judgment.document_id): judgment.grade for judgment in second}
    counts = [[0] * len(GRADES) for _ in GRADES]
    for judgment in first:
        other = theirs.get((judgment.query_id, judgment.document_id))
        if other is not None:
            counts[judgment.grade][other] += 1
    pairs = sum(map(sum, counts))
    if not pairs:
        sizes = f"{len(first)} and {len(second)} judgments"
        raise CorpusError(f"no pair was judged in both passes ({sizes}); give both judges the same pool")
    table = tuple(map(tuple, counts))
    binary = (
        (counts[0][0], counts[0][1] + counts[0][2]),
        (counts[1][0] + counts[2][0], sum(counts[1][1:]) + sum(counts[2][1:])),
    )
    return Agreement(
        table=table,
        pairs=pairs,
        observed=sum(table[i][i] for i in GRADES) / pairs,
        observed_binary=(binary[0][0] + binary[1][1]) / pairs,
        kappa=cohens_kappa(table),
        kappa_binary=cohens_kappa(binary),
        kappa_linear=cohens_kappa(table, lambda i, j: abs(i - j)),
    )


def cohens_kappa(table: Table, weight: Callable[[int, int], float] = lambda i, j: float(i != j)) -> float | None:
    """Cohen's kappa of a square table of counts; `weight(i, j)` says how bad it is to give i where the other gives j.

    None = undefined: no disagreement is possible by chance, because both always gave the same one grade.

    >>> cohens_kappa(((20, 5), (10, 15)))  # observed 0.7, by chance 0.5
    0.4
    """
    size = range(len(table))
    total = sum(map(sum, table))
    rows = [sum(row) for row in table]
    columns = [sum(table[i][j] for i in size) for j in size]
    observed = sum(weight(i, j) * table[i][j] for i in size for j in size) / total
    expected = sum(weight(i, j) * rows[i] * columns[j] for i in size for j in size) / total**2
    return None if expected == 0 else 1 - observed / expected
