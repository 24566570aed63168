"""What a learner finds in place of a solution: a stub that names the exercise."""

from __future__ import annotations

from typing import Any

from nbformat import NotebookNode
from nbgrader.preprocessors import ClearSolutions


class NamedStubs(ClearSolutions):
    """nbgrader's ClearSolutions with a stub per exercise; unpairs the release from its twin, which holds answers."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        result: tuple[NotebookNode, Any] = super().preprocess(nb, resources)
        result[0].metadata.pop("jupytext", None)
        return result

    def preprocess_cell(self, cell: NotebookNode, resources: Any, cell_index: int) -> tuple[NotebookNode, Any]:
        exercise = cell.metadata.get("nbgrader", {}).get("grade_id", "this exercise")
        self.code_stub = {"python": stub(exercise)}
        result: tuple[NotebookNode, Any] = super().preprocess_cell(cell, resources, cell_index)
        return result


def stub(exercise: str) -> str:
    """The body of an unsolved exercise."""
    return f'# YOUR CODE HERE (then delete the next line)\nraise NotImplementedError("{exercise} is not solved yet")'
