"""Postgres URLs: take apart, put together, strip of passwords, and say in one sentence why one cannot be reached.

libpq does the parsing, so everything that psql accepts is accepted here. Pure text: nothing connects. No message made
here holds a password, not even a piece of one that a missing %40 has pushed into the host's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

import psycopg
from psycopg import conninfo

from coursekit.errors import DatabaseError

_SECRETS = ("password", "sslpassword", "passfile", "oauth_client_secret")
_FORM = "postgresql://user:password@host:5432/database"


def parse(url: str) -> dict[str, str]:
    """The URL's libpq parameters (`host`, `port`, `user`, `password`, `dbname`, ...), as text.

    Raises:
        DatabaseError: libpq cannot read it. Nothing of the URL is quoted and the original error is not chained,
            because libpq quotes the URL, password included.
    """
    try:
        parameters = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise DatabaseError(
            f"DATABASE_URL is not a Postgres URL. It must look like {_FORM}, without a '+driver'; "
            "write %40 for an @, %3A for a : and %25 for a % inside the password."
        ) from None
    return {key: str(value) for key, value in parameters.items() if value is not None}


def build(parameters: Mapping[str, str]) -> str:
    """One `postgresql://` URL of libpq parameters; socket folders and host lists go into the query.

    >>> build({"user": "ada", "host": "db", "port": "5432", "dbname": "course"})
    'postgresql://ada@db:5432/course'
    >>> build({"user": "postgres", "host": "/tmp/a b", "port": "5432", "dbname": "course"})
    'postgresql://postgres@/course?host=%2Ftmp%2Fa%20b&port=5432'
    """
    rest = dict(parameters)
    user, password, database = rest.pop("user", ""), rest.pop("password", ""), rest.pop("dbname", "")
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    place = ""
    host = rest.get("host", "")
    if host and not re.search(r"[/,@]", host):
        place = f"[{rest.pop('host')}]" if ":" in host else rest.pop("host")
        port = rest.pop("port", "")
        place += f":{port}" if port else ""
    query = urlencode(rest, quote_via=quote, safe="")
    return f"postgresql://{login}{'@' if login else ''}{place}/{quote(database, safe='')}" + (
        f"?{query}" if query else ""
    )


def with_database(url: str, name: str) -> str:
    """The same server and login, another database."""
    return build({**parse(url), "dbname": name})


def without_password(url: str) -> str:
    """The URL for people to read: everything but the secrets."""
    parameters = {key: value for key, value in parse(url).items() if key not in _SECRETS}
    if "@" in parameters.get("host", ""):
        parameters["host"] = "(unreadable)"
    return build(parameters)


def server_name(url: str) -> str:
    """`host:port`, or the socket's folder, for messages."""
    parameters = parse(url)
    host = parameters.get("host", "localhost")
    return host if host.startswith("/") else f"{host}:{parameters.get('port', '5432')}"


def redacted(url: str, error: psycopg.Error) -> psycopg.Error:
    """The error itself, or a copy with the secrets taken out of its text: what may be chained and shown."""
    parameters = parse(url)
    host = parameters.get("host", "")
    secrets = [parameters[key] for key in _SECRETS if parameters.get(key)] + ([host] if "@" in host else [])
    text = str(error)
    if not any(secret in text for secret in secrets):
        return error
    for secret in secrets:
        text = text.replace(secret, "***")
    return type(error)(text)


def explain(url: str, error: psycopg.Error) -> str:
    """Why a connection to `url` failed, where, and what to do: one sentence or two."""
    parameters = parse(url)
    text = str(error)
    user, database = parameters.get("user", "the default user"), parameters.get("dbname", "the default database")
    if "@" in parameters.get("host", ""):
        return "DATABASE_URL cannot be read: there is an @ in its user or password. Write it as %40."
    where, low = server_name(url), text.lower()
    if "password authentication failed" in low or "no password supplied" in low:
        return (
            f"Postgres at {where} refuses the password of user {user!r}. Correct the user and password in DATABASE_URL."
        )
    if re.search(r'role "[^"]*" does not exist', low):
        return f"Postgres at {where} has no user {user!r}. Correct DATABASE_URL, or create it: CREATE ROLE ... LOGIN."
    if re.search(r'database "[^"]*" does not exist', low):
        return f"Postgres at {where} has no database {database!r}. Create it (CREATE DATABASE) or correct DATABASE_URL."
    if "too many clients" in low or "remaining connection slots" in low:
        return f"Postgres at {where} has no connection left. Close notebooks, or raise its max_connections."
    if "no pg_hba.conf entry" in low:
        return f"Postgres at {where} does not allow user {user!r} from this machine. Its pg_hba.conf needs an entry."
    if "resolve host" in low or "translate host" in low:
        return (
            f"the host of DATABASE_URL, {parameters.get('host')!r}, is not known. Correct it; locally it is localhost."
        )
    reason = (
        "refused"
        if "refused" in low
        else "timed out"
        if "timeout" in low or "timed out" in low
        else _first_line(redacted(url, error))
    )
    if where.startswith("/"):
        return (
            f"no Postgres listens on the socket in {where} ({reason}). If it is the course's embedded server, it has "
            "stopped: restart the notebook's kernel or the command. Otherwise start it, or correct DATABASE_URL."
        )
    return (
        f"no Postgres can be reached at {where} ({reason}). Start it (docker compose -f docker/compose.yml up -d), "
        "correct DATABASE_URL, or unset it to use the embedded server."
    )


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
