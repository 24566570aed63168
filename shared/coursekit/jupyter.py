"""The notebook's side: `%load_ext coursekit` connects models and database, prints the banner, exports cells as they run.

The notebook says which module it is in its first code cell (`MODULE = "m01_models_as_dependencies"`). Everything that the
learner's system needs is put into the environment, exactly as it will be in production.
"""

from __future__ import annotations

import atexit
import builtins
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from coursekit import exporting, manifest, notebooks, settings, workspace
from coursekit.errors import CourseError, ExportError
from coursekit.export_gate import ExportGate

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell


@dataclass
class Session:
    """One kernel working on one module."""

    course: manifest.Manifest
    where: settings.Settings
    module: manifest.Module
    notebook: Path | None
    keeps_progress: bool
    exported_ids: set[str] = field(default_factory=set)

    @property
    def pointer(self) -> str:
        """How generated files name the notebook."""
        return f"{self.where.workspace_dir.name}/{self.module.id}/{self.module.id}.ipynb"


_session: Session | None = None


def tested_blocks(check_id: str) -> dict[str, str] | None:
    """Digests of the exported cells that a check of the open notebook tests; None when its progress is not kept."""
    if _session is None or not _session.keeps_progress:
        return None
    return workspace.learner_blocks(_session.where, _session.course.package, _session.module, check_id)


def load(shell: InteractiveShell) -> None:
    """Connect this kernel to the course. Called by `%load_ext coursekit`; calling it again starts over.

    Raises:
        CourseError: MODULE is not set or unknown, or models or database cannot be had; the message says how to fix it.
    """
    global _session
    from coursekit import banner, database, models

    shell.set_custom_exc((CourseError,), _show_course_error)
    where = _settle(settings.load())
    course = manifest.load(where.root)
    name = shell.user_ns.get("MODULE")
    if not isinstance(name, str):
        raise CourseError(
            'the first code cell must have run and set MODULE, as in MODULE = "m01_models_as_dependencies".'
        )
    module = course.module(name)
    notebook = _notebook_path()
    _session = Session(course, where, module, notebook, keeps_progress=where.mode == "study")
    if _session.keeps_progress and notebook is not None:
        _prune_deleted_cells(_session)
    workspace.install_finder(where, course, module.id, shell.user_ns)
    endpoint = models.connect() if course.models else None
    if module.database:
        os.environ["DATABASE_URL"] = database.notebook_url()
    for event in list(shell.events.callbacks.get("post_run_cell", [])):
        if getattr(event, "__name__", "") == _after_cell.__name__:
            shell.events.unregister("post_run_cell", event)
    shell.events.register("post_run_cell", _after_cell)
    if getattr(shell, "examines_exports", True):
        ExportGate(lambda source, cell_id: _examine(source, cell_id, shell.user_ns)).install(shell)
    if where.mode != "grade":  # nobody looks at it there
        banner.show(_session, endpoint)


def _settle(where: settings.Settings) -> settings.Settings:
    """Give runs, grading and opened solution notebooks a workspace of their own, so that a learner's files stay theirs."""
    notebook = _notebook_path()
    is_solution = notebook is not None and where.solutions_dir in notebook.parents
    if where.mode == "study" and is_solution:
        os.environ["COURSE_MODE"] = "run"
    if (where.mode == "grade" or is_solution) and "COURSE_WORKSPACE" not in os.environ:
        folder = tempfile.mkdtemp(prefix="course-workspace-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["COURSE_WORKSPACE"] = folder
    return settings.load()


def _notebook_path() -> Path | None:
    """The open notebook, as far as the front end tells (Jupyter Server sets JPY_SESSION_NAME)."""
    name = os.environ.get("JPY_SESSION_NAME", "")
    path = Path(name)
    return path.resolve() if name.endswith(".ipynb") and path.is_file() else None


def _prune_deleted_cells(session: Session) -> None:
    ids = set(_cell_order(session))
    if ids:
        _rewrite(session, lambda blocks: exporting.prune(blocks, ids))


def _rewrite(session: Session, choose: Callable[[list[exporting.Block]], list[exporting.Block]]) -> None:
    """Keep in each of the module's files the blocks that `choose` returns; files that stay the same are not touched."""
    for name in session.module.exports:
        path = workspace.package_dir(session.where, session.course.package) / name
        blocks = exporting.read_blocks(path)
        kept = choose(blocks)
        if kept != blocks:
            exporting.write(path, kept, session.pointer)


def _cell_order(session: Session) -> list[str]:
    """The ids of the notebook's cells in order, as last saved."""
    if session.notebook is None:
        return []
    try:
        return [cell.get("id", "") for cell in notebooks.read(session.notebook).cells]
    except CourseError:  # the front end is writing it at this very moment
        return []


def _after_cell(result: ExecutionResult) -> None:
    session, info = _session, result.info
    if session is None or info is None or not result.success:
        return
    target = notebooks.export_target(info.raw_cell)
    cell_id = getattr(info, "cell_id", None)
    try:
        if target is not None:
            _export(session, target, exporting.make_block(info.raw_cell, cell_id))
        elif cell_id in session.exported_ids:
            _withdraw(session, cell_id)
    except OSError as error:
        print(f"not exported: {error}. Free some space or make the folder writable, then run the cell again.")


def _examine(source: str, cell_id: str | None, namespace: Mapping[str, Any]) -> None:
    """Can the cell become part of its module? Called before it runs.

    Raises:
        ExportError: it cannot, or it takes a name from the notebook that its file does not have.
    """
    target = notebooks.export_target(source)
    if _session is None or target is None:
        return
    if target not in _session.module.exports:
        raise ExportError(f"{_session.module.id} exports {', '.join(_session.module.exports)}, not {target!r}.")
    block = exporting.make_block(source, cell_id)
    for name in exporting.unresolved(_merged(_session, target, block), block):
        if name in namespace or hasattr(builtins, name):  # the others may come from a cell below, or raise NameError
            raise ExportError(
                f"this cell uses `{name}`, which the notebook has and the file {_session.course.package}/{target} has not: "
                f"imported from anywhere else, it would fail. {_remedy(name, namespace.get(name))}, and run it again."
            )


def _remedy(name: str, value: Any) -> str:
    if isinstance(value, ModuleType):
        return f"Add `import {value.__name__}{'' if value.__name__ == name else f' as {name}'}` to this cell"
    home = getattr(value, "__module__", None)
    if isinstance(home, str) and home not in ("__main__", "builtins") and hasattr(sys.modules.get(home), name):
        return f"Add `from {home} import {name}` to this cell"
    return f"Define `{name}` in this cell, or begin the cell that defines it with the same `#| export` line"


def _merged(session: Session, name: str, block: exporting.Block) -> list[exporting.Block]:
    """The file's blocks, with this one in its place."""
    path = workspace.package_dir(session.where, session.course.package) / name
    return exporting.put(exporting.read_blocks(path), block, _cell_order(session))


def _export(session: Session, name: str, block: exporting.Block) -> None:
    path = workspace.package_dir(session.where, session.course.package) / name
    exporting.write(path, _merged(session, name, block), session.pointer)
    session.exported_ids.add(block.key)
    sys.modules.pop(f"{session.course.package}.{name.removesuffix('.py').replace('/', '.')}", None)
    print(f"→ {session.course.package}/{name}")


def _withdraw(session: Session, cell_id: str) -> None:
    """A cell that used to export no longer does: take its block out."""
    session.exported_ids.discard(cell_id)
    _rewrite(session, lambda blocks: [block for block in blocks if block.key != cell_id])


def _show_course_error(
    shell: Any, kind: type[BaseException], error: BaseException, trace: Any, tb_offset: Any = None
) -> list[str]:
    """Show a problem that a person can fix as its sentence, not as a traceback."""
    lines = [f"{kind.__name__}: {error}"]
    shell._showtraceback(kind, error, lines)
    return lines
