"""`course lab`: the learner's copies of the notebooks, a running Postgres, and JupyterLab on top.

Postgres is held by this process, so that it outlives single kernels, and is stopped with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files as resources
from types import FrameType

from coursekit import manifest, settings, workspace
from coursekit.errors import CourseError


def next_module(where: settings.Settings, course: manifest.Manifest) -> manifest.Module:
    """The first module with a check that has not passed; the last one when all have."""
    for module in course.modules:
        if set(workspace.check_states(where, course, module).values()) != {"passed"}:
            return module
    return course.modules[-1]


def command(where: settings.Settings, module: manifest.Module, *, ip: str, port: int, browser: bool) -> list[str]:
    """The command line that starts JupyterLab on the learner's copy of one notebook."""
    opening = f"/lab/tree/{where.workspace_dir.name}/{module.id}/{module.id}.ipynb"
    arguments = [
        sys.executable, "-m", "jupyterlab",
        f"--ServerApp.root_dir={where.root}",
        f"--ServerApp.ip={ip}",
        f"--ServerApp.port={port}",
        f"--LabApp.default_url={opening}",
        "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    ]  # fmt: skip
    if not browser:
        arguments.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--allow-root")
    return arguments


def environment() -> dict[str, str]:
    """This process's environment, with JupyterLab told not to ask about news before the first lesson."""
    folders = [str(resources("coursekit") / "templates" / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    return {**os.environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, folders))}


def start(
    where: settings.Settings,
    course: manifest.Manifest,
    module: manifest.Module,
    *,
    ip: str,
    port: int,
    browser: bool,
    say: Callable[[str], None],
) -> int:
    """Run JupyterLab until it ends; returns its exit code.

    Args:
        module: whose notebook is opened.
        ip: the address to listen on; anything but loopback lets others reach JupyterLab (its token still guards it).
        port: the port to listen on; JupyterLab takes the next free one when it is taken.
        browser: open a browser window.
        say: told what happens before JupyterLab speaks for itself.

    Raises:
        CourseError: the database cannot be started, or JupyterLab is not installed.
    """
    from coursekit import database

    copied = workspace.copy_missing_notebooks(where, course)
    if copied:
        say(f"copied to {where.workspace_dir.name}/: {', '.join(copied)}")
    if any(module.database for module in course.modules):
        say("starting Postgres ...")
        database.server_url()
        database.drop_leftovers()
    try:
        arguments = command(where, module, ip=ip, port=port, browser=browser)
        process = subprocess.Popen(arguments, cwd=where.root, env=environment())
    except OSError as error:
        raise CourseError(f"JupyterLab cannot be started: {error}. Delete .venv and run ./course lab again.") from error

    def stop(number: int, frame: FrameType | None) -> None:
        process.terminate()

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the terminal has sent Ctrl-C to JupyterLab too: it asks, then ends
                continue
    finally:
        signal.signal(signal.SIGTERM, previous)
