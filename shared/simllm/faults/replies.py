"""Faults of the model behind the API: words put into its mouth, vectors that changed overnight."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from simllm.catalogue import CARDS
from simllm.faults.base import CHAT_PATH, EMBEDDINGS_PATH, Effect, check_choice, check_int


@dataclass(frozen=True)
class Reply(Effect):
    """The next chat completion says this, word for word, whatever was asked.

    Attributes:
        text: the words.
        finish_reason: "stop", "length" or "content_filter".
    """

    kind = "reply"
    paths = (CHAT_PATH,)
    FINISH_REASONS: ClassVar = ("stop", "length", "content_filter")
    text: str = ""
    finish_reason: str = "stop"

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text:
            raise ValueError("a reply needs a 'text', the words that the model is to say")
        check_choice("finish_reason", self.finish_reason, self.FINISH_REASONS)


@dataclass(frozen=True)
class EmbeddingChanged(Effect):
    """The vectors come from another model under the name that was asked for.

    Attributes:
        model: a model of the catalogue that answers instead: another dimension, or another space. None: the same
            vectors in another basis, as after retraining: same dimension, same distances among themselves, but
            no relation to vectors that were stored before.
        basis: picks that other basis.
    """

    kind = "embedding_changed"
    paths = (EMBEDDINGS_PATH,)
    model: str | None = None
    basis: int = 1

    def __post_init__(self) -> None:
        offered = tuple(card.id for card in CARDS if card.kind == "embedding")
        if self.model is not None:
            check_choice("model", self.model, offered)
        check_int("basis", self.basis, 0, 10**9)

    def request(self, data: dict[str, Any]) -> dict[str, Any]:
        if self.model is None:
            return data
        return {name: value for name, value in data.items() if name != "dimensions"} | {"model": self.model}

    def body(self, body: dict[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
        if self.model is not None:
            return body | {"model": data.get("model")}
        items = [item | {"embedding": self._turn(item["embedding"])} for item in body["data"]]
        return body | {"data": items}

    def _turn(self, vector: str | list[float]) -> str | list[float]:
        """The vector in another basis: its coordinates permuted, half of the signs flipped."""
        import numpy as np

        if isinstance(vector, str):
            values = np.frombuffer(base64.b64decode(vector), dtype="<f4")
        else:
            values = np.asarray(vector, dtype="<f4")
        chance = np.random.default_rng(self.basis)
        turned = values[chance.permutation(len(values))] * chance.choice(np.array([-1, 1], dtype="<f4"), len(values))
        if isinstance(vector, str):
            return base64.b64encode(turned.astype("<f4").tobytes()).decode()
        return [float(value) for value in turned]
