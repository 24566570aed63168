"""Read a whole installation: standard library, help topics, then every distribution with its README first.

Half a minute of parsing for a few hundred packages; `cache` keeps the result.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections import Counter
from dataclasses import dataclass, field

from coursekit.corpus.python_docs import docstrings
from coursekit.corpus.python_docs.docstrings import UnreadableError
from coursekit.corpus.python_docs.places import (
    Installed,
    ModuleFile,
    Places,
    distribution_modules,
    distributions,
    readme,
    stdlib_modules,
)
from coursekit.corpus.python_docs.records import Progress, PythonDocument, Reading

FEWEST_WORDS = 20


def read(places: Places, progress: Progress | None = None) -> Reading:
    """Every document of the installation, in the order of the module docstring; files that cannot be read are counted.

    `progress` is called after each file.
    """
    shelf = _Shelf()
    installed = distributions(places.sites)
    stdlib = stdlib_modules(places)
    packages = [_files(distribution, shelf) for distribution in installed]
    total = len(stdlib) + 1 + sum(1 + len(files) for files in packages)
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other people's invalid escapes are not the learner's business
        for module in stdlib:
            _read_module(module, shelf)
            advance()
        _read_topics(places, shelf)
        advance()
        for distribution, files in zip(installed, packages, strict=True):
            _read_readme(distribution, shelf)
            advance()
            for module in files:
                _read_module(module, shelf)
                advance()
    return Reading(tuple(shelf.documents), dict(sorted(shelf.skipped.items())))


@dataclass
class _Shelf:
    """The documents so far; refuses what is too short or there already, and keeps ids unique."""

    documents: list[PythonDocument] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)
    digests: set[bytes] = field(default_factory=set)

    def put(self, source: str, local: str, title: str, version: str, text: str) -> None:
        if not text:
            return
        if len(text.split()) < FEWEST_WORDS:
            self.skipped["too short"] += 1
            return
        digest = hashlib.sha256(text.encode()).digest()
        if digest in self.digests:
            self.skipped["duplicate"] += 1
            return
        self.digests.add(digest)
        wanted = f"{source}/{re.sub(r'[^A-Za-z0-9._-]+', '-', local)}"
        chosen, number = wanted, 1
        while chosen in self.ids:
            number += 1
            chosen = f"{wanted}-{number}"
        self.ids.add(chosen)
        self.documents.append(PythonDocument(chosen, title, source, version, text))


def _files(installed: Installed, shelf: _Shelf) -> list[ModuleFile]:
    try:
        return distribution_modules(installed)
    except (OSError, ValueError):
        shelf.skipped["unreadable"] += 1
        return []


def _read_module(module: ModuleFile, shelf: _Shelf) -> None:
    try:
        text = docstrings.markdown(docstrings.parse(module.path))
    except UnreadableError as reason:
        shelf.skipped[str(reason)] += 1
        return
    except RecursionError:
        shelf.skipped["unreadable"] += 1
        return
    shelf.put(module.source, _short(module), module.name, module.version, text)


def _short(module: ModuleFile) -> str:
    """The dotted name, without its first part when that only repeats the distribution: `linalg._linalg` of numpy."""
    first, _, rest = module.name.partition(".")
    repeats = re.sub(r"[-_.]+", "-", first).lower() == module.source
    return rest if repeats and rest not in ("", first) else module.name


def _read_topics(places: Places, shelf: _Shelf) -> None:
    try:
        table = docstrings.topics(docstrings.parse(places.topics))
    except UnreadableError as reason:
        shelf.skipped[str(reason)] += 1
        return
    for name in sorted(table):
        shelf.put("topics", name.lower(), name, places.python, table[name])


def _read_readme(installed: Installed, shelf: _Shelf) -> None:
    try:
        text = readme(installed)
    except (OSError, ValueError):
        shelf.skipped["unreadable"] += 1
        return
    shelf.put(installed.name, "README", installed.name, installed.version, docstrings.clean(text))
