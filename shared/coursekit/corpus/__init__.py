"""The course's corpus: documents, golden questions, judgments, checksums.

`load()` reads the folder that course.yml names, or any folder of the same format, and gives a `Corpus` or raises one
`CorpusError` that lists every problem with file, line and repair. The format is described in the corpus's README.md.
This package reads, checks and counts; it never chunks, embeds or retrieves for the learner: that is the learner's work.
"""

from coursekit.corpus.checksums import write_checksums
from coursekit.corpus.loading import course_folder, load
from coursekit.corpus.records import Corpus, Document, Judgment, Passage, Question, Turn
from coursekit.corpus.vocabulary import CATEGORIES, KINDS, SPLITS, TRAITS

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
    "course_folder",
    "load",
    "write_checksums",
]
