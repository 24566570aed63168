"""The course's one door to Postgres: DATABASE_URL if set, else the embedded server; study and scratch databases.

    server            DATABASE_URL, or the embedded Postgres 18 in `<state>/postgres` (started on first use)
    study database    keeps a learner's work between modules: `course`, or with DATABASE_URL that very database
    scratch database  fresh, with pgvector, dropped after use: `course_<label>_<pid>_<host and random>`

Nothing is printed, and no message holds a password.
On an outside server, scratch databases need a role with CREATEDB; there is no schema in its place, because a schema
would share extensions, roles' search paths and sizes with the learner's own data.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from pgvector.psycopg import register_vector
from psycopg import errors

from coursekit import settings
from coursekit.errors import DatabaseError
from coursekit.postgres import admin as postgres_admin
from coursekit.postgres import urls as postgres_urls
from coursekit.postgres.scratch_names import is_leftover, is_scratch, new_name

STUDY_DATABASE = "course"

_notebook_scratch: dict[int, str] = {}


@dataclass(frozen=True)
class ServerInfo:
    """What answers at a URL. `pgvector_version` is None where the extension is not created in that database."""

    version: str
    pgvector_version: str | None
    url_without_password: str
    embedded: bool


def server_url() -> str:
    """The server's URL: DATABASE_URL as it is, or the embedded server's, started or joined, on its database `postgres`.

    The embedded server is held until this process ends; the last process to end stops it.

    Raises:
        DatabaseError: the embedded server cannot be started.
    """
    here = settings.load()
    if here.database_url:
        return here.database_url
    try:
        from coursekit.postgres import embedded as embedded_postgres
    except ModuleNotFoundError as error:  # fcntl, pwd: Windows
        raise DatabaseError(
            "there is no embedded Postgres on this platform. Use WSL, or start one "
            "(docker compose -f docker/compose.yml up -d) and set DATABASE_URL to it."
        ) from error
    return _socket_url(embedded_postgres.ensure_running(here.state_dir / "postgres"))


def stop_embedded() -> None:
    """Let go of the embedded server now; it stops unless another process uses it. For a command's own cleanup."""
    with suppress(ModuleNotFoundError):
        from coursekit.postgres import embedded as embedded_postgres

        embedded_postgres.release_all()


def study_url() -> str:
    """The database that persists between modules, with pgvector; made when missing.

    Raises:
        DatabaseError: unreachable, too old, or without pgvector and without the right to create it.
    """
    server = server_url()
    if settings.load().database_url:
        postgres_admin.ensure_vector(server)
        return server
    url = postgres_urls.with_database(server, STUDY_DATABASE)
    with postgres_admin.administer(server) as connection:
        if not postgres_admin.exists(connection, STUDY_DATABASE):
            template = postgres_admin.template(connection, server)
            with suppress(errors.DuplicateDatabase, errors.UniqueViolation):  # another process was faster
                postgres_admin.create(connection, STUDY_DATABASE, template)
    postgres_admin.ensure_vector(url)
    return url


def create_scratch(label: str) -> str:
    """Make a fresh database with pgvector and return its URL; drop it with `drop_scratch`.

    It is a copy of a template that is made once per server and pgvector version.

    Raises:
        DatabaseError: unreachable, too old, no pgvector, or the role may not create databases.
    """
    server = server_url()
    name = new_name(label)
    with postgres_admin.administer(server) as connection:
        postgres_admin.create(connection, name, postgres_admin.template(connection, server))
    return postgres_urls.with_database(server, name)


def drop_scratch(url: str) -> None:
    """Drop a scratch database, and end its connections; nothing happens if it is gone already.

    Raises:
        DatabaseError: `url` is not a scratch database, or the server cannot be reached.
    """
    name = postgres_urls.parse(url).get("dbname", "")
    if not is_scratch(name):
        raise DatabaseError(f"{name!r} is not a scratch database of the course, and only those are dropped.")
    server = server_url()
    if postgres_urls.parse(server).get("dbname") == name:  # a notebook that was given a scratch database by its runner
        server = postgres_urls.with_database(server, "postgres")
    with postgres_admin.administer(server) as connection:
        postgres_admin.drop(connection, name)


@contextmanager
def scratch(label: str) -> Iterator[str]:
    """A scratch database for the length of a `with` block."""
    url = create_scratch(label)
    try:
        yield url
    finally:
        drop_scratch(url)


def drop_leftovers() -> list[str]:
    """Drop the scratch databases of processes of this host that no longer run; returns their names."""
    with postgres_admin.administer(server_url()) as connection:
        names = [row[0] for row in connection.execute("SELECT datname FROM pg_database ORDER BY 1")]
        leftovers = [name for name in names if is_leftover(name)]
        for name in leftovers:
            postgres_admin.drop(connection, name)
    return leftovers


def notebook_url() -> str:
    """The database of the notebook that runs in this process.

    Studying: the study database. Executed or graded: the fresh one that the runner put into DATABASE_URL (it says so
    with COURSE_DATABASE_READY=1), else a scratch database of our own, dropped when this process ends.
    """
    here = settings.load()
    if here.mode == "study":
        return study_url()
    if here.database_ready:
        if not here.database_url:
            raise DatabaseError("COURSE_DATABASE_READY=1 is set, but DATABASE_URL is not. Set it, or unset the former.")
        return here.database_url
    if os.getpid() not in _notebook_scratch:  # a forked child makes its own
        url = _notebook_scratch[os.getpid()] = create_scratch(here.mode)
        atexit.register(_drop_at_exit, url, os.getpid())
    else:
        server_url()  # starts the embedded server again if it was killed
    return _notebook_scratch[os.getpid()]


def connect(url: str | None = None, **kwargs: Any) -> psycopg.Connection[Any]:
    """Connect (default: to the notebook's database) with pgvector's types registered.

    Args:
        url: any Postgres URL or libpq connection string.
        kwargs: psycopg.connect's own, such as `autocommit` and `row_factory`.

    Raises:
        DatabaseError: unreachable, older than Postgres 16, or without pgvector.
    """
    target = url or notebook_url()
    connection = postgres_admin.open_connection(target, **kwargs)
    try:
        register_vector(connection)
    except psycopg.Error as error:
        connection.close()
        raise postgres_admin.no_vector(target) from error
    return connection


def describe_server(url: str) -> ServerInfo:
    """Versions of what answers at `url`, for `course doctor`.

    Raises:
        DatabaseError: unreachable, or older than Postgres 16.
    """
    with postgres_admin.open_connection(url, autocommit=True) as connection:
        version = connection.info.parameter_status("server_version") or str(connection.info.server_version)
        return ServerInfo(
            version=version.split()[0],
            pgvector_version=postgres_admin.vector_version(connection),
            url_without_password=postgres_urls.without_password(url),
            embedded=_is_embedded(url),
        )


def _socket_url(socket_dir: Path) -> str:
    from coursekit.postgres.embedded import PORT

    return postgres_urls.build({"user": "postgres", "host": str(socket_dir), "port": str(PORT), "dbname": "postgres"})


def _is_embedded(url: str) -> bool:
    try:
        from coursekit.postgres.embedded import socket_dir_for
    except ModuleNotFoundError:
        return False
    return postgres_urls.parse(url).get("host") == str(socket_dir_for(settings.load().state_dir / "postgres"))


def _drop_at_exit(url: str, owner_pid: int) -> None:
    if os.getpid() == owner_pid:
        with suppress(DatabaseError):  # nobody is left to tell; `drop_leftovers` will find it
            drop_scratch(url)
