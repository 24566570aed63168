"""Clients and connections cross as addresses, and are opened again on the other side.

An openai client is its base URL, key, timeout and number of retries; a Postgres connection or pool is its connection
string. `translate_postgres` may be set to give the other side its own credentials for the same database.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

translate_postgres: Callable[[str], str] = str
accept: Callable[[str, dict[str, Any]], bool] | None = None

_MAX_TEXT = 5_000


def encode(value: Any) -> dict[str, Any] | None:
    """The address of a client or connection; None for any other value."""
    module = type(value).__module__.split(".")[0]
    if module == "openai" and type(value).__name__ in ("OpenAI", "AsyncOpenAI"):
        timeout = value.timeout if isinstance(value.timeout, (int, float)) else None
        return {
            "$": "address",
            "kind": type(value).__name__,
            "base_url": str(value.base_url),
            "api_key": value.api_key,
            "timeout": timeout,
            "max_retries": value.max_retries,
        }
    if module in ("psycopg", "psycopg_pool"):
        kind = type(value).__name__
        if kind in ("Connection", "AsyncConnection"):
            url = f"{value.info.dsn} password={_quoted(value.info.password)}" if value.info.password else value.info.dsn
            return {"$": "address", "kind": kind, "url": translate_postgres(url), "autocommit": bool(value.autocommit)}
        if kind == "ConnectionPool":
            return {"$": "address", "kind": kind, "url": translate_postgres(value.conninfo), "autocommit": False}
    return None


def decode(data: dict[str, Any]) -> Any:
    """Open it again; the same address gives the same object."""
    fields = {key: value for key, value in data.items() if key not in ("$", "kind")}
    if any(isinstance(value, str) and len(value) > _MAX_TEXT for value in fields.values()):
        raise ValueError("an address that is too long")
    if accept is not None and not accept(str(data["kind"]), fields):
        raise ValueError("an address that is none of the judge's")
    return _open(data["kind"], tuple(sorted(fields.items())))


@functools.lru_cache(maxsize=64)
def _open(kind: str, fields: tuple[tuple[str, Any], ...]) -> Any:
    options = dict(fields)
    if kind in ("OpenAI", "AsyncOpenAI"):
        import openai

        return getattr(openai, kind)(**options)
    if kind == "Connection":
        import psycopg
        from pgvector.psycopg import register_vector

        connection = psycopg.connect(options["url"], autocommit=options["autocommit"], connect_timeout=10)
        with suppress(psycopg.ProgrammingError):  # a database without pgvector
            register_vector(connection)
        return connection
    if kind == "ConnectionPool":
        from psycopg_pool import ConnectionPool

        return ConnectionPool(options["url"], min_size=1, max_size=4, open=True)
    raise ValueError(f"no address of a {kind!r:.40}")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
