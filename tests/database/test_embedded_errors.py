"""What stops the embedded server, said in a sentence with its fix."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coursekit import database
from coursekit.errors import DatabaseError
from coursekit.postgres import account as postgres_account
from coursekit.postgres import embedded as embedded_postgres
from coursekit.postgres import process as postgres_process
from coursekit.postgres import setup as postgres_setup


def failing_binaries(folder: Path, output: str) -> Path:
    """A stand-in for the wheel's folder whose initdb says `output` and fails."""
    folder.mkdir()
    for name in ("initdb", "postgres"):
        (folder / name).write_text(f"#!/bin/sh\necho 'creating subdirectories ... ok'\necho '{output}' >&2\nexit 1\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize(
    "output",
    [
        'initdb: error: could not write to file "pg_wal/xlogtemp.1": No space left on device',
        'initdb: error: could not change permissions of directory "data": Read-only file system',
    ],
)
def test_a_full_or_read_only_disk_is_said_in_initdbs_words(
    empty_course: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.setattr(postgres_setup, "binaries", lambda: failing_binaries(empty_course / "bin", output))
    with pytest.raises(DatabaseError, match="make room, or set COURSE_STATE") as caught:
        database.server_url()
    assert output in str(caught.value) and "creating subdirectories" not in str(caught.value)
    assert not list((empty_course / ".course" / "postgres").glob("data*"))


def test_a_folder_that_cannot_be_made_is_named(empty_course: Path) -> None:
    (empty_course / ".course").write_text("a file where the folder should be")
    with pytest.raises(DatabaseError, match="Make that folder writable for you, or set COURSE_STATE") as caught:
        database.server_url()
    assert str(empty_course / ".course") in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


def test_another_major_versions_data_is_left_alone(course: Path) -> None:
    version = course / ".course" / "postgres" / "data" / "PG_VERSION"
    version.write_text("16\n")
    with pytest.raises(
        DatabaseError, match=r"was made by Postgres 16, and the course runs Postgres 18\. Move it away \(mv "
    ):
        database.server_url()
    assert version.read_text() == "16\n"


def test_without_a_wheel_there_is_the_way_by_docker(empty_course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_setup, "_WHEEL", "no-such-wheel")
    with pytest.raises(DatabaseError, match=r"no-such-wheel has no wheel for it.*docker compose .* set DATABASE_URL"):
        database.server_url()


def test_a_server_that_does_not_start_says_why_and_where_its_log_is(course: Path) -> None:
    base = course / ".course" / "postgres"
    with (base / "data" / "postgresql.conf").open("a") as settings:
        settings.write("shared_buffers = lots\n")
    with pytest.raises(DatabaseError, match='invalid value for parameter "shared_buffers"|FATAL') as caught:
        database.server_url()
    assert str(base / "log") in str(caught.value)
    assert postgres_process.stop_if_unused(postgres_process.ServerFolder(base))  # the failure left no holder


def test_waiting_for_another_process_that_starts_it_has_an_end(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_postgres, "_START_TIMEOUT_S", 0.1)
    folder = postgres_process.ServerFolder(course / ".course" / "postgres")
    with (
        postgres_process.exclusive(folder.start_lock, 1),
        pytest.raises(DatabaseError, match="locked by another process"),
    ):
        database.server_url()


def test_a_user_without_a_name_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 987654)
    with pytest.raises(DatabaseError, match="user id 987654, which has no name in /etc/passwd"):
        postgres_account.current()
