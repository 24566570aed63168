"""One transaction on nbgrader's gradebook at a time, over nbgrader's own tables.

nbgrader's `Gradebook` commits after every row. Here a block of changes is committed as a whole or not at all. SQLite's lock
is taken at the start (`BEGIN IMMEDIATE`), so that what is read is still true when it is written; a gradebook that somebody
else holds is waited for, for a while.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from coursekit.errors import GradingError

Result = TypeVar("Result")

FIRST_DELAY_SECONDS = 0.05
MAX_DELAY_SECONDS = 2.0
PATIENCE_SECONDS = 60.0


class GradebookFile:
    """nbgrader's gradebook, open for whole transactions."""

    def __init__(self, url: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.url = url
        self.patience_seconds = patience_seconds
        self._engine = create_engine(url, connect_args={"timeout": FIRST_DELAY_SECONDS})
        event.listen(self._engine, "connect", _leave_transactions_to_us)
        event.listen(self._engine, "begin", _begin)

    def transact(self, work: Callable[[Session], Result]) -> Result:
        """Run `work` in one transaction; again from its start when the gradebook was locked.

        The waits double from 0.05 s up to 2 s, until `patience_seconds` are over.

        Raises:
            GradingError: it stayed locked, or SQLite cannot use the file; nothing was changed then.
        """
        end = time.monotonic() + self.patience_seconds
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                with Session(self._engine) as session, session.begin():
                    return work(session)
            except OperationalError as error:
                if not _is_locked(error):
                    raise GradingError(f"the gradebook {self.url} cannot be used: {error.orig}. {_FIX}") from error
                if time.monotonic() + delay > end:
                    raise GradingError(
                        f"the gradebook {self.url} stayed locked by another process for {self.patience_seconds:g} s. "
                        "Close what uses it (another nbgrader command, a database browser), then grade again: "
                        "what is recorded already is not done twice."
                    ) from error
            except DBAPIError as error:
                raise GradingError(f"the gradebook {self.url} cannot be used: {error.orig}. {_FIX}") from error
            time.sleep(delay)
            delay = min(2 * delay, MAX_DELAY_SECONDS)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


_FIX = "Check the disk and the file's permissions; `nbgrader db upgrade` updates one that an older nbgrader made."


def _leave_transactions_to_us(connection: sqlite3.Connection, record: Any) -> None:
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _is_locked(error: OperationalError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
