"""Find sentences of different documents that share most of their words, without comparing every sentence with every other.

Two sets whose Jaccard similarity is at least t share a word among the rarest |x| − ⌈t·|x|⌉ + 1 words of each: were
these all different, too few words would be left to share. So only sentences that meet in such a word are compared, and
none is missed. Source: Chaudhuri, Ganti and Kaushik, "A primitive operator for similarity joins" (2006); Bayardo, Ma
and Srikant, "Scaling up all pairs similarity search" (2007).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

LEAST_WORDS = 4


class Sentence(NamedTuple):
    """One sentence, where it stands, and the set of its words."""

    document: str
    text: str
    words: frozenset[str]


def similar(sentences: Sequence[Sentence], threshold: float) -> Iterator[tuple[Sentence, Sentence]]:
    """Pairs of different documents' sentences with |common words| / |all words| ≥ `threshold`, in order of the input.

    Pairs with fewer than `LEAST_WORDS` words together are too short to mean anything and left out.
    """
    frequency = Counter(word for sentence in sentences for word in sentence.words)
    seen_with: defaultdict[str, list[int]] = defaultdict(list)
    for index, sentence in enumerate(sentences):
        rarest = sorted(sentence.words, key=lambda word: (frequency[word], word))
        prefix = rarest[: len(rarest) - math.ceil(threshold * len(rarest) - 1e-9) + 1]
        for candidate in sorted({other for word in prefix for other in seen_with[word]}):
            other = sentences[candidate]
            together = len(sentence.words | other.words)
            common = len(sentence.words) + len(other.words) - together
            if other.document != sentence.document and together >= LEAST_WORDS and common / together >= threshold:
                yield other, sentence
        for word in prefix:
            seen_with[word].append(index)
