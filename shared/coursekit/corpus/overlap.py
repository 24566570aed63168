"""How much of a question's wording stands in the passage that answers it: questions that copy are too easy to find.

A word is a run of letters, digits, `_` and `-`, in lower case; English stop words are left out. Nothing is stemmed.
"""

from __future__ import annotations

import re
import statistics

from coursekit.corpus.records import Corpus, Question

STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a about after all am an and any are as at be before but by can could did do does doing for from get had has
        have how i if in into is it its just me my no not of off on or our out should so some than that the their them
        then there they this to up us was we were what when where which who whose why will with would you your""",
    )
)


def content_words(text: str) -> frozenset[str]:
    """The distinct lower-case words of a text, without English stop words.

    >>> sorted(content_words("What is the max_skew of HBL-1107?"))
    ['hbl-1107', 'max_skew']
    """
    return frozenset(re.findall(r"[\w-]+", text.lower())) - STOP_WORDS


def question_overlap(question: Question) -> float:
    """Share of the question's distinct content words that its passages contain, in [0, 1]; 0 when it has none."""
    asked = content_words(question.text)
    passages = content_words(" ".join(passage.quote for passage in question.passages))
    return len(asked & passages) / len(asked) if asked else 0.0


def median_overlap(corpus: Corpus) -> float | None:
    """The median of `question_overlap` over answerable questions that do not ask for an identifier; None = there are none.

    Questions of category `identifier` are left out: a code or a key has to be spelled as the document spells it.
    """
    asked = [question for question in corpus.golden if question.answerable and question.category != "identifier"]
    return statistics.median(map(question_overlap, asked)) if asked else None
