"""README.md and docs/ tell the truth: commands, options, links, messages, keys and variables exist."""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from coursekit import manifest, readme, settings
from coursekit.cli import app
from coursekit.errors import CourseError
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

FENCE = re.compile(r"^```\w*\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
TREE = re.compile(r"<!-- tree:begin -->.*<!-- tree:end -->", re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def _code(page: Path) -> list[str]:
    """Every line of code on the page (README's tree is none): lines of fenced blocks without their comments, and spans in the text."""
    text = TREE.sub("", page.read_text(encoding="utf-8"))
    blocks = [match["body"] for match in FENCE.finditer(text)]
    lines = [re.sub(r"\s#\s.*$", "", line) for block in blocks for line in block.splitlines()]
    return lines + SPAN.findall(FENCE.sub("", text))


def _prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


@cache
def _commands() -> dict[str, Any]:
    """Every command by its words: "run", "corpus check"."""
    group: Any = typer.main.get_command(app)
    found = {}
    for name, command in group.commands.items():
        parts = getattr(command, "commands", None)
        found |= {name: command} if parts is None else {f"{name} {part}": parts[part] for part in parts}
    return found


def _shown(page: Path) -> list[tuple[str, list[str]]]:
    """The `course` commands on the page, each with its arguments."""
    found = []
    for code in _code(page):
        match = re.match(r"(?:[A-Z_]+=\S+\s+)*(?:\./)?course\s+(?P<command>[a-z][a-z-]*)(?P<rest>.*)$", code.strip())
        if match:
            name, arguments = match["command"], match["rest"].split()
            if any(command.startswith(f"{name} ") for command in _commands()) and arguments:
                name, arguments = f"{name} {arguments[0]}", arguments[1:]
            found.append((name, arguments))
    return found


@every_page
def test_every_course_command_on_a_page_exists_with_its_options(page: Path) -> None:
    commands = _commands()
    for name, arguments in _shown(page):
        assert name in commands, f"{page.name} shows `course {name}`"
        if commands[name].context_settings.get("ignore_unknown_options"):
            continue
        known = {
            option for parameter in commands[name].params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        for argument in arguments:
            assert not argument.startswith("--") or argument in {*known, "--help"}, f"{page.name}: {name} {argument}"


@every_page
def test_every_module_in_a_command_is_a_module_or_an_example_of_one(page: Path, course: manifest.Manifest) -> None:
    for name, arguments in _shown(page):
        for argument in arguments:
            if re.fullmatch(r"[me]\d+\w*", argument):
                assert course.module(argument), f"{page.name}: course {name} {argument}"


def test_every_command_stands_on_some_page() -> None:
    shown = {name for page in PAGES for name, _ in _shown(page)}
    assert set(_commands()) - shown == set()


@every_page
def test_every_nbgrader_command_on_a_page_exists(page: Path) -> None:
    from nbgrader.apps.nbgraderapp import NbGraderApp

    shown = re.findall(r"(?m)^nbgrader (\w+)", "\n".join(_code(page)))
    assert set(shown) <= set(NbGraderApp.subcommands)


@every_page
def test_every_python_module_that_a_page_runs_exists(page: Path) -> None:
    for name in re.findall(r"python -m ([\w.]+)", "\n".join(_code(page))):
        assert importlib.util.find_spec(name), name


@every_page
def test_every_relative_link_and_image_resolves(page: Path) -> None:
    for match in LINK.finditer(_prose(page)):
        target, _, anchor = match["target"].partition("#")
        if target.startswith(("http://", "https://")):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{page.name} links to {target}, which does not exist"
        if anchor:
            headings = re.findall(r"(?m)^#+ (.+)$", path.read_text(encoding="utf-8"))
            slugs = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page.name} links to {target}#{anchor}"


@every_page
def test_every_path_of_the_repository_on_a_page_exists(page: Path) -> None:
    for span in SPAN.findall(_prose(page)):
        if re.match(r"(shared|docs|docker|tests|solutions|notebooks|\.github|\.ci)/", span) and "<" not in span:
            assert (ROOT / span).exists(), f"{page.name} names {span}"


@every_page
def test_a_page_names_no_package_index_and_no_folder_of_somebodys_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"index-url[= ]\S*http|(?<![\w.~])/(home|Users|root|tmp|work)/", text)


@cache
def _texts_in_the_code() -> str:
    """Every string of the packages, f-strings with their values left out, and the bootstrap script."""
    texts = [(ROOT / "course").read_text(encoding="utf-8")]
    for path in sorted((ROOT / "shared").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def _messages() -> list[str]:
    _, _, rest = (ROOT / "docs" / "learners.md").read_text(encoding="utf-8").partition("## When something goes wrong")
    table = rest.partition("\n## ")[0]
    return re.findall(r"(?m)^\| `([^`]+)` \|", table)


@pytest.mark.parametrize("message", _messages())
def test_every_message_in_the_table_of_problems_is_one_that_the_code_says(message: str) -> None:
    pieces = [piece.strip() for piece in message.split("…") if piece.strip()]
    assert pieces
    for piece in pieces:
        assert piece in _texts_in_the_code()


def _table_keys(page: str, heading: str) -> set[str]:
    _, _, rest = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(f"## {heading}\n")
    rows = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    return {key for row in rows for key in SPAN.findall(row.split(" | ")[0])}


def test_every_key_of_course_yml_is_explained() -> None:
    records = (manifest.Manifest, manifest.Profile, manifest.Model, manifest.Module, manifest.Grading)
    explained = set(SPAN.findall((ROOT / "docs" / "maintainers.md").read_text(encoding="utf-8")))
    assert {key for record in records for key in record.model_fields} - explained == set()
    assert _table_keys("maintainers.md", "course.yml") <= {key for record in records for key in record.model_fields}


def test_every_environment_variable_is_explained() -> None:
    named = set(re.findall(r"\b(?:COURSE|OPENAI)_[A-Z_]+|DATABASE_URL", settings.__doc__ or ""))
    assert named | {"COURSE_PYTHON"} == _table_keys("maintainers.md", "Environment variables")


def test_the_database_url_for_learners_is_that_of_the_compose_file() -> None:
    service = yaml.safe_load((ROOT / "docker" / "compose.yml").read_text(encoding="utf-8"))["services"]["lab"]
    url = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", service["environment"]["DATABASE_URL"])
    assert url.replace("@postgres:", "@127.0.0.1:") in (ROOT / "docs" / "learners.md").read_text(encoding="utf-8")


def test_the_readmes_table_and_tree_are_up_to_date() -> None:
    try:
        readme.git_files(ROOT)
    except CourseError as error:
        pytest.skip(str(error))
    assert readme.problems(ROOT) == []


def test_every_line_of_the_changelog_says_what_moved() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n## ")[2].splitlines()[1:]
    assert [line for line in lines if line and not re.match(r"- (notebook|check|shared): |## ", line)] == []
