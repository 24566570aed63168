"""Read judgments as evaluation tools write them: TREC's qrels form, `q001 0 document-id 2`, one a line.

The second column is TREC's "iteration", always 0 here. One space between the columns and no header, so that
`ir_measures.read_trec_qrels` and trec_eval read the same file as it is. A pool is the first and third column alone.
Format: https://trec.nist.gov/data/qrels_eng/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from coursekit.corpus.problems import Problems
from coursekit.corpus.records import Judgment

QRELS_FILE = "qrels.txt"
JUDGING_FOLDER = "judging"
PASS_FILES = ("pass-1.txt", "pass-2.txt")
POOL_FILE = "pool.txt"

_JUDGMENT = re.compile(r"([!-~]+) 0 ([!-~]+) ([012])", re.ASCII)
_PAIR = re.compile(r"([!-~]+) ([!-~]+)", re.ASCII)


def read_judgments(path: Path, problems: Problems) -> list[tuple[int, Judgment]]:
    """Judgments with the line that each stands on; lines that hold none, or judge a pair again, become problems."""
    repair = "write 'q001 0 document-id 2': single spaces, grade 0, 1 or 2"
    return [
        (number, Judgment(query_id=match[1], document_id=match[2], grade=int(match[3])))
        for number, match in _rows(path, _JUDGMENT, "a judgment", repair, problems)
    ]


def read_pool(path: Path, problems: Problems) -> list[tuple[int, tuple[str, str]]]:
    """Pairs (question id, document id) with the line that each stands on; other lines become problems."""
    rows = _rows(path, _PAIR, "a pair", "write 'q001 document-id': one space", problems)
    return [(number, (match[1], match[2])) for number, match in rows]


def _rows(
    path: Path, pattern: re.Pattern[str], what: str, repair: str, problems: Problems
) -> Iterator[tuple[int, re.Match[str]]]:
    seen: dict[tuple[str, str], int] = {}
    text = problems.read(path)
    for number, row in enumerate(text.removesuffix("\n").split("\n") if text else (), start=1):
        match = pattern.fullmatch(row)
        if match is None:
            problems.add(path, number, f"not {what}: {row!r:.80}", repair)
            continue
        pair = (match[1], match[2])
        if pair in seen:
            problems.add(path, number, f"{' '.join(pair)} stands in line {seen[pair]} already", "keep one of the two")
            continue
        seen[pair] = number
        yield number, match
