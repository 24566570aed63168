"""Embeddings over HTTP, and the cache under them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from simllm.embeddings import MINILM, WORDLLAMA, Embedder
from simllm.tokenizer import default_tokenizer
from simllm.vector_cache import FILE_NAME, VectorCache

TEXTS = ["A cat sleeps on the sofa.", "A kitten naps on the couch.", "Interest rates rose again."]


def vectors(client: Any, **options: Any) -> np.ndarray[Any, Any]:
    reply = client.embeddings.create(**({"model": MINILM, "input": TEXTS} | options))
    return np.array([item.embedding for item in reply.data])


@pytest.mark.parametrize(("model", "dimensions"), [(MINILM, 384), (WORDLLAMA, 256), ("wordllama-64", 64)])
def test_vectors_have_length_one_and_know_what_is_similar(client: openai.OpenAI, model: str, dimensions: int) -> None:
    found = vectors(client, model=model)
    assert found.shape == (3, dimensions)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.2


def test_base64_is_the_clients_default_and_equals_floats(client: openai.OpenAI) -> None:
    assert vectors(client) == pytest.approx(vectors(client, encoding_format="float"), abs=1e-7)


def test_a_string_strings_and_token_lists_mean_the_same(client: openai.OpenAI) -> None:
    tokens = [default_tokenizer().encode(text) for text in TEXTS]
    expected = vectors(client)
    assert vectors(client, input=tokens) == pytest.approx(expected)
    assert vectors(client, input=tokens[0]) == pytest.approx(expected[:1])
    assert vectors(client, input=TEXTS[0]) == pytest.approx(expected[:1])


def test_usage_counts_tokens(client: openai.OpenAI) -> None:
    usage = client.embeddings.create(model=WORDLLAMA, input=TEXTS).usage
    assert usage.prompt_tokens == usage.total_tokens == sum(map(default_tokenizer().count, TEXTS))


def test_shorter_vectors_are_cut_and_renormalised(client: openai.OpenAI) -> None:
    full, short = vectors(client, model=WORDLLAMA), vectors(client, model=WORDLLAMA, dimensions=64)
    assert short == pytest.approx(full[:, :64] / np.linalg.norm(full[:, :64], axis=1, keepdims=True), abs=1e-5)


def test_wordllama_64_is_a_model_of_its_own_with_the_first_64_dimensions(client: openai.OpenAI) -> None:
    small, cut = vectors(client, model="wordllama-64"), vectors(client, model=WORDLLAMA, dimensions=64)
    assert small == pytest.approx(cut, abs=1e-5)


def test_token_lists_are_billed_by_the_tokens_that_were_sent(client: openai.OpenAI) -> None:
    lists: Any = [[1, 2, 3], [450]]
    assert client.embeddings.create(model="wordllama-256", input=lists).usage.prompt_tokens == 4


def test_a_single_input_is_called_input_in_errors(raw: Any) -> None:
    for value, param in (("", "input"), ([""], "input[0]"), ([5, "a"], "input")):
        status, _, reply = raw("POST", "/v1/embeddings", {"model": MINILM, "input": value})
        assert (status, reply["error"]["param"]) == (400, param)


@pytest.mark.parametrize("model", [MINILM, "wordllama-64"])
def test_a_model_of_one_size_refuses_dimensions_in_the_real_words(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError, match="This model does not support specifying dimensions."):
        vectors(client, model=model, dimensions=64)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"dimensions": 128}, "dimensions"),
        ({"input": ["a", "  "]}, "input[1]"),
        ({"input": []}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": [[-1]]}, "input[0]"),
        ({"input": [[]]}, "input[0]"),
        ({"input": {"text": "a"}}, "input"),
        ({"input": ["word " * 9000]}, "input"),
        ({"encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_bad_input_is_refused_by_name(raw: Any, change: dict[str, Any], param: str) -> None:
    status, _, reply = raw("POST", "/v1/embeddings", {"model": MINILM, "input": "a"} | change)
    assert (status, reply["error"]["param"]) == (400, param)


def test_minilm_reads_only_the_first_256_word_pieces(client: openai.OpenAI) -> None:
    start = "harbour " * 300
    same, other = vectors(client, input=[start + "tax law", start + "jazz music"])
    assert same @ other == pytest.approx(1, abs=1e-5)


def test_a_vector_does_not_depend_on_its_neighbours() -> None:
    embedder = Embedder(default_tokenizer())
    together = embedder.embed(TEXTS)
    alone = np.stack([Embedder(default_tokenizer()).embed([text])[0] for text in TEXTS])
    assert np.array_equal(together, alone)


def test_wordllama_equals_its_own_library() -> None:
    script = (
        "import wordllama, pathlib, json, sys\n"
        "home = pathlib.Path(wordllama.__file__).parent\n"
        "model = wordllama.WordLlama.load(cache_dir=home, disable_download=True)\n"
        "json.dump(model.embed(json.loads(sys.argv[1]), norm=True).tolist(), sys.stdout)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, json.dumps(TEXTS)], capture_output=True, text=True, timeout=60, check=True
    )
    ours = Embedder(default_tokenizer()).embed(TEXTS, WORDLLAMA)
    assert ours == pytest.approx(np.array(json.loads(out.stdout)), abs=1e-5)


_WORKER = """
import sys
from pathlib import Path
from simllm.vector_cache import VectorCache
import numpy as np
cache = VectorCache(Path(sys.argv[1]))
for i in range(40):
    cache.put({bytes([int(sys.argv[2]), i]) * 16: np.full(384, i, dtype=np.float32)})
    assert cache.get([bytes([int(sys.argv[2]), i]) * 16])
"""


def test_two_processes_share_the_cache(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", _WORKER, str(tmp_path), str(n)], stderr=subprocess.PIPE) for n in (1, 2)
    ]
    assert [(w.communicate(timeout=60)[1], w.returncode) for w in workers] == [(b"", 0), (b"", 0)]
    cache = VectorCache(tmp_path)
    assert len(cache.get([bytes([n, i]) * 16 for n in (1, 2) for i in range(40)])) == 80
    cache.close()


def test_the_cache_is_filled_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Embedder(default_tokenizer(), tmp_path)
    expected = first.embed(TEXTS)
    first.close()
    second = Embedder(default_tokenizer(), tmp_path, read_only=True)
    monkeypatch.setattr("simllm.embeddings.MiniLM.encode", None)  # any computation would now fail
    assert np.array_equal(second.embed(TEXTS), expected)
    second.close()


def test_a_read_only_cache_writes_nothing(tmp_path: Path) -> None:
    embedder = Embedder(default_tokenizer(), tmp_path / "absent", read_only=True)
    assert embedder.embed(["x"]).shape == (1, 384)
    embedder.close()
    assert not list(tmp_path.iterdir())


def test_a_corrupt_cache_is_moved_aside_and_rebuilt(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database " * 500)
    embedder = Embedder(default_tokenizer(), tmp_path)
    expected = embedder.embed(["x"])
    embedder.close()
    assert "corrupt" in caplog.text
    assert list(tmp_path.glob("*.corrupt-*"))
    again = Embedder(default_tokenizer(), tmp_path)
    assert np.array_equal(again.embed(["x"]), expected)
    again.close()
