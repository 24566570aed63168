"""Read cases one by one: a scrolling list of cards that open on a click.

Plain HTML without scripts, so it works in JupyterLab, in an executed notebook and in its HTML export alike.
`failed_answer` makes the card of a golden question that was answered wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from coursekit.corpus import Question

MAX_CHARS = 600  # of one field; what is longer ends in "…"


@dataclass(frozen=True)
class Card:
    """One case: `fields` are shown when it is opened, `hidden` behind another click. A list is shown line by line."""

    title: str
    fields: Mapping[str, str | Sequence[str]]
    hidden: Mapping[str, str] = field(default_factory=dict)


class FoundChunk(Protocol):
    """What a search gave: any record with these fields."""

    @property
    def document_id(self) -> str: ...

    @property
    def text(self) -> str: ...


def failed_answer(
    question: Question,
    retrieved: Sequence[FoundChunk],
    *,
    read: int,
    answer: str,
    diagnosis: str,
    access: Mapping[str, Sequence[str]],
) -> Card:
    """What should have been found and said, what was; ★ marks a chunk with evidence.

    Args:
        retrieved: what the search gave this asker, best first; the model saw the first `read`.
        access: labels by document id, as stored.
    """
    quotes = [" ".join(passage.quote.split()) for passage in question.passages]
    evidence = [
        f"{passage.document} ({', '.join(access.get(passage.document, ['not stored']))}): {quote}"
        for passage, quote in zip(question.passages, quotes, strict=True)
    ]
    places = []
    for place, chunk in enumerate(retrieved[: read + 2], start=1):
        is_gold = any(quote in " ".join(chunk.text.split()) for quote in quotes)
        places.append(f"{'★ ' * is_gold}{place}. {chunk.document_id}{' (not read)' * (place > read)}")
    facts = "; ".join(" or ".join(variants) for variants in question.key_facts) or "that there is no answer"
    asker = ", ".join(question.asked_by)
    fields = {"must state": facts, "asked by": asker, "evidence": evidence, "retrieved": places, "answer": answer}
    return Card(f"{question.id} · {question.category} · {question.text}", fields, {"diagnosis": diagnosis})


def as_html(cards: Sequence[Card], *, open_first: int = 1, height_px: int = 430) -> str:
    """The cards as one HTML element; every text is escaped, and a line that begins with ★ is highlighted."""
    parts = []
    for number, card in enumerate(cards):
        body = "".join(_paragraph(name, value) for name, value in card.fields.items())
        for name, value in card.hidden.items():
            body += f"<details style='margin:.3em 1.2em'><summary>{escape(name)}</summary>{escape(value)}</details>"
        opened = " open" if number < open_first else ""
        summary = f"<summary>{number + 1}. {escape(card.title)}</summary>"
        parts.append(f"<details{opened} style='border-top:1px solid #ddd;padding:.2em'>{summary}{body}</details>")
    return f"<div style='max-height:{height_px}px;overflow:auto;text-align:left'>{''.join(parts)}</div>"


def show(cards: Sequence[Card], *, open_first: int = 1, height_px: int = 430) -> None:
    """Display the cards."""
    from IPython.display import HTML, display

    display(HTML(as_html(cards, open_first=open_first, height_px=height_px)))


def _paragraph(name: str, value: str | Sequence[str]) -> str:
    lines = [value] if isinstance(value, str) else list(value)
    shown = "<br>".join(_line(line) for line in lines)
    return f"<p style='margin:.3em 1.2em'><b>{escape(name)}:</b> {'<br>' if len(lines) > 1 else ''}{shown}</p>"


def _line(text: str) -> str:
    short = escape(text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 1] + "…")
    return f"<span style='background:#ffe3c2'>{short}</span>" if text.startswith("★") else short
