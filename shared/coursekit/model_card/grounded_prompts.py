"""Prompts for grounded answering, as three different engineers would write them.

They differ in where the rules stand, how passages are set off and named, and how the question is marked, so that nothing
is fitted to one layout. A message is a plain dict of the Chat Completions API.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from coursekit.model_card.grounded_cases import Case
from coursekit.model_card.scoring import Messages

Layout = Callable[[Case, Sequence[str]], Messages]

ABSTAIN = "If the passages do not contain the answer, reply exactly: I don't know."


def names(case: Case) -> list[str]:
    """A name for each passage: its document's id, with a number where a document has several."""
    documents = [piece.document for piece in case.passages]
    return [
        name if documents.count(name) == 1 else f"{name}-{documents[: i + 1].count(name)}"
        for i, name in enumerate(documents)
    ]


def elements(case: Case, rules: Sequence[str]) -> Messages:
    """Rules in the system message, passages in XML-like elements."""
    passages = "\n".join(
        f'<document id="{name}">\n{piece.text}\n</document>'
        for name, piece in zip(names(case), case.passages, strict=True)
    )
    system = " ".join(["You answer questions of engineers from the documents that you are given.", *rules])
    user = f"<documents>\n{passages}\n</documents>\n\n<question>{case.question.text}</question>"
    return [{"role": "system", "content": system}, *_history(case), {"role": "user", "content": user}]


def numbered(case: Case, rules: Sequence[str]) -> Messages:
    """Everything in one user message, passages numbered."""
    passages = "\n\n".join(f"[{i}] {piece.text}" for i, piece in enumerate(case.passages, start=1))
    lines = ["Answer the question using only the context below.", *rules]
    text = f"{' '.join(lines)}\n\nContext:\n{passages}\n\nQuestion: {case.question.text}\nAnswer:"
    return [*_history(case), {"role": "user", "content": text}]


def sections(case: Case, rules: Sequence[str]) -> Messages:
    """Rules and passages in the system message under headings, the bare question from the user."""
    passages = "\n\n".join(
        f"Source: {name}\n{piece.text}" for name, piece in zip(names(case), case.passages, strict=True)
    )
    lines = ["You are a support assistant.", "Use the sources below and nothing else.", *rules]
    system = f"{chr(10).join(f'- {line}' for line in lines)}\n\n## Sources\n\n{passages}"
    return [{"role": "system", "content": system}, *_history(case), {"role": "user", "content": case.question.text}]


LAYOUTS: dict[str, Layout] = {"elements": elements, "numbered": numbered, "sections": sections}


def layout_of(case: Case) -> Layout:
    """One of the layouts, by the question's number: a third of the questions each."""
    return list(LAYOUTS.values())[int(case.question.id.removeprefix("q")) % len(LAYOUTS)]


def _history(case: Case) -> Messages:
    return [{"role": turn.role, "content": turn.content} for turn in case.question.history]
