"""Submissions that attack their Postgres: other databases and roles, the server's files, its settings, its room.

The exercise is right unless said otherwise, and fails with "the attack got through" when something was not refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.hostile.course import H2
from tests.hostile.maker import ALL_OF_H2, NONE, Hostile, attack

CONNECT = '''
import os
import re

import psycopg

URL = os.environ.get("DATABASE_URL", "")


def attempt(*statements, url=URL):
    """Run them in one session of its own; True when none was refused."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=3) as session:
            for statement in statements:
                session.execute(statement)
        return True
    except psycopg.Error as error:
        print(str(error).splitlines()[0][:120])
        return False


def other(database, user=None):
    """The address of another database of the same server."""
    parts = psycopg.conninfo.conninfo_to_dict(URL)
    return psycopg.conninfo.make_conninfo("", **{**parts, "dbname": database, **({"user": user} if user else {})})

'''


def _sql(name: str, what: str, code: str, **more: object) -> Hostile:
    """An own cell that attacks before the exercise."""
    return attack(name, what, first=CONNECT + code, module=H2, confess=True, earns=ALL_OF_H2, **more)  # type: ignore[arg-type]


def _refused(name: str, what: str, statements: Sequence[str]) -> Hostile:
    """Each of these statements must be refused."""
    code = f"for statement in {list(statements)!r}:\n    if attempt(statement):\n        LOOT.append(statement)"
    return _sql(name, what, code)


def _tally(
    name: str, what: str, body: str, earns: frozenset[str] = ALL_OF_H2, may_earn: frozenset[str] = NONE
) -> Hostile:
    """The exercise itself attacks the connection that its check gives it."""
    source = f"import psycopg\n\n\ndef tally(connection, word):\n{body}"
    return attack(name, what, module=H2, earns=earns, may_earn=may_earn, replaced={"tally": source})


COUNT = """
    row = connection.execute("SELECT count(*) FROM words WHERE word = %s", (word,)).fetchone()
    answer = row[0]
"""

DROP_OTHERS = """
with psycopg.connect(URL, autocommit=True) as session:
    own, names = session.info.dbname, [row[0] for row in session.execute("SELECT datname FROM pg_database")]
for name in names:
    if name != own:
        for statement in ('DROP DATABASE "{}" WITH (FORCE)', 'ALTER DATABASE "{}" RENAME TO mine', 'ALTER DATABASE "{}" CONNECTION LIMIT 0'):
            if attempt(statement.format(name)):
                LOOT.append(statement.format(name))
"""

CONNECT_ELSEWHERE = """
with psycopg.connect(URL, autocommit=True) as session:
    own, names = session.info.dbname, [row[0] for row in session.execute("SELECT datname FROM pg_database")]
for name in {*names, "postgres", "template0", "template1"}:
    if name != own and attempt("CREATE TABLE was_here (x int)", url=other(name)):
        LOOT.append(f"wrote to the database {name}")
for user in ("postgres", "judge", "pgserver"):
    if attempt("SELECT 1", url=other(own, user)):
        LOOT.append(f"logged in as {user}")
"""

NO_PASSWORD = """
bare = re.sub(r":[^:@/]+@", "@", URL)
if bare != URL and attempt("SELECT 1", url=bare):
    LOOT.append("logged in without a password")
"""

TERMINATE = """
with psycopg.connect(URL, autocommit=True) as session:
    rows = session.execute("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename IS DISTINCT FROM current_user")
    for (pid,) in rows.fetchall():
        for function in ("pg_terminate_backend", "pg_cancel_backend"):
            try:
                if session.execute(f"SELECT {function}(%s)", (pid,)).fetchone()[0]:
                    LOOT.append(f"{function}({pid})")
            except psycopg.Error:
                continue
"""

FILL = """
attempt(
    "CREATE TABLE big AS SELECT g, repeat(md5(g::text), 30) AS text FROM generate_series(1, 50000) g",
    "INSERT INTO big SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 50000) g",
)
"""

EXHAUST = """
HELD = []
for _ in range(60):
    try:
        HELD.append(psycopg.connect(URL, connect_timeout=2))
    except psycopg.Error:
        break
"""

LOCKS = """
HELD = psycopg.connect(URL)
HELD.execute("CREATE TABLE IF NOT EXISTS words (word text)")
HELD.execute("LOCK TABLE words IN ACCESS EXCLUSIVE MODE")
HELD.execute("SELECT pg_advisory_lock(n) FROM generate_series(0, 200) n")
"""

SLEEP = """
import threading

for _ in range(3):
    threading.Thread(target=attempt, args=("SELECT pg_sleep(60)",), daemon=True).start()
attempt("SELECT pg_sleep(60)")
"""

SUBMISSIONS = [
    _sql("drop-others", "drops, renames and closes every other database", DROP_OTHERS),
    _sql("elsewhere", "connects to other databases and as other roles", CONNECT_ELSEWHERE),
    _sql("no-password", "connects without the password", NO_PASSWORD),
    _refused("superuser", "makes itself and others superusers", [
        "ALTER ROLE CURRENT_USER SUPERUSER", "CREATE ROLE mighty SUPERUSER LOGIN", "ALTER ROLE CURRENT_USER CREATEROLE CREATEDB",
        "ALTER ROLE postgres PASSWORD 'x'", "ALTER ROLE judge PASSWORD 'x'", "GRANT postgres TO CURRENT_USER",
    ]),
    _refused("other-roles", "becomes another role", [
        "SET ROLE postgres", "SET ROLE judge", "SET SESSION AUTHORIZATION postgres", "SELECT rolpassword FROM pg_authid",
        "SELECT passwd FROM pg_shadow", "GRANT pg_read_all_data TO CURRENT_USER",
    ]),
    _refused("server-files", "reads and writes the server's files and starts programs", [
        "SELECT pg_read_file('PG_VERSION')", "SELECT pg_ls_dir('.')", "SELECT lo_import('/etc/hostname')",
        "CREATE TEMP TABLE t (x text); COPY t FROM '/etc/hostname'", "COPY (SELECT 1) TO '/dev/null'",
        "COPY (SELECT 1) TO PROGRAM 'true'", "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc.so.6', 'getpid'",
    ]),
    _refused("settings", "changes the server's settings", [
        "ALTER SYSTEM SET fsync = on", "SELECT pg_reload_conf()", "SELECT pg_switch_wal()", "SET log_statement = 'all'",
        "ALTER ROLE ALL SET statement_timeout = 1", "CREATE EXTENSION file_fdw", "CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION now()",
    ]),
    _sql("terminate", "ends and cancels the sessions of others", TERMINATE),
    _sql("locks", "holds every lock that it can for the rest of the run", LOCKS),
    attack("fill", "100 MB of rows", module=H2, first=CONNECT + FILL, earns=NONE, may_earn=ALL_OF_H2),
    attack("exhaust", "opens sixty sessions and keeps them", module=H2, first=CONNECT + EXHAUST, earns=NONE, may_earn=ALL_OF_H2),
    attack("sleeping-sessions", "sessions that sleep for a minute, after the last check", module=H2, last=CONNECT + SLEEP, earns=ALL_OF_H2),
    _tally("drops-the-table", "counts right, then drops everything", f"{COUNT}    try:\n        connection.execute('DROP SCHEMA public CASCADE')\n    except psycopg.Error:\n        pass\n    return answer", earns=frozenset({"tally"}), may_earn=ALL_OF_H2),
    _tally("locked-table", "counts right, and leaves a transaction open that keeps the table locked", f"    other = psycopg.connect(connection.info.dsn, password=connection.info.password)\n    globals().setdefault('HELD', []).append(other)\n    other.execute('SELECT count(*) FROM words')\n{COUNT}    return answer"),
    _tally("changes-the-rows", "wrong, and changes the rows so that it would be right", "    connection.execute('DELETE FROM words')\n    connection.execute('INSERT INTO words SELECT %s FROM generate_series(1, 9)', (word,))\n    return 9", earns=NONE),
    _tally("own-functions", "wrong, with its own count and = in the search path", "    connection.execute('CREATE FUNCTION public.count(text) RETURNS bigint LANGUAGE sql AS $$ SELECT 2::bigint $$')\n    connection.execute('ALTER ROLE CURRENT_USER SET search_path = public, pg_catalog')\n    return -1", earns=NONE),
    _tally("returns-the-connection", "returns the connection, its cursor, the session's secrets", "    return [connection, connection.cursor(), connection.info.password]", earns=NONE),
    _tally("ends-its-session", "ends its own session in the middle of the call", "    connection.execute('SELECT pg_terminate_backend(pg_backend_pid())')\n    return 2", earns=NONE),
    _tally("closes-the-connection", "counts right, and closes the connection", f"{COUNT}    connection.close()\n    return answer", earns=frozenset({"tally"}), may_earn=frozenset({"tally-large"})),
    attack("zz-victim", "an innocent submission, graded last", module=H2, earns=ALL_OF_H2),
]  # fmt: skip
