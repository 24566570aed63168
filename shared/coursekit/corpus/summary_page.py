"""The counts of a corpus as Markdown: the generated section `corpus` of docs/corpus.md.

It names the corpus's checksum, by which a test sees that the page is older than the corpus.
"""

from __future__ import annotations

from coursekit.corpus.agreement import Agreement
from coursekit.corpus.page import PAGE, table
from coursekit.corpus.summary import CategoryRow, Summary

SECTION = "corpus"
PICTURE = "docs/images/corpus.png"
COMMAND = f"course corpus stats --write {PAGE} --picture {PICTURE}"


def markdown(found: Summary) -> str:
    """The whole section."""
    lengths = ", ".join(
        f"{name} {found.length(share):,}" for name, share in (("shortest", 0), ("median", 0.5), ("longest", 1))
    )
    parts = [
        f"Corpus `{found.checksum[:12]}`: {len(found.lengths)} documents with {sum(found.lengths):,} words ({lengths}), "
        f"{found.questions} questions. Made by `{COMMAND}`; do not edit.",
        table(
            ["Documents by", "How many"], [[name, _counts(counts)] for name, counts in found.documents.items()]
        ).replace("--:", "---"),
        table(
            [
                "Category",
                *found.categories[0].by_split,
                "with an answer",
                "documents that answer",
                "that answer or help",
            ],
            [_row(row) for row in found.categories],
        ),
        "The last two columns are means per question that has an answer: documents of grade 2, and of grade 1 or 2.",
    ]
    if found.overlap is not None:
        parts.append(
            f"Outside of the category identifier, the median question shares {found.overlap:.0%} of its words with the "
            "passage that answers it (stop words aside)."
        )
    grades = [sum(row.grades[grade] for row in found.categories) for grade in range(3)]
    parts.append(
        f"{found.judged:,} pairs are judged: {grades[2]:,} with grade 2, {grades[1]:,} with grade 1, {grades[0]:,} with grade 0."
    )
    if found.agreement is not None:
        parts.append(_agreement(found.agreement))
    return "\n\n".join(parts)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{label} {count}" for label, count in counts.items()) or "none"


def _row(row: CategoryRow) -> list[str]:
    means = ["–" if mean is None else f"{mean:.1f}" for mean in (row.answering, row.relevant)]
    return [row.category, *map(str, row.by_split.values()), str(row.answerable), *means]


def _agreement(agreement: Agreement) -> str:
    kappas = {
        "": agreement.kappa,
        "weighted by distance ": agreement.kappa_linear,
        "for relevant or not ": agreement.kappa_binary,
    }
    shown = ", ".join(f"{name}{'undefined' if kappa is None else f'{kappa:.2f}'}" for name, kappa in kappas.items())
    text = f"{agreement.pairs:,} pairs were judged twice, independently. Cohen's kappa: {shown}."
    if agreement.observed_relevant is None:
        return text
    return (
        f"{text} Most pairs are plainly irrelevant, so look at the others: of the {agreement.relevant} pairs that at "
        f"least one judge graded above 0, {agreement.observed_relevant:.0%} got the same grade from both."
    )
