"""Where things are and what the environment says: the one place that reads environment variables.

Environment:
    COURSE_ROOT        the course's folder (default: the nearest folder upwards that has a course.yml)
    COURSE_STATE       where runtime state goes (default: <root>/.course)
    COURSE_WORKSPACE   where the learner's package goes (default: <root>/workspace)
    COURSE_MODE        study (default), run (papermill) or grade; nbgrader's NBGRADER_EXECUTION implies grade
    COURSE_PROFILE     which block of `models:` in course.yml to use (default: by OPENAI_BASE_URL)
    COURSE_SCOREBOARD  dev or test: notebooks measure their scoreboard rows on this whole split (set by `course scoreboard`)
    COURSE_DATABASE_READY   1: DATABASE_URL names a fresh database, made for this one notebook (set by `course run`)
    COURSE_MODELS_READY     1: OPENAI_BASE_URL names simulated models, served for this one notebook (set by the grader)
    COURSE_ZYGOTE      0: `course run` starts every kernel from nothing instead of forking it
    COURSE_GRADING_IMAGE    the image for --isolation docker and podman (default: debian:stable-slim)
    DATABASE_URL       a Postgres with pgvector; without it an embedded server is started
    OPENAI_BASE_URL, OPENAI_API_KEY   any OpenAI-compatible endpoint; without them the simulated one is started
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from coursekit.errors import CourseError

Mode = Literal["study", "run", "grade"]

MANIFEST_NAME = "course.yml"


@dataclass(frozen=True)
class Settings:
    """The environment, read once and validated."""

    root: Path
    state_dir: Path
    workspace_dir: Path
    mode: Mode
    database_url: str | None
    database_ready: bool
    models_ready: bool
    forks_kernels: bool
    grading_image: str
    openai_base_url: str | None
    openai_api_key: str | None
    profile: str | None
    scoreboard_split: str | None

    @property
    def solutions_dir(self) -> Path:
        return self.root / "solutions"

    def solution(self, module_id: str) -> Path:
        """The instructor's notebook of a module."""
        return self.solutions_dir / module_id / f"{module_id}.ipynb"

    @property
    def notebooks_dir(self) -> Path:
        return self.root / "notebooks"

    @property
    def runs_dir(self) -> Path:
        return self.state_dir / "runs"

    @property
    def grading_dir(self) -> Path:
        return self.state_dir / "grading"


def load(environ: Mapping[str, str] | None = None, start: Path | None = None) -> Settings:
    """Read the environment (default: the process's own) from `start` (default: the current folder).

    Raises:
        CourseError: no course.yml upwards of `start`, or COURSE_MODE is not one of the allowed values.
    """
    env = os.environ if environ is None else environ
    root = find_root(env, start or Path.cwd())
    return Settings(
        root=root,
        state_dir=Path(env["COURSE_STATE"]).resolve() if env.get("COURSE_STATE") else root / ".course",
        workspace_dir=Path(env["COURSE_WORKSPACE"]).resolve() if env.get("COURSE_WORKSPACE") else root / "workspace",
        mode=_mode(env),
        database_url=env.get("DATABASE_URL") or None,
        database_ready=env.get("COURSE_DATABASE_READY") == "1",
        models_ready=env.get("COURSE_MODELS_READY") == "1",
        forks_kernels=env.get("COURSE_ZYGOTE") != "0",
        grading_image=env.get("COURSE_GRADING_IMAGE") or "debian:stable-slim",
        openai_base_url=env.get("OPENAI_BASE_URL") or None,
        openai_api_key=env.get("OPENAI_API_KEY") or None,
        profile=env.get("COURSE_PROFILE") or None,
        scoreboard_split=_split(env),
    )


def find_root(env: Mapping[str, str], start: Path) -> Path:
    """The course's folder: COURSE_ROOT, else the nearest folder from `start` upwards with a course.yml."""
    if env.get("COURSE_ROOT"):
        root = Path(env["COURSE_ROOT"]).resolve()
        if not (root / MANIFEST_NAME).is_file():
            raise CourseError(
                f"COURSE_ROOT={root} has no {MANIFEST_NAME}. Point it at the course's folder, or unset it."
            )
        return root
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / MANIFEST_NAME).is_file():
            return folder
    raise CourseError(
        f"no {MANIFEST_NAME} in {start} or any folder above it. "
        "Run the command inside the course's folder, or set COURSE_ROOT to it."
    )


def _split(env: Mapping[str, str]) -> str | None:
    split = env.get("COURSE_SCOREBOARD") or None
    if split not in (None, "dev", "test"):
        raise CourseError(f"COURSE_SCOREBOARD={split!r} is not allowed. Allowed: dev, test.")
    return split


def _mode(env: Mapping[str, str]) -> Mode:
    if env.get("NBGRADER_EXECUTION"):
        return "grade"
    mode = env.get("COURSE_MODE") or "study"
    if mode not in get_args(Mode):
        raise CourseError(f"COURSE_MODE={mode!r} is not allowed. Allowed: {', '.join(get_args(Mode))}.")
    return cast(Mode, mode)
