"""Scenes to attack, made once and copied; and the broom that removes whatever an attack has left on this machine."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coursekit.grading.isolation import backends
from tests.hostile import scene as scenes
from tests.hostile.scene import Scene
from tests.hostile.submissions import GROUPS
from tests.hostile.submissions.exfiltration import startup_files

NewScene = Callable[[str], Scene]


EVERY_NTH = 3  # of the submissions, with the isolations that are not the strongest here


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/hostile --all-isolations`"""
    parser.addoption(
        "--all-isolations",
        action="store_true",
        help="grade every hostile submission with every isolation (default: all with the strongest, a third with the others)",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The attacks speak Linux: /proc, prctl, abstract sockets. Leave out what only `--all-isolations` runs."""
    mine = [item for item in items if Path(__file__).parent in item.path.parents]
    if sys.platform != "linux":
        for item in mine:
            item.add_marker(pytest.mark.skip(reason="the hostile suite needs Linux"))
    elif mine and not config.getoption("--all-isolations", default=False):
        strongest = "bwrap" if not backends.unusable("bwrap") else "namespaces"
        left_out = [item for item in mine if _is_left_out(item, strongest)]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def _is_left_out(item: pytest.Item, strongest: str) -> bool:
    given: dict[str, Any] = dict(item.callspec.params) if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}  # fmt: skip
    if "hostile" not in given or given.get("isolation", strongest) == strongest:
        return False
    if given["isolation"] == "bwrap":
        return True  # it is missing here
    return GROUPS[given["group"]].index(given["hostile"]) % EVERY_NTH != 0


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The course, released, with secrets and a manual score; nobody grades in it."""
    scene = scenes.make(tmp_path_factory.mktemp("hostile"))
    scenes.add_manual_score(scene)
    yield scene
    sweep(scene.marker)


@pytest.fixture(scope="session")
def new_scene(template: Scene, tmp_path_factory: pytest.TempPathFactory) -> NewScene:
    """Copies of the template, with the same marker and canaries."""

    def make(name: str) -> Scene:
        folder = tmp_path_factory.mktemp(name)
        shutil.copytree(template.root.parent, folder, dirs_exist_ok=True)
        (folder / "outside").chmod(0o777)
        return Scene(folder / "course", template.marker)

    return make


def sweep(marker: str) -> list[str]:
    """End what carries the marker and remove its files; returns what there was."""
    processes = scenes.marked_processes(marker)
    found = [str(process) for process in processes]
    scenes.end(processes)
    places = [Path(folder) for folder in (tempfile.gettempdir(), "/var/tmp", "/dev/shm")]
    for path in [*startup_files(marker), *(path for place in places for path in place.glob(f"{marker}*"))]:
        if path.exists():
            found.append(str(path))
            path.unlink()
    return found
