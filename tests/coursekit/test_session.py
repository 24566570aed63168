"""A learner's session: `%load_ext coursekit`, exporting, progress, and whose file a later notebook gets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

from coursekit import jupyter, manifest, progress, settings, workspace
from coursekit.errors import CourseError, ExportError
from tests import notebook_files

MakeCourse = Callable[..., Path]
SOLVED = "#| export adding.py\ndef add(a, b):\n    return a + b"
WRONG = "#| export adding.py\ndef add(a, b):\n    return a - b"
CHECK = (
    'from coursekit.checks import Check\nwith Check("a1-add-basic") as check:\n'
    '    check.call(add, 1, 2).equals(3, why="1 + 2 = 3", hint="use +")'
)


class Notebook:
    """An open notebook: a shell that runs cells with their ids, as JupyterLab does."""

    def __init__(self, module: str) -> None:
        self.shell = InteractiveShell()
        self.run(f'MODULE = "{module}"')
        self.loaded = self.run("%load_ext coursekit")

    def run(self, source: str, cell_id: str | None = None) -> ExecutionResult:
        return self.shell.run_cell(source, cell_id=cell_id)


@pytest.fixture
def root(small_course: MakeCourse) -> Iterator[Path]:
    folder = small_course()
    for number, cells in (("a1_first", notebook_files.first_module()), ("a2_second", notebook_files.second_module())):
        notebook_files.write(folder / "solutions" / number / f"{number}.ipynb", cells)
    modules, finders = set(sys.modules), list(sys.meta_path)
    yield folder
    sys.meta_path[:] = finders
    for name in set(sys.modules) - modules:
        if name.split(".")[0] == "assistant":
            del sys.modules[name]
    jupyter._session = None


def _file(root: Path) -> Path:
    return root / "workspace" / "assistant" / "adding.py"


def _origins(root: Path, current: str | None = None) -> Mapping[str, str]:
    files = workspace.resolve(settings.load(), manifest.load(root), current)
    return {name: file.origin for name, file in files.items()}


def test_an_export_cell_that_ran_becomes_a_file(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = Notebook("a1_first")
    notebook.run(SOLVED, "c1")
    assert "return a + b" in _file(root).read_text(encoding="utf-8")
    assert "→ assistant/adding.py" in capsys.readouterr().out


def test_a_cell_that_failed_exports_nothing(root: Path) -> None:
    Notebook("a1_first").run("#| export adding.py\nA = 1 / 0", "c1")
    assert not _file(root).exists()


def test_running_a_cell_again_replaces_its_block(root: Path) -> None:
    notebook = Notebook("a1_first")
    notebook.run(WRONG, "c1")
    notebook.run(SOLVED, "c1")
    text = _file(root).read_text(encoding="utf-8")
    assert "a + b" in text and "a - b" not in text


def test_a_cell_that_no_longer_exports_is_withdrawn(root: Path) -> None:
    notebook = Notebook("a1_first")
    notebook.run(SOLVED, "c1")
    notebook.run(SOLVED.removeprefix("#| export adding.py\n"), "c1")
    assert not _file(root).exists()


def test_cells_deleted_from_the_notebook_disappear_when_it_is_opened_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = root / "workspace" / "a1_first" / "a1_first.ipynb"
    cells = [notebook_files.code(SOLVED, "c1"), notebook_files.code("#| export adding.py\nLIMIT = 3", "c2")]
    notebook_files.write(own, cells)
    monkeypatch.setenv("JPY_SESSION_NAME", str(own))
    notebook = Notebook("a1_first")
    notebook.run(cells[1].source, "c2")
    notebook.run(cells[0].source, "c1")
    text = _file(root).read_text(encoding="utf-8")
    assert text.index("def add") < text.index("LIMIT")
    notebook_files.write(own, cells[:1])
    Notebook("a1_first")
    text = _file(root).read_text(encoding="utf-8")
    assert "def add" in text and "LIMIT" not in text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("#| export\nA = 1", "names no file"),
        ("#| export other.py\nA = 1", "a1_first exports adding.py, not 'other.py'"),
        ("#| export adding.py\nprint(1)", "would run on every import"),
        ("#| export adding.py\n%matplotlib inline", "not plain Python"),
        ("#| export adding.py\ndef area(r):\n    return math.pi * r", "Add `import math` to this cell"),
        ("#| export adding.py\ndef area(r):\n    return m.pi * r", "Add `import math as m` to this cell"),
        ("#| export adding.py\ndef read(text: str) -> Path: ...", "Add `from pathlib import Path` to this cell"),
        ("#| export adding.py\ndef area(r):\n    return twice(r)", "begin the cell that defines it with the same"),
        ("#| export adding.py\ndef area(r):\n    display(r)", "uses `display`"),
    ],
)
def test_a_cell_that_cannot_be_exported_says_why_and_does_not_run(
    source: str, words: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = Notebook("a1_first")
    notebook.run("import math\nimport math as m\nfrom pathlib import Path\ndef twice(x):\n    return 2 * x")
    assert not notebook.run(source, "c1").success
    out, _ = capsys.readouterr()
    assert "not exported" in out and words in out
    assert not _file(root).exists()
    assert notebook.run("%timeit -n1 -r1 1 + 1").success


def test_a_name_of_the_same_file_or_of_a_cell_below_may_be_used(root: Path) -> None:
    notebook = Notebook("a1_first")
    assert notebook.run("#| export adding.py\nimport math\nRATE = 2", "c1").success
    assert notebook.run("#| export adding.py\ndef area(r):\n    return math.pi * RATE * later(r)", "c2").success
    assert notebook.run("#| export adding.py\ndef later(r):\n    return sum(x for x in [r] if (y := x))", "c3").success
    assert notebook.run("#| export adding.py\ndef area(r):\n    return math.pi * RATE * later(r)", "c2").success


def test_a_later_notebook_gets_the_learners_file_once_its_checks_passed_else_the_reference(root: Path) -> None:
    first = Notebook("a1_first")
    first.run(SOLVED, "c1")
    assert _origins(root)["adding.py"] == "reference"
    first.run(CHECK)
    assert _origins(root)["adding.py"] == "yours"
    Notebook("a2_second").run("from assistant.adding import add")
    assert sys.modules["assistant.adding"].__file__ == str(_file(root))
    first = Notebook("a1_first")
    first.run(WRONG, "c1")
    assert _origins(root)["adding.py"] == "reference"
    first.run(CHECK)
    assert progress.checks(settings.load())["a1-add-basic"].passed is False


def test_an_import_of_the_open_notebooks_own_file_gives_the_notebooks_own_objects(root: Path) -> None:
    notebook = Notebook("a1_first")
    notebook.run("#| export adding.py\nclass Sum:\n    pass", "c1")
    assert notebook.run("mine = Sum\nfrom assistant.adding import Sum\nassert Sum is mine").success
    notebook.run("#| export adding.py\nclass Sum:\n    later = True", "c1")
    assert notebook.run("from assistant.adding import Sum\nassert Sum.later").success
    result: Any = notebook.run("from assistant.adding import absent").error_in_exec
    assert isinstance(result, ImportError)


def test_an_edit_after_the_checks_passed_makes_them_stale(root: Path) -> None:
    notebook = Notebook("a1_first")
    notebook.run(SOLVED, "c1")
    notebook.run(CHECK)
    course = manifest.load(root)
    assert workspace.check_states(settings.load(), course, course.modules[0]) == {"a1-add-basic": "passed"}
    notebook.run(SOLVED + "  # a comment is no change", "c1")
    notebook.run("#| export adding.py\nUNRELATED = 1", "c2")
    assert workspace.check_states(settings.load(), course, course.modules[0]) == {"a1-add-basic": "passed"}
    notebook.run(SOLVED.replace("a + b", "b + a"), "c1")
    assert workspace.check_states(settings.load(), course, course.modules[0]) == {"a1-add-basic": "stale"}


def test_a_file_that_was_broken_by_hand_is_replaced_by_the_reference(root: Path) -> None:
    notebook = Notebook("a1_first")
    notebook.run(SOLVED, "c1")
    notebook.run(CHECK)
    _file(root).write_text(_file(root).read_text(encoding="utf-8").replace("return", "return ("), encoding="utf-8")
    assert _origins(root)["adding.py"] == "reference"
    notebook = Notebook("a2_second")
    assert notebook.run("from assistant.adding import add\nassert add(1, 2) == 3").success


def test_grading_uses_the_reference_and_leaves_the_learners_files_and_progress_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = Notebook("a1_first")
    notebook.run(SOLVED, "c1")
    notebook.run(CHECK)
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    monkeypatch.delenv("COURSE_WORKSPACE", raising=False)
    graded = Notebook("a1_first")
    graded.run(WRONG, "c1")
    graded.run(CHECK)
    assert "a + b" in _file(root).read_text(encoding="utf-8")
    second = Notebook("a2_second")
    second.run("from assistant.adding import add")
    assert ".course/reference" in Path(str(sys.modules["assistant.adding"].__file__)).as_posix()
    monkeypatch.delenv("NBGRADER_EXECUTION")
    monkeypatch.delenv("COURSE_WORKSPACE", raising=False)
    assert progress.checks(settings.load())["a1-add-basic"].passed is True


def test_a_disk_that_cannot_be_written_costs_progress_but_no_verdict(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = Notebook("a1_first")
    notebook.run(SOLVED, "c1")
    (root / "not-a-folder").write_text("")
    monkeypatch.setenv("COURSE_STATE", str(root / "not-a-folder"))
    assert notebook.run(CHECK).success
    out, err = capsys.readouterr()
    assert "progress was not kept" in out and "writable" in out
    assert err == ""


def test_a_notebook_without_module_or_with_an_unknown_one_gets_one_clear_sentence(root: Path) -> None:
    shell = InteractiveShell()
    assert isinstance(shell.run_cell("%load_ext coursekit").error_in_exec, CourseError)
    assert "no module 'zz'" in str(Notebook("zz").loaded.error_in_exec)


def test_a_file_nobody_has_written_yet_names_the_notebook_that_exports_it(root: Path) -> None:
    (root / "solutions" / "a1_first" / "a1_first.ipynb").unlink()
    result: Any = Notebook("a2_second").run("import assistant.adding").error_in_exec
    assert "a1_first exports" in str(result)


def test_loading_twice_exports_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = Notebook("a1_first")
    notebook.run("%reload_ext coursekit")
    capsys.readouterr()
    notebook.run(SOLVED, "c1")
    assert capsys.readouterr().out.count("→") == 1


def test_a_malformed_pointer_is_an_export_error() -> None:
    from coursekit import notebooks

    with pytest.raises(ExportError):
        notebooks.export_target("#| export /etc/passwd")
