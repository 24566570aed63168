"""The workflow runs what CI should: every supported Python, one script, pinned actions, a bounded time."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def workflow() -> Mapping[str, Any]:
    data: Mapping[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    return data


def test_every_supported_python_is_tried_on_linux_and_one_on_macos(workflow: Mapping[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    first, end = map(int, re.findall(r"3\.(\d+)", project["requires-python"]))
    matrix = workflow["jobs"]["course"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest"]
    assert matrix["python"] == [f"3.{minor}" for minor in range(first, end)]
    assert [entry["os"] for entry in matrix["include"]] == ["macos-latest"]


def test_it_runs_the_one_script_and_keeps_the_executed_notebooks(workflow: Mapping[str, Any]) -> None:
    steps = workflow["jobs"]["course"]["steps"]
    sandboxes, script = [step for step in steps if "run" in step]
    assert script["run"] == "bash .ci/run" and "bubblewrap" in sandboxes["run"]
    (upload,) = [step for step in steps if "upload-artifact" in step.get("uses", "")]
    assert upload["if"] == "always()"
    assert upload["with"]["path"] == ".course/runs" and upload["with"]["include-hidden-files"] is True
    assert "matrix.os" in upload["with"]["name"] and "matrix.python" in upload["with"]["name"]


def test_every_job_is_bounded_pinned_and_may_only_read(workflow: Mapping[str, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 40
        for step in job["steps"]:
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "actions/none@v1"))
