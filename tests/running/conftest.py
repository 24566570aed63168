"""Tiny courses, made in a temporary folder: notebooks named for what they do, and a course.yml that lists them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from coursekit.settings import Settings, load

MakeCourse = Callable[..., Settings]


def write_notebook(path: Path, cells: Sequence[str], tags: Sequence[str] = ()) -> Path:
    """A notebook with a title and these code cells; `tags` go to the last one."""
    made = [new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(cells)]
    if tags:
        made[-1].metadata["tags"] = list(tags)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Title", id="title"), *made]), path)
    return path


def write_course(
    root: Path, notebooks: Mapping[str, Sequence[str]], limits: Mapping[str, int], database: bool
) -> Settings:
    modules = [
        {
            "id": name, "title": name, "adds": "nothing", "objectives": ["none"], "minutes": 1, "points": 1,
            "time_limit_seconds": limits.get(name, 60), "database": database,
        }
        for name in notebooks
    ]  # fmt: skip
    root.mkdir(parents=True, exist_ok=True)
    course = {"title": "T", "package": "assistant", "grading": {"cell_timeout_seconds": 5}, "modules": modules}
    (root / "course.yml").write_text(json.dumps(course), encoding="utf-8")  # JSON is YAML
    for name, cells in notebooks.items():
        write_notebook(root / "solutions" / name / f"{name}.ipynb", cells)
    return load({}, start=root)


def processes_of_course(root: Path) -> list[int]:
    """The pids of living processes that a run of this course started, whatever became of their parents."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        if environment.get("COURSE_ROOT") == str(root) and "COURSE_RUN_TOKEN" in environment:
            found.append(process.pid)
    return found


@pytest.fixture
def make_course(tmp_path: Path) -> MakeCourse:
    def make(
        notebooks: Mapping[str, Sequence[str]], limits: Mapping[str, int] | None = None, database: bool = False
    ) -> Settings:
        return write_course(tmp_path / "course", notebooks, limits or {}, database)

    return make
