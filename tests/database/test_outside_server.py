"""DATABASE_URL: a Postgres over TCP with a password, which the course did not start."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from coursekit import database
from coursekit.errors import DatabaseError
from coursekit.postgres import admin as postgres_admin
from coursekit.postgres import urls as postgres_urls

from .conftest import OutsideServer


@pytest.fixture
def admin(outside_server: OutsideServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(outside_server.url(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def outside(empty_course: Path, outside_server: OutsideServer, monkeypatch: pytest.MonkeyPatch) -> OutsideServer:
    monkeypatch.setenv("DATABASE_URL", outside_server.url())
    return outside_server


@pytest.fixture
def learner(outside: OutsideServer, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A role without rights, with a hostile password, and a database of its own; DATABASE_URL names it."""
    database.drop_scratch(database.create_scratch("x"))  # a superuser has made the template before
    password = "p@ss:w/rd%?#&"
    admin.execute(f"CREATE ROLE learner LOGIN PASSWORD '{password}'")
    admin.execute("CREATE DATABASE shop OWNER learner")
    url = postgres_urls.build(
        {"user": "learner", "password": password, "host": outside.host, "port": str(outside.port), "dbname": "shop"}
    )
    monkeypatch.setenv("DATABASE_URL", url)
    yield url
    admin.execute("DROP DATABASE shop WITH (FORCE)")
    admin.execute("DROP ROLE learner")


def assert_no_embedded(course: Path) -> None:
    assert not (course / ".course").exists()


def test_study_and_scratch_work_and_nothing_embedded_is_started(outside: OutsideServer, empty_course: Path) -> None:
    assert database.server_url() == database.study_url() == outside.url()
    with database.scratch("m03") as url, database.connect(url) as connection:
        assert connection.execute("SELECT '[1,2]'::vector <-> '[1,0]'").fetchone() == (2.0,)
        assert connection.info.port == outside.port
    with pytest.raises(DatabaseError, match="has no database"):
        database.connect(url)
    assert_no_embedded(empty_course)


def test_describe_hides_the_password(outside: OutsideServer) -> None:
    info = database.describe_server(outside.url())
    assert info.url_without_password == f"postgresql://postgres@127.0.0.1:{outside.port}/postgres"
    assert not info.embedded and info.version.startswith("18.")
    assert outside.password not in repr(info)


def test_a_role_that_may_not_create_databases_is_told_the_right_that_it_needs(
    learner: str, admin: psycopg.Connection
) -> None:
    with pytest.raises(
        DatabaseError, match="user 'learner' may not create .* run: ALTER ROLE \"learner\" CREATEDB"
    ) as caught:
        database.create_scratch("x")
    assert isinstance(caught.value.__cause__, psycopg.errors.InsufficientPrivilege)
    admin.execute("ALTER ROLE learner CREATEDB")
    database.drop_scratch(database.create_scratch("x"))


def test_a_role_that_may_not_create_the_extension_is_told_who_may(learner: str, admin: psycopg.Connection) -> None:
    with pytest.raises(
        DatabaseError, match="no pgvector in database 'shop'. As a superuser, run there: CREATE EXTENSION"
    ) as caught:
        database.study_url()
    assert isinstance(caught.value.__cause__, psycopg.errors.InsufficientPrivilege)
    with psycopg.connect(postgres_urls.with_database(str(admin_url(admin)), "shop"), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
    assert database.study_url() == learner


def admin_url(admin: psycopg.Connection) -> str:
    info = admin.info
    return postgres_urls.build(
        {"user": info.user, "password": info.password, "host": info.host, "port": str(info.port), "dbname": info.dbname}
    )


def test_a_server_that_does_not_know_pgvector_is_reported(outside: OutsideServer) -> None:
    class Without:
        def execute(self, *_: object) -> Without:
            return self

        def fetchone(self) -> None:
            return None

    with pytest.raises(DatabaseError, match="image pgvector/pgvector:pg18") as caught:
        postgres_admin.template(Without(), outside.url())  # type: ignore[arg-type]
    assert outside.password not in str(caught.value)


def test_a_wrong_password_is_said_without_any_password(outside: OutsideServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", outside.url(password="geheim"))
    for call in (database.study_url, lambda: database.create_scratch("x"), database.connect, database.drop_leftovers):
        with pytest.raises(DatabaseError, match="refuses the password of user 'postgres'") as caught:
            call()
        assert isinstance(caught.value.__cause__, psycopg.OperationalError)
        assert "geheim" not in f"{caught.value} {caught.value.__cause__}"


def test_a_missing_database_is_named(outside: OutsideServer) -> None:
    with pytest.raises(DatabaseError, match="has no database 'nowhere'. Create it"):
        database.connect(outside.url("nowhere"))


def test_nothing_listening_is_said_with_its_fixes(outside: OutsideServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        monkeypatch.setenv("DATABASE_URL", f"postgresql://u:geheim@127.0.0.1:{taken.getsockname()[1]}/d")
        with pytest.raises(DatabaseError, match=r"\(refused\). Start it .*, correct DATABASE_URL, or unset it"):
            database.study_url()


def test_a_server_that_keeps_silent_is_given_up(outside: OutsideServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv(
            "DATABASE_URL", f"postgresql://u:geheim@127.0.0.1:{silent.getsockname()[1]}/d?connect_timeout=2"
        )
        with pytest.raises(DatabaseError, match=r"\(timed out\)"):
            database.study_url()
