"""Scenes to attack, made once and copied; and the broom that removes whatever an attack has left on this machine."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile import scene as scenes
from tests.hostile.scene import Scene
from tests.hostile.submissions.exfiltration import startup_files

NewScene = Callable[[str], Scene]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The attacks speak Linux: /proc, prctl, abstract sockets."""
    if sys.platform != "linux":
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="the hostile suite needs Linux"))


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
