"""Planning, shortening tracebacks and rendering: nothing is executed here."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from coursekit import manifest
from coursekit.errors import ManifestError, RunError
from coursekit.running import plan as running_plan
from coursekit.running.records import CellFailure, Event, RunResult
from coursekit.running.report import RunProgress, failure_panel, summary_table
from coursekit.running.tracebacks import MAX_FRAMES, cell_frames, error_text, failing_line

from .conftest import MakeCourse, write_notebook


def rendered(item: RenderableType, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(item)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def result(**changes: object) -> RunResult:
    base = {
        "module": "m01_x",
        "notebook": Path("m01_x.ipynb"),
        "status": "ok",
        "seconds": 1.25,
        "cells_done": 3,
        "cells_total": 3,
    }
    return RunResult(**base | changes)  # type: ignore[arg-type]


def failed(**changes: object) -> RunResult:
    base = {"index": 4, "execution_count": 3, "source": "x = 1", "error": "KeyError", "message": "'a'", "line": None}
    return result(status="failed", cells_done=2, failure=CellFailure(**base | changes))  # type: ignore[arg-type]


def test_no_targets_mean_every_module_and_beginnings_are_enough(make_course: MakeCourse) -> None:
    settings = make_course({"m01_a": ["1"], "m02_b": ["1", "", "2"]})
    course = manifest.load(settings.root)
    assert [plan.module for plan in running_plan.plan([], course, settings, None)] == ["m01_a", "m02_b"]
    (plan,) = running_plan.plan(["m02"], course, settings, None)
    assert (plan.module, plan.cells_total, plan.time_limit_seconds) == ("m02_b", 2, 60)
    assert len(running_plan.plan(["m02", "m02_b"], course, settings, None)) == 1
    assert running_plan.plan(["m02"], course, settings, 5)[0].time_limit_seconds == 5
    with pytest.raises(ManifestError, match="m03"):
        running_plan.plan(["m03"], course, settings, None)


def test_a_path_is_its_module_by_parameters_or_by_name(make_course: MakeCourse, tmp_path: Path) -> None:
    settings = make_course({"m01_a": ["1"]})
    course = manifest.load(settings.root)
    copy = write_notebook(tmp_path / "copy.ipynb", ['MODULE = "m01_a"'], tags=["parameters"])
    foreign = write_notebook(tmp_path / "foreign.ipynb", ["1"])
    plans = running_plan.plan([copy, str(foreign)], course, settings, None)
    assert [(plan.module, plan.time_limit_seconds) for plan in plans] == [
        ("m01_a", 60),
        ("foreign", running_plan.UNLISTED_TIME_LIMIT_SECONDS),
    ]
    with pytest.raises(RunError, match="would write to"):
        running_plan.plan(["m01_a", copy], course, settings, None)
    escaping = write_notebook(tmp_path / "escaping.ipynb", ['MODULE = "../../etc"'], tags=["parameters"])
    with pytest.raises(ManifestError, match="cannot be a folder"):
        running_plan.plan([escaping], course, settings, None)


def test_a_deep_recursion_shows_its_first_and_last_frames() -> None:
    traceback = [
        "-----",
        *(f"\x1b[36mCell\x1b[39m In[1], line {n}, in f()\n----> f()" for n in range(1, 40)),
        "RecursionError: x",
    ]
    frames = cell_frames(traceback)
    assert len(frames) == MAX_FRAMES + 1
    assert "line 1," in frames[0] and "31 more frames" in frames[4] and "line 39," in frames[-1]
    assert failing_line(frames, 1) == 1
    assert failing_line(frames, 2) is None


def test_a_syntax_error_has_a_line_and_no_temporary_file_name() -> None:
    frames = cell_frames(["  Cell In[1], line 2\n    x = (\n         ^\nSyntaxError: incomplete input"])
    assert failing_line(frames, 1) == 2
    assert error_text("\x1b[31mincomplete input\x1b[0m (3046560625.py, line 2)") == "incomplete input"


def test_the_summary_has_one_row_per_notebook() -> None:
    text = rendered(summary_table([result(), failed(), result(module="m02_y", status="timeout", cells_done=0)]))
    assert "1 of 3 notebooks passed" in text
    assert "m02_y" in text and "timeout" in text and "2/3" in text and "1.2" in text


def test_a_failure_panel_shows_the_line_the_way_there_and_the_message() -> None:
    frames = ("Cell In[3], line 40\n---> 40 f(0)", "Cell In[1], line 2, in f(x)\n----> 2     return 1 / x")
    source = "\n".join(f"line_{number} = {number}" for number in range(1, 81))
    text = rendered(failure_panel(failed(source=source, line=40, traceback=frames)))
    assert "❱ 40 line_40" in text and "return 1 / x" in text and "KeyError: 'a'" in text
    assert "line_20 " not in text and "line_60 " not in text


def test_a_failure_panel_stays_short_and_takes_brackets_literally() -> None:
    frames = tuple(f"Cell In[1], line {n}\n" + "\n".join("y = " + "z" * 300 for _ in range(9)) for n in range(8))
    noisy = failed(source="v = '[red]'\n" + "w = " + "x" * 5_000, message="[/oops] " + "long\n" * 500, traceback=frames)
    text = rendered(failure_panel(noisy), width=80)
    assert len(text.splitlines()) <= 32
    assert "[/oops]" in text and "[red]" in text


def test_a_result_without_a_cell_shows_its_message_and_an_ok_one_has_no_panel() -> None:
    assert "it is HTML" in rendered(failure_panel(result(status="invalid", message="it is HTML")))
    with pytest.raises(ValueError, match="m01_x passed"):
        failure_panel(result())


def test_progress_is_plain_lines_where_there_is_no_terminal() -> None:
    console = Console(file=io.StringIO(), width=40)
    with RunProgress(console) as progress:
        progress(Event("planned", "m01_x", cells_total=3))
        progress(Event("planned", "m02_y"))
        progress(Event("started", "m01_x", cells_total=3))
        progress(Event("cell", "m01_x", cells_done=1, cells_total=3))
        progress(Event("warning", "m01_x", message="[careful]"))
        progress(Event("finished", "m01_x", result=result()))
        progress(Event("finished", "m02_y", result=result(module="m02_y", status="invalid", message="it is HTML")))
    assert console.file.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "m01_x: [careful]",
        "[1/2] ok          m01_x  3/3 cells, 1.2 s",
        "[2/2] invalid     m02_y  3/3 cells, 1.2 s  it is HTML",
    ]


def test_progress_draws_bars_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with RunProgress(console) as progress:
        progress(Event("planned", "m01_x", cells_total=3))
        progress(Event("started", "m01_x", cells_total=3))
        progress(Event("cell", "m01_x", cells_done=1, cells_total=3))
        progress(Event("finished", "m01_x", result=result()))
    assert "━" in console.file.getvalue()  # type: ignore[attr-defined]
