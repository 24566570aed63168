"""An n-gram language model over BPE tokens, with absolute-discounting backoff.

Contexts of three, two and one tokens are interpolated down to a unigram floor (Ney, Essen and Kneser 1994; the
floor keeps the `FLOOR` commonest tokens). It is trained at start from plain text: the language reference that
every Python carries, plus the caller's own folder. It knows what text sounds like, not what is true.
The trained arrays are cached on disk under a hash of the text. Storage lives in `language_cache`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simllm import language_cache
from simllm.sampling import Distribution
from simllm.tokenizer import END, Tokenizer

ORDER = 3  # tokens of context
FLOOR = 512  # unigrams kept under every context
KEPT = 64  # continuations kept per context
DISCOUNT = 0.75  # count mass taken from each seen continuation and given to shorter contexts
BITS = 15  # 32,000 tokens fit in 15 bits, so a context of three fits in one int64
TEXT_SUFFIXES = (".md", ".txt", ".rst")


@dataclass(frozen=True)
class Level:
    """All contexts of one length: continuations of context i stand at offsets[i]:offsets[i + 1].

    keys [c] int64 sorted; offsets [c + 1] int64; ids [t] int64; probs [t] float64 already discounted;
    backoff [c] float64, the mass left to the next shorter context.
    """

    keys: NDArray[np.int64]
    offsets: NDArray[np.int64]
    ids: NDArray[np.int64]
    probs: NDArray[np.float64]
    backoff: NDArray[np.float64]


class LanguageModel:
    """Next-token distributions for any context, including an empty one."""

    def __init__(self, floor_ids: NDArray[np.int64], floor_probs: NDArray[np.float64], levels: Sequence[Level]) -> None:
        self.floor_ids = floor_ids
        self.floor_probs = floor_probs
        self.levels = tuple(levels)  # levels[0] has contexts of one token
        size = int(max([floor_ids.max(), *(level.ids.max() for level in levels if len(level.ids))])) + 1
        self._floor_position = np.full(size, -1, dtype=np.int64)
        self._floor_position[floor_ids] = np.arange(len(floor_ids))
        self._next = lru_cache(maxsize=4_096)(self._compute)

    def next(self, context: Sequence[int]) -> Distribution:
        """Distribution of the token that follows `context` (only the last three tokens count).

        The arrays are shared: copy before changing them.
        """
        return self._next(tuple(context[-ORDER:]))

    def _compute(self, context: tuple[int, ...]) -> Distribution:
        ids, probs = self.floor_ids, self.floor_probs
        for length in range(1, len(context) + 1):
            level = self.levels[length - 1]
            key = pack(context[-length:])
            index = int(np.searchsorted(level.keys, key))
            if index == len(level.keys) or level.keys[index] != key:
                break  # a longer context cannot have been seen either
            start, stop = level.offsets[index], level.offsets[index + 1]
            ids, probs = self._blend(ids, probs * level.backoff[index], level.ids[start:stop], level.probs[start:stop])
        return Distribution(ids, probs)

    def _blend(
        self,
        ids: NDArray[np.int64],
        probs: NDArray[np.float64],
        seen_ids: NDArray[np.int64],
        seen_probs: NDArray[np.float64],
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Add the seen continuations to a scaled shorter-context distribution."""
        position = self._floor_position[seen_ids]
        extra = np.flatnonzero(position < 0)
        tail = ids[len(self.floor_ids) :]
        if len(tail):  # continuations outside the floor that a shorter context already brought in
            where = {int(token): len(self.floor_ids) + i for i, token in enumerate(tail)}
            for i in extra:
                position[i] = where.get(int(seen_ids[i]), -1)
            extra = np.flatnonzero(position < 0)
        known = position >= 0
        probs[position[known]] += seen_probs[known]
        if len(extra):
            return np.concatenate([ids, seen_ids[extra]]), np.concatenate([probs, seen_probs[extra]])
        return ids, probs


def pack(context: Sequence[int]) -> int:
    """A context of up to three token ids as one integer."""
    key = 0
    for token in context:
        key = (key << BITS) | token
    return key


def train(paragraphs: Iterable[Sequence[int]]) -> LanguageModel:
    """Count n-grams in tokenized paragraphs; the END token stands between them.

    Raises:
        ValueError: there is no text at all.
    """
    stream = np.fromiter((t for p in paragraphs for t in (END, *p)), dtype=np.int64)
    if not len(stream):
        raise ValueError("there is no text to train the language model on; give a folder with .md or .txt files")
    counts = np.bincount(stream)
    counts[END] = 0  # a text ends where its n-grams say so, never by default
    order = np.argsort(-counts, kind="stable")[:FLOOR]
    order = order[counts[order] > 0]
    floor = counts[order] / counts[order].sum()
    return LanguageModel(order.astype(np.int64), floor, [_count_level(stream, n) for n in range(1, ORDER + 1)])


def _count_level(stream: NDArray[np.int64], length: int) -> Level:
    key = np.zeros(max(len(stream) - length, 0), dtype=np.int64)
    inside = np.ones(len(key), dtype=bool)
    for offset in range(length):
        part = stream[offset : len(stream) - length + offset]
        key = (key << BITS) | part
        if offset:  # contexts may start with END (a paragraph's start) but never run over it
            inside &= part != END
    grams, counts = np.unique((key[inside] << BITS) | stream[length:][inside], return_counts=True)
    contexts, nexts = grams >> BITS, grams & ((1 << BITS) - 1)
    order = np.lexsort((nexts, -counts, contexts))
    contexts, nexts, counts = contexts[order], nexts[order], counts[order]
    keys, first = np.unique(contexts, return_index=True)
    owner = np.repeat(np.arange(len(keys)), np.diff(np.append(first, len(contexts))))
    totals = np.bincount(owner, weights=counts, minlength=len(keys))
    kept = np.arange(len(contexts)) - first[owner] < KEPT
    nexts, counts, owner = nexts[kept], counts[kept], owner[kept]
    probs = ((counts - DISCOUNT) / totals[owner]).astype(np.float64)
    backoff = (1.0 - np.bincount(owner, weights=probs, minlength=len(keys))).astype(np.float64)
    offsets = np.append(0, np.cumsum(np.bincount(owner, minlength=len(keys))))
    return Level(keys, offsets.astype(np.int64), nexts, probs, backoff)


def read_paragraphs(folders: Sequence[Path]) -> list[str]:
    """Paragraphs of Python's own language reference and of every text file under the folders, unwrapped.

    Raises:
        FileNotFoundError: a folder does not exist.
    """
    from pydoc_data.topics import topics

    texts = [topics[name] for name in sorted(topics)]
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"text folder not found: {folder}; give a folder that holds .md or .txt files")
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in TEXT_SUFFIXES and p.is_file())
        texts += [file.read_text(encoding="utf-8", errors="replace") for file in files]
    blocks = (block for text in texts for block in text.split("\n\n"))
    paragraphs = (" ".join(block.split()) for block in blocks if not set(block.strip()) <= set("*=-~^ \n"))
    return [paragraph for paragraph in paragraphs if len(paragraph) > 20]


def load(
    tokenizer: Tokenizer, folders: Sequence[Path] = (), cache_dir: Path | None = None, *, read_only: bool = False
) -> LanguageModel:
    """The language model for these folders: from this process, from the cache folder, or trained now (about 1 s)."""
    paragraphs = read_paragraphs(folders)
    shape = f"3/{ORDER}/{FLOOR}/{KEPT}/{DISCOUNT}"
    digest = hashlib.sha256("\0".join([shape, *paragraphs]).encode("utf-8", "replace")).hexdigest()[:32]
    if digest in _TRAINED:
        return _TRAINED[digest]
    file = cache_dir / f"language-{digest}.npz" if cache_dir else None
    arrays = language_cache.read(file) if file else None
    if arrays is None:
        model = train([tokenizer.encode(paragraph) for paragraph in paragraphs])
        if file and not read_only:
            language_cache.write(file, _to_arrays(model))
    else:
        model = _from_arrays(arrays)
    _TRAINED[digest] = model
    return model


_TRAINED: dict[str, LanguageModel] = {}
_FIELDS = ("keys", "offsets", "ids", "probs", "backoff")


def _to_arrays(model: LanguageModel) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"floor_ids": model.floor_ids, "floor_probs": model.floor_probs}
    for n, level in enumerate(model.levels):
        arrays |= {f"{field}{n}": getattr(level, field) for field in _FIELDS}
    return arrays


def _from_arrays(arrays: dict[str, NDArray[Any]]) -> LanguageModel:
    levels = [Level(**{field: arrays[f"{field}{n}"] for field in _FIELDS}) for n in range(ORDER)]
    return LanguageModel(arrays["floor_ids"], arrays["floor_probs"], levels)
