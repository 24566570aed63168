"""The table of modules is made from course.yml, and the tree is compared with git's files."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from coursekit import manifest, readme
from coursekit.errors import CourseError

README = """# A course
<!-- tree:begin -->
```
course.yml   the list
README.md    this page
```
<!-- tree:end -->
<!-- modules:begin -->
old
<!-- modules:end -->
The end.
"""


@pytest.fixture
def root(small_course: Callable[..., Path]) -> Path:
    folder = small_course()
    (folder / "README.md").write_text(README, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return folder


def test_writing_brings_the_table_up_to_date_and_leaves_the_rest(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert readme.main(["--check"]) == 1
    assert "out of date" in capsys.readouterr().out
    assert (root / "README.md").read_text(encoding="utf-8") == README
    assert readme.main([]) == 0
    text = (root / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# A course\n") and text.endswith("<!-- modules:end -->\nThe end.\n")
    assert "| Second | [a2_second](notebooks/a2_second/a2_second.ipynb) |" in text
    assert "a1 · no database · API key: none" in text and "**20** | **3**" in text and "old" not in text
    assert readme.main(["--check"]) == 0


def test_a_changed_course_makes_the_table_out_of_date(root: Path, small_course: Callable[..., Path]) -> None:
    readme.write(root)
    small_course({"modules": [manifest.load(root).modules[0].model_dump(mode="json")]})
    assert readme.problems(root) == ["README.md: the table of modules is out of date. Run: python -m coursekit.readme"]


def test_missing_markers_and_a_missing_checkout_are_said_in_a_sentence(root: Path, tmp_path: Path) -> None:
    (root / "README.md").write_text("# A course\n", encoding="utf-8")
    with pytest.raises(CourseError, match="must hold <!-- modules:begin -->"):
        readme.write(root)
    with pytest.raises(CourseError, match="git clone"):
        readme.git_files(tmp_path / "nowhere")


FILES = ["a.md", "docs/one.md", "docs/two.md", "docs/images/x.png", "shared/kit/a.py", "shared/sim/b.py"]


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        ("a.md  x\ndocs/  x\nshared/  x", []),
        ("a.md  x\ndocs/  x\n  one.md  x\n  two.md  x\nshared/  x\n  kit/  x\n  sim/  x", []),
        ("docs/  x\nshared/  x", ["a.md is missing from the tree"]),
        ("a.md  x\ndocs/  x\n  one.md  x\nshared/  x", ["docs/two.md is missing from the tree"]),
        ("a.md  x\ndocs/  x\nshared/  x\n  kit/  x", ["shared/sim/ is missing from the tree"]),
        ("a.md  x\ndocs/  x\nshared/  x\nold/  x", ["the tree names old/, which git does not have"]),
        ("a.md  x\ndocs  x\nshared/  x", ["docs/ is missing from the tree", "the tree names docs, which git"]),
    ],
)
def test_the_tree_names_everything_that_it_opens_and_nothing_else(tree: str, found: list[str]) -> None:
    problems = readme.tree_problems(f"```\n{tree}\n```", FILES)
    assert len(problems) == len(found)
    assert all(part in problem for part, problem in zip(found, problems, strict=True))


@pytest.mark.parametrize("tree", ["a.md", "a.md x", "  a.md  x", "docs/  x\n    one.md  x", "a.md  x\n  b.md  x"])
def test_a_line_that_is_no_entry_is_quoted(tree: str) -> None:
    with pytest.raises(CourseError, match="is not an entry of the tree"):
        readme.parse_tree(tree)
