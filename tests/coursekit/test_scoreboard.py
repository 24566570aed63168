"""The scoreboard judges answers by their key facts and keeps one measured row per module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from coursekit import corpus, manifest, scoreboard, settings
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
    "text", ["I don't know.", "This is not stated in the context.", "There is no information on that."]
)
def test_an_abstention_is_recognised(text: str) -> None:
    assert scoreboard.abstains(text)


@pytest.mark.parametrize("text", ["The limit is 15.", "Do not restart it.", "Nobody knows the default, it is 3."])
def test_an_answer_is_not_an_abstention(text: str) -> None:
    assert not scoreboard.abstains(text)


def test_a_perfect_system_scores_one_and_a_mute_one_zero(where: settings.Settings) -> None:
    library = corpus.load()
    questions = library.questions(split="dev")

    def perfect(text: str) -> Answer:
        question = next(q for q in questions if q.text == text)
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
