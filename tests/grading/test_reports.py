"""What instructors hand out and look at: feedback, exports, statistics, similar solutions, findings."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
from rich.console import Console

from coursekit import manifest, settings, tables
from coursekit.errors import GradingError
from coursekit.grading.recording import audit
from coursekit.grading.reporting import exports, feedback, similarity, statistics
from coursekit.grading.results import CheckGrade, Finding
from tests.conftest import ROOT
from tests.grading import record_files
from tests.grading.record_files import MODULE, grade, recording, solved, submit

REJECTED = "the file is HTML. Hand in the notebook."


@pytest.fixture
def root(small_course: Callable[..., Path]) -> Path:
    folder = record_files.make_course(small_course)
    (folder / "nbgrader_config.py").write_bytes((ROOT / "nbgrader_config.py").read_bytes())
    return folder


def _class(*students: str, **what: object) -> tuple[settings.Settings, manifest.Module]:
    """Record the same grade for these students."""
    with recording() as recorder:
        for student in students:
            digest = submit(student, "2026-03-01 18:00:00 UTC", json.dumps(str(what)))
            recorder.record(grade(student, **what), recorder.submission(student, digest))  # type: ignore[arg-type]
    where = settings.load()
    return where, manifest.load(where.root).module(MODULE)


def _read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def _printed(renderable: object) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


# ── feedback ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_feedback_page_shows_points_message_and_hint_and_nobody_elses_work(root: Path) -> None:
    evil = [nbformat.v4.new_markdown_cell("<script>alert(1)</script> [x](javascript:alert(1))", id="own-1")]
    _class("ada", points=0, notebook=solved(own=evil), findings=(Finding("repair", "a BOM was removed"),))
    where, module = _class("bob [1]")
    pages = feedback.write(where, module)
    assert [(page.student, page.problem) for page in pages] == [("ada", None), ("bob [1]", None)]
    page = pages[0].path.read_text(encoding="utf-8")
    assert pages[0].path == where.grading_dir / "feedback" / "ada" / MODULE / f"{MODULE}.html"
    assert "Score: 0.0 / 2.0" in page and "1 + 2 = 3" in page and "use +" in page and "a BOM was removed" in page
    assert "42" not in re.sub(r"<style.*?</style>", "", page.split("<body", 1)[1], flags=re.DOTALL)
    assert "bob" not in page
    head, body = page.split("</head>", 1)
    assert "<script" not in body and 'href="javascript:' not in body
    assert "Content-Security-Policy" in head and "'unsafe" not in head and head.count("'sha256-") == 1


def test_stock_generate_feedback_and_export_work_on_what_was_recorded(root: Path) -> None:
    where, _ = _class("ada", points=0)

    def nbgrader(*arguments: str) -> None:
        command = [sys.executable, "-m", "nbgrader", *arguments]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stderr[-2000:]

    nbgrader("generate_feedback", MODULE)
    page = (where.grading_dir / "feedback" / "ada" / MODULE / f"{MODULE}.html").read_text(encoding="utf-8")
    assert "use +" in page and "add, 40" not in page and "hidden()" not in page
    nbgrader("export", "--to", "stock.csv")
    exports.write(where, root / "ours.csv")
    stock, ours = (_read_csv(root / name) for name in ("stock.csv", "ours.csv"))
    assert ours == [{**row, "problem": ""} for row in stock]


def test_the_reason_of_a_rejected_file_is_in_feedback_and_exports(root: Path) -> None:
    _class("ada")
    _class("ada", "eve", error=REJECTED)
    where, module = _class("bob")
    texts = {page.student: page.path.read_text(encoding="utf-8") for page in feedback.write(where, module)}
    assert REJECTED in texts["eve"] and "Score: 0.0 / 2.0" in texts["eve"]
    assert "Your newest file was not graded" in texts["ada"] and "Score: 2.0 / 2.0" in texts["ada"]
    assert REJECTED not in texts["bob"]
    rows = {row.student_id: row for row in exports.rows(where)}
    assert [(rows[s].problem, rows[s].score) for s in ("ada", "bob", "eve")] == [
        (REJECTED, 2),
        (None, 2),
        (REJECTED, 0),
    ]


def test_what_is_not_graded_yet_is_said_with_the_command_to_run(root: Path) -> None:
    where = settings.load()
    module = manifest.load(root).module(MODULE)
    for report in (feedback.write, statistics.of_module, similarity.of_module):
        with pytest.raises(GradingError, match="course grade a1"):
            report(where, module)
    with pytest.raises(GradingError, match="no gradebook"):
        exports.write(where, root / "grades.csv")
    _class("ada")
    with pytest.raises(GradingError, match="no graded submission of a1_first by zoe"):
        feedback.write(where, module, ["zoe"])


# ── exports ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_canvas_moodle_and_json_have_their_shapes(root: Path) -> None:
    where, module = _class("ada", points=1.5, message="half")
    with recording() as recorder:
        book = recorder._book
        book.transact(
            lambda session: session.execute(exports.api.Student.__table__.insert().values(id="zoe", email="z@x"))
        )
    exports.write(where, root / "canvas.csv", shape="canvas")
    assert (root / "canvas.csv").read_text(encoding="utf-8").splitlines() == [
        "Student,ID,SIS Login ID,Section,a1_first",
        "    Points Possible,,,,6.0",
        "ada,,ada,,1.5",
        "zoe,,zoe,,",
    ]
    assert exports.write(where, root / "moodle.csv", shape="moodle", modules=[module]) == 2
    moodle = _read_csv(root / "moodle.csv")
    assert [(m["Identifier"], m["Email address"], m["Grade"]) for m in moodle] == [
        ("ada", "", "1.5"),
        ("zoe", "z@x", ""),
    ]
    exports.write(where, root / "grades.json", shape="json")
    ada = json.loads((root / "grades.json").read_text(encoding="utf-8"))[0]
    assert (ada["score"], ada["timestamp"]) == (1.5, "2026-03-01 18:00:00")
    assert {cell["cell"] for cell in ada["cells"]} == {"a1-add-basic", "a1-essay", "a1-task"}


@pytest.mark.parametrize("shape", ["nbgrader", "canvas", "moodle"])
def test_a_name_that_a_spreadsheet_would_run_is_guarded(shape: exports.Shape, root: Path) -> None:
    where, _ = _class('=cmd("x"),y', error="@SUM(1)")
    exports.write(where, root / "grades.csv", shape=shape)
    cells = [
        cell for line in csv.reader((root / "grades.csv").read_text(encoding="utf-8").splitlines()) for cell in line
    ]
    assert '\'=cmd("x"),y' in cells
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))]


# ── statistics, similarity, findings ─────────────────────────────────────────────────────────────────────────


def test_statistics_count_passes_and_name_the_common_failures(root: Path) -> None:
    _class("ada", "bob", "cyd")
    _class("dan", points=0)
    where, module = _class("eve", error=REJECTED)
    found = statistics.of_module(where, module)
    exercise, check = found.items
    assert (found.graded, found.rejected, exercise.name, check.name) == (4, 1, "a1-add", "a1-add-basic")
    assert (check.n, check.pass_rate, check.mean_share, check.messages) == (4, 0.75, 0.75, (("wrong result", 1),))
    printed = _printed(tables.statistics(found))
    assert "75%" in printed and "1 × wrong result" in printed
    axes = statistics.figure(found).axes[0]
    assert [round(bar.get_bbox().width) for bar in axes.patches] == [75, 75]  # type: ignore[attr-defined]


def test_discrimination_is_the_correlation_with_the_rest_of_the_score() -> None:
    entry = audit.Entry("", MODULE, "", "", 0, 0, None, "", 0, (), ())
    scores = {"a": (1, 3, 2), "b": (1, 2, 2), "c": (0, 1, 2), "d": (0, 0, 2)}
    entries = [
        replace(entry, student=s, checks=tuple(CheckGrade(f"c{i}", p, (1, 3, 2)[i]) for i, p in enumerate(points)))
        for s, points in scores.items()
    ]
    items = {item.name: item for item in statistics._items(entries, {}) if item.kind == "check"}
    assert items["c0"].discrimination == pytest.approx(np.corrcoef([1, 1, 0, 0], [5, 4, 3, 2])[0, 1])
    assert items["c2"].discrimination is None


ORIGINAL = """
    totals = {}
    for row in rows:
        key = row["team"].strip().lower()
        if key in totals:
            totals[key] += row["points"] * 2
        else:
            totals[key] = row["points"]
    best = sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))
    return [name for name, points in best if points > limit][:10]
"""
OTHER = """
    from collections import Counter
    counter = Counter()
    while rows:
        item = rows.pop()
        counter.update({item["team"].strip().lower(): item["points"]})
    ranking = counter.most_common()
    ranking.sort(key=lambda entry: entry[0])
    try:
        return list(map(str, ranking))[:limit]
    except TypeError as error:
        raise ValueError(f"bad rows: {error}") from error
"""


def test_a_renamed_copy_is_found_and_an_own_solution_is_not() -> None:
    copied = ORIGINAL.replace("totals", "sums").replace("row[", "r[").replace("best", "x") + "\n    # mine, honestly"
    (pair,) = similarity.pairs({"ada": ORIGINAL, "bob": copied, "cyd": OTHER}, exercise="e")
    assert (pair.first, pair.second, pair.share) == ("ada", "bob", 1.0)
    assert similarity.pairs({"ada": ORIGINAL, "cyd": OTHER}, threshold=0.2) == []
    assert "100%" in _printed(tables.similarity([pair]))


def test_what_the_stub_and_the_reference_say_is_nobodys_copy() -> None:
    assert similarity.pairs({"ada": ORIGINAL, "bob": ORIGINAL}, known=[ORIGINAL]) == []


def test_what_a_large_part_of_the_class_shares_is_the_exercises_own_shape() -> None:
    assert similarity.pairs({f"s{i}": ORIGINAL for i in range(20)}) == []
    assert len(similarity.pairs({f"s{i}": ORIGINAL for i in range(4)})) == 6


def test_code_that_does_not_parse_is_compared_too() -> None:
    broken = ORIGINAL + '\n    if x ==== "unclosed'
    assert similarity.pairs({"ada": broken, "bob": broken})[0].share == 1.0
    assert similarity.pairs({"ada": "", "bob": "\ud800'"}) == []


def test_similar_solutions_are_found_in_the_graded_notebooks(root: Path) -> None:
    _class("ada", "bob", notebook=solved(body=ORIGINAL))
    where, module = _class("cyd", notebook=solved(body=OTHER))
    assert [(p.first, p.second, p.exercise) for p in similarity.of_module(where, module)] == [("ada", "bob", "a1-add")]


def test_tampering_is_reported_with_its_student_and_cell(root: Path) -> None:
    where, _ = _class(
        "ada", findings=(Finding("tamper", "points [changed] to 99", "a1-add-basic"), Finding("note", "n"))
    )
    with audit.reading(where.grading_dir) as log:
        found = audit.findings(log.latest(MODULE), ["tamper"])
        runs = _printed(tables.grading_runs(log.runs()))
    printed = _printed(tables.submission_findings(found))
    assert all(word in printed for word in ("ada", "tamper", "a1-add-basic", "points [changed] to 99"))
    assert "interrupted" not in runs and MODULE in runs
