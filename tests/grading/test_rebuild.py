"""What is graded is the source notebook with the learner's texts in it, however wrecked the submission is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode

from coursekit import manifest, notebooks
from coursekit.grading.rebuilding.rebuild import Rebuilt, Step, rebuild
from coursekit.settings import Settings
from tests.grading.rebuild_course import ANSWERS, cell_of, release, solved, source, submitted
from tests.notebook_files import code, nbgrader_metadata

SOURCE = source()
CHECKS = ["x-add-basic", "x-twice-basic", "x-limit-basic"]


def _rebuilt(notebook: NotebookNode) -> Rebuilt:
    result = rebuild(SOURCE, submitted(notebook))
    nbformat.validate(result.notebook())
    return result


def _texts(result: Rebuilt) -> dict[str, str]:
    return {str(step.exercise): step.cell.source for step in result.steps if step.kind == "solution"}


def _ids(result: Rebuilt) -> list[str]:
    return [step.cell.id for step in result.steps]


def _step(result: Rebuilt, cell_id: str) -> Step:
    return next(step for step in result.steps if step.cell.id == cell_id)


def _own(result: Rebuilt) -> list[str]:
    return [step.cell.source for step in result.steps if step.kind == "own"]


def _said(result: Rebuilt, kind: str) -> str:
    return " | ".join(finding.message for finding in result.findings if finding.kind == kind)


def _assert_earns_everything(result: Rebuilt, *, texts: bool = True) -> None:
    checks = [step for step in result.steps if step.kind == "check"]
    assert [notebooks.grade_id(step.cell) for step in checks] == CHECKS
    assert [notebooks.points(step.cell) for step in checks] == [2, 3, 4]
    assert all("HIDDEN" in str(step.judge_source) and step.learner_source is None for step in checks)
    theirs = [step.cell for step in result.steps if step.kind not in ("own", "solution")]
    assert [cell.metadata for cell in theirs] == [c.metadata for c in SOURCE.cells if not notebooks.is_solution(c)]
    if texts:
        assert _texts(result) == ANSWERS


def test_an_honest_submission_is_the_source_with_the_answers_and_no_findings() -> None:
    result = _rebuilt(solved())
    _assert_earns_everything(result)
    assert result.findings == () and _ids(result) == [cell.id for cell in SOURCE.cells]
    assert [step.kind for step in result.steps].count("given") == 11
    assert result.notebook().metadata.kernelspec.name == "python3"
    twice = _step(result, "twice")
    assert (set(twice.names), twice.exercise) == ({"twice", "Pair"}, "x-twice") and twice.judge_source is None
    assert twice.learner_source == ANSWERS["x-twice"]
    assert _step(result, "limit").names == {"LIMIT"}


def test_the_blank_release_and_the_source_itself_rebuild_to_themselves() -> None:
    for notebook in (release(), source()):
        result = _rebuilt(notebook)
        assert result.findings == ()
        assert [s.cell.source for s in result.steps if s.kind == "solution"] == [
            cell.source for cell in notebook.cells if notebooks.is_solution(cell)
        ]


def test_the_source_and_the_submission_are_left_as_they_were() -> None:
    mine, theirs = source(), submitted(solved())
    before = copy.deepcopy((mine, theirs))
    rebuild(mine, theirs, execute="needed").notebook().cells[0].metadata["tags"] = ["mine"]
    assert (mine, theirs) == before


def _each(change: Callable[[NotebookNode], Any]) -> Callable[[NotebookNode], None]:
    def wreck(notebook: NotebookNode) -> None:
        for cell in notebook.cells:
            change(cell)

    return wreck


def _without_nbgrader(cell: NotebookNode) -> None:
    cell.metadata = {}
    cell.id = f"fresh-{cell.id}"


def _same_id(cell: NotebookNode) -> None:
    cell.id = "same"


def _markdown(cell: NotebookNode) -> None:
    if notebooks.is_solution(cell):
        cell.cell_type = "markdown"


def _raw(cell: NotebookNode) -> None:
    cell.cell_type = "raw"


def _reverse(notebook: NotebookNode) -> None:
    notebook.cells = notebook.cells[::-1]


def _double(notebook: NotebookNode) -> None:
    notebook.cells = [copy.deepcopy(cell) for cell in notebook.cells * 2]


def _with_stubs_first(notebook: NotebookNode) -> None:
    notebook.cells = release().cells + notebook.cells


def _only_solutions(notebook: NotebookNode) -> None:
    notebook.cells = [cell for cell in notebook.cells if notebooks.is_solution(cell)]


def _rotated_ids(notebook: NotebookNode) -> None:
    ids = [cell.id for cell in notebook.cells]
    for cell, other in zip(notebook.cells, ids[3:] + ids[:3], strict=True):
        cell.id = other


def _rotated_metadata(notebook: NotebookNode) -> None:
    everything = [cell.metadata for cell in notebook.cells]
    for cell, other in zip(notebook.cells, everything[5:] + everything[:5], strict=True):
        cell.metadata = other


def _rotated_metadata_lost_ids(notebook: NotebookNode) -> None:
    _rotated_metadata(notebook)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"n{number}"


@pytest.mark.parametrize(
    "wreck",
    [
        _each(_without_nbgrader),
        _each(_same_id),
        _each(_markdown),
        _each(_raw),
        _reverse,
        _double,
        _with_stubs_first,
        _only_solutions,
        _rotated_ids,
        _rotated_metadata,
        _rotated_metadata_lost_ids,
    ],
)
def test_true_answers_in_a_wrecked_notebook_keep_their_points(wreck: Callable[[NotebookNode], None]) -> None:
    notebook = solved()
    wreck(notebook)
    result = _rebuilt(notebook)
    _assert_earns_everything(result)
    assert [cell_id for cell_id in _ids(result) if "own" not in cell_id] == [cell.id for cell in SOURCE.cells]
    assert all(len(text) < 40 for text in _own(result))  # so short a text may be a learner's own by chance


def test_lost_metadata_is_a_repair_and_a_retyped_cell_too() -> None:
    notebook = solved()
    _each(_without_nbgrader)(notebook)
    result = _rebuilt(notebook)
    assert "x-given" in _said(result, "repair") and not _said(result, "tamper")
    notebook = solved()
    cell_of(notebook, "x-add").cell_type = "raw"
    assert "again: x-add" in _said(_rebuilt(notebook), "repair")


def test_a_given_cell_under_an_exercises_metadata_does_not_take_the_place_of_the_answer() -> None:
    notebook = solved()
    answer = next(cell for cell in notebook.cells if notebooks.grade_id(cell) == "x-add")
    impostor = copy.deepcopy(notebook.cells[0])
    impostor.metadata, impostor.id = copy.deepcopy(answer.metadata), "impostor"
    answer.metadata, answer.id = copy.deepcopy(notebook.cells[0].metadata), notebook.cells[0].id
    notebook.cells.append(impostor)
    _assert_earns_everything(_rebuilt(notebook))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_permutations_duplicates_and_retagging_change_neither_checks_nor_points_nor_answers(
    data: st.DataObject,
) -> None:
    cells = solved().cells
    picked = data.draw(st.permutations(range(len(cells))))
    picked += data.draw(st.lists(st.integers(0, len(cells) - 1), max_size=8))
    notebook = solved()
    notebook.cells = [copy.deepcopy(cells[i]) for i in picked]
    changed = st.sampled_from(["as it is", "metadata", "id", "both", "points", "type"])
    for cell in notebook.cells:
        change = data.draw(changed)
        other = cells[data.draw(st.integers(0, len(cells) - 1))]
        if change in ("metadata", "both"):
            cell.metadata = copy.deepcopy(other.metadata)
        if change in ("id", "both"):
            cell.id = other.id
        if change == "points" and "nbgrader" in cell.metadata:
            cell.metadata.nbgrader |= {"points": 100, "grade": True, "locked": False}
        if change == "type" and notebooks.is_solution(cell):
            cell.cell_type = "markdown"
    _assert_earns_everything(_rebuilt(notebook))


def test_this_courses_answers_survive_the_loss_of_all_metadata_and_order(
    where: Settings, course: manifest.Manifest
) -> None:
    for module in course.modules:
        path = where.solution(module.id)
        if not path.is_file():
            continue
        reference = notebooks.read(path)
        notebook = copy.deepcopy(reference)
        for number, cell in enumerate(notebook.cells):
            cell.metadata, cell.id = {}, f"n{number}"
            cell.source = cell.source.replace("### BEGIN SOLUTION", "# mine")
        notebook.cells.reverse()
        result = rebuild(reference, submitted(notebook), execute="needed")
        assert _ids(result) == [cell.id for cell in reference.cells]
        for step, cell in zip(result.steps, reference.cells, strict=True):
            assert step.cell.source == (
                cell.source.replace("### BEGIN SOLUTION", "# mine") if step.exercise else cell.source
            )


# duplicated, split, merged, deleted solutions


def test_copies_of_a_solution_with_own_text_all_stay_in_order_and_stubs_lose() -> None:
    notebook = solved()
    position = notebook.cells.index(cell_of(notebook, "x-add"))
    stub = copy.deepcopy(cell_of(release(), "x-add"))
    second = copy.deepcopy(cell_of(notebook, "x-add"))
    second.source = "def add(a, b):\n    return b + a"
    same = copy.deepcopy(cell_of(notebook, "x-add"))
    notebook.cells[position:position] = [stub]
    notebook.cells += [second, same]
    result = _rebuilt(notebook)
    _assert_earns_everything(result)
    at = _ids(result).index("add")
    assert (_ids(result)[at + 1], _own(result)) == ("own-1", [second.source])


@pytest.mark.parametrize("keeps_metadata", [True, False])
def test_the_second_half_of_a_split_solution_follows_the_first(keeps_metadata: bool) -> None:
    notebook = solved()
    first = cell_of(notebook, "x-twice")
    second = copy.deepcopy(first) if keeps_metadata else code("", "half")
    second.id = "half"
    first.source, second.source = ANSWERS["x-twice"].split("\n\n\n")
    notebook.cells.insert(notebook.cells.index(first) + 1, second)
    result = _rebuilt(notebook)
    at = _ids(result).index("twice")
    assert [step.cell.source for step in result.steps[at : at + 2]] == [first.source, second.source]
    assert result.steps[at + 1].kind == "own" and result.steps[at + 1].learner_source == second.source


def test_a_split_solution_without_any_metadata_is_put_together_again_in_order() -> None:
    notebook = solved()
    first = cell_of(notebook, "x-twice")
    second = code("", "half")
    first.source, second.source = ANSWERS["x-twice"].split("\n\n\n")
    notebook.cells.insert(notebook.cells.index(first) + 1, second)
    _each(_without_nbgrader)(notebook)
    result = _rebuilt(notebook)
    at = _ids(result).index("twice")
    assert [step.cell.source for step in result.steps[at : at + 2]] == [first.source, second.source]


def test_a_solution_merged_into_another_is_noted_and_its_text_runs() -> None:
    notebook = solved()
    cell_of(notebook, "x-add").source += "\n\n\n" + ANSWERS["x-twice"]
    notebook.cells.remove(cell_of(notebook, "x-twice"))
    result = _rebuilt(notebook)
    _assert_earns_everything(result, texts=False)
    assert "class Pair" in _texts(result)["x-add"] and "x-twice" not in _texts(result)
    assert "no cell for the exercise x-twice" in _said(result, "note")


def test_a_deleted_solution_leaves_no_cell_and_a_note() -> None:
    notebook = solved()
    notebook.cells.remove(cell_of(notebook, "x-add"))
    result = _rebuilt(notebook)
    assert "add" not in _ids(result) and "x-add" not in _texts(result)
    assert "no cell for the exercise x-add" in _said(result, "note")


def test_an_answer_in_a_cell_of_its_own_counts_for_the_deleted_solution() -> None:
    notebook = solved()
    notebook.cells.remove(cell_of(notebook, "x-add"))
    notebook.cells.insert(4, code(ANSWERS["x-add"], "elsewhere"))
    _assert_earns_everything(_rebuilt(notebook))


def test_a_solution_that_is_no_python_is_taken_as_it_is() -> None:
    notebook = solved()
    cell_of(notebook, "x-add").source = "def add(a, b:\n    return ☠"
    assert _texts(_rebuilt(notebook))["x-add"] == "def add(a, b:\n    return ☠"


# own cells


def test_own_cells_stay_behind_the_cell_that_they_followed() -> None:
    notebook = solved()
    own = [code(f"mine_{n} = {n}", f"m{n}") for n in range(3)]
    notebook.cells.insert(0, own[0])
    position = notebook.cells.index(cell_of(notebook, "goal")) + 1
    notebook.cells[position:position] = [own[1], nbformat.v4.new_markdown_cell("my notes"), own[2]]
    result = _rebuilt(notebook)
    _assert_earns_everything(result)
    assert _ids(result)[0] == "own-1"
    at = _ids(result).index("goal")
    assert _ids(result)[at + 1 : at + 5] == ["own-2", "own-3", "own-4", "add"]
    assert [step.learner_source for step in result.steps[at + 1 : at + 4]] == ["mine_1 = 1", None, "mine_2 = 2"]
    assert all(step.cell.metadata == {} and step.judge_source is None for step in result.steps if step.kind == "own")


def test_an_own_cell_with_a_re_used_id_is_an_own_cell() -> None:
    notebook = solved()
    notebook.cells.remove(cell_of(notebook, "experiment"))
    notebook.cells.append(code("something_else = 'entirely'", "experiment"))
    result = _rebuilt(notebook)
    assert _own(result) == ["something_else = 'entirely'"]
    assert _step(result, "experiment").cell.source.startswith("experiment = [")


def test_empty_cells_vanish() -> None:
    notebook = solved()
    notebook.cells.insert(2, code("  \n", "blank"))
    assert _own(_rebuilt(notebook)) == []


def test_copies_of_checks_vanish_whatever_they_are_called() -> None:
    notebook = solved()
    check = copy.deepcopy(cell_of(notebook, "x-add-basic"))
    notebook.cells.insert(0, check)
    notebook.cells.insert(1, code(check.source.replace("\n", "  \n"), "loose"))
    result = _rebuilt(notebook)
    _assert_earns_everything(result)
    assert _own(result) == []


# given cells


def test_an_edited_unlocked_cell_runs_as_the_learner_wrote_it_and_as_given_for_the_judge() -> None:
    notebook = solved()
    cell_of(notebook, "guess").source = "guess = 11  # mine"
    cell_of(notebook, "x-decision").source = "#| export adding.py\nDECISION = 3"
    result = _rebuilt(notebook)
    guess = _step(result, "guess")
    assert (guess.kind, guess.learner_source, guess.judge_source) == (
        "given",
        "guess = 11  # mine",
        "guess = 3  # your guess",
    )
    assert str(_step(result, "decision").judge_source).endswith("DECISION = 4")
    assert result.findings == ()


def test_an_emptied_or_deleted_given_cell_comes_back() -> None:
    notebook = solved()
    cell_of(notebook, "helper").source = ""
    notebook.cells.remove(cell_of(notebook, "base"))
    result = _rebuilt(notebook)
    assert "def helper" in str(_step(result, "helper").learner_source)
    assert _step(result, "base").learner_source == "base = 10"


def test_an_edited_locked_cell_is_put_back_and_reported() -> None:
    notebook = solved()
    cell_of(notebook, "x-given").source = "GIVEN = 2"
    cell_of(notebook, "x-add-goal").source = "Nothing to do."
    result = _rebuilt(notebook)
    assert [finding.cell for finding in result.findings] == ["x-given", "x-add-goal"]
    assert {finding.kind for finding in result.findings} == {"tamper"}
    assert "GIVEN = 1" in str(_step(result, "given").learner_source)


def test_a_formatter_over_the_whole_notebook_is_no_tampering() -> None:
    notebook = solved()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = cell.source.replace('"', "'") + "  # formatted\n"
    result = _rebuilt(notebook)
    _assert_earns_everything(result, texts=False)
    assert not _said(result, "tamper")


def test_hidden_tests_in_a_cell_that_is_no_check_stay_on_the_judges_side() -> None:
    mine = source()
    odd = "shown = 1\n### BEGIN HIDDEN TESTS\nsecret = 2\n### END HIDDEN TESTS"
    mine.cells.append(
        code(odd, "odd", nbgrader={"grade": True, "grade_id": "x-odd", "locked": False, "solution": False})
    )
    step = _step(rebuild(mine, submitted(solved())), "odd")
    assert (step.kind, step.learner_source, step.judge_source) == ("given", "shown = 1", odd)


# tampering


def test_a_changed_check_is_put_back_and_reported() -> None:
    notebook = solved()
    cell_of(notebook, "x-add-basic").source = "pass"
    result = _rebuilt(notebook)
    _assert_earns_everything(result)
    assert "text of the check x-add-basic" in _said(result, "tamper")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("x-add-basic", {"points": 27}, "points of x-add-basic changed from 2 to 27"),
        ("x-add-basic", {"solution": True}, "solution of x-add-basic"),
        ("x-given", {"locked": False}, "locked of x-given"),
        ("x-add", {"grade": True}, "grade of x-add"),
        ("x-add", {"grade_id": "x-add-basic"}, "x-add carried the grade_id 'x-add-basic'"),
        ("x-twice-basic", {"grade_id": "x-add-basic"}, "x-twice-basic carried the grade_id"),
        ("x-add-basic", {"grade_id": "new"}, "x-add-basic carried the grade_id 'new'"),
    ],
)
def test_changed_metadata_are_put_back_and_reported(name: str, change: dict[str, Any], said: str) -> None:
    notebook = solved()
    cell_of(notebook, name).metadata.nbgrader |= change
    result = _rebuilt(notebook)
    _assert_earns_everything(result)
    assert said in _said(result, "tamper")


def test_changed_tags_are_put_back_and_reported() -> None:
    notebook = solved()
    cell_of(notebook, "x-add-basic").metadata["tags"] = ["raises-exception"]
    cell_of(notebook, "params").metadata["tags"] = ["other"]
    cell_of(notebook, "guess").metadata["tags"] = ["my-own"]
    result = _rebuilt(notebook)
    _assert_earns_everything(result)
    assert "tags of x-add-basic were changed (+raises-exception)" in _said(result, "tamper")
    assert "tags of cell 1 were changed (+other, -parameters)" in _said(result, "tamper")
    assert "cell 5" not in _said(result, "tamper")


def test_deleted_checks_stand_again_and_reordering_is_noted() -> None:
    notebook = solved()
    notebook.cells.remove(cell_of(notebook, "x-add-basic"))
    _reverse(notebook)
    result = _rebuilt(notebook)
    _assert_earns_everything(result)
    assert "graded all the same: x-add-basic" in _said(result, "note") and "another order" in _said(result, "note")


def test_a_foreign_cell_with_the_grade_id_of_a_solution_does_not_replace_it() -> None:
    notebook = solved()
    notebook.cells.insert(0, code("print('mine')", "mine", **nbgrader_metadata("x-add", solution=True)))
    result = _rebuilt(notebook)
    _assert_earns_everything(result, texts=False)
    at = _ids(result).index("add")
    assert [step.cell.source for step in result.steps[at : at + 2]] == ["print('mine')", ANSWERS["x-add"]]


def test_a_notebook_of_thousands_of_cells_is_rebuilt_within_seconds() -> None:
    import time

    notebook = solved()
    notebook.cells += [code(f"def add(a, b):\n    return {n}\nx{n} = %time {n}", f"c{n}") for n in range(4000)]
    started = time.monotonic()
    result = rebuild(SOURCE, submitted(notebook), execute="needed")
    assert time.monotonic() - started < 30
    assert len(result.steps) == 4000 + len(SOURCE.cells)
