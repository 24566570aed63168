"""What a judge sees: words paired by meaning, exclusive words, measures in one spelling, the kind of thing a question wants."""

from __future__ import annotations

import numpy as np
import pytest

from simllm.embeddings import MINILM, Embedder
from simllm.schema import ReplyFormat
from simllm.skills.brief import Brief
from simllm.skills.classification import read_labels
from simllm.skills.exclusive import exclusive
from simllm.skills.pairing import EXCLUDED, Reading, pair
from simllm.skills.plain_measures import plain_measures
from simllm.skills.signals import of_candidate, of_claim
from simllm.skills.wanted import provides
from simllm.skills.weights import WEIGHTS
from simllm.skills.words import stem
from simllm.tokenizer import default_tokenizer


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(default_tokenizer())


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        ("It polls four times a minute.", "It polls every 15 seconds."),
        ("Four times a year.", "every 3 months."),
        ("It takes 3 hours and 20 minutes.", "It takes 200 minutes."),
        ("About two fifths of it.", "About 40 percent of it."),
        ("About fifteen hundred came.", "About 1500 came."),
        ("Once a day, every night.", "daily, nightly."),
        ("Zero times a day.", "Zero times a day."),
        ("Nothing to count here.", "Nothing to count here."),
    ],
)
def test_measures_get_one_spelling(said: str, plain: str) -> None:
    assert plain_measures(said) == plain


def test_members_of_a_closed_class_and_opposites_exclude_each_other() -> None:
    for one, other in (("Monday", "Friday"), ("red", "green"), ("keeps", "deletes"), ("usual", "unusual")):
        assert exclusive(stem(one.lower()), stem(other.lower()))
    assert not exclusive(stem("monday"), stem("red"))
    assert not exclusive(stem("dog"), stem("dog"))


def test_words_have_a_vector_for_their_context_and_a_rank(embedder: Embedder) -> None:
    words = {word.text: word for word in embedder.words("The river bank flooded, the bank paid.")}
    assert words["flooded"].start == 15
    assert words["the"].rank < words["bank"].rank < words["flooded"].rank
    assert np.linalg.norm(words["bank"].vector) == pytest.approx(1.0, abs=1e-5)
    assert embedder.words("") == ()


def test_reading_words_leaves_sentence_vectors_as_they_are(embedder: Embedder) -> None:
    before = Embedder(default_tokenizer()).embed(["A reset erases the schedules."], MINILM)
    embedder.words("A reset erases the schedules.")
    assert np.array_equal(before, embedder.embed(["A reset erases the schedules."], MINILM))


def test_a_word_pairs_with_the_one_that_means_the_same(embedder: Embedder) -> None:
    mine, theirs = Reading("The files are erased.", embedder), Reading("All files are deleted on Monday.", embedder)
    table = pair(mine, theirs)
    assert table.shape == (2, 3)
    assert table[0, 0] == 1.0
    assert table[1].argmax() == 1
    assert table[1, 1] > 0.5


def test_numbers_pair_by_value_and_unit_and_opposites_hardly(embedder: Embedder) -> None:
    table = pair(Reading("90 minutes, closed", embedder), Reading("1.5 hours, open, 90 seconds", embedder))
    assert table[0].tolist() == [1.0, 0.0, 0.0]
    assert EXCLUDED in table[1]


def test_without_embeddings_only_equal_stems_pair() -> None:
    table = pair(Reading("files erased", None), Reading("file deleted", None))
    assert table.tolist() == [[1.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("with_embedder", [True, False])
@pytest.mark.parametrize(("claim", "source"), [("", "Some text."), ("Some claim.", ""), ("?!", "..."), ("x", "x")])
def test_odd_texts_have_signals_too(embedder: Embedder, claim: str, source: str, with_embedder: bool) -> None:
    reads_with = embedder if with_embedder else None
    for seen in (of_claim(claim, source, reads_with), of_candidate("", source, claim, reads_with)):
        assert all(np.isfinite(value) for value in seen.values.values())


def test_a_long_source_is_read_where_it_speaks_of_the_claim(embedder: Embedder) -> None:
    filler = " ".join(
        f"The {word} was painted in spring." for word in ("door", "gate", "roof", "fence", "wall", "shed", "barn")
    )
    seen = of_claim("The pump costs 80 euro.", f"{filler} The pump costs 90 euro. {filler}", embedder)
    assert seen.values["number"] == 1.0
    assert "90" in seen.sentence


@pytest.mark.parametrize(
    ("question", "text", "has"),
    [
        ("When does it open?", "It opens at 9:00.", 1.0),
        ("When does it open?", "It is a nice place.", 0.0),
        ("How many seats are there?", "There are 40 seats.", 1.0),
        ("How many seats has hall 3?", "Hall 3 is on the left.", 0.0),
        ("Who built it?", "It was built by Nora Lind.", 1.0),
        ("Who built Cape Orm?", "It stands at Cape Orm.", 0.0),
        ("Tell me about it.", "It is a nice place.", 0.5),
    ],
)
def test_a_text_has_the_kind_of_thing_that_a_question_wants(question: str, text: str, has: float) -> None:
    assert provides(question, text) == has


def test_what_speaks_for_an_answer_never_counts_against_it() -> None:
    for reader in WEIGHTS.values():
        assert set(reader) == {"claim", "passage", "right", "partly"}
        for weights in reader.values():
            assert all(
                weights.get(name, 0.0) >= 0 for name in ("mean", "near", "least", "similar", "asked", "recall mean")
            )
            assert all(weights.get(name, 0.0) <= 0 for name in ("number", "against", "foreign", "mixed", "denied"))


@pytest.mark.parametrize(
    ("instructions", "labels"),
    [
        ("Labels:\n- politics\n- sports\n- culture", {"politics": "", "sports": "", "culture": ""}),
        (
            'card - lost cards\nloan - money\n\nReturn JSON: {"category": "..."}',
            {"card": "lost cards", "loan": "money"},
        ),
        ("- return: goods sent back\n- invoice: bills", {"return": "goods sent back", "invoice": "bills"}),
    ],
)
def test_labels_are_read_line_by_line_and_instructions_are_none(instructions: str, labels: dict[str, str]) -> None:
    assert read_labels(Brief(instructions, ()), ReplyFormat("text")) == labels
