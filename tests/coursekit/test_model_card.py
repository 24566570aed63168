"""The exams of the simulated models can be sat, one skill at a time, and the page takes the result."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from coursekit.cli_models import app
from coursekit.corpus.baseline.resampling import Estimate
from coursekit.corpus.page import read_section
from coursekit.errors import CorpusError, CourseError
from coursekit.model_card.measuring import MODELS, SKILLS, ExamShare, measure
from coursekit.model_card.page import PAGE, SECTION, markdown
from tests.conftest import ROOT


def test_the_page_holds_every_skill_and_model() -> None:
    text = read_section(ROOT / PAGE, SECTION)
    assert all(f"### {skill}" in text for skill in SKILLS)
    assert all(f"{model} test" in text for model in MODELS)


def test_a_table_has_a_column_per_model_and_half_and_a_dash_where_nothing_was_measured() -> None:
    share = Estimate(0.5, 0.25, 0.75, 8)
    found = [
        ExamShare("tools", "right", "sim-small", "dev", share),
        ExamShare("tasks", "label", "sim-large", "test", share),
    ]
    text = markdown(found)
    assert "| Measure | sim-small dev | sim-large test |" in text
    assert "| right | 50 (25–75) | – |" in text


@pytest.mark.parametrize(("option", "name"), [("--skill", "flying"), ("--model", "sim-huge"), ("--split", "train")])
def test_a_name_that_does_not_exist_is_answered_with_those_that_do(option: str, name: str) -> None:
    done = CliRunner().invoke(app, ["measure", option, name])
    assert isinstance(done.exception, CourseError)
    assert name in str(done.exception)
    assert "use " in str(done.exception)


def test_a_page_without_markers_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing", encoding="utf-8")
    done = CliRunner().invoke(app, ["measure", "--write", str(page)])
    assert isinstance(done.exception, CorpusError)
    assert done.stdout == ""


def test_unfenced_injections_are_obeyed_and_a_sound_prompt_holds_most_of_them() -> None:
    shares = {m.measure.rpartition(" ")[2]: m.share.mean for m in measure(["injection"], ["sim-large"], ["test"])}
    assert shares["none"] >= 0.8
    assert shares["both"] <= 0.1
