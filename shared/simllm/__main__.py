"""The command `simllm`, which is also `python -m simllm`.

Loads nothing before it has seen to Ctrl-C: while the rest is being imported, an interrupt ends the process at once, as
the system does by default, instead of printing where Python happened to be.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    if argv is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from simllm import cli

    return cli.main(argv)


if __name__ == "__main__":
    sys.exit(main())
