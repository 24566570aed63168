"""The grading worker's own Postgres: what a learner's role may not do, and that nothing of it outlives its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from coursekit import database
from coursekit.errors import DatabaseError
from coursekit.grading.databases.grading_server import GradingServer, Submission, learner_url_for
from coursekit.postgres import urls as postgres_urls
from coursekit.postgres.process import running_postmaster
from tests.database.conftest import processes_in, wait_until

DISK_MB = 24


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def server(cache: Path) -> Iterator[GradingServer]:
    with GradingServer(cache, disk_mb=DISK_MB) as running:
        yield running
        folder = running.folder
    assert processes_in(folder) == [] and not folder.exists()


@pytest.fixture
def submission(server: GradingServer) -> Iterator[Submission]:
    with server.submission() as opened:
        yield opened


@pytest.fixture
def learner(submission: Submission) -> Iterator[psycopg.Connection]:
    with psycopg.connect(submission.learner, autocommit=True) as connection:
        yield connection


def works(opened: Submission) -> bool:
    """Both sides can use the database, and see what the other made."""
    with psycopg.connect(opened.judge) as judge, psycopg.connect(opened.learner) as learner:
        judge.execute("CREATE TABLE probe (v vector(2))")
        judge.commit()
        learner.execute("INSERT INTO probe VALUES ('[1,2]')")
        learner.commit()
        return judge.execute("SELECT count(*) FROM probe").fetchone() == (1,)


REFUSED = {
    "a superuser": "CREATE ROLE boss SUPERUSER",
    "any role": "CREATE ROLE friend LOGIN",
    "becoming a superuser": "ALTER ROLE CURRENT_USER SUPERUSER",
    "a right that it lacks": "ALTER ROLE CURRENT_USER CREATEDB",
    "more connections": "ALTER ROLE CURRENT_USER CONNECTION LIMIT 1000",
    "the superuser's password": "ALTER ROLE postgres PASSWORD 'x'",
    "the superuser's role": "SET ROLE postgres",
    "a database": "CREATE DATABASE mine",
    "dropping the superuser's database": "DROP DATABASE postgres",
    "renaming the template": "ALTER DATABASE template1 RENAME TO gone",
    "opening the template": "ALTER DATABASE template1 OWNER TO CURRENT_USER",
    "reading files": "SELECT pg_read_file('/etc/passwd')",
    "reading the data directory": "SELECT pg_ls_dir('.')",
    "reading files by COPY": "COPY (SELECT 1) TO '/tmp/written-by-a-learner'",
    "programs by COPY": "COPY (SELECT 1) TO PROGRAM 'id'",
    "reading files into large objects": "SELECT lo_import('/etc/passwd')",
    "writing files from large objects": "SELECT lo_export(lo_creat(-1), '/tmp/written-by-a-learner')",
    "granting itself files": "GRANT pg_read_server_files TO CURRENT_USER",
    "granting itself programs": "GRANT pg_execute_server_program TO CURRENT_USER",
    "reading passwords": "SELECT * FROM pg_shadow",
    "reading password hashes": "SELECT rolpassword FROM pg_authid",
    "system settings": "ALTER SYSTEM SET fsync = on",
    "reloading settings": "SELECT pg_reload_conf()",
    "settings of others": "ALTER ROLE postgres SET search_path = public",
    "lifting the limit on temporary files": "SET temp_file_limit = -1",
    "an event trigger": "CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "an untrusted language": "CREATE FUNCTION f() RETURNS int AS 'libc.so.6', 'getpid' LANGUAGE C",
    "loading a library": "LOAD '/tmp/evil.so'",
    "a tablespace": "CREATE TABLESPACE mine LOCATION '/tmp'",
    "changing the catalogue": "UPDATE pg_catalog.pg_database SET datallowconn = false",
    "a replication slot": "SELECT pg_create_physical_replication_slot('s')",
    "ending others' sessions": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
}


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED.keys())
def test_a_learner_is_refused(statement: str, server: GradingServer, learner: psycopg.Connection) -> None:
    refusals = (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFile)
    with superuser(server), pytest.raises(refusals):
        learner.execute(statement)
    assert not Path("/tmp/written-by-a-learner").exists()


def superuser(server: GradingServer) -> psycopg.Connection:
    return psycopg.connect(host=str(server.socket_dir), user="postgres", dbname="postgres", password=server._password)


@pytest.mark.parametrize("name", ["postgres", "template1", "course_template_0_8_5", "template0"])
def test_a_learner_cannot_enter_another_database(name: str, submission: Submission) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied|not currently accepting|does not exist"):
        psycopg.connect(postgres_urls.with_database(submission.learner, name))


def test_a_learner_cannot_enter_the_database_of_the_submission_before(server: GradingServer) -> None:
    with server.submission() as first:
        assert works(first)
    with server.submission() as second:
        earlier = postgres_urls.parse(first.learner)["dbname"]
        with pytest.raises(psycopg.OperationalError, match="permission denied|does not exist"):
            psycopg.connect(postgres_urls.with_database(second.learner, earlier))
        with pytest.raises(psycopg.OperationalError, match="not permitted to log in|authentication failed"):
            psycopg.connect(first.learner)


@pytest.mark.parametrize("user", ["postgres", "judge"])
def test_nobody_is_believed_without_the_password(user: str, submission: Submission) -> None:
    parameters = postgres_urls.parse(submission.learner)
    name = postgres_urls.parse(submission.judge)["user"] if user == "judge" else user
    for password in ("", "postgres", parameters["password"]):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(postgres_urls.build({**parameters, "user": name, "password": password}))


def test_nothing_listens_but_the_private_socket(server: GradingServer) -> None:
    postmaster = running_postmaster(server.folder / "data")
    assert postmaster is not None
    assert not psutil.Process(postmaster.pid).net_connections(kind="inet")
    assert [path.name for path in server.socket_dir.iterdir() if path.is_socket()] == [".s.PGSQL.5432"]
    assert (server.folder / "data").stat().st_mode & 0o077 == 0


SPITEFUL = {
    "renames its database": ["ALTER DATABASE {database} RENAME TO elsewhere"],
    "makes it a template": ["ALTER DATABASE {database} IS_TEMPLATE true"],
    "closes it": ["ALTER DATABASE {database} ALLOW_CONNECTIONS false"],
    "locks it": ["BEGIN", "CREATE TABLE t ()", "LOCK TABLE t IN ACCESS EXCLUSIVE MODE", "SELECT pg_advisory_lock(1)"],
    "drops everything": ["DROP SCHEMA public CASCADE", "DROP OWNED BY CURRENT_USER"],
    "changes its password": ["ALTER ROLE CURRENT_USER PASSWORD 'x'"],
    "gives every right away": ["GRANT ALL ON DATABASE {database} TO PUBLIC", "GRANT CURRENT_USER TO CURRENT_USER"],
}


@pytest.mark.parametrize("statements", SPITEFUL.values(), ids=SPITEFUL.keys())
def test_the_next_submission_is_untouched_when_a_learner(statements: list[str], server: GradingServer) -> None:
    with server.submission() as spiteful:
        name = postgres_urls.parse(spiteful.learner)["dbname"]
        with scratch_of(spiteful.judge) as url, psycopg.connect(learner_url_for(url), autocommit=True) as elsewhere:
            for statement in statements:
                with suppress(psycopg.Error):
                    elsewhere.execute(statement.format(database=name))
    with server.submission() as honest:
        assert works(honest)
    with superuser(server) as connection:
        assert wait_until(lambda: names_of_submissions(connection) == [])


@contextmanager
def scratch_of(judge: str) -> Iterator[str]:
    """A scratch database made through the judge's address, as a check makes it in the judge's process."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATABASE_URL", judge)
        environment.setenv("COURSE_DATABASE_READY", "1")
        url = database.create_scratch("check")
        yield url
        with suppress(DatabaseError):  # a learner may have shut the judge out
            database.drop_scratch(url)


def names_of_submissions(connection: psycopg.Connection) -> list[str]:
    connection.rollback()
    query = (
        "SELECT datname FROM pg_database WHERE datname !~ '^(postgres|template1|course_template)' "
        "UNION SELECT rolname FROM pg_roles WHERE rolname ~ '^(learner|judge)_'"
    )
    return [row[0] for row in connection.execute(query)]


def test_the_judge_gets_in_when_the_learner_has_used_up_all_connections(submission: Submission) -> None:
    with ExitStack() as stack:
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            for _ in range(50):
                stack.enter_context(psycopg.connect(submission.learner))
        with psycopg.connect(submission.judge) as judge:
            assert judge.execute("SELECT 1").fetchone() == (1,)


def test_what_the_judge_makes_belongs_to_the_learner_and_the_other_way_round(submission: Submission) -> None:
    with (
        psycopg.connect(submission.judge, autocommit=True) as judge,
        psycopg.connect(submission.learner, autocommit=True) as learner,
    ):
        judge.execute("CREATE TABLE given (id int, v vector(2))")
        learner.execute("CREATE INDEX ON given USING hnsw (v vector_l2_ops)")
        learner.execute("CREATE SCHEMA own CREATE TABLE own.t (a int)")
        judge.execute("ALTER TABLE own.t ADD b int")
        judge.execute("DROP SCHEMA own CASCADE")
        learner.execute("DROP TABLE given")


def test_scratch_databases_of_the_judge_are_the_learners_too(
    submission: Submission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", submission.judge)
    monkeypatch.setenv("COURSE_DATABASE_READY", "1")
    assert database.notebook_url() == submission.judge
    with database.scratch("check") as url:
        with database.connect(url) as judge, database.connect(learner_url_for(url)) as learner:
            judge.execute("CREATE TABLE t (v vector(2))")
            judge.commit()
            learner.execute("ALTER TABLE t ADD note text")
            learner.commit()
        left_open = [psycopg.connect(url), psycopg.connect(learner_url_for(url))]
    for connection in left_open:  # dropped all the same
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()


def test_the_judges_names_mean_what_they_meant_whatever_the_learner_sets(submission: Submission) -> None:
    name = postgres_urls.parse(submission.learner)["dbname"]
    with psycopg.connect(submission.learner, autocommit=True) as learner:
        learner.execute("CREATE SCHEMA evil")
        learner.execute("CREATE FUNCTION evil.length(text) RETURNS int LANGUAGE sql AS 'SELECT 42'")
        learner.execute(f"ALTER DATABASE {name} SET search_path = evil, pg_catalog, public")
    with psycopg.connect(submission.learner) as learner, psycopg.connect(submission.judge) as judge:
        assert learner.execute("SELECT length('abc')").fetchone() == (42,)
        assert judge.execute("SELECT length('abc')").fetchone() == (3,)


def test_an_address_that_is_not_a_judges_is_left_alone() -> None:
    url = "postgresql://ada:secret@db.example/shop"
    assert learner_url_for(url) == url


def test_the_judges_connection_gives_the_learners_address(submission: Submission) -> None:
    with psycopg.connect(submission.judge) as judge:
        address = f"{judge.info.dsn} password={judge.info.password}"
    with psycopg.connect(learner_url_for(address)) as ours, psycopg.connect(submission.learner) as learners:
        who = "SELECT session_user, current_database()"
        assert ours.execute(who).fetchone() == learners.execute(who).fetchone()


def test_filling_the_disk_ends_the_learners_sessions_and_leaves_the_judge(server: GradingServer) -> None:
    with server.submission() as greedy:
        with psycopg.connect(greedy.learner, autocommit=True) as learner, pytest.raises(psycopg.OperationalError):
            learner.execute("CREATE TABLE t (a text STORAGE EXTERNAL)")
            for _ in range(400):
                learner.execute("INSERT INTO t SELECT repeat(md5(i::text), 3000) FROM generate_series(1, 20) i")
                time.sleep(0.005)
        assert wait_until(lambda: greedy.over_limit)
        assert DISK_MB < greedy.size_mb() < 10 * DISK_MB
        with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
            psycopg.connect(greedy.learner)
        with psycopg.connect(greedy.judge) as judge:
            assert judge.execute("SELECT count(*) > 0 FROM t").fetchone() == (True,)
    with server.submission() as honest:
        assert works(honest) and not honest.over_limit and honest.size_mb() < 1


def test_a_sort_that_does_not_fit_is_an_error_and_nothing_more(learner: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="temp_file_limit"):
        learner.execute("SELECT md5(i::text) FROM generate_series(1, 1500000) i ORDER BY 1 OFFSET 1499999")
    assert learner.execute("SELECT 1").fetchone() == (1,)


def test_a_query_that_wants_much_memory_is_an_error_and_nothing_more(learner: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.OutOfMemory):
        learner.execute("SELECT array_length(array_fill(0::bigint, ARRAY[125000000]), 1)")
    assert learner.execute("SELECT 1").fetchone() == (1,)


def test_a_crashed_session_costs_only_its_own_submission(server: GradingServer) -> None:
    folder = server.folder
    with server.submission() as first, psycopg.connect(first.learner) as connection:
        os.kill(connection.info.backend_pid, signal.SIGSEGV)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with server.submission() as second:
        assert works(second) and server.folder == folder


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_that_does_not_answer_is_started_again_from_the_prepared_data(
    cache: Path, number: signal.Signals
) -> None:
    with GradingServer(cache) as server:
        before = server.folder
        with server.submission() as first:
            postmaster = running_postmaster(before / "data")
            assert works(first) and postmaster is not None
            os.kill(postmaster.pid, number)
        with server.submission() as second:
            assert works(second)
        assert server.folder != before and not before.exists()
        assert not server.ensure()
    assert processes_in(before) == []


def test_one_server_has_one_submission_at_a_time(server: GradingServer, submission: Submission) -> None:
    with pytest.raises(DatabaseError, match="a server of its own"), server.submission():
        pass


def test_two_workers_have_nothing_in_common(cache: Path) -> None:
    with GradingServer(cache) as one, GradingServer(cache) as two, one.submission() as here, two.submission() as there:
        assert works(here) and works(there)
        assert one.socket_dir != two.socket_dir
        login = postgres_urls.parse(here.judge)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(postgres_urls.build({**login, "host": str(two.socket_dir)}))
    assert not processes_in(one_folder := Path(login["host"]).parent) and not one_folder.exists()


OWNER = """
import os, sys, time
from pathlib import Path
from coursekit.grading.databases.grading_server import GradingServer
server = GradingServer(Path(sys.argv[1])); server.start()
with server.submission() as database:
    child = os.fork()  # must not keep the server alive
    if child == 0:
        time.sleep(30)
        os._exit(0)
    print(server.folder, child, database.learner, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_owner_leaves_no_process_and_no_file(cache: Path, number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, str(cache)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folder, child, learner = owner.stdout.readline().split()
        try:
            assert processes_in(Path(folder))
            busy = psycopg.connect(learner, autocommit=True)
            busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 10000000000)")
            owner.send_signal(number)
            owner.wait()
            assert wait_until(lambda: not processes_in(Path(folder)) and not Path(folder).exists())
            busy.close()
        finally:
            os.kill(int(child), signal.SIGKILL)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process that its parent has ended")
def test_a_killed_guard_takes_the_server_with_it(cache: Path) -> None:
    server = GradingServer(cache)
    server.start()
    folder = server.folder
    assert server._guard is not None
    server._guard.kill()
    assert wait_until(lambda: not processes_in(folder))
    server.close()
    assert not folder.exists()


def test_a_binary_that_does_not_start_is_explained_with_its_reason(cache: Path) -> None:
    server = GradingServer(cache, memory_mb=16)
    with pytest.raises(DatabaseError, match="did not start in .*: .+ It needs 100 MB"):
        server.start()
