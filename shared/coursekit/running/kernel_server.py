"""Inside the forked processes: one notebook's fork server, and the kernel that it forks.

    zygote of the run  ──fork──>  fork server of one notebook  ──fork──>  its kernel
    (imports PRELOAD once)        (`serve`, asked by the worker)          (`kernel`)

Each notebook has a server of its own, so that its worker alone decides about its kernel, and so that what the kernel
leaves behind has a parent that can be asked for it (Linux). Nothing of PRELOAD may start a thread or an event loop,
make a zmq context, or look for a running IPython: matplotlib.pyplot would choose its backend before there is one.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from coursekit import zygote

PRELOAD = (
    "coursekit.running.kernel_server",
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "pandas",
    "openai.resources.chat.completions",
    "openai.resources.embeddings",
    "openai.resources.responses",
    "psycopg",
    "pgvector.psycopg",
    "coursekit.jupyter",
    "coursekit.banner",
    "coursekit.checks",
    "coursekit.corpus",
    "coursekit.models",
    "simllm.server",
)


def serve(args: Mapping[str, Any], files: Sequence[int]) -> int:
    """Fork kernels for the worker at the other end of the socket `files[0]`, until it closes it."""
    sock = socket.socket(fileno=files[0])
    sock.set_inheritable(False)
    zygote.serve(sock, ())
    return 0


def kernel(args: Mapping[str, Any], files: Sequence[int]) -> int:
    """Be the kernel: what `python -m ipykernel_launcher <argv>` does after its imports, and at its end."""
    from ipykernel.kernelapp import IPKernelApp

    # It polls for its parent's end, as a kernel that was started the plain way does by JPY_PARENT_PID.
    argv = [*args["argv"], f"--IPKernelApp.parent_handle={os.getppid()}"]
    sys.argv = ["ipykernel_launcher.py", *argv]
    try:
        app = IPKernelApp.instance()
        app.initialize(argv)
        app.start()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # a forked child ends with os._exit, which does neither
        atexit._run_exitfuncs()
    return 0
