"""Remember embeddings on disk: one sqlite file, keyed by model id and content hash.

Write-ahead logging lets several processes read and write at once. `read_only=True` never writes, not even a lock
file, so it works inside a sandbox. A corrupt file is moved aside with a warning in the log and rebuilt; every
other trouble (a full disk, a lock held for too long) costs the cache, never the answer.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger("simllm.cache")

Vector = NDArray[np.float32]
FILE_NAME = "vectors.sqlite3"
_BATCH = 500


def content_key(model_id: str, text: str) -> bytes:
    """The cache key of a text under a model (32 bytes)."""
    return hashlib.sha256(f"{model_id}\0{text}".encode("utf-8", "surrogatepass")).digest()


class VectorCache:
    """A content-addressed store of float32 vectors in a folder."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.path = folder / FILE_NAME
        self.read_only = read_only
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        with self._lock:
            self._open()

    def _open(self) -> None:
        try:
            self._db = self._connect_read_only() if self.read_only else self._connect()
        except sqlite3.DatabaseError as error:
            self._failed(error)

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=10.0, check_same_thread=False, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
        except sqlite3.DatabaseError:
            db.close()
            raise
        return db

    def _connect_read_only(self) -> sqlite3.Connection | None:
        if not self.path.exists():
            return None
        # immutable: sqlite takes no locks and makes no side files; rows still in a write-ahead log are not seen
        db = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        try:
            db.execute("SELECT count(*) FROM (SELECT 1 FROM vectors LIMIT 1)")
        except sqlite3.DatabaseError:
            db.close()
            raise
        return db

    def _failed(self, error: sqlite3.DatabaseError) -> None:
        """Give up on this connection; when the file itself is broken, move it aside and start a new one."""
        if self._db is not None:
            self._db.close()
            self._db = None
        if isinstance(error, sqlite3.OperationalError) or self.read_only:
            log.warning("vector cache %s is not usable (%s): continuing without it", self.path, error)
            return
        aside = self.path.with_suffix(f".corrupt-{os.getpid()}")
        log.warning("vector cache %s is corrupt (%s): moved to %s and rebuilt", self.path, error, aside.name)
        try:
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self.path.replace(aside)
            self._db = self._connect()
        except (OSError, sqlite3.DatabaseError) as second:
            log.warning("vector cache could not be rebuilt (%s): continuing without it", second)

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Vector]:
        """The vectors that are stored, by key; missing keys are absent."""
        found: dict[bytes, Vector] = {}
        with self._lock:
            if self._db is None:
                return found
            try:
                for start in range(0, len(keys), _BATCH):
                    part = keys[start : start + _BATCH]
                    query = f"SELECT key, vector FROM vectors WHERE key IN ({','.join('?' * len(part))})"
                    found |= {key: np.frombuffer(blob, dtype="<f4") for key, blob in self._db.execute(query, part)}
            except sqlite3.DatabaseError as error:
                self._failed(error)
        return found

    def put(self, vectors: Mapping[bytes, Vector]) -> None:
        """Store vectors; a key that another process stored first is left as it is."""
        with self._lock:
            if self._db is None or self.read_only or not vectors:
                return
            rows = [(key, vector.astype("<f4").tobytes()) for key, vector in vectors.items()]
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
                self._db.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                self._failed(error)

    def close(self) -> None:
        """Close the file; the cache then answers like an empty one."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
