"""Every notebook executes: solutions under papermill, references to full points, blank releases to none."""

from __future__ import annotations

import json

import pytest

from coursekit import manifest, notebooks, settings, workspace
from coursekit.grading import autograde
from coursekit.running import runner
from tests.conftest import ROOT

MODULES = [module.id for module in manifest.load(ROOT).modules]


def test_every_solution_executes_under_papermill_and_measures_its_scoreboard_row(where: settings.Settings) -> None:
    results = runner.run(MODULES, workers=2)
    assert [(r.module, r.status, r.message) for r in results] == [(module, "ok", "") for module in MODULES]
    for result in results:
        assert result.output is not None
        row = json.loads((result.output.parent / "scoreboard.json").read_text(encoding="utf-8"))
        assert set(row) >= {"recall_at_5", "answered_correctly", "usd_per_1000_questions"}
        for cell in notebooks.code_cells(notebooks.read(result.output)):
            assert not [o for o in cell.outputs if o.output_type == "stream" and o.name == "stderr"], cell.source[:80]


@pytest.mark.parametrize("module_id", MODULES)
def test_the_reference_gets_full_points_and_a_blank_release_none(
    module_id: str, where: settings.Settings, course: manifest.Manifest
) -> None:
    module = course.module(module_id)
    submissions = {
        "reference": where.solution(module.id),
        "blank": where.notebooks_dir / module.id / f"{module.id}.ipynb",
    }
    grades = autograde.grade_apart(where, course, module, submissions, workers=2)
    assert (grades["reference"].error, grades["reference"].failed_checks) == (None, frozenset())
    assert grades["reference"].points == module.points
    assert (grades["blank"].error, grades["blank"].points) == (None, 0)
    assert grades["blank"].failed_checks == frozenset(workspace.check_ids(where, module))
    assert [c.message for c in grades["blank"].checks if "is not solved yet" not in c.message] == []
