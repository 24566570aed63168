"""The submissions are what they say they are, before anybody grades them."""

from __future__ import annotations

import ast
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from coursekit import database, manifest, notebooks, settings
from coursekit.grading import release
from tests.hostile import course, in_the_open, maker, scene
from tests.hostile.course import H1, H2
from tests.hostile.maker import Hostile, Maker
from tests.hostile.scene import Scene
from tests.hostile.submissions import GROUPS

EVERY = [pytest.param(hostile, id=f"{group}-{hostile.name}") for group, found in GROUPS.items() for hostile in found]


@pytest.fixture
def makers(template: Scene, tmp_path: Path) -> Scene:
    """A scene that shares the template's release, with submissions of its own."""
    for name in ("solutions", "notebooks", "course.yml"):
        (tmp_path / "course").mkdir(exist_ok=True)
        (tmp_path / "course" / name).symlink_to(template.root / name)
    return Scene(tmp_path / "course", template.marker, port=9)


def test_the_suite_is_large_and_every_name_is_used_once_in_its_group() -> None:
    assert sum(map(len, GROUPS.values())) >= 80
    for found in GROUPS.values():
        names = [hostile.name for hostile in found]
        assert len(names) == len(set(names))
        assert all(name.replace("-", "").isalnum() for name in names)


@pytest.mark.parametrize("hostile", EVERY)
def test_a_submission_says_what_it_tries_and_deserves_only_what_there_is(hostile: Hostile) -> None:
    checks = set(course.POINTS[hostile.module])
    assert len(hostile.what) > 4
    assert hostile.earns | hostile.may_earn <= checks
    assert not (hostile.error and hostile.earns)


@pytest.mark.parametrize("hostile", EVERY)
def test_a_submission_can_be_made_and_its_cells_compile(hostile: Hostile, makers: Scene) -> None:
    path = maker.put(hostile, Maker(makers, hostile.name, hostile.module))
    assert list(path.parent.iterdir()), "nothing was handed in"
    if not path.is_file() or path.is_symlink() or hostile.odd_python or hostile.error:
        return
    for cell in _code_cells(path):
        python = TransformerManager().transform_cell(cell)
        ast.parse(python)


def _code_cells(path: Path) -> list[str]:
    try:
        data = json.loads(path.read_bytes())
    except ValueError:
        return []  # unlucky files: the intake's tests look at them
    cells = data.get("content", data).get("cells", [])
    found = [cell for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    return ["".join(cell["source"]) for cell in found]


def test_the_course_is_released_without_canaries_and_knows_its_points(template: Scene) -> None:
    where = settings.load({"COURSE_ROOT": str(template.root)})
    course_file = manifest.load(template.root)
    for module in course_file.modules:
        source = where.solution(module.id)
        text = template.release(module.id).read_text(encoding="utf-8")
        assert template.canary in source.read_text(encoding="utf-8") and template.canary not in text
        assert list(release.find_leaks(source, template.release(module.id))) == []
        graded = [cell for cell in notebooks.read(template.release(module.id)).cells if notebooks.is_test(cell)]
        assert sum(map(notebooks.points, graded)) == module.points == sum(course.POINTS[module.id].values())
    assert [module.points for module in course_file.modules] == [10, 3]


def test_the_gradebook_holds_the_manual_score(template: Scene) -> None:
    assert scene.scores(template, H1) == {scene.CLASSMATE: scene.MANUAL[1]}


def _in_the_open(template: Scene, made: Maker, notebook: NotebookNode, folder: Path) -> dict[str, str]:
    path = folder / "submission.ipynb"
    path.write_bytes(maker.raw(notebook))
    source = template.root / "solutions" / made.module / f"{made.module}.ipynb"
    return in_the_open.failures(path, source, database_url=database.server_url() if made.module == H2 else None)


@pytest.mark.parametrize("module", [H1, H2])
def test_right_answers_pass_and_the_blank_release_fails(template: Scene, tmp_path: Path, module: str) -> None:
    made = Maker(template, "somebody", module)
    assert _in_the_open(template, made, made.solved(), tmp_path) == {}
    failed = _in_the_open(template, made, made.blank(), tmp_path)
    assert set(failed) == {course.check_id(module, name) for name in course.POINTS[module]}


BITING = [
    ("forging_values", "lying-text"),
    ("forging_machinery", "patched-check"),
    ("forging_machinery", "frames"),
    ("forging_machinery", "ast-transformer"),
    ("exfiltration", "solutions"),
    ("exfiltration", "gradebook"),
    ("exfiltration", "environment"),
]


@pytest.mark.parametrize(("group", "name"), BITING)
def test_an_attack_bites_where_nothing_guards(
    template: Scene, tmp_path: Path, group: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the suite would prove nothing."""
    monkeypatch.setenv(scene.SECRET_VARIABLE, f"{template.canary}-environment")
    (hostile,) = (found for found in GROUPS[group] if found.name == name)
    made = Maker(template, hostile.name)
    notebook = hostile.make(made)
    assert isinstance(notebook, NotebookNode)
    failed = _in_the_open(template, made, notebook, tmp_path)
    earned = {check for check in course.POINTS[H1] if course.check_id(H1, check) not in failed}
    assert earned - hostile.earns or "the attack got through" in failed["h1-slug"]


def test_the_outside_hears_who_comes(makers: Scene) -> None:
    with scene.listening(makers):
        with socket.create_connection(("127.0.0.1", makers.port)) as line:
            line.sendall(b"tcp was here")
        with socket.socket(socket.AF_UNIX) as local:
            local.connect(f"\0{makers.marker}")
            local.sendall(b"unix was here")
        _wait_for(lambda: len(makers.visits) == 2)
    assert sorted(makers.visits) == ["tcp: b'tcp was here'", "unix: b'unix was here'"]


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
