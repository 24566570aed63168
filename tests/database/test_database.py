"""Study and scratch databases on the embedded server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from pgvector import Vector
from psycopg.rows import dict_row

from coursekit import database
from coursekit.errors import DatabaseError
from coursekit.postgres import admin as postgres_admin
from coursekit.postgres import urls as postgres_urls

from .conftest import Holder


def databases(server: str) -> set[str]:
    with psycopg.connect(server) as connection:
        return {row[0] for row in connection.execute("SELECT datname FROM pg_database")}


def name_of(url: str) -> str:
    return postgres_urls.parse(url)["dbname"]


def test_the_study_database_persists_and_has_pgvector(embedded: Path) -> None:
    url = database.study_url()
    assert name_of(url) == "course" and database.study_url() == url
    with database.connect(url, row_factory=dict_row) as connection:
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        row = connection.execute("SELECT '[1,2,3]'::vector AS v, %s <-> '[0,0]' AS d", [Vector([3, 4])]).fetchone()
        assert row == {"v": Vector([1, 2, 3]), "d": 5.0}


def test_scratch_databases_are_fresh_separate_and_gone_afterwards(embedded: Path) -> None:
    with database.scratch("one") as one, database.scratch("two") as two:
        with database.connect(one) as connection:
            connection.execute("CREATE TABLE t (v vector(2))")
        with database.connect(two) as connection:
            assert connection.execute("SELECT to_regclass('t')").fetchone() == (None,)
    assert not {name_of(one), name_of(two)} & databases(database.server_url())


def test_dropping_ends_open_connections_and_may_be_repeated(embedded: Path) -> None:
    url = database.create_scratch("x")
    with database.connect(url, autocommit=True) as connection:
        database.drop_scratch(url)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    database.drop_scratch(url)


def test_only_scratch_databases_can_be_dropped(embedded: Path) -> None:
    with pytest.raises(DatabaseError, match="'course' is not a scratch database"):
        database.drop_scratch(database.study_url())


def test_many_at_once_share_one_template(course: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        urls = list(pool.map(lambda _: database.create_scratch("busy"), range(6)))
        assert len({name_of(url) for url in urls}) == 6
        list(pool.map(database.drop_scratch, urls))
    left = databases(database.server_url()) - {"postgres", "template0", "template1"}
    assert len(left) == 1 and left.pop().startswith("course_template_0_8")


def test_leftovers_of_dead_processes_are_dropped_and_others_kept(embedded: Path) -> None:
    code = "from coursekit.postgres.scratch_names import new_name; print(new_name('dead'))"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    with database.scratch("alive") as alive:
        with psycopg.connect(database.server_url(), autocommit=True) as connection:
            postgres_admin.create(connection, dead, None)
        assert dead in database.drop_leftovers()
        assert name_of(alive) in databases(database.server_url())
    assert dead not in databases(database.server_url())


def test_a_notebook_that_is_studied_uses_the_study_database(embedded: Path) -> None:
    assert database.notebook_url() == database.study_url()
    with database.connect() as connection:
        assert connection.info.dbname == "course"


def test_an_executed_notebook_has_one_scratch_database_until_it_ends(
    embedded: Path, start_holder: Callable[..., Holder]
) -> None:
    server = database.server_url()
    holder = start_holder(
        "print(database.notebook_url(), database.notebook_url(), flush=True); input()", COURSE_MODE="run"
    )
    first, second = holder.line().split()
    assert first == second and name_of(first) in databases(server)
    assert holder.finish() == ("", "")
    assert name_of(first) not in databases(server)


def test_a_runners_database_is_used_as_it_is(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_MODE", "grade")
    monkeypatch.setenv("COURSE_DATABASE_READY", "1")
    with pytest.raises(DatabaseError, match="DATABASE_URL is not"):
        database.notebook_url()
    url = database.create_scratch("given")
    monkeypatch.setenv("DATABASE_URL", url)
    assert database.notebook_url() == url
    assert database.describe_server(url).embedded
    with database.scratch("inside") as inside:
        assert name_of(inside) != name_of(url)
    database.drop_scratch(url)  # although it is what DATABASE_URL names
    monkeypatch.delenv("DATABASE_URL")
    assert name_of(url) not in databases(database.server_url())


def test_describe_tells_the_versions(embedded: Path) -> None:
    info = database.describe_server(database.study_url())
    assert info.version.startswith("18.") and info.pgvector_version == "0.8.5" and info.embedded
    assert database.describe_server(database.server_url()).pgvector_version is None


def test_a_database_without_pgvector_is_reported_with_the_way_to_get_it(embedded: Path) -> None:
    with pytest.raises(
        DatabaseError, match=r"no pgvector in database 'postgres'.*CREATE EXTENSION vector.*pgvector/pgvector"
    ):
        database.connect(database.server_url())


def test_a_stopped_server_is_not_mistaken_for_a_missing_docker(empty_course: Path) -> None:
    url = postgres_urls.build({"user": "postgres", "host": str(empty_course), "dbname": "course"})
    with pytest.raises(DatabaseError, match="restart the notebook's kernel"):
        database.connect(url)


@pytest.mark.parametrize(("number", "fine"), [(150012, False), (90624, False), (160000, True), (180004, True)])
def test_servers_older_than_16_are_refused(number: int, fine: bool) -> None:
    if fine:
        postgres_admin.check_server_version(number, "h:5432")
    else:
        with pytest.raises(
            DatabaseError, match=f"h:5432 is version {number // 10000}, .* 16 or newer.*pgvector/pgvector:pg18"
        ):
            postgres_admin.check_server_version(number, "h:5432")


@pytest.mark.parametrize(
    ("version", "fine"), [("0.5.1", False), ("0.7.4", False), ("0.8.0", True), ("0.10.1", True), ("1.0", True)]
)
def test_pgvector_before_iterative_scans_is_refused(version: str, fine: bool) -> None:
    if fine:
        postgres_admin.check_pgvector_version(version, "h")
    else:
        with pytest.raises(DatabaseError, match="ALTER EXTENSION vector UPDATE"):
            postgres_admin.check_pgvector_version(version, "h")
