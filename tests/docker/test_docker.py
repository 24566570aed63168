"""The container files fit the code and keep to themselves. Read as text: no Docker engine is needed."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from coursekit.cli import app
from coursekit.postgres import urls
from tests.conftest import ROOT

FOLDER = ROOT / "docker"


@pytest.fixture(scope="module")
def compose() -> Mapping[str, Any]:
    data: Mapping[str, Any] = yaml.safe_load(_with_defaults((FOLDER / "compose.yml").read_text(encoding="utf-8")))
    return data


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def _with_defaults(text: str) -> str:
    """`${NAME:-default}` replaced by its default, as compose does when the variable is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def _of(instructions: list[tuple[str, str]], name: str) -> list[str]:
    return [rest for instruction, rest in instructions if instruction == name]


def test_postgres_is_18_with_pgvector_and_says_when_it_is_ready(compose: Mapping[str, Any]) -> None:
    postgres = compose["services"]["postgres"]
    assert postgres["image"] == "pgvector/pgvector:pg18"
    assert postgres["healthcheck"]["test"][0] == "CMD-SHELL" and "pg_isready" in postgres["healthcheck"]["test"][1]
    user, database = postgres["environment"]["POSTGRES_USER"], postgres["environment"]["POSTGRES_DB"]
    assert f"--username={user} --dbname={database}" in postgres["healthcheck"]["test"][1]


def test_the_data_is_in_a_named_volume_where_the_image_of_18_keeps_it(compose: Mapping[str, Any]) -> None:
    (mount,) = compose["services"]["postgres"]["volumes"]
    volume, _, path = mount.partition(":")
    assert volume in compose["volumes"]
    assert path == "/var/lib/postgresql"


def test_ports_are_open_on_this_machine_only(compose: Mapping[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items()}
    assert ports == {"postgres": ["127.0.0.1:5432:5432"], "lab": ["127.0.0.1:8888:8888"]}


def test_no_image_is_whatever_is_latest(compose: Mapping[str, Any], instructions: list[tuple[str, str]]) -> None:
    images = [service["image"] for service in compose["services"].values() if "image" in service]
    for image in [*images, *_of(instructions, "FROM")]:
        assert ":" in image and not image.endswith(":latest")


def test_the_lab_waits_for_postgres_and_reaches_it_by_a_url_that_the_course_reads(compose: Mapping[str, Any]) -> None:
    lab, postgres = compose["services"]["lab"], compose["services"]["postgres"]["environment"]
    assert lab["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert urls.parse(lab["environment"]["DATABASE_URL"]) == {
        "host": "postgres",
        "port": "5432",
        "user": postgres["POSTGRES_USER"],
        "password": postgres["POSTGRES_PASSWORD"],
        "dbname": postgres["POSTGRES_DB"],
    }
    assert "local" in postgres["POSTGRES_PASSWORD"]


def test_the_lab_is_built_here_runs_on_request_and_sees_the_repository(
    compose: Mapping[str, Any], instructions: list[tuple[str, str]]
) -> None:
    lab = compose["services"]["lab"]
    assert (FOLDER / lab["build"]["context"]).resolve() == ROOT
    assert (ROOT / lab["build"]["dockerfile"]).is_file()
    assert lab["profiles"] == ["lab"]
    (workdir,) = _of(instructions, "WORKDIR")
    assert lab["volumes"] == [f"..:{workdir}"]
    assert set(lab["build"]["args"]) <= {argument.split("=")[0] for argument in _of(instructions, "ARG")}


def test_packages_come_from_the_lock_with_hashes(instructions: list[tuple[str, str]]) -> None:
    installs = [part for run in _of(instructions, "RUN") for part in run.split("&&") if "pip install" in part]
    assert len(installs) == 2
    assert "--require-hashes -r requirements.lock" in installs[0]
    assert "--no-deps --no-build-isolation" in installs[1]


def test_nothing_is_installed_or_started_as_root(instructions: list[tuple[str, str]]) -> None:
    names = [name for name, _ in instructions]
    (user,) = _of(instructions, "USER")
    assert user not in {"root", "0"}
    assert any(f" {user} " in run for run in _of(instructions, "RUN") if "useradd" in run)
    assert names.index("USER") < min(index for index, (_, rest) in enumerate(instructions) if "pip install" in rest)


def test_the_image_ends_in_a_command_that_course_understands(instructions: list[tuple[str, str]]) -> None:
    name, rest = instructions[-1]
    command = json.loads(rest)
    assert name == "CMD" and command[0] == "course"
    shown = CliRunner().invoke(app, [*command[1:], "--help"])
    assert shown.exit_code == 0, shown.output


def test_everything_that_is_copied_exists_and_is_sent_to_the_builder(instructions: list[tuple[str, str]]) -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line]
    for copy in _of(instructions, "COPY"):
        *sources, _ = [part for part in copy.split() if not part.startswith("--")]
        for source in sources:
            assert (ROOT / source).exists(), source
            assert not any(fnmatch.fnmatch(source.removeprefix("./"), pattern) for pattern in ignored), source


@pytest.mark.parametrize("private", [".git", ".venv", ".course", "workspace"])
def test_private_and_bulky_folders_stay_out_of_the_image(private: str) -> None:
    assert private in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
