"""all-MiniLM-L6-v2 (Wang et al. 2020; sentence-transformers), quantised to int8, run by onnxruntime.

One vector per text, and one per word piece of a text read as a whole. The published graph gives only the first; the second
are its last two hidden layers, made outputs by appending a few bytes: parts of a protobuf message that are written one after
the other are merged (Protocol Buffers, "Encoding: Last One Wins"), so no second copy of the model and no ONNX package is needed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "data" / "minilm-l6-v2-int8"
DIMENSIONS = 384
WINDOW = 256  # word pieces, the two markers at the ends included

_LAYERS = (
    "LayerNormalization_180",
    "LayerNormalization_214",
)  # the last two, [1, pieces, 384]; the last one's mean is `embedding`
_GRAPH, _OUTPUT, _NAME = 7, 12, 1  # field numbers of ModelProto.graph, GraphProto.output, ValueInfoProto.name

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """A text as the model reads it: its first 254 word pieces.

    Attributes:
        fifth, sixth: the pieces in their context after the last two layers, [pieces, 384], not scaled.
        spans: where they stand: the first character and the one after the last, [pieces, 2].
        ranks: their places in the vocabulary, which is ordered by frequency, [pieces].
        words: the pieces of each word.
    """

    fifth: Vectors
    sixth: Vectors
    spans: NDArray[np.int64]
    ranks: NDArray[np.int64]
    words: tuple[tuple[int, ...], ...]


class MiniLM:
    """The model (loads in about 0.2 s, on first use).

    Texts run one by one. Dynamic quantisation scales by the whole batch, so in a batch a vector would depend on its
    neighbours (cosine down to 0.989); on a CPU batches are no faster, measured at 1, 4 and 32.
    """

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        import onnxruntime
        from tokenizers import Tokenizer as RustTokenizer

        onnxruntime.set_default_logger_severity(3)  # errors only: notes on the hardware would land on stderr
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(2, os.cpu_count() or 1)
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        extra = _field(_GRAPH, b"".join(_field(_OUTPUT, _field(_NAME, name.encode())) for name in _LAYERS))
        graph = (FOLDER / "model.onnx").read_bytes() + extra
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        tokenizer = RustTokenizer.from_file(str(FOLDER / "tokenizer.json"))
        tokenizer.enable_truncation(WINDOW)
        tokenizer.no_padding()
        return session, tokenizer

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of texts, float32 [texts, 384]; what stands after the first 256 word pieces is ignored."""
        out = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        for i, text in enumerate(texts):
            out[i] = self._run(["embedding"], self._parts[1].encode(text).ids)[0]
        return normalise(out)

    def read(self, text: str) -> Reading:
        """Every word piece of a text in its context."""
        encoding = self._parts[1].encode(text.encode("utf-8", "replace").decode())  # half a character is read as "?"
        fifth, sixth = (layer[1:-1] for layer in self._run(_LAYERS, encoding.ids))
        words: dict[int, list[int]] = {}
        for piece, word in enumerate(encoding.word_ids[1:-1]):
            words.setdefault(word, []).append(piece)
        return Reading(
            fifth,
            sixth,
            np.array(encoding.offsets[1:-1], dtype=np.int64).reshape(-1, 2),
            np.array(encoding.ids[1:-1], dtype=np.int64),
            tuple(map(tuple, words.values())),
        )

    def _run(self, outputs: Sequence[str], pieces: Sequence[int]) -> list[Vectors]:
        ids = np.array([pieces], dtype=np.int64)
        found = self._parts[0].run(list(outputs), {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return [output[0] for output in found]


def normalise(vectors: Vectors) -> Vectors:
    """Scale rows [n, d] to length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.where(lengths == 0, 1.0, lengths)).astype(np.float32)
    return scaled


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited protobuf field whose number and length take one byte each."""
    return bytes([number << 3 | 2, len(payload)]) + payload
