"""The scoreboard judges answers by their key facts and keeps one measured row per module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from coursekit import corpus, manifest, scoreboard, scoreboard_page, settings
from coursekit.errors import CourseError
from coursekit.scoreboard import Answer, Row


@pytest.mark.parametrize(
    ("text", "facts", "right"),
    [
        ("Wait 15 minutes.", [["15 minutes", "15 min"]], True),
        ("Wait 150 minutes.", [["15"]], False),
        ("wait 15  MIN", [["15 minutes", "15 min"]], True),
        ("Restart it.", [["restart"], ["twice"]], False),
        ("HBL-4127 means expired", [["HBL-4127"]], True),
        ("HBL-41270", [["HBL-4127"]], False),
    ],
)
def test_key_facts_are_whole_words_in_any_accepted_variant(text: str, facts: list[list[str]], right: bool) -> None:
    assert scoreboard.states_key_facts(text, facts) is right


@pytest.mark.parametrize(
    "text",
    [
        "I don't know.",
        "This is not stated in the context.",
        "There is no information on that.",
        "Sorry. I cannot find that in the sources.",
        "The documents do not cover pensions, so I cannot say. They speak of holidays, of sick leave and of the canteen [2].",
        "Unfortunately there is no answer to your question. Please ask somebody else.",
    ],
)
def test_an_abstention_is_recognised(text: str) -> None:
    assert scoreboard.abstains(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The limit is 15.",
        "Do not restart it.",
        "Nobody knows the default, it is 3.",
        'The bell rings at noon. When the keeper is ill, say "I don\'t know" to visitors and call the office in town.',
        "The receipt does not state the weight [1]. The weight stands on the crate: 40 kg for oak and 25 kg for pine.",
        "Seven days.\n\nNo information is kept longer than that, because the shelves in the cellar are full.",
    ],
)
def test_an_answer_is_not_an_abstention(text: str) -> None:
    assert not scoreboard.abstains(text)


def test_a_perfect_system_scores_one_and_a_mute_one_zero(where: settings.Settings) -> None:
    library = corpus.load()
    questions = library.questions(split="dev")

    def perfect(question: corpus.Question) -> Answer:
        grades = library.qrels.get(question.id, {})
        facts = ". ".join(variants[0] for variants in question.key_facts) if question.answerable else "I do not know."
        return Answer(facts, sorted(grades, key=lambda doc: -grades[doc]), 0.001)

    best = scoreboard.row(scoreboard.judge(perfect, questions), library)
    assert (best.answered_correctly, best.abstained_rightly) == (1, 1)
    assert best.ndcg_at_10 == pytest.approx(1)
    assert best.usd_per_1000_questions == pytest.approx(1)
    mute = scoreboard.row(scoreboard.judge(lambda _: Answer("", [], 0), questions), library)
    assert (mute.recall_at_5, mute.ndcg_at_10, mute.answered_correctly, mute.abstained_rightly) == (0, 0, 0, 0)


def test_rows_come_back_in_the_order_of_the_modules(small_course: Callable[..., Path]) -> None:
    root = small_course()
    rows = {m.id: Row(0.5, None, 0.1 * n, None, 10, 0.2) for n, m in enumerate(manifest.load(root).modules)}
    for module_id in reversed(list(rows)):
        scoreboard.record(module_id, rows[module_id])
    table = scoreboard.table()
    assert list(table.index) == list(rows)
    assert table.loc["a2_second", "answered correctly"] == pytest.approx(0.1)


def test_a_row_says_how_sure_it_is_and_where_the_time_went(where: settings.Settings) -> None:
    library = corpus.load()

    def ask(question: corpus.Question) -> Answer:
        stages = scoreboard.Stages()
        with stages("retrieve"), stages("inner"):
            pass
        return Answer("I do not know.", [], 0.002, 120, stages.ms)

    row = scoreboard.row(scoreboard.judge(ask, library.questions(split="dev")), library)
    assert row.abstained_rightly == 1 and row.intervals["abstained_rightly"] == pytest.approx((1, 1))
    assert set(row.stages_p95_ms) == {"retrieve", "inner"} and row.tokens_per_question == 120
    assert (row.split, row.questions) == ("dev", len(library.questions(split="dev")))


def test_the_questions_are_a_sample_or_the_split_that_the_command_asks_for(
    where: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = corpus.load()
    few = scoreboard.questions(library)
    assert {question.split for question in few} == {"dev"} and len(few) < 30
    monkeypatch.setenv("COURSE_SCOREBOARD", "test")
    assert scoreboard.questions(library) == list(library.questions("test"))
    monkeypatch.setenv("COURSE_SCOREBOARD", "all")
    with pytest.raises(CourseError, match="Allowed: dev, test"):
        scoreboard.questions(library)


def test_the_page_holds_every_row_with_its_interval(small_course: Callable[..., Path]) -> None:
    root = small_course()
    rows = {
        m.id: asdict(Row(0.5, None, 0.25, 1.0, 10, 0.2, 900, {"embed": 3.0}, {"recall_at_5": (0.4, 0.6),
        "answered_correctly": (0.2, 0.3), "abstained_rightly": (1, 1)}, 20, "dev"))
        for m in manifest.load(root).modules
    }  # fmt: skip
    text = scoreboard_page.markdown(rows, "dev", "c" * 64)
    assert "0.50 [0.40, 0.60]" in text and "embed 3" in text and "20 questions of the dev split" in text
    assert len(scoreboard_page.draw(rows).axes) == 2
