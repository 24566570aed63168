"""Load a corpus folder whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coursekit import manifest, settings
from coursekit.corpus.checksums import check_checksums
from coursekit.corpus.consistency import check_documents, check_questions
from coursekit.corpus.documents import read_documents
from coursekit.corpus.files import list_files
from coursekit.corpus.golden import read_questions
from coursekit.corpus.judging import check_judged, read_judged
from coursekit.corpus.problems import Problems
from coursekit.corpus.records import Corpus
from coursekit.corpus.yaml_text import parse_mapping
from coursekit.errors import CorpusError

WORLD_FILE = "world.yaml"
WORLD_SECTIONS = ("teams", "services", "tenants", "errors", "config", "incidents")


def load(folder: Path | None = None) -> Corpus:
    """Read and check a corpus.

    Args:
        folder: a corpus folder; None = the one that course.yml names.

    Returns:
        The corpus, complete. Its `world` is empty when the folder has no `world.yaml`; then the names of services,
        teams and tenants are taken as they are.

    Raises:
        CorpusError: anything is wrong; the message lists every problem as `file:line: what; how to repair it`.
    """
    if folder is None:
        folder = course_folder()
    folder = folder.resolve()
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder; pass a corpus folder or correct corpus in course.yml")
    problems = Problems(folder)
    files = list_files(folder, problems)
    world = _read_world(folder, problems)
    documents = read_documents(folder, files, problems)
    questions = read_questions(folder, problems)
    judged = read_judged(folder, files, problems)
    checksum = check_checksums(folder, files, problems)
    by_id = {document.id: document for document in documents}
    check_documents(by_id, world, problems)
    if documents and questions:  # else every line that points to one would be reported
        check_questions(by_id, questions, judged.qrels, world, problems)
        check_judged(judged, by_id, {question.id: question for _, question in questions}, problems)
    problems.raise_if_any()
    return Corpus(
        folder=folder,
        documents=tuple(documents),
        golden=tuple(question for _, question in questions),
        judgments=tuple(judgment for _, judgment in judged.qrels),
        world=world or {},
        checksum=checksum,
        passes=tuple(tuple(judgment for _, judgment in part) for part in judged.passes),
        pool=frozenset(pair for _, pair in judged.pool),
    )


def course_folder() -> Path:
    """The corpus folder that course.yml names.

    Raises:
        CorpusError: it names none.
        CourseError: there is no course here, or course.yml has a problem.
    """
    root = settings.load().root
    corpus = manifest.load(root).corpus
    if corpus is None:
        raise CorpusError(f"{root / 'course.yml'} names no corpus; set corpus: to a folder under {root}")
    return root / corpus


def _read_world(folder: Path, problems: Problems) -> dict[str, Any] | None:
    """The world, or None where there is none, or none that can be used: then a problem is noted."""
    path = folder / WORLD_FILE
    if not path.exists():
        return None
    text = problems.read(path)
    world = parse_mapping(text, path, problems, what="the world") if text is not None else None
    if world is None:
        return None
    missing = [name for name in WORLD_SECTIONS if not isinstance(world.values.get(name), dict)]
    for name in missing:
        problems.add(path, 1, f"section {name!r} is missing", "add it as a mapping ({} when it is empty)")
    return None if missing else world.values
