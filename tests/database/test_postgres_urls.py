"""Postgres URLs: nothing is lost, and nothing secret is said."""

from __future__ import annotations

import re

import psycopg
import pytest

from coursekit.errors import DatabaseError
from coursekit.postgres import urls as postgres_urls

HOSTILE = "p@ss:w/rd%?#&é"


@pytest.mark.parametrize(
    "parameters",
    [
        {"user": "ada", "password": HOSTILE, "host": "db.example", "port": "5433", "dbname": "a b"},
        {"user": "postgres", "host": "/tmp/a folder/é", "port": "5432", "dbname": "course"},
        {"user": "u", "host": "::1", "port": "5432", "dbname": "d"},
        {"host": "one,two", "port": "1,2", "dbname": "d", "sslmode": "require"},
        {"user": "u", "host": "h", "dbname": "d", "options": "-c search_path=a,b"},
    ],
)
def test_a_url_says_exactly_its_parameters(parameters: dict[str, str]) -> None:
    assert postgres_urls.parse(postgres_urls.build(parameters)) == parameters


def test_another_database_keeps_login_and_options() -> None:
    url = postgres_urls.with_database("postgresql://u:p%40w@h:5/old?sslmode=require", "new")
    assert url == "postgresql://u:p%40w@h:5/new?sslmode=require"


def test_keyword_strings_are_urls_too() -> None:
    assert postgres_urls.with_database("host=h user=u password=x dbname=d", "e") == "postgresql://u:x@h/e"


def test_the_url_for_people_has_no_secret() -> None:
    shown = postgres_urls.without_password("postgresql://ada:geheim@h:1/d?sslpassword=auch")
    assert shown == "postgresql://ada@h:1/d"


@pytest.mark.parametrize(
    "url", ["postgres//u:geheim@h/x", "postgresql+psycopg://u:geheim@h/x", "postgresql://u:gehe%zzim@h/x"]
)
def test_an_unreadable_url_is_explained_without_quoting_it(url: str) -> None:
    with pytest.raises(DatabaseError, match="must look like postgresql://user:password@host:5432/database") as caught:
        postgres_urls.parse(url)
    assert "gehe" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_an_at_sign_in_the_password_is_named_and_no_piece_of_it_is_shown() -> None:
    url = "postgresql://u:gehe@im@127.0.0.1/x"
    error = psycopg.OperationalError("failed to resolve host 'im@127.0.0.1'")
    assert "Write it as %40" in postgres_urls.explain(url, error)
    assert "im@" not in postgres_urls.explain(url, error) + str(postgres_urls.redacted(url, error))
    assert "im@" not in postgres_urls.without_password(url)


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ('FATAL:  password authentication failed for user "ada"', "refuses the password of user 'ada'"),
        ("fe_sendauth: no password supplied", "refuses the password"),
        ('FATAL:  role "ada" does not exist', "has no user 'ada'"),
        ('FATAL:  database "shop" does not exist', "has no database 'shop'. Create it"),
        ("FATAL:  sorry, too many clients already", "max_connections"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', "pg_hba.conf needs an entry"),
        ("failed to resolve host 'h'", "the host of DATABASE_URL, 'h', is not known"),
        ("connection timeout expired", r"\(timed out\). Start it \(docker compose"),
        ("Connection refused", r"h:5432 \(refused\)"),
        ("something new", r"\(something new\)"),
    ],
)
def test_a_failed_connection_is_explained_with_its_fix(problem: str, said: str) -> None:
    for password in ("geheim", "password", "timeout"):
        error = psycopg.OperationalError(f"connection failed: {problem}" if "new" not in problem else problem)
        sentence = postgres_urls.explain(f"postgresql://ada:{password}@h/shop", error)
        assert re.search(said, sentence), sentence
        assert "geheim" not in sentence


def test_an_error_that_quotes_the_password_is_chained_without_it() -> None:
    error = postgres_urls.redacted("postgresql://u:geheim@h/x", psycopg.OperationalError("bad: geheim"))
    assert isinstance(error, psycopg.OperationalError)
    assert str(error) == "bad: ***"
