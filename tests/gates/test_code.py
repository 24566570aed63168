"""The code keeps its style, its types and its directions."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coursekit import manifest, settings, workspace
from tests.conftest import ROOT

SHARED = ROOT / "shared"


def _run(*command: str, cwd: Path = ROOT) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-2000:]}"


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _importers(package: str, folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if any(name == package or name.startswith(f"{package}.") for name in _imports(path))
    }


def _reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The whole reference package, as a folder."""
    monkeypatch.chdir(ROOT)
    where, course = settings.load(), manifest.load(ROOT)
    files: dict[str, workspace.PackageFile] = {}
    for module in course.modules:
        for name, path in workspace.extract_reference(where, module).items():
            files[name] = workspace.PackageFile(name, module.id, "reference", path, "")
    workspace.assemble(files, tmp_path / course.package)
    return tmp_path / course.package


def test_ruff_finds_nothing_in_packages_tests_and_notebooks() -> None:
    _run("ruff", "check", "--quiet", ".")
    _run("ruff", "format", "--check", "--quiet", "shared", "tests", "solutions", "nbgrader_config.py")


def test_packages_are_typed() -> None:
    _run("mypy", "shared/coursekit", "shared/simllm")


def test_the_assembled_assistant_is_typed_and_clean_and_its_examples_are_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = _reference(tmp_path, monkeypatch)
    config = ["--config-file", str(ROOT / "pyproject.toml")]
    _run("mypy", *config, "--strict", "--explicit-package-bases", package.name, cwd=tmp_path)
    _run("ruff", "check", "--quiet", "--config", str(ROOT / "pyproject.toml"), package.name, cwd=tmp_path)
    doctests = ["pytest", "--doctest-modules", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
    _run(*doctests, package.name, cwd=tmp_path)


def test_the_assistant_imports_neither_coursekit_nor_simllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = _reference(tmp_path, monkeypatch)
    assert _importers("coursekit", package) | _importers("simllm", package) == set()


def test_simllm_knows_nothing_of_the_course() -> None:
    assert _importers("coursekit", SHARED / "simllm") | _importers("assistant", SHARED / "simllm") == set()


def test_shared_never_imports_what_learners_write() -> None:
    assert _importers("assistant", SHARED) == set()


@pytest.mark.parametrize(
    ("package", "door"),
    [
        (
            "psycopg",
            (
                "database.py",
                "postgres/",
                "corpus/",
                "grading/databases/",
                "grading/judging/addresses.py",
                "bench_rag/systems/",
            ),
        ),
        ("papermill", ("running/",)),
        ("nbgrader", ("grading/",)),
        ("distributed", ("grading/cluster.py", "grading/cluster_worker.py")),
        ("simllm", ("models.py", "benchmarks.py", "corpus/baseline/vectors.py", "model_card/fitting.py")),
    ],
)
def test_each_outside_thing_has_one_door(package: str, door: tuple[str, ...]) -> None:
    strangers = [name for name in _importers(package, SHARED / "coursekit") if not name.startswith(door)]
    assert strangers == []


def test_only_settings_reads_course_variables_from_the_environment() -> None:
    readers = {
        path.name
        for path in (SHARED / "coursekit").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"os.environ.get", "os.getenv"}
        and node.args
        and ast.unparse(node.args[0]).strip("'\"").startswith(("COURSE_", "OPENAI_", "DATABASE_URL"))
    }
    assert readers == set()


def test_no_function_that_learners_write_exists_in_coursekit_too() -> None:
    ours = {
        node.name
        for path in (SHARED / "coursekit").rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_")
    }
    theirs = set[str]()
    for module in manifest.load(ROOT).modules:
        for blocks in workspace.exported_blocks(ROOT / "solutions" / module.id / f"{module.id}.ipynb").values():
            for block in blocks:
                theirs |= {n.name for n in ast.parse(block.source).body if isinstance(n, ast.FunctionDef)}
    assert ours & theirs == set()


def test_the_lock_names_no_address_and_hashes_everything() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if "://" in line or line.startswith(("--index", "--find"))]
    entries = [line for line in lines if "==" in line]
    assert len(entries) > 100
    assert all(line.endswith("\\") for line in entries)


def test_the_simulated_profile_agrees_with_the_simulated_models_own_catalogue() -> None:
    from simllm import catalogue

    profile = manifest.load(ROOT).models["simulated"]
    for model in (profile.small, profile.large, profile.reasoner, profile.embedding, profile.fast_embedding):
        assert model is not None
        card = catalogue.card(model.name)
        if card.kind == "chat":  # an embedding endpoint accepts more than its model reads: m00 measures it
            assert model.context_window == card.context_window
        assert model.usd_per_million_input == card.usd_per_million_input
        assert model.usd_per_million_output == card.usd_per_million_output
        assert (model.dimensions or 0) == card.default_dimensions
