"""`course portfolio`: the learner's system as a repository of its own, independent of the course.

The package is assembled from the learner's files (the reference where there is none that passed) beside the templates
in `templates/portfolio/`. Its requirements are what its files import, at the versions they were developed with. As soon
as the files can answer a question, a command comes on top of them.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from importlib.resources import files as resources
from pathlib import Path

from coursekit import exporting, manifest, settings, workspace
from coursekit.errors import ExportError

MARKER = ".portfolio"  # in a folder that we wrote, and may therefore replace
COMMAND_NEEDS = "rag.py"  # the file from which on the package can answer, and has a command
COMMAND_FILES = ("cli.py", "__main__.py")
SCRIPTS = """
[project.scripts]
{{package}} = "{{package}}.cli:main"
"""
USAGE = """
## Ask it something

    {{package}} index FOLDER-OF-MARKDOWN-FILES
    {{package}} ask "how do we rotate a key?" --label public-internal

Each file needs front matter with `title` and `access`; an answer uses what carries one of the asker's labels, and names it.
"""


def write(where: settings.Settings, course: manifest.Manifest, target: Path) -> dict[str, workspace.PackageFile]:
    """Write the repository to `target`; returns where each file came from.

    Raises:
        ExportError: the folder exists and is not an earlier portfolio, or there is nothing to write yet.
    """
    if target.exists() and not (target / MARKER).is_file():
        raise ExportError(
            f"{target} exists and is not a portfolio written by this command. Name a folder that does not exist."
        )
    files = workspace.resolve(where, course)
    if not files:
        raise ExportError("there is nothing to write yet: work through the first notebook (`course lab`).")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        _fill(fresh, course, files)
        if target.exists():
            _keep_git(target, fresh)
            shutil.rmtree(target)
        fresh.chmod(0o755)
        fresh.rename(target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return files


def _fill(folder: Path, course: manifest.Manifest, files: Mapping[str, workspace.PackageFile]) -> None:
    package = folder / course.package
    workspace.assemble(files, package)
    has_command = COMMAND_NEEDS in files
    values = {
        "usage": USAGE if has_command else "",
        "scripts": SCRIPTS if has_command else "",
        "package": course.package,
        "course": course.title,
        "files": "\n".join(f"| `{file.name}` | {file.module_id} | {file.origin} |" for file in files.values()),
    }
    for name in COMMAND_FILES if has_command else ():
        _fill_in(name, package / name, values)
    values["dependencies"] = "".join(f'    "{line}",\n' for line in requirements(package))
    for name in ("README.md", "pyproject.toml", "Dockerfile", "tests/test_examples.py", "gitignore"):
        _fill_in(name, folder / (f".{name}" if name == "gitignore" else name), values)
    (folder / MARKER).write_text("Written by `course portfolio`, which may replace this folder.\n", encoding="utf-8")


def _fill_in(name: str, target: Path, values: Mapping[str, str]) -> None:
    """Write a template with its fields filled, in the order of `values`: texts may hold fields that come later."""
    text = (resources("coursekit") / "templates" / "portfolio" / f"{name}.template").read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace("{{" + key + "}}", value)
    exporting.write_atomically(target, text)


def _keep_git(old: Path, fresh: Path) -> None:
    if (old / ".git").exists():
        shutil.move(old / ".git", fresh / ".git")


def requirements(package: Path) -> list[str]:
    """The distributions that the package's files import, each with its present major version as an upper bound."""
    providers = importlib.metadata.packages_distributions()
    wanted: set[str] = set()
    for path in package.rglob("*.py"):
        for name in _imported(ast.parse(path.read_text(encoding="utf-8"))):
            if name not in sys.stdlib_module_names and name != package.name:
                wanted.update(providers.get(name, [name])[:1])
    return [_requirement(name) for name in sorted(wanted, key=str.lower)]


def _requirement(name: str) -> str:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return name
    major = re.match(r"\d+", version)
    extra = "[binary,pool]" if name == "psycopg" else ""
    return f"{name}{extra}>={version},<{int(major.group()) + 1}" if major else f"{name}{extra}>={version}"


def _imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names
