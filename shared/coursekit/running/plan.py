"""Which notebooks to run, with what limits, into which folders: worked out before anything starts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from coursekit import notebooks
from coursekit.errors import ManifestError, NotebookError, RunError
from coursekit.manifest import Manifest, Module
from coursekit.settings import Settings

UNLISTED_TIME_LIMIT_SECONDS = 600
"""For a notebook that course.yml does not list."""

SKIP_TAG = "skip-execution"
"""nbclient's own name for it."""


@dataclass(frozen=True)
class Plan:
    """One notebook to execute.

    Attributes:
        sources: the source of every cell, in order, to show the one that fails.
        cells_total: the code cells that will be executed (not the empty ones, not those tagged skip-execution).
        problem: why the notebook cannot be executed at all; None when it can.
    """

    module: str
    notebook: Path
    folder: Path
    time_limit_seconds: float
    database: bool
    sources: tuple[str, ...] = ()
    cells_total: int = 0
    problem: str | None = None

    @property
    def output(self) -> Path:
        return self.folder / f"{self.module}.ipynb"

    @property
    def html(self) -> Path:
        return self.output.with_suffix(".html")

    @property
    def partial(self) -> Path:
        """Where the notebook grows while it runs; it becomes `output` when it has ended."""
        return self.folder / f".partial-{self.module}.ipynb"

    @property
    def partial_html(self) -> Path:
        return self.partial.with_suffix(".html")

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def prepare_folder(self) -> None:
        """Make the run's folder, with a fresh workspace and nothing else but the outputs of an earlier run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for entry in self.folder.iterdir():
            if entry in (self.output, self.html):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        self.workspace.mkdir()


def plan(
    targets: Sequence[str | Path], manifest: Manifest, settings: Settings, time_limit_seconds: float | None
) -> list[Plan]:
    """One plan per target, in order, each notebook once; with no targets, every module of course.yml.

    Args:
        targets: module ids or unique beginnings of one (`m04`: its notebook in solutions/), or paths of notebooks.
        time_limit_seconds: instead of each module's own limit.

    Raises:
        ManifestError: a target is no module.
        RunError: two different notebooks claim the same module, so they would write to the same folder.
    """
    plans: dict[str, Plan] = {}
    for target in targets or [module.id for module in manifest.modules]:
        new = (
            _plan_path(Path(target), manifest, settings)
            if _is_path(target)
            else _plan_module(target, manifest, settings)
        )
        if time_limit_seconds is not None:
            new = replace(new, time_limit_seconds=time_limit_seconds)
        known = plans.setdefault(new.module, new)
        if known.notebook != new.notebook:
            raise RunError(
                f"{known.notebook} and {new.notebook} are both module {new.module!r} and would write to {new.folder}. "
                "Run them one after the other."
            )
    return list(plans.values())


def _is_path(target: str | Path) -> bool:
    return isinstance(target, Path) or target.endswith(".ipynb") or "/" in target


def _plan_module(target: str | Path, manifest: Manifest, settings: Settings) -> Plan:
    module = manifest.module(str(target))
    path = settings.solution(module.id)
    return _read(path, module.id, module, settings)


def _plan_path(path: Path, manifest: Manifest, settings: Settings) -> Plan:
    path = path.resolve()
    name = path.stem
    with suppress(NotebookError):  # `_read` tells what is wrong with the file; a notebook need not have parameters
        name = notebooks.parameters_module(notebooks.read(path))
    module = next((m for m in manifest.modules if m.id == name), None)
    return _read(path, name, module, settings)


def _read(path: Path, name: str, module: Module | None, settings: Settings) -> Plan:
    if not name or name.startswith(".") or "/" in name:
        raise ManifestError(
            f"{path} calls itself module {name!r}, which cannot be a folder's name. Change MODULE in it."
        )
    base = Plan(
        module=name,
        notebook=path,
        folder=settings.runs_dir / name,
        time_limit_seconds=module.time_limit_seconds if module else UNLISTED_TIME_LIMIT_SECONDS,
        database=module.database if module else True,
    )
    try:
        notebook = notebooks.read(path)
    except NotebookError as error:
        return replace(base, problem=str(error))
    sources = tuple(cell.source for cell in notebook.cells)
    total = sum(
        bool(cell.source.strip()) and SKIP_TAG not in notebooks.tags(cell) for cell in notebooks.code_cells(notebook)
    )
    return replace(base, sources=sources, cells_total=total)
