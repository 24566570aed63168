"""What the course asks of any Postgres: a version, pgvector, and databases made and dropped quickly.

Works on the URL that it is given and knows nothing of DATABASE_URL, notebooks or the embedded server. Every refusal
becomes a DatabaseError with the fix, chained from Postgres' own error (without the password, should that quote it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors, sql

from coursekit.errors import DatabaseError
from coursekit.postgres import urls as postgres_urls
from coursekit.postgres.scratch_names import is_scratch, new_name

MINIMUM_SERVER = 16
MINIMUM_PGVECTOR = (0, 8)  # the first with iterative index scans
CONNECT_TIMEOUT_S = 5

_ADVISORY_LOCK = 0x636F75727365  # "course"


def open_connection(url: str, **kwargs: Any) -> psycopg.Connection[Any]:
    """Connect within CONNECT_TIMEOUT_S, unless the URL or `kwargs` says otherwise.

    Raises:
        DatabaseError: unreachable, refused, or older than MINIMUM_SERVER.
    """
    if "connect_timeout" not in postgres_urls.parse(url):
        kwargs.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
    try:
        connection: psycopg.Connection[Any] = psycopg.connect(url, **kwargs)
    except psycopg.Error as error:
        raise DatabaseError(postgres_urls.explain(url, error)) from postgres_urls.redacted(url, error)
    try:
        check_server_version(connection.info.server_version, postgres_urls.server_name(url))
    except DatabaseError:
        connection.close()
        raise
    return connection


@contextmanager
def administer(url: str) -> Iterator[psycopg.Connection[Any]]:
    """An autocommit connection for making and dropping databases; Postgres' refusals become DatabaseErrors."""
    with open_connection(url, autocommit=True) as connection:
        try:
            yield connection
        except psycopg.Error as error:
            raise DatabaseError(_explain_refusal(url, connection, error)) from postgres_urls.redacted(url, error)


def _explain_refusal(url: str, connection: psycopg.Connection[Any], error: psycopg.Error) -> str:
    where, text = postgres_urls.server_name(url), str(error).strip().splitlines()[:1]
    if isinstance(error, errors.InsufficientPrivilege) and "create database" in str(error):
        user = connection.info.user
        return (
            f"user {user!r} may not create databases at {where}, and every run of a notebook needs a fresh one. "
            f'As a superuser, run: ALTER ROLE "{user}" CREATEDB'
        )
    if isinstance(error, errors.DiskFull):
        return f"the disk of Postgres at {where} is full. Free some space and try again."
    return f"Postgres at {where} refused: {' '.join(text)}"


def template(connection: psycopg.Connection[Any], server: str) -> str:
    """The name of the database that scratch databases are copies of; made when missing.

    It gets its name when it is complete, so a process that dies in between leaves an ordinary scratch database.
    """
    row = connection.execute("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'").fetchone()
    if row is None:
        raise no_vector(server)
    check_pgvector_version(row[0], postgres_urls.server_name(server))
    name = "course_template_" + re.sub(r"\W", "_", row[0])
    if exists(connection, name):
        return name
    connection.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])
    try:
        if not exists(connection, name):
            draft = new_name("template")
            try:
                create(connection, draft, None)
                ensure_vector(postgres_urls.with_database(server, draft))
                # Nobody may be connected to a database while it is copied.
                connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(draft)))
                # The lock holds per database: through another DATABASE_URL of this server, somebody may be faster.
                with suppress(errors.DuplicateDatabase, errors.UniqueViolation):
                    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
                    connection.execute(rename.format(sql.Identifier(draft), sql.Identifier(name)))
                    # So that other roles with CREATEDB may copy it. Last, because a marked draft could not be dropped.
                    connection.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE true").format(sql.Identifier(name)))
            finally:
                drop(connection, draft)
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", [_ADVISORY_LOCK])
    return name


def exists(connection: psycopg.Connection[Any], name: str) -> bool:
    """Whether the server has a database of this name."""
    return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def create(connection: psycopg.Connection[Any], name: str, copy_of: str | None) -> None:
    """Make a database, as a copy of another one or of the server's default template."""
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if copy_of:
        statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(copy_of))
    with _as_login(connection) as role:
        connection.execute(statement + sql.SQL(" OWNER {}").format(sql.Identifier(role)) if role else statement)


def drop(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop a database, ending its connections; nothing happens if there is none."""
    with _as_login(connection):
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _as_login(connection: psycopg.Connection[Any]) -> Iterator[str | None]:
    """Act with the login's own right to create databases where its sessions work in another role (`ALTER ROLE ... SET
    role`, as the grader's do); gives that role, to which what is made belongs, or None when there is no such thing."""
    row = connection.execute(
        "SELECT current_user::text FROM pg_roles WHERE rolname = session_user AND rolcreatedb "
        "AND current_user <> session_user AND pg_has_role(session_user, current_user, 'USAGE')"
    ).fetchone()
    if row is None:
        yield None
        return
    connection.execute("SET ROLE NONE")
    try:
        yield row[0]
    finally:
        connection.execute("RESET ROLE")


def check_server_version(number: int, where: str) -> None:
    """Raise DatabaseError if a server's version number (`160004` is 16.4) is below MINIMUM_SERVER."""
    if number // 10000 < MINIMUM_SERVER:
        raise DatabaseError(
            f"Postgres at {where} is version {number // 10000}, and the course needs {MINIMUM_SERVER} or newer. "
            "Use the image pgvector/pgvector:pg18, or unset DATABASE_URL to use the embedded server."
        )


def check_pgvector_version(version: str, where: str) -> None:
    """Raise DatabaseError if pgvector's version (`0.8.5`) is below MINIMUM_PGVECTOR."""
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < MINIMUM_PGVECTOR:
        raise DatabaseError(
            f"pgvector at {where} is {version}, and the course needs {'.'.join(map(str, MINIMUM_PGVECTOR))} or newer. "
            "Upgrade the server's package, then run: ALTER EXTENSION vector UPDATE"
        )


def ensure_vector(url: str) -> None:
    """Create the extension in the database at `url` if it is missing.

    Raises:
        DatabaseError: it cannot be created, or is older than MINIMUM_PGVECTOR.
    """
    with open_connection(url, autocommit=True) as connection:
        if vector_version(connection) is None:
            try:
                with suppress(errors.UniqueViolation, errors.DuplicateObject):  # another process was faster
                    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            except psycopg.Error as error:
                raise no_vector(url) from error
        check_pgvector_version(vector_version(connection) or "0", postgres_urls.server_name(url))


def vector_version(connection: psycopg.Connection[Any]) -> str | None:
    """The extension's version in the connected database, or None where it is not created."""
    row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    return str(row[0]) if row else None


def no_vector(url: str) -> DatabaseError:
    """The error that says where pgvector is missing and how it gets there (its control file asks for a superuser)."""
    database = postgres_urls.parse(url).get("dbname", "")
    target = "template1" if is_scratch(database) else database
    return DatabaseError(
        f"Postgres at {postgres_urls.server_name(url)} has no pgvector in database {target!r}. As a superuser, run "
        "there: CREATE EXTENSION vector. If the server does not know it, use the image pgvector/pgvector:pg18."
    )
