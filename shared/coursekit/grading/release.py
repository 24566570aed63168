"""Solutions become releases: nbgrader's `generate_assignment`, and a check that no answer leaks.

A release is only put in place after the leak check has passed on it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from traitlets.config import Config

from coursekit import manifest, notebooks, settings
from coursekit.errors import GradingError
from coursekit.grading.nbgrader_settings import configure
from coursekit.grading.recording import gradebooks

_EXCEPTION = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Died|Dead\w*|Timeout): .+$", re.MULTILINE)
_MARKERS = {
    "solution": ("### BEGIN SOLUTION", "### END SOLUTION"),
    "hidden test": ("### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"),
}
MIN_LINE_CHARS = 12  # shorter lines (`return x`, `try:`) stand in any code


def release(where: settings.Settings, modules: Sequence[manifest.Module]) -> list[Path]:
    """Generate `notebooks/<module>/` from `solutions/<module>/`; returns the notebooks written.

    Raises:
        GradingError: a solution is missing, nbgrader refuses it, or the result would leak an answer.
    """
    written = []
    for module in modules:
        with tempfile.TemporaryDirectory(prefix="course-release-") as folder:
            fresh = generate(where, module, Path(folder) / "release")
            target = where.notebooks_dir / module.id
            target.mkdir(parents=True, exist_ok=True)
            for path in fresh.parent.iterdir():
                if path.is_file():
                    shutil.copyfile(path, target / path.name)
        register(where, module)
        written.append(target / fresh.name)
    return written


def outdated(where: settings.Settings, modules: Sequence[manifest.Module]) -> list[str]:
    """The modules whose release differs from a fresh generation."""
    names = []
    for module in modules:
        with tempfile.TemporaryDirectory(prefix="course-release-") as folder:
            fresh = generate(where, module, Path(folder) / "release")
            target = where.notebooks_dir / module.id
            files = {path.name: path.read_bytes() for path in fresh.parent.iterdir() if path.is_file()}
            present = {path.name: path.read_bytes() for path in target.glob("*") if path.is_file()}
        if files != present:
            names.append(module.id)
    return names


def generate(where: settings.Settings, module: manifest.Module, release_dir: Path) -> Path:
    """Generate one module's release into `release_dir`, with a gradebook of its own; returns the notebook.

    Raises:
        GradingError: see `release`.
    """
    source = where.solution(module.id)
    notebooks.read(source)
    with tempfile.TemporaryDirectory(prefix="course-gradebook-") as grading_dir:
        gradebooks.ensure(where, Path(grading_dir) / "gradebook.db")
        generate_assignment(configure(Config(), Path(grading_dir), release_dir), module.id)
    result = release_dir / module.id / source.name
    leaks = list(find_leaks(source, result))
    if leaks:
        raise GradingError(f"the release of {module.id} would leak answers:\n" + "\n".join(leaks))
    return result


def register(where: settings.Settings, module: manifest.Module) -> None:
    """Tell the course's gradebook about the module's checks and points, without touching `notebooks/`."""
    gradebooks.ensure(where, where.grading_dir / "gradebook.db")
    with tempfile.TemporaryDirectory(prefix="course-release-") as folder:
        generate_assignment(configure(Config(), where.grading_dir, Path(folder)), module.id)


def generate_assignment(config: Config, module_id: str) -> None:
    """nbgrader's own step, with its log in the error when it fails."""
    from nbgrader.apps import NbGraderAPI

    result = NbGraderAPI(config=config).generate_assignment(module_id, force=True, create=True)
    if not result["success"]:
        raise GradingError(f"nbgrader could not generate {module_id}:\n{log_reason(result)}")


def find_leaks(source: Path, released: Path) -> Iterator[str]:
    """Lines of solutions and hidden tests that stand in the release, and cells of the release that hold outputs."""
    release_notebook = notebooks.read(released)
    public = {line.strip() for cell in release_notebook.cells for line in cell.source.splitlines()}
    for kind, (begin, end) in _MARKERS.items():
        if any(begin in line or end in line for line in public):
            yield f"  a marker of a {kind} stands in {released.name}"
    secret, shown = secret_lines(source)
    for line, kind in secret.items():
        if line in public and line not in shown:
            yield f"  a line of a {kind}: {line:.100}"
    for number, cell in enumerate(release_notebook.cells, start=1):
        if cell.get("outputs"):
            yield f"  cell {number} holds outputs"


def secret_lines(source: Path) -> tuple[dict[str, str], set[str]]:
    """The telling lines inside markers (line -> kind), and the lines that the source shows outside of them."""
    secret: dict[str, str] = {}
    shown: set[str] = set()
    for cell in notebooks.read(source).cells:
        inside: str | None = None
        for line in cell.source.splitlines():
            opened = next((kind for kind, (begin, _) in _MARKERS.items() if begin in line), None)
            if opened:
                inside = opened
            elif inside and _MARKERS[inside][1] in line:
                inside = None
            elif inside and len(line.strip()) >= MIN_LINE_CHARS:
                secret[line.strip()] = inside
            elif not inside:
                shown.add(line.strip())
    return secret, shown


def log_reason(result: dict[str, str], lines: int = 12) -> str:
    """Why one of nbgrader's API calls failed: the first exception that its log names, else the log's last lines."""
    text = (result.get("log") or "") + (result.get("error") or "")
    named = _EXCEPTION.findall(text)
    return named[0] if named else "\n".join(text.strip().splitlines()[-lines:])
