"""Notebooks whose given parts were changed: order, locks, points, tests and metadata come from the source all the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import nbformat
from nbformat import NotebookNode

from tests.hostile.maker import NONE, Hostile, Maker, check, index, own, solution, without

WRONG_SLUG = "def slug(text):\n    return text"
FAKE_CHECK = '''
class Check:
    """Everything is right."""

    def __init__(self, *arguments): pass
    def __enter__(self): return self
    def __exit__(self, *error): return True
    def __getattr__(self, name): return lambda *arguments, **more: self
'''


def _edited(change: Callable[[NotebookNode], Any], **replaced: str) -> Callable[[Maker], NotebookNode]:
    def make(maker: Maker) -> NotebookNode:
        notebook = maker.solved(**replaced)
        change(notebook)
        return notebook

    return make


def _set_points(value: object) -> Callable[[NotebookNode], None]:
    def change(notebook: NotebookNode) -> None:
        for cell in notebook.cells:
            if cell.metadata.get("nbgrader", {}).get("grade"):
                cell.metadata.nbgrader.points = value

    return change


def _delete_checks(notebook: NotebookNode) -> None:
    notebook.cells = [cell for cell in notebook.cells if not cell.metadata.get("nbgrader", {}).get("grade")]


def _change_check(notebook: NotebookNode) -> None:
    check(notebook, "slug").source = "assert True"


def _check_as_markdown(notebook: NotebookNode) -> None:
    at = index(notebook, "slug")
    notebook.cells[at] = nbformat.v4.new_markdown_cell(
        notebook.cells[at].source, id=notebook.cells[at].id, metadata=notebook.cells[at].metadata
    )


def _multiply_checks(notebook: NotebookNode) -> None:
    for number in range(5):
        extra = copy.deepcopy(check(notebook, "median"))
        extra["id"] = f"median-{number}"
        extra.metadata.nbgrader.grade_id += f"-{number}" if number % 2 else ""
        notebook.cells.append(extra)


def _solutions_as_text(notebook: NotebookNode) -> None:
    for name, make in (("median", nbformat.v4.new_markdown_cell), ("slug", nbformat.v4.new_raw_cell)):
        old = solution(notebook, name)
        notebook.cells[index(notebook, f"{name}-solution")] = make(old.source, id=old.id, metadata=old.metadata)


def _split(notebook: NotebookNode) -> None:
    """The first half keeps nbgrader's metadata, as JupyterLab splits a cell."""
    at = index(notebook, "ledger-solution")
    notebook.cells[at].source = "import itertools\nSTART = 0"
    rest = "class Ledger:\n    def __init__(self):\n        self.cents = {}\n\n    def balance(self, account):\n"
    rest += "        return self.cents.get(account, START)\n\n    def deposit(self, account, cents):\n"
    rest += "        if cents < 1:\n            raise ValueError(cents)\n"
    rest += "        self.cents[account] = self.balance(account) + cents\n        return self.cents[account]"
    notebook.cells.insert(at + 1, own(rest))


def _metadata_lost(notebook: NotebookNode) -> None:
    for number, cell in enumerate(notebook.cells):
        cell.metadata = {}
        cell["id"] = f"new-{number}"


def _swap_ids(notebook: NotebookNode) -> None:
    """The right texts, each under the other's name."""
    one, other = solution(notebook, "median"), solution(notebook, "slug")
    one.source, other.source = other.source, one.source


def _unlock_checks(notebook: NotebookNode) -> None:
    for name in ("median", "slug"):
        check(notebook, name).metadata.nbgrader.update(locked=False, solution=True, grade=False)


def _own_graded_cell(notebook: NotebookNode) -> None:
    cell = own("assert True")
    cell.metadata["nbgrader"] = {
        "grade": True, "grade_id": "h1-gift", "locked": True, "points": 50, "schema_version": 3, "solution": False, "task": False,
    }  # fmt: skip
    notebook.cells.append(cell)


def _tags(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        cell.metadata.tags = ["raises-exception", "skip-execution", "parameters", "remove-cell"]


def _markers(notebook: NotebookNode) -> None:
    lines = ["### END HIDDEN TESTS", "### BEGIN SOLUTION", "### BEGIN HIDDEN TESTS", "### END SOLUTION"]
    for line in lines:
        solution(notebook, "slug").source += f"\n    {line}"
        notebook.cells.insert(4, own(line))


def _edit_given_cells(notebook: NotebookNode) -> None:
    notebook.cells[0].source = 'MODULE = "h2_database"'
    notebook.cells[1].source = "print('no extension')"
    notebook.cells[2].source = FAKE_CHECK


def _stub_first(maker: Maker) -> NotebookNode:
    """A pasted copy of the stub stands before the answer, and another one after the check."""
    notebook = maker.solved()
    stub = solution(maker.blank(), "batches")
    notebook.cells.insert(index(notebook, "batches-solution"), copy.deepcopy(stub))
    notebook.cells.append(copy.deepcopy(stub))
    return notebook


def _stolen_ids(notebook: NotebookNode) -> None:
    """Own cells that carry the cell ids of the checks (copied together with them, then rewritten)."""
    for name in ("median", "slug"):
        cell = own("note = 1")
        cell["id"] = check(notebook, name).id
        notebook.cells.insert(3, cell)


def _forged_outputs(maker: Maker) -> NotebookNode:
    """Nothing solved, but every check shows that it passed, and numbers as nbgrader reads partial credit."""
    notebook = maker.blank()
    for cell in notebook.cells:
        text = "✓ public checks passed (9), hidden tests passed (9)"
        outputs = [nbformat.v4.new_output("stream", text=text)]
        outputs += [
            nbformat.v4.new_output("execute_result", data={"text/plain": score}) for score in ("2", "1e9", "nan")
        ]
        cell.outputs = outputs
        cell.execution_count = 1
    return notebook


def _all_deleted(notebook: NotebookNode) -> None:
    notebook.cells = [own("print('I did it all in my head')")]


def _nested_metadata(notebook: NotebookNode) -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"x": deep}
    for cell in notebook.cells:
        cell.metadata["extra"] = deep
        cell.metadata["nbgrader"] = json.dumps(cell.metadata.get("nbgrader"))  # a string where an object belongs


SUBMISSIONS = [
    Hostile("rich", "every check is worth 1000 points", _edited(_set_points(1000)), finding="tamper"),
    Hostile("nan-points", "points are NaN", _edited(_set_points(float("nan"))), finding="tamper"),
    Hostile("negative-points", "points are -5", _edited(_set_points(-5)), finding="tamper"),
    Hostile("points-as-text", "points are a string", _edited(_set_points("two")), finding="tamper"),
    Hostile("no-checks", "check cells deleted", _edited(_delete_checks)),
    Hostile("easy-check", "a check asserts True; its answer is wrong", _edited(_change_check, slug=WRONG_SLUG), earns=without("slug"), finding="tamper"),
    Hostile("silent-check", "a check is markdown now; its answer is wrong", _edited(_check_as_markdown, slug=WRONG_SLUG), earns=without("slug")),
    Hostile("many-checks", "five more copies of a check that passes", _edited(_multiply_checks)),
    Hostile("solutions-as-text", "right answers, but in markdown and raw cells", _edited(_solutions_as_text)),
    Hostile("split", "a solution split into two cells", _edited(_split)),
    Hostile("reversed", "all cells in reverse order", _edited(lambda n: n.cells.reverse())),
    Hostile("metadata-lost", "another tool dropped all metadata and ids", _edited(_metadata_lost), finding="repair"),
    Hostile("swapped", "two right answers in each other's cells: one comes after its check", _edited(_swap_ids), earns=without("median"), may_earn=frozenset({"median"})),
    Hostile("unlocked", "checks unlocked and called solutions", _edited(_unlock_checks), finding="tamper"),
    Hostile("own-graded-cell", "a check of the learner's own, for 50 points", _edited(_own_graded_cell)),
    Hostile("tagged", "every cell tagged to be skipped and to be allowed to fail", _edited(_tags)),
    Hostile("marked", "nbgrader's markers in solutions and own cells", _edited(_markers)),
    Hostile("given-cells-edited", "another module's name, no extension, a Check that is always right; one answer is wrong", _edited(_edit_given_cells, slug=WRONG_SLUG, batches="def batches(items, size):\n    return []"), earns=without("slug", "batches")),
    Hostile("stub-pasted", "the stub stands before the answer and again at the end", _stub_first),
    Hostile("stolen-ids", "own cells with the ids of check cells", _edited(_stolen_ids)),
    Hostile("forged-outputs", "nothing solved, outputs of a perfect run", _forged_outputs, earns=NONE),
    Hostile("deleted-solution", "one solution cell deleted", _edited(lambda n: n.cells.pop(index(n, "ledger-solution"))), earns=without("ledger")),
    Hostile("all-deleted", "one cell of the learner's own is all there is", _edited(_all_deleted), earns=NONE),
    Hostile("other-kernel", "the kernel of another language", _edited(lambda n: n.metadata.update(kernelspec={"name": "ir", "display_name": "R", "language": "R"}))),
    Hostile("metadata-as-text", "nbgrader's metadata is a string, beside deeply nested other metadata", _edited(_nested_metadata)),
]  # fmt: skip
