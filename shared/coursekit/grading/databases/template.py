"""The prepared data directory that every grading worker's Postgres starts as a copy of.

    <cache>/postgres-template-<postgres>-<pgvector>-<user and settings>/
        data/       after initdb: small WAL, roles, and the database `course_template_<pgvector>` with `vector` in it
        password    of the superuser, until a worker gives its own copy another one

It is made once and never started: initdb, two runs of Postgres' single-user mode, pg_resetwal. So there is no moment at
which a server listens that trusts anybody. The databases are what `coursekit.postgres.admin.template` expects, so that
`coursekit.database.create_scratch` works there for a role that could not create the extension itself.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from coursekit.errors import DatabaseError
from coursekit.postgres import account as postgres_account
from coursekit.postgres import setup as postgres_setup
from coursekit.postgres.account import Account
from coursekit.postgres.process import ServerFolder, exclusive

_LOCK_TIMEOUT_S = 180

# Nobody is believed without a password, the superuser included: in a plain process the learner has the grader's user id.
_LOGINS = "local all all scram-sha-256\n"

_SETTINGS = """
# A grading worker's server: small, quick to copy and start, worth nothing after the run.
listen_addresses = ''
password_encryption = scram-sha-256
scram_iterations = 1                  # the passwords are 192 random bits: stretching them only costs time
authentication_timeout = 5s           # connections that never log in take places
max_connections = 40
superuser_reserved_connections = 4
shared_buffers = 32MB
wal_level = minimal
max_wal_senders = 0
min_wal_size = 2MB
max_wal_size = 64MB
wal_recycle = off
fsync = off
full_page_writes = off
synchronous_commit = off
io_method = sync                      # no processes beside the backends: one submission uses one core per query
max_worker_processes = 0
max_parallel_workers = 0
max_parallel_maintenance_workers = 0
max_logical_replication_workers = 0
autovacuum = off                      # plans do not change in the middle of a check
max_prepared_transactions = 0
statement_timeout = 30s               # defaults that a session may change
lock_timeout = 10s
idle_in_transaction_session_timeout = 60s
client_connection_check_interval = 1s # a killed learner's query ends too
timezone = UTC
log_timezone = UTC
log_min_messages = fatal              # a learner's errors must not fill the disk
log_min_error_statement = panic
log_checkpoints = off
log_statement = none
"""


def template_database(bin_dir: Path) -> str:
    """The name of the template database, as `coursekit.postgres.admin.template` spells it."""
    return "course_template_" + re.sub(r"\W", "_", _pgvector_version(bin_dir))


def ensure_template(cache: Path) -> Path:
    """The template's folder in `cache`, made when missing (about 2 s); safe for several processes at once.

    Raises:
        DatabaseError: there are no binaries for this platform, or one of Postgres' commands fails.
        OSError: the cache is not writable.
    """
    bin_dir, account = postgres_setup.binaries(), postgres_account.current()
    folder = cache / _folder_name(bin_dir, account)
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with exclusive(cache / "postgres-template.lock", _LOCK_TIMEOUT_S):
            if not folder.is_dir():
                _make(folder, bin_dir, account)
    except TimeoutError as error:
        raise DatabaseError(f"{error}. End the grading run that hangs, and try again.") from error
    return folder


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder with owners and modes, sharing blocks where the file system can, never hard links.

    Raises:
        DatabaseError: there is no room, or no right to.
    """
    command = ["cp", "-a", "--reflink=auto"] if sys.platform.startswith("linux") else ["cp", "-a"]
    done = subprocess.run([*command, str(source), str(target)], capture_output=True, text=True, check=False)
    if done.returncode != 0 and "reflink" in done.stderr:  # not GNU's cp
        done = subprocess.run(["cp", "-a", str(source), str(target)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DatabaseError(
            f"the prepared Postgres could not be copied to {target}: {postgres_setup.reason(done.stderr)}. "
            "It needs 30 MB for each grading worker; make room, or set TMPDIR to a folder on another local disk."
        )


def _make(folder: Path, bin_dir: Path, account: Account) -> None:
    """Build where the account may pass, copy into the cache, rename: an interrupted build leaves no template."""
    build = Path(tempfile.mkdtemp(prefix="course-pg-new-"))
    draft = folder.with_name(f"{folder.name}.new-{os.getpid()}")
    try:
        server, password = ServerFolder(build), secrets.token_hex(24)
        postgres_setup.prepare(server, bin_dir, account)
        name = template_database(bin_dir)
        _single_user(
            server, bin_dir, account, "postgres",
            f"ALTER ROLE postgres PASSWORD '{password}'",
            "UPDATE pg_database SET datistemplate = false WHERE datname = 'template0'",
            "DROP DATABASE template0",  # nothing is ever copied from it, and it is a third of the data
            f"CREATE DATABASE {name}",
            f"REVOKE ALL ON DATABASE postgres, template1, {name} FROM PUBLIC",
        )  # fmt: skip
        _single_user(
            server, bin_dir, account, name,
            "CREATE EXTENSION vector",
            f"UPDATE pg_database SET datistemplate = true, datallowconn = false WHERE datname = '{name}'",
        )  # fmt: skip
        _run([str(bin_dir / "pg_resetwal"), "--wal-segsize=1", "-D", "data"], server, account)
        _configure(server)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        copy_tree(server.data, draft / "data")
        with os.fdopen(os.open(draft / "password", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password)
        draft.rename(folder)
    finally:
        shutil.rmtree(build, ignore_errors=True)
        shutil.rmtree(draft, ignore_errors=True)


def _configure(server: ServerFolder) -> None:
    with (server.data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
        configuration.write(_SETTINGS)
    (server.data / "pg_hba.conf").write_text(_LOGINS, encoding="utf-8")


def _single_user(server: ServerFolder, bin_dir: Path, account: Account, database: str, *statements: str) -> None:
    """Run statements without any server that others could reach; the first failure ends it."""
    script = server.base / "statements"
    script.write_text("".join(f"{statement};\n" for statement in statements), encoding="utf-8")
    script.chmod(0o600)
    account.give(script)
    command = [str(bin_dir / "postgres"), "--single", "-D", "data", "-c", "exit_on_error=true", database]
    _run(["/bin/sh", "-c", 'exec "$@" < statements', "sh", *command], server, account)
    script.unlink()


def _run(command: list[str], server: ServerFolder, account: Account) -> None:
    code, output = postgres_setup.run(command, server, account)
    if code != 0:
        raise DatabaseError(
            f"the Postgres for grading could not be prepared in {server.base}: {postgres_setup.reason(output)}. "
            "It needs 100 MB there: make room, or set TMPDIR to another folder on a local disk."
        )


def _folder_name(bin_dir: Path, account: Account) -> str:
    shown = subprocess.run([str(bin_dir / "postgres"), "--version"], capture_output=True, text=True, check=True).stdout
    version = shown.split()[-1]
    made_of = f"{_SETTINGS}{_LOGINS}{os.geteuid()}:{account.uid}"
    return (
        f"postgres-template-{version}-{_pgvector_version(bin_dir)}-{hashlib.sha256(made_of.encode()).hexdigest()[:8]}"
    )


def _pgvector_version(bin_dir: Path) -> str:
    control = bin_dir.parent / "share" / "postgresql" / "extension" / "vector.control"
    found = re.search(r"default_version\s*=\s*'([^']+)'", postgres_setup.read(control))
    if found is None:
        raise DatabaseError(f"there is no pgvector beside the Postgres in {bin_dir}: {control} cannot be read.")
    return found[1]
