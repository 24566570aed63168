"""The parts of README.md that must agree with the repository: the table of modules and the annotated tree.

    python -m coursekit.readme           writes the table of modules from course.yml
    python -m coursekit.readme --check   changes nothing; lists what is out of date, the tree included

Both parts stand between markers such as `<!-- modules:begin -->`. The tree is written by hand, because its comments are;
here it is compared with git's files. Nothing else of README.md is read or changed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from coursekit import manifest, settings
from coursekit.errors import CourseError
from coursekit.exporting import write_atomically

MODULES, TREE = "modules", "tree"

_TREE_LINE = re.compile(r"(?P<indent>(?:  )*)(?P<name>[^\s/]+(?:/[^\s/]+)*/?)(?:\s{2,}(?P<comment>\S.*))?$")


def main(arguments: list[str] | None = None) -> int:
    """Parse, call, print; 0 when README.md is up to date (or has been written), 1 when it is not."""
    parser = argparse.ArgumentParser(prog="python -m coursekit.readme", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, report what is out of date")
    options = parser.parse_args(arguments)
    try:
        where = settings.load()
        if not options.check:
            print(f"wrote {write(where.root)}")
        found = problems(where.root)
    except CourseError as error:
        print(f"readme: {error}", file=sys.stderr)
        return error.exit_code
    print("\n".join(found) or "README.md is up to date")
    return 1 if found else 0


def write(root: Path) -> Path:
    """Put the present table of modules into README.md; returns its path.

    Raises:
        CourseError: course.yml is not valid, or README.md lacks the markers.
    """
    path = root / "README.md"
    write_atomically(path, with_section(_read(path), MODULES, module_table(manifest.load(root))))
    return path


def problems(root: Path) -> list[str]:
    """What in README.md differs from course.yml and from git's files, one sentence each.

    Raises:
        CourseError: course.yml is not valid, README.md lacks the markers, or `root` is not a git checkout.
    """
    text = _read(root / "README.md")
    found = []
    if section(text, MODULES) != module_table(manifest.load(root)):
        found.append("README.md: the table of modules is out of date. Run: python -m coursekit.readme")
    return found + tree_problems(section(text, TREE), git_files(root))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}. Restore it from git.") from error


def section(text: str, name: str) -> str:
    """The text between the markers of `name`.

    Raises:
        CourseError: a marker is missing, or stands there twice.

    >>> section("a <!-- tree:begin --> b <!-- tree:end --> c", "tree")
    'b'
    """
    begin, end = _bounds(text, name)
    return text[begin:end].strip()


def with_section(text: str, name: str, content: str) -> str:
    """`text` with `content` between the markers of `name`, everything else unchanged; raises as `section` does."""
    begin, end = _bounds(text, name)
    return f"{text[:begin]}\n{content}\n{text[end:]}"


def _bounds(text: str, name: str) -> tuple[int, int]:
    opening, closing = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(opening) != 1 or text.count(closing) != 1 or text.index(opening) > text.index(closing):
        raise CourseError(f"README.md must hold {opening} and, after it, {closing}, once each. Put them back.")
    return text.index(opening) + len(opening), text.index(closing)


# ── the table of modules ─────────────────────────────────────────────────────────────────────────────────────


def module_table(course: manifest.Manifest) -> str:
    """The modules as a Markdown table: what each adds to the system and what it needs."""
    rows = [
        "| Module | Notebook | What you add to the system | Minutes | Points | Needs |",
        "|---|---|---|--:|--:|---|",
    ]
    rows += [_row(module) for module in course.modules]
    minutes, points = sum(m.minutes for m in course.modules), sum(m.points for m in course.modules)
    rows.append(f"| | | **All modules** | **{minutes}** | **{points}** | |")
    return "\n".join(rows)


def _row(module: manifest.Module) -> str:
    files = ", ".join(f"`{name}`" for name in module.exports)
    needs = [
        *(name.split("_")[0] for name in module.prerequisites),
        "Postgres (starts by itself)" if module.database else "no database",
        "API key: none",
    ]
    link = f"[{module.id}](notebooks/{module.id}/{module.id}.ipynb)"
    adds = f"{module.adds} ({files})" if files else module.adds
    return f"| {module.title} | {link} | {adds} | {module.minutes} | {module.points} | {' · '.join(needs)} |"


# ── the tree ─────────────────────────────────────────────────────────────────────────────────────────────────


def git_files(root: Path) -> list[str]:
    """The repository's files with `/` between folders: git's own, and new ones that it does not ignore.

    Raises:
        CourseError: git is missing, or `root` is not in a git checkout (a downloaded archive).
    """
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CourseError(
            f"git cannot list the files of {root}. Run this in a git clone, with git installed."
        ) from error
    return sorted(name for name in set(done.stdout.split("\0")) if name and (root / name).exists())


def parse_tree(text: str) -> dict[str, str]:
    """The tree's entries, path by comment; folders end in `/`.

    One entry a line, indented by two spaces per level, then two or more spaces and its comment.

    Raises:
        CourseError: a line is not an entry, has no comment, or is indented under something that is no folder.

    >>> parse_tree("docs/       pages\\n  start.md  the first page")
    {'docs/': 'pages', 'docs/start.md': 'the first page'}
    """
    entries: dict[str, str] = {}
    parents: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("```"):
            continue
        match = _TREE_LINE.match(line)
        depth = len(match["indent"]) // 2 if match else 0
        if match is None or match["comment"] is None or depth > len(parents):
            raise CourseError(
                f"README.md: {line.strip()!r} is not an entry of the tree. Write a name (folders end in /), two spaces, "
                "a comment; indent it by two spaces under its folder."
            )
        path = "".join(parents[:depth]) + match["name"]
        entries[path] = match["comment"]
        parents = [*parents[:depth], match["name"]] if path.endswith("/") else parents[:depth]
    return entries


def tree_problems(tree: str, files: Iterable[str]) -> list[str]:
    """Where the tree and the files differ.

    Every entry must exist. The root lists everything; a folder that lists a subfolder lists all its subfolders, and one
    that lists a file lists all its files; a folder that lists nothing is summarised by its comment.
    """
    listed = _children(parse_tree(tree))
    real = _children(files)
    found = []
    for folder in sorted(listed):
        for is_folder in (True, False):
            said = {name for name in listed[folder] if name.endswith("/") is is_folder}
            there = {name for name in real.get(folder, set()) if name.endswith("/") is is_folder}
            found += [
                f"README.md: the tree names {folder}{name}, which git does not have" for name in sorted(said - there)
            ]
            if said or not folder:
                missing = sorted(there - said)
                found += [
                    f"README.md: {folder}{name} is missing from the tree: add it with a comment" for name in missing
                ]
    return found


def _children(paths: Iterable[str]) -> Mapping[str, set[str]]:
    """The names directly in each folder (`""` is the root); folders end in `/`."""
    children: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        parts = PurePosixPath(path).parts
        for index, part in enumerate(parts):
            is_folder = index < len(parts) - 1 or path.endswith("/")
            children["".join(f"{name}/" for name in parts[:index])].add(f"{part}/" if is_folder else part)
    return children


if __name__ == "__main__":
    sys.exit(main())
