"""Postgres full text search over pieces, configuration `english`.

AND is `plainto_tsquery`, which wants every word of the question in one piece. OR is the same query with `&` replaced
by `|` in its text, because Postgres has no function that builds it. `ts_rank` counts words, `ts_rank_cd` looks at how
near each other they stand (cover density, Clarke, Cormack and Tudhope 2000); neither knows how rare a word is.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from coursekit import database
from coursekit.corpus.baseline.lexical import Scores

_TABLES = """
CREATE UNLOGGED TABLE piece (document int NOT NULL, words tsvector NOT NULL);
CREATE UNLOGGED TABLE question (id int PRIMARY KEY, all_words tsquery NOT NULL, any_word tsquery NOT NULL)
"""
_ADD_PIECE = "INSERT INTO piece VALUES (%s, to_tsvector('english', %s))"
_ADD_QUESTION = """
INSERT INTO question SELECT %s, query, replace(query::text, ' & ', ' | ')::tsquery
FROM plainto_tsquery('english', %s) AS query
"""
# ranks first, groups afterwards: grouping the rows of the join would sort the documents' words by the hundred megabytes
_SEARCH = """
WITH hit AS MATERIALIZED (
    SELECT id, document,
           CASE WHEN words @@ all_words THEN ts_rank(words, all_words) END AS all_rank,
           ts_rank(words, any_word) AS any_rank,
           ts_rank_cd(words, any_word) AS any_rank_cd
    FROM question JOIN piece ON words @@ any_word
    WHERE id %% %s = %s
)
SELECT id, document, coalesce(max(all_rank), '-infinity'), max(any_rank), max(any_rank_cd) FROM hit GROUP BY id, document
"""
_CONNECTIONS = 2  # each takes its share of the questions: half the time on two cores


def full_text(pieces: Sequence[str], owners: Sequence[int], questions: Sequence[str]) -> tuple[Scores, Scores, Scores]:
    """Search every question in a scratch database.

    Args:
        pieces: what is searched.
        owners: the row number of each piece's document, from 0, without gaps.
        questions: the texts to search for.

    Returns:
        AND with ts_rank, OR with ts_rank, OR with ts_rank_cd: float64 [questions, documents] each, a document's score
        being its best piece's; -inf where nothing matches.

    Raises:
        DatabaseError: there is no usable Postgres.
    """
    tables = tuple(np.full((len(questions), max(owners) + 1), -np.inf) for _ in range(3))
    with database.scratch("baseline") as url, database.connect(url, autocommit=True) as connection:
        connection.execute(_TABLES)
        with connection.cursor() as cursor:
            cursor.executemany(_ADD_PIECE, list(zip(owners, pieces, strict=True)))
            cursor.executemany(_ADD_QUESTION, list(enumerate(questions)))
        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            shares = list(threads.map(lambda part: _search(url, part), range(_CONNECTIONS)))
    for row, column, *scores in itertools.chain(*shares):
        for table, score in zip(tables, scores, strict=True):
            table[row, column] = score
    return tables[0], tables[1], tables[2]


def _search(url: str, part: int) -> list[tuple[Any, ...]]:
    with database.connect(url, autocommit=True) as connection:
        return connection.execute(_SEARCH, (_CONNECTIONS, part)).fetchall()
