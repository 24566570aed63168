"""Cards to read one by one."""

from __future__ import annotations

from types import SimpleNamespace

from coursekit import corpus, reading


def test_a_card_escapes_what_it_shows_and_highlights_what_is_marked() -> None:
    card = reading.Card("<q1>", {"retrieved": ["1. <b>", "★ 2. right"], "answer": "x" * 700}, {"diagnosis": "a & b"})
    text = reading.as_html([card])
    assert "&lt;q1&gt;" in text and "&lt;b&gt;" in text and "a &amp; b" in text and "<b>x" not in text
    assert "<span style='background:#ffe3c2'>★ 2. right</span>" in text
    assert "x" * (reading.MAX_CHARS - 1) + "…" in text and "x" * reading.MAX_CHARS not in text


def test_only_the_first_cards_are_open() -> None:
    cards = [reading.Card(str(number), {}) for number in range(4)]
    assert reading.as_html(cards, open_first=2).count("<details open") == 2
    assert reading.as_html(cards).count("<details open") == 1
    assert reading.as_html([]).startswith("<div")


def test_a_failed_answer_marks_the_evidence_and_what_was_not_read() -> None:
    question = next(question for question in corpus.load().golden if question.passage is not None)
    assert question.passage is not None
    chunks = [
        SimpleNamespace(document_id="other", text="x"),
        SimpleNamespace(document_id="right", text=question.passage.quote),
    ]
    card = reading.failed_answer(question, chunks, read=1, answer="no", diagnosis="bad rank", access={"x": ["all"]})
    assert card.fields["retrieved"] == ["1. other", "★ 2. right (not read)"]
    assert card.hidden == {"diagnosis": "bad rank"}
    assert card.fields["evidence"][0].startswith(f"{question.passage.document} (not stored): ")
    labelled = reading.failed_answer(
        question, chunks, read=1, answer="no", diagnosis="bad rank", access={question.passage.document: ["a", "b"]}
    )
    assert labelled.fields["evidence"][0].startswith(f"{question.passage.document} (a, b): ")
    assert labelled.fields["asked by"] == ", ".join(question.asked_by)
