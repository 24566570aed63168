"""`course doctor`: look at everything the course needs, one finding each; a bad one says how to fix it."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass

from coursekit import manifest, settings
from coursekit.errors import CourseError

PACKAGES = ("jupyterlab", "nbgrader", "papermill", "openai", "psycopg", "pgvector", "onnxruntime", "tokenizers")


@dataclass(frozen=True)
class Finding:
    """One thing examined: what was found, or what is wrong and how to fix it."""

    what: str
    ok: bool
    found: str


def examine() -> list[Finding]:
    """Examine this machine; never raises."""
    steps: list[tuple[str, Callable[[], str]]] = [
        ("Python", _python),
        ("packages", _packages),
        ("course.yml", _manifest),
        ("corpus", _corpus),
        ("Postgres", _postgres),
        ("models", _models),
        ("Jupyter kernel", _kernel),
        ("nbgrader", _nbgrader),
        ("isolation of graded code", _isolation),
    ]
    return [_finding(what, step) for what, step in steps]


def _finding(what: str, step: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, step())
    except CourseError as error:
        return Finding(what, False, str(error))
    except Exception as error:  # noqa: BLE001  a doctor reports whatever is wrong
        return Finding(what, False, f"{type(error).__name__}: {error}")


def _python() -> str:
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise CourseError(
            f"{platform.python_version()} is not supported; install 3.11, 3.12 or 3.13, delete .venv, start again."
        )
    return f"{platform.python_version()} at {sys.executable}"


def _packages() -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)


def _manifest() -> str:
    course = manifest.load()
    return f"{len(course.modules)} modules, {sum(m.points for m in course.modules)} points"


def _corpus() -> str:
    from coursekit import corpus

    if manifest.load().corpus is None:
        return "none configured"
    loaded = corpus.load()
    return f"{len(loaded.documents)} documents, {len(loaded.questions())} questions"


def _postgres() -> str:
    from coursekit import database

    info = database.describe_server(database.study_url())
    kind = "embedded" if info.embedded else f"from DATABASE_URL, {info.url_without_password}"
    return f"{info.version} with pgvector {info.pgvector_version} ({kind})"


def _models() -> str:
    from coursekit import models

    endpoint = models.connect()
    listed = {model.id for model in models.client().models.list()}
    profile = endpoint.profile
    missing = {profile.small.name, profile.large.name, profile.embedding.name} - listed
    if missing:
        raise CourseError(
            f"{endpoint.describe()} does not offer {', '.join(sorted(missing))}. "
            f"Set the names under models.{endpoint.profile_name} in course.yml to what it offers."
        )
    return endpoint.describe()


def _kernel() -> str:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        raise CourseError("no kernel named python3. Run: .venv/bin/python -m ipykernel install --sys-prefix") from None
    return f"{spec.display_name} at {spec.resource_dir}"


def _nbgrader() -> str:
    import shutil

    if shutil.which("alembic") is None:
        raise CourseError("nbgrader needs `alembic` on PATH. Use ./course, which sets PATH, or activate .venv.")
    return f"gradebook under {settings.load().grading_dir}"


def _isolation() -> str:
    from coursekit.grading.isolation import backends

    backend = backends.choose()
    return f"{backend.name}: {backend.summary}"
