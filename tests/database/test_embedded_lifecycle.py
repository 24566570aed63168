"""The embedded server starts once, is shared, outlives crashes, and is gone when nobody uses it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from coursekit import database
from coursekit.postgres import embedded as embedded_postgres
from coursekit.postgres import process as postgres_process
from coursekit.postgres.process import ServerFolder, running_postmaster

from .conftest import Holder, wait_until

USE = "print(database.server_url(), flush=True); input()"


def postmaster_pid(course: Path) -> int | None:
    found = running_postmaster(ServerFolder(course / ".course" / "postgres").data)
    return found.pid if found else None


def answers(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def test_processes_that_start_at_once_share_one_server_and_the_last_one_stops_it(
    empty_course: Path, start_holder: Callable[..., Holder]
) -> None:
    holders = [start_holder(USE) for _ in range(3)]
    urls = {holder.line() for holder in holders}
    assert len(urls) == 1 and answers(urls.pop())
    pid = postmaster_pid(empty_course)
    for holder in holders[:2]:
        assert holder.finish() == ("", "")
    assert postmaster_pid(empty_course) == pid is not None
    assert holders[2].finish() == ("", "")
    assert postmaster_pid(empty_course) is None  # at once, not only when the janitor has noticed


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_stops_when_its_only_holder_is_killed(
    course: Path, start_holder: Callable[..., Holder], number: signal.Signals
) -> None:
    holder = start_holder(USE)
    holder.line()
    assert postmaster_pid(course) is not None
    holder.process.send_signal(number)
    assert wait_until(lambda: postmaster_pid(course) is None)


def test_a_killed_holder_leaves_the_server_to_the_others(course: Path, start_holder: Callable[..., Holder]) -> None:
    starter = start_holder(USE)
    url = starter.line()
    joiner = start_holder(USE)
    assert joiner.line() == url
    starter.process.kill()
    starter.process.wait()
    assert answers(url)
    assert joiner.finish() == ("", "")
    assert wait_until(lambda: postmaster_pid(course) is None)


def test_a_killed_server_comes_back_at_the_same_url_with_its_data(course: Path) -> None:
    url = database.study_url()
    with database.connect(url) as connection:
        connection.execute("CREATE TABLE kept (v vector(2))")
        connection.execute("INSERT INTO kept VALUES ('[1,2]')")
    pid = postmaster_pid(course)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: postmaster_pid(course) is None)
    assert database.study_url() == url
    with database.connect(url) as connection:
        assert connection.execute("SELECT v::text FROM kept").fetchall() == [("[1,2]",)]
    assert postmaster_pid(course) not in (None, pid)


def test_stop_then_start_again(course: Path) -> None:
    url = database.server_url()
    database.stop_embedded()
    assert postmaster_pid(course) is None
    database.stop_embedded()  # nothing to do is fine
    assert database.server_url() == url and answers(url)


def test_a_stale_pid_file_that_names_a_living_stranger_is_no_obstacle(course: Path) -> None:
    url = database.server_url()
    pid_file = course / ".course" / "postgres" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    database.stop_embedded()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        assert database.server_url() == url and answers(url)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_interrupted_initdb_is_started_over(empty_course: Path) -> None:
    base = empty_course / ".course" / "postgres"
    (base / "data.new-half").mkdir(parents=True)
    (base / "data").mkdir()
    (base / "data" / "something").write_text("not a data directory")
    assert answers(database.server_url())
    assert not list(base.glob("data.new-*"))
    assert [p.name for p in base.glob("data.broken-*/*")] == ["something"]  # moved aside, not deleted


@pytest.mark.parametrize("name", ["d" * 60 + "/" + "e" * 60, 'a folder "quoted" & ünïcode', "a, comma"])
def test_long_and_odd_paths_work(course: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    state = course / name
    state.parent.mkdir(parents=True, exist_ok=True)
    (course / ".course").rename(state)
    monkeypatch.setenv("COURSE_STATE", str(state))
    url = database.study_url()
    assert answers(url) and database.describe_server(url).embedded
    socket_dir = embedded_postgres.socket_dir_for(state / "postgres")
    assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700  # whoever gets in is trusted, so nobody else may
    database.stop_embedded()
    if socket_dir != state / "postgres":
        socket_dir.rmdir()


def test_a_symlink_leads_to_the_same_server(course: Path, start_holder: Callable[..., Holder]) -> None:
    (course / "link").symlink_to(course / ".course")
    url = database.server_url()
    holder = start_holder(USE, COURSE_STATE=str(course / "link"))
    assert holder.line() == url
    assert holder.finish() == ("", "")
    assert answers(url)


def test_a_forked_child_neither_holds_nor_stops_the_server(course: Path) -> None:
    url = database.server_url()
    code = (
        "import os, sys\ndatabase.server_url()\nif os.fork() == 0: sys.exit()\nos.wait()\nprint(database.server_url())"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"from coursekit import database\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == (url, "")
    assert answers(url)


def test_a_deleted_state_folder_is_made_anew_while_we_hold_the_old_one(course: Path) -> None:
    database.server_url()
    old = postmaster_pid(course)
    assert old is not None
    shutil.rmtree(course / ".course")
    assert answers(database.server_url())
    assert postmaster_pid(course) != old
    psutil.Process(old).send_signal(signal.SIGQUIT)  # it would notice within a minute that its folder is gone


def test_normal_use_prints_nothing(course: Path, start_holder: Callable[..., Holder]) -> None:
    code = "url = database.notebook_url()\nwith database.connect(url) as c: c.execute('SELECT 1')\nwith database.scratch('x'): pass"
    holder = start_holder(code, COURSE_MODE="run", PYTHONDEVMODE="1")
    assert holder.finish() == ("", "")
    assert holder.process.returncode == 0
    assert postmaster_pid(course) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's Postgres runs as another user")
def test_root_opens_closed_folders_for_passing_only(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = course / "closed"
    closed.mkdir(mode=0o700)
    (course / ".course").rename(closed / "state")
    monkeypatch.setenv("COURSE_STATE", str(closed / "state"))
    assert answers(database.server_url())
    assert stat.S_IMODE(closed.stat().st_mode) == 0o701
    assert str(closed) in (closed / "state" / "postgres" / "opened-folders.txt").read_text()


SETPRIV = shutil.which("setpriv")


@pytest.mark.skipif(os.geteuid() != 0 or not SETPRIV, reason="needs root and setpriv to become a normal user")
def test_a_normal_user_needs_no_other_user(empty_course: Path) -> None:
    """As `nobody`, who may read everything (Python may be installed under /root) but write only its own folder."""
    nobody = pwd.getpwnam("nobody")
    os.chown(empty_course, nobody.pw_uid, nobody.pw_gid)
    code = "print(database.study_url()); print(database.describe_server(database.study_url()).version)"
    capabilities = [
        "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=-all,+dac_read_search",
        "--bounding-set=-all,+dac_read_search",
    ]
    done = subprocess.run(
        [str(SETPRIV), f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", *capabilities, sys.executable, "-c",
         f"from coursekit import database\n{code}"],
        capture_output=True, text=True, check=False, cwd=empty_course,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[1].startswith("18.")
    assert (empty_course / ".course" / "postgres" / "data").stat().st_uid == nobody.pw_uid
    assert postmaster_pid(empty_course) is None


def test_nobody_can_stop_a_server_that_somebody_holds(course: Path) -> None:
    url = database.server_url()
    assert not postgres_process.stop_if_unused(ServerFolder(course / ".course" / "postgres"))
    assert answers(url)
