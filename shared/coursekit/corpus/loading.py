"""Load a corpus folder whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from coursekit import manifest, settings
from coursekit.corpus.checksums import check_checksums
from coursekit.corpus.consistency import check_documents, check_golden
from coursekit.corpus.documents import read_documents
from coursekit.corpus.golden import read_judgments, read_questions
from coursekit.corpus.problems import Problems
from coursekit.corpus.records import Corpus
from coursekit.errors import CorpusError

WORLD_FILE = "world.yaml"
WORLD_SECTIONS = ("teams", "services", "tenants", "errors", "config", "incidents")


def load(folder: Path | None = None) -> Corpus:
    """Read and check a corpus.

    Args:
        folder: a corpus folder; None = the one that course.yml names.

    Returns:
        The corpus, complete.

    Raises:
        CorpusError: anything is wrong; the message lists every problem as `file:line: what; how to repair it`.
    """
    if folder is None:
        folder = _course_folder()
    folder = folder.resolve()
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder; pass a corpus folder or correct corpus in course.yml")
    problems = Problems(folder)
    world = _read_world(folder, problems)
    documents = read_documents(folder, problems)
    questions = read_questions(folder, problems)
    judgments = read_judgments(folder, problems)
    checksum = check_checksums(folder, problems)
    if world is not None:
        by_id = {document.id: document for document in documents}
        check_documents(by_id, world, problems)
        check_golden(by_id, questions, judgments, world, problems)
    problems.raise_if_any()
    return Corpus(
        folder=folder,
        documents=tuple(documents),
        golden=tuple(question for _, question in questions),
        judgments=tuple(judgment for _, judgment in judgments),
        world=world or {},
        checksum=checksum,
    )


def _course_folder() -> Path:
    root = settings.load().root
    corpus = manifest.load(root).corpus
    if corpus is None:
        raise CorpusError(f"{root / 'course.yml'} names no corpus; set corpus: to a folder under {root}")
    return root / corpus


def _read_world(folder: Path, problems: Problems) -> dict[str, Any] | None:
    path = folder / WORLD_FILE
    text = problems.read(path)
    if text is None:
        return None
    try:
        world = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problems.add(path, (mark.line if mark else 0) + 1, "bad YAML", "repair the syntax")
        return None
    missing = [name for name in WORLD_SECTIONS if not isinstance(world, dict) or not isinstance(world.get(name), dict)]
    for name in missing:
        problems.add(path, 1, f"section {name!r} is missing", "add it as a mapping")
    return None if missing else world
