"""Read a folder in BEIR's layout: `corpus.jsonl`, `queries.jsonl`, and `qrels.tsv` or `qrels/test.tsv`.

Format: Thakur et al., "BEIR: A Heterogeneous Benchmark" (NeurIPS 2021). What cannot be read stops with file and line; what
can be read and is odd (an id twice, an empty text, a judgment of an unknown document) is counted, and every count is a
note of the workload: nothing is left out silently.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from coursekit.bench_rag.records import Query, Source, Workload
from coursekit.errors import BenchError

MOST_QUERIES = 1000  # of more, so many are drawn
SEED = 7
_QRELS = ("qrels.tsv", "qrels/test.tsv")
_HEADER_NAMES = ("query-id", "query_id", "qid", "query")


def load(folder: Path) -> Workload:
    """The folder as a workload.

    Raises:
        BenchError: a file is missing or unreadable, a line is no JSON object or lacks a field, a grade is no number;
            no question has a relevant document.
    """
    if not folder.is_dir():
        raise BenchError(f"{folder} is no folder. Give one with corpus.jsonl, queries.jsonl and qrels.tsv")
    oddities: Counter[str] = Counter()
    sources = _sources(folder / "corpus.jsonl", oddities)
    known = {source.id for source in sources}
    texts = _texts(folder / "queries.jsonl", oddities)
    qrels = _qrels(_qrels_file(folder), oddities)
    asked: dict[str, dict[str, int]] = {}
    for query, judged in qrels.items():
        if query not in texts:
            oddities["judged questions that queries.jsonl does not have: left out"] += 1
        elif not any(grade > 0 for grade in judged.values()):
            oddities["questions without a relevant document: not asked"] += 1
        else:
            asked[query] = judged
            unknown = sum(document not in known for document in judged)
            oddities["judgments of documents that corpus.jsonl does not have: kept, nobody can find them"] += unknown
    oddities["questions without any judgment: not asked"] += sum(query not in qrels for query in texts)
    if not asked:
        raise BenchError(f"{folder}: no question of queries.jsonl has a relevant document in the judgments")
    chosen = list(asked)
    if len(chosen) > MOST_QUERIES:
        drawn = np.sort(np.random.default_rng(SEED).permutation(len(chosen))[:MOST_QUERIES])
        oddities[f"questions beyond {MOST_QUERIES:,}, drawn at random: not asked"] = len(chosen) - MOST_QUERIES
        chosen = [chosen[number] for number in drawn]
    return Workload(
        name=folder.resolve().name,
        sources=sources,
        queries=[Query(query, texts[query]) for query in chosen],
        qrels={query: asked[query] for query in chosen},
        notes=tuple(f"{count:,} {what}" for what, count in oddities.items() if count),
    )


def _sources(path: Path, oddities: Counter[str]) -> list[Source]:
    found: dict[str, Source] = {}
    for number, row in _rows(path):
        document = _id(row, path, number)
        title, text = (_clean(_text(row, name, path, number), oddities) for name in ("title", "text"))
        if document in found:
            oddities["lines of corpus.jsonl with an id that came before: left out, the first one counts"] += 1
        elif not title.strip() and not text.strip():
            oddities["documents without title and text: left out"] += 1
        else:
            if not text.strip():
                oddities["documents without text: their title is taken for it"] += 1
            found[document] = Source(document, title, text)
    if not found:
        raise BenchError(f"{path}: there is no document in it")
    return list(found.values())


def _texts(path: Path, oddities: Counter[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, row in _rows(path):
        query, text = _id(row, path, number), _clean(_text(row, "text", path, number), oddities)
        if query in found:
            oddities["lines of queries.jsonl with an id that came before: left out, the first one counts"] += 1
        elif not text.strip():
            oddities["questions without text: left out"] += 1
        else:
            found[query] = text
    return found


def _qrels_file(folder: Path) -> Path:
    for name in _QRELS:
        if (folder / name).is_file():
            return folder / name
    raise BenchError(f"{folder} has no judgments: put them into {_QRELS[0]} or {_QRELS[1]}")


def _qrels(path: Path, oddities: Counter[str]) -> dict[str, dict[str, int]]:
    """Lines of `query, document, grade` or, as TREC writes them, `query, 0, document, grade`; split by tabs, else white space."""
    found: dict[str, dict[str, int]] = {}
    for number, line in _lines(path):
        fields = [field.strip() for field in line.split("\t")] if "\t" in line else line.split()
        if number == 1 and fields[0].lower() in _HEADER_NAMES:
            continue
        try:
            query, document, grade = fields[0], fields[-2], int(float(fields[-1]))
        except (IndexError, ValueError, OverflowError):
            grade = None
        if grade is None or len(fields) not in (3, 4):
            expected = "question id, document id and a whole number, separated by tabs"
            raise BenchError(f"{path}, line {number}: expected {expected}; found {line[:80]!r}")
        judged = found.setdefault(query, {})
        if document in judged:
            oddities["judgments that came before: the highest grade counts"] += 1
        judged[document] = max(grade, judged.get(document, grade))
    if not found:
        raise BenchError(f"{path}: there is no judgment in it")
    return found


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BenchError(f"{path}, line {number}: not JSON ({error}); found {line[:80]!r}") from error
        if not isinstance(row, dict):
            raise BenchError(f"{path}, line {number}: expected a JSON object, found {line[:80]!r}")
        yield number, row


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, numbered from 1, without their ends; only real line ends end a line."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\n")
    except FileNotFoundError as error:
        raise BenchError(
            f"{path} does not exist: the folder needs corpus.jsonl, queries.jsonl and qrels.tsv"
        ) from error
    except UnicodeDecodeError as error:
        raise BenchError(
            f"{path} is not UTF-8 ({error.reason} at byte {error.start} of a block): convert it"
        ) from error
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}") from error


def _id(row: dict[str, Any], path: Path, number: int) -> str:
    value = row.get("_id", row.get("id"))
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise BenchError(f'{path}, line {number}: it has no "_id": give it a text, such as "_id": "doc-{number}"')
    return str(value).strip() or str(value)


def _text(row: dict[str, Any], name: str, path: Path, number: int) -> str:
    value = row.get(name)
    if value is None:
        if name == "text" and "text" not in row:
            raise BenchError(f'{path}, line {number}: it has no "text": add one, empty if need be')
        return ""
    if not isinstance(value, str):
        raise BenchError(f"{path}, line {number}: {name!r} is {type(value).__name__}, not a text")
    return value


def _clean(text: str, oddities: Counter[str]) -> str:
    """Without what Postgres and UTF-8 refuse: NUL, and halves of surrogate pairs."""
    if cleaned := text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8"):
        if cleaned != text:
            oddities["texts with a NUL or half a character: it was taken out"] += 1
        return cleaned
    return ""
