"""all-MiniLM-L6-v2 (Wang et al. 2020; sentence-transformers), quantised to int8, run by onnxruntime.

One vector per text, and one per word piece of a text read as a whole. The published graph gives only the first; the second
is its last hidden layer, made an output by appending a few bytes: parts of a protobuf message that are written one after the
other are merged (Protocol Buffers, "Encoding: Last One Wins"), so no second copy of the model and no ONNX package is needed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "data" / "minilm-l6-v2-int8"
DIMENSIONS = 384
WINDOW = 256  # word pieces, the two markers at the ends included

_LAST_LAYER = b"LayerNormalization_214"  # [1, pieces, 384]; their mean, scaled to length 1, is `embedding`
_GRAPH, _OUTPUT, _NAME = 7, 12, 1  # field numbers of ModelProto.graph, GraphProto.output, ValueInfoProto.name

Vectors = NDArray[np.float32]


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
        extra = _field(_GRAPH, _field(_OUTPUT, _field(_NAME, _LAST_LAYER)))
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
            out[i] = self._run("embedding", self._parts[1].encode(text).ids)
        return normalise(out)

    def read(self, text: str) -> tuple[Vectors, NDArray[np.int64]]:
        """Every word piece in its context: vectors float32 [pieces, 384], not scaled, and where they stand [pieces, 2].

        At most the first 254 pieces; positions are the first character and the one after the last.
        """
        encoding = self._parts[1].encode(text.encode("utf-8", "replace").decode())  # half a character is read as "?"
        layer = self._run(_LAST_LAYER.decode(), encoding.ids)
        return layer[1:-1], np.array(encoding.offsets[1:-1], dtype=np.int64).reshape(-1, 2)

    def _run(self, output: str, pieces: Sequence[int]) -> Vectors:
        ids = np.array([pieces], dtype=np.int64)
        found: Vectors = self._parts[0].run([output], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0]
        return found


def normalise(vectors: Vectors) -> Vectors:
    """Scale rows [n, d] to length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.where(lengths == 0, 1.0, lengths)).astype(np.float32)
    return scaled


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited protobuf field whose number and length take one byte each."""
    return bytes([number << 3 | 2, len(payload)]) + payload
