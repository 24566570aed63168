"""The tokenizer is the real one, and text survives it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from simllm.tokenizer import END, TOKENIZER_FILE, default_tokenizer

REAL = Tokenizer.from_file(str(TOKENIZER_FILE))
REAL.encode_special_tokens = True
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2581"), max_size=60)


@settings(max_examples=150, deadline=None)
@given(TEXTS | st.lists(TEXTS, max_size=5).map("\n".join))
def test_encoding_line_by_line_equals_encoding_the_whole(text: str) -> None:
    assert default_tokenizer().encode(text) == REAL.encode(text, add_special_tokens=False).ids


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_decoding_restores_the_text(text: str) -> None:
    tokenizer = default_tokenizer()
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert "".join(tokenizer.decode_steps(tokens)) == text


def test_special_tokens_in_text_are_ordinary_characters() -> None:
    tokens = default_tokenizer().encode("a </s> b")
    assert END not in tokens
    assert default_tokenizer().decode(tokens) == "a </s> b"


def test_a_chat_costs_four_tokens_a_message_and_three_for_the_reply() -> None:
    tokenizer = default_tokenizer()
    texts = ["You are kind.", "Hello there!"]
    assert tokenizer.count_chat(texts) == sum(len(tokenizer.encode(t)) for t in texts) + 2 * 4 + 3
