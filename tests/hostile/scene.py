"""One grading folder to be attacked: the course, a classmate with a secret, a gradebook with a manual score, a listener.

Everything that must stay secret or unchanged carries a canary of its own (`CANARY-<marker>-<kind>`); everything that a payload
starts carries the marker in its name or arguments, so that the test can find it, and end it, whatever the grader does.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import socket
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from coursekit import manifest, settings
from coursekit.grading import release
from tests.conftest import ROOT
from tests.hostile import course

CLASSMATE = "classmate"
MANUAL = ("h1-median", 1.5)  # the check that a person has scored, and the score
SECRET_VARIABLE = "INSTRUCTOR_SECRET"


@dataclass
class Scene:
    """Where a group of submissions lies, and what must not be reached or changed from there."""

    root: Path
    marker: str
    port: int = 0
    visits: list[str] = field(default_factory=list)

    @property
    def canary(self) -> str:
        return f"CANARY-{self.marker}"

    @property
    def home(self) -> Path:
        """The instructor's HOME."""
        return self.root.parent / "home"

    @property
    def grading(self) -> Path:
        return self.root / ".course" / "grading"

    @property
    def gradebook(self) -> Path:
        return self.grading / "gradebook.db"

    @property
    def outside(self) -> Path:
        """A folder that everyone on this machine may write to; no submission should reach it."""
        return self.root.parent / "outside"

    def submitted(self, student: str, module: str) -> Path:
        return self.grading / "submitted" / student / module / f"{module}.ipynb"

    def release(self, module: str) -> Path:
        return self.root / "notebooks" / module / f"{module}.ipynb"

    def environment(self) -> dict[str, str]:
        """The environment of whoever grades here."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("COURSE_", "JPY_", "PYTEST_"))
        }
        own = {
            "PATH": _path(),
            "HOME": str(self.home),
            SECRET_VARIABLE: f"{self.canary}-environment",
            "COURSE_ROOT": str(self.root),
        }
        return {**kept, **own, "PYTHONPATH": str(ROOT)}


def _path() -> str:
    """PATH with this environment's commands first: nbgrader looks for alembic there."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def make(folder: Path) -> Scene:
    """Build the course, release it, and put secrets, the classmate's work and the manual score in place."""
    scene = Scene(folder / "course", f"hx{secrets.token_hex(4)}")
    course.build(scene.root, scene.canary)
    shutil.copyfile(ROOT / "nbgrader_config.py", scene.root / "nbgrader_config.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", _path())
        patch.chdir(scene.root)  # nbgrader's configuration is that of the course around the current folder
        release.release(settings.load({"COURSE_ROOT": str(scene.root)}), manifest.load(scene.root).modules)
    scene.home.mkdir()
    scene.outside.mkdir(mode=0o777)
    scene.outside.chmod(0o777)
    (scene.home / "password.txt").write_text(f"{scene.canary}-home", encoding="utf-8")
    return scene


def add_manual_score(scene: Scene) -> None:
    """Let a person have scored one check of the classmate's earlier submission."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{scene.gradebook}") as gradebook:
        gradebook.add_student(CLASSMATE)
        gradebook.add_submission(course.H1, CLASSMATE)
        grade = gradebook.find_grade(MANUAL[0], course.H1, course.H1, CLASSMATE)
        grade.manual_score = MANUAL[1]
        gradebook.db.commit()


def scores(scene: Scene, module: str) -> dict[str, float]:
    """What the gradebook says: total points by student."""
    query = """
        SELECT student.id, coalesce(sum(coalesce(grade.manual_score, grade.auto_score, 0)), 0)
        FROM submitted_assignment
        JOIN assignment ON assignment.id = submitted_assignment.assignment_id AND assignment.name = ?
        JOIN student ON student.id = submitted_assignment.student_id
        JOIN submitted_notebook ON submitted_notebook.assignment_id = submitted_assignment.id
        LEFT JOIN grade ON grade.notebook_id = submitted_notebook.id
        GROUP BY student.id
    """
    connection = sqlite3.connect(f"file:{scene.gradebook}?mode=ro", uri=True)
    try:
        return {str(student): float(points) for student, points in connection.execute(query, (module,))}
    finally:
        connection.close()


def fingerprint(folder: Path) -> dict[str, str]:
    """Every plain file below `folder` with a digest of its content, every other entry with its kind."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file():
            found[name] = "folder" if path.is_dir() else "special"
        elif path.stat().st_size < 1_000_000:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@contextmanager
def listening(scene: Scene) -> Iterator[None]:
    """The world outside: a TCP port and an abstract unix socket of the test, which write down who came."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as local:
        local.bind(f"\0{scene.marker}")
        local.listen()
        scene.port = tcp.getsockname()[1]
        for server, name in ((tcp, "tcp"), (local, "unix")):
            threading.Thread(target=_serve, args=(server, name, scene.visits), daemon=True).start()
        yield
        for server in (tcp, local):
            server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket, name: str, visits: list[str]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(2)
            try:
                visits.append(f"{name}: {connection.recv(200)!r}")
            except OSError:
                visits.append(f"{name}: connected")


def marked_processes(marker: str) -> list[psutil.Process]:
    """Processes that carry the marker in their name or arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            texts = [process.name(), *process.cmdline()]
        except (psutil.Error, OSError):
            continue
        if process.pid != os.getpid() and any(marker in text for text in texts):
            found.append(process)
    return found


def end(processes: list[psutil.Process]) -> None:
    """End these processes, and wait until they are gone."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=5)
