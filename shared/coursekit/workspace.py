"""The learner's package: which file of `assistant` comes from the learner and which from the reference.

A module's files are the learner's own once all its checks have passed on them; otherwise the reference, extracted
from `solutions/`, stands in. While running and grading, earlier modules always come from the reference.
`install_finder` makes `from assistant.retrieval import ...` follow that choice. Files of the module whose notebook is open
are that notebook's own names, so that one of its exported files may import another and classes stay the same ones.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Literal

from coursekit import exporting, manifest, notebooks, progress, settings
from coursekit.errors import NotebookError

Origin = Literal["yours", "reference"]


@dataclass(frozen=True)
class PackageFile:
    """One file of the package: where it was taken from, and why."""

    name: str
    module_id: str
    origin: Origin
    path: Path
    reason: str


def learner_notebook(where: settings.Settings, module_id: str) -> Path:
    """The learner's own copy of a module's notebook."""
    return where.workspace_dir / module_id / f"{module_id}.ipynb"


def copy_missing_notebooks(where: settings.Settings, course: manifest.Manifest) -> list[str]:
    """Give the learner a copy of every released notebook that they do not have yet; returns the new ones' module ids.

    Learners work on copies, so that an update of the course never touches their work.
    """
    copied = []
    for module in course.modules:
        release, own = where.notebooks_dir / module.id, learner_notebook(where, module.id)
        if not own.exists() and (release / own.name).is_file():
            own.parent.mkdir(parents=True, exist_ok=True)
            for path in release.iterdir():
                if path.is_file() and not (own.parent / path.name).exists():
                    shutil.copyfile(path, own.parent / path.name)
            copied.append(module.id)
    return copied


def reset_notebook(where: settings.Settings, package: str, module: manifest.Module) -> Path:
    """Replace the learner's copy by the release, and forget what it exported; returns where the earlier copy is kept.

    Raises:
        NotebookError: there is no copy yet, or no release.
    """
    own = learner_notebook(where, module.id)
    release = where.notebooks_dir / module.id / own.name
    for path in (own, release):
        if not path.is_file():
            raise NotebookError(f"{path} does not exist. `course lab` copies every released notebook.")
    stamp = datetime.now().strftime("%Y-%m-%d-%H%M%S")
    kept = own.with_name(f"{own.stem}.{stamp}.ipynb")
    own.rename(kept)
    shutil.copyfile(release, own)
    for name in module.exports:
        (package_dir(where, package) / name).unlink(missing_ok=True)
    progress.forget(where, list(check_ids(where, module)))
    return kept


def package_dir(where: settings.Settings, package: str) -> Path:
    """Where the learner's exported files go."""
    return where.workspace_dir / package


def check_ids(where: settings.Settings, module: manifest.Module) -> dict[str, float]:
    """The module's checks in the notebook's order, with their points."""
    path = source_notebook(where, module.id)
    if path is None:
        return {}
    return {
        str(notebooks.grade_id(cell)): notebooks.points(cell)
        for cell in notebooks.read(path).cells
        if notebooks.is_test(cell)
    }


def checks_of(where: settings.Settings, module: manifest.Module, exercises: Sequence[str]) -> list[str]:
    """The ids of these exercises' checks, in the notebook's order.

    Raises:
        NotebookError: an exercise that the module does not have, or the module has no notebook.
    """
    path = source_notebook(where, module.id)
    of_check = {} if path is None else notebooks.exercises(notebooks.read(path))
    if unknown := sorted(set(exercises) - set(of_check.values())):
        there = ", ".join(dict.fromkeys(of_check.values())) or "none: its notebook is missing"
        raise NotebookError(f"{module.id} has no exercise {', '.join(unknown)}. There are: {there}.")
    return [check for check, exercise in of_check.items() if exercise in exercises]


def source_notebook(where: settings.Settings, module_id: str) -> Path | None:
    """The module's solution notebook, or its release where the solutions were not handed out."""
    for folder in (where.solutions_dir, where.notebooks_dir):
        path = folder / module_id / f"{module_id}.ipynb"
        if path.is_file():
            return path
    return None


def exported_blocks(path: Path) -> Mapping[str, Sequence[exporting.Block]]:
    """The exported cells of a notebook, by file. Read once as long as the file does not change: every import asks."""
    stat = path.stat()
    return _blocks_of(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _blocks_of(path: Path, modified_ns: int, size_bytes: int) -> Mapping[str, Sequence[exporting.Block]]:
    blocks: dict[str, list[exporting.Block]] = {}
    for cell in notebooks.code_cells(notebooks.read(path)):
        target = notebooks.export_target(cell.source)
        if target is not None:
            blocks.setdefault(target, []).append(exporting.make_block(cell.source, cell.get("id")))
    return blocks


def extract_reference(where: settings.Settings, module: manifest.Module) -> dict[str, Path]:
    """Write the reference files of one module under `.course/reference/` where they are missing or old.

    Where the solutions were not handed out, files that lie ready in `<root>/reference/` serve (the grader's stage).
    """
    path = where.solution(module.id)
    if not path.is_file():
        ready = {name: where.root / "reference" / name for name in module.exports}
        return {name: file for name, file in ready.items() if file.is_file()}
    files: dict[str, Path] = {}
    for name, blocks in exported_blocks(path).items():
        target = where.state_dir / "reference" / name
        text = exporting.render_file(blocks, path.relative_to(where.root).as_posix())
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            exporting.write_atomically(target, text)
        files[name] = target
    return files


def learner_blocks(
    where: settings.Settings, package: str, module: manifest.Module, check_id: str | None = None
) -> dict[str, str]:
    """Digest by cell of what the learner has exported for `module`; with `check_id`, of the cells that this check tests."""
    wanted = None if check_id is None else tested_names(where, module, check_id)
    digests: dict[str, str] = {}
    for name in module.exports:
        for block in exporting.read_blocks(package_dir(where, package) / name):
            if wanted is None or block.names & wanted:
                digests[f"{name}#{block.key}"] = block.digest
    return digests


def tested_names(where: settings.Settings, module: manifest.Module, check_id: str) -> frozenset[str]:
    """What the exercise of a check defines: `m01-bpe-ties` belongs to `m01-bpe`, which defines train_bpe and encode_bpe."""
    path = source_notebook(where, module.id)
    cells = [] if path is None else [cell for cell in notebooks.read(path).cells if notebooks.is_solution(cell)]
    exercises = [cell for cell in cells if check_id.startswith(f"{notebooks.grade_id(cell)}-")]
    if not exercises:
        return frozenset()
    closest = max(exercises, key=lambda cell: len(str(notebooks.grade_id(cell))))
    return exporting.make_block(closest.source, None).names


def check_states(
    where: settings.Settings, course: manifest.Manifest, module: manifest.Module
) -> dict[str, progress.State]:
    """Where the learner stands with each check of `module`."""
    records = progress.checks(where)
    current = learner_blocks(where, course.package, module)
    return {
        check_id: records[check_id].state(current) if check_id in records else "not run"
        for check_id in check_ids(where, module)
    }


def resolve(where: settings.Settings, course: manifest.Manifest, current: str | None = None) -> dict[str, PackageFile]:
    """Choose the origin of every file that exists, by name; `current` is the module whose notebook is open."""
    files: dict[str, PackageFile] = {}
    for module in course.modules:
        states = set(check_states(where, course, module).values()) if where.mode == "study" else set()
        passed = states == {"passed"}
        reference = extract_reference(where, module)
        for name in module.exports:
            own = package_dir(where, course.package) / name
            if own.is_file() and (passed or module.id == current):
                reason = "its checks passed" if passed else "this notebook's own"
                files[name] = PackageFile(name, module.id, "yours", own, reason)
            elif name in reference and module.id != current:
                reason = _why_reference(where, own, states)
                files[name] = PackageFile(name, module.id, "reference", reference[name], reason)
    return files


def _why_reference(where: settings.Settings, own: Path, states: set[progress.State]) -> str:
    if where.mode != "study":
        return "runs and grading use the reference for earlier modules"
    if not own.is_file():
        return "not written yet"
    if "failed" in states:
        return "a check of your own fails"
    return "your own changed after its checks passed" if "stale" in states else "not all checks of your own have passed"


class AssistantFinder(importlib.abc.MetaPathFinder):
    """Finds `assistant` and its modules in the places that `resolve` chose."""

    def __init__(
        self,
        where: settings.Settings,
        course: manifest.Manifest,
        current: str | None,
        names: Mapping[str, object] | None = None,
    ) -> None:
        self._where = where
        self._course = course
        self._current = current
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        package, *parts = fullname.split(".")
        if package != self._course.package:
            return None
        if not parts:
            return importlib.machinery.ModuleSpec(fullname, _EmptyPackage(), is_package=True)
        name = "/".join(parts) + ".py"
        if self._names is not None and self._current and name in self._course.module(self._current).exports:
            return importlib.machinery.ModuleSpec(fullname, _NotebookView(self._names))
        files = resolve(self._where, self._course, self._current)
        found = files.get(name)
        if found is not None:
            return importlib.util.spec_from_file_location(fullname, found.path)
        if any(PurePosixPath(name).parts[: len(parts)] == tuple(parts) for name in files):
            return importlib.machinery.ModuleSpec(fullname, _EmptyPackage(), is_package=True)
        owner = next((m.id for m in self._course.modules if name in m.exports), None)
        known = f"It is what {owner} exports: work through that notebook first." if owner else "No module exports it."
        raise ModuleNotFoundError(f"{fullname} does not exist yet. {known}", name=fullname)


class _EmptyPackage(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        return None


class _NotebookView(_EmptyPackage):
    """A module without a file of its own: its names are those that the open notebook has at the moment."""

    def __init__(self, names: Mapping[str, object]) -> None:
        self._names = names

    def exec_module(self, module: ModuleType) -> None:
        def look_up(name: str) -> object:
            if name.startswith("__") or name not in self._names:
                raise AttributeError(
                    f"{module.__name__} has no {name} yet: run the cell of this notebook that defines it"
                )
            return self._names[name]

        module.__getattr__ = look_up  # type: ignore[method-assign]  # PEP 562


def install_finder(
    where: settings.Settings, course: manifest.Manifest, current: str | None, names: Mapping[str, object] | None = None
) -> None:
    """Let this process import the package as `resolve` chooses; forgets what it had imported of it before.

    `names` are those of the notebook of `current`: its own files are then these names, and not the exported copies.
    """
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, AssistantFinder)]
    sys.meta_path.insert(0, AssistantFinder(where, course, current, names))
    for name in [n for n in sys.modules if n == course.package or n.startswith(f"{course.package}.")]:
        del sys.modules[name]


def assemble(files: Mapping[str, PackageFile], target: Path) -> None:
    """Copy the chosen files into `target` as an ordinary package, with an `__init__.py` in every folder."""
    for name, file in files.items():
        path = target / name
        exporting.write_atomically(path, file.path.read_text(encoding="utf-8"))
        for folder in [target, *(target.joinpath(*parent.parts) for parent in PurePosixPath(name).parents)]:
            if not (folder / "__init__.py").exists():
                exporting.write_atomically(folder / "__init__.py", '"""See README.md."""\n')
