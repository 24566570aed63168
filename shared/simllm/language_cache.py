"""Keep the trained language model's arrays in one file.

Written to a temporary name and renamed, so that several processes may start at once. A file that cannot be read
is moved aside with a warning in the log and trained again; a folder that cannot be written is left alone.
"""

from __future__ import annotations

import logging
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger("simllm.cache")

Arrays = dict[str, NDArray[Any]]


def read(file: Path) -> Arrays | None:
    """The arrays of a cache file, or None when there is none that can be used."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        aside = file.with_suffix(f".corrupt-{os.getpid()}")
        log.warning("language cache %s is unreadable (%s): moved to %s and rebuilt", file, error, aside.name)
        try:
            file.replace(aside)
        except OSError:
            log.warning("could not move %s aside; it is ignored", file)
        return None


def write(file: Path, arrays: Arrays) -> None:
    """Store arrays under a name that appears only when complete. A read-only folder is not an error."""
    scratch = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        scratch.replace(file)
    except OSError as error:
        log.info("language cache not written: %s", error)
        scratch.unlink(missing_ok=True)
