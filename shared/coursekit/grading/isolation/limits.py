"""What the kernel bounds for one process and all that it starts."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Any


def limit(limits: dict[str, Any], own_user: bool) -> None:
    """Bound this process and all that it will start. `own_user`: the number of processes can be bounded as well."""
    megabyte = 1024 * 1024
    present = 0
    with suppress(OSError), open("/proc/self/statm", encoding="ascii") as statm:
        present = int(statm.read().split()[0]) * resource.getpagesize()
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: limits["disk_mb"] * megabyte,
        resource.RLIMIT_NOFILE: 512,
        resource.RLIMIT_CPU: int(limits["notebook_seconds"]) + 30,
    }
    if present:
        wanted[resource.RLIMIT_AS] = present + (limits["memory_mb"] + 1024) * megabyte
    if own_user and hasattr(resource, "RLIMIT_NPROC"):
        wanted[resource.RLIMIT_NPROC] = limits["processes"] + 64
    for what, most in wanted.items():
        with suppress(ValueError, OSError):
            _, hard = resource.getrlimit(what)
            value = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(what, (value, value))
