"""The course's corpus: documents, golden questions, judgments, checksums.

`load()` reads the folder that course.yml names, or any folder of the same format, and gives a `Corpus` or raises one
`CorpusError` that lists every problem with file, line and repair. The format is described in the corpus's README.md.
This package reads and checks; it never chunks, embeds or retrieves: that is the learner's work.
"""

from coursekit.corpus.checksums import write_checksums
from coursekit.corpus.loading import load
from coursekit.corpus.records import (
    CATEGORIES,
    KINDS,
    SPLITS,
    TRAITS,
    Corpus,
    Document,
    Judgment,
    Passage,
    Question,
    Turn,
)

__all__ = [
    "CATEGORIES",
    "KINDS",
    "SPLITS",
    "TRAITS",
    "Corpus",
    "Document",
    "Judgment",
    "Passage",
    "Question",
    "Turn",
    "load",
    "write_checksums",
]
