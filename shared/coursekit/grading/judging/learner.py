"""The learner's side: runs the learner's cells and answers the judge's calls. Everything here may be subverted.

Nothing in this process is secret: it has the learner's text, what the source notebook gives openly, and whatever the
judge hands to a function while it calls it.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from typing import Any

from coursekit.grading.judging.cells import Runner, error_output
from coursekit.grading.judging.encoding import Encoder
from coursekit.grading.judging.peer import Peer
from coursekit.grading.judging.values import CannotCross


def main(args: dict[str, Any], files: list[int]) -> int:
    """Serve one judge over `files[0]`; returns when it closes the channel."""
    sock = socket.socket(fileno=files[0])
    sock.set_inheritable(False)
    sys.path[:] = [path for path in sys.path if path not in ("", os.getcwd())]
    runner = Runner(args["output_kb"], examines_exports=True)
    peer = Peer(sock, runner.namespace, trusts_other=True, keeps_own_classes=True)
    peer.control = _Control(runner, peer)
    peer.serve_main()
    return 0


class _Control:
    """What the judge asks for besides calls."""

    def __init__(self, runner: Runner, peer: Peer) -> None:
        self._runner = runner
        self._peer = peer

    def __call__(self, op: str, details: dict[str, Any]) -> Any:
        match op:
            case "run":
                return self._run(details["source"], details["id"])
            case "names":
                self._peer.shared = frozenset(details["shared"])
                return self._names(details["names"])
        return None

    def _run(self, source: str, cell_id: str) -> dict[str, Any]:
        try:
            result = self._runner.run(source, cell_id)
        except BaseException as problem:  # noqa: BLE001  SystemExit ends a kernel's cell, not its process
            return {"outputs": [error_output(problem)], "error": error_output(problem), "value": None}
        shown = error_output(result.error) if result.error is not None else None
        value = result.value if isinstance(result.value, (bool, int, float, str)) else None
        return {"outputs": result.outputs, "error": shown, "value": value}

    def _names(self, names: list[str]) -> dict[str, Any]:
        """The values of the contract's names, as far as they exist."""
        found = {}
        for name in names:
            if name in self._runner.namespace:
                with suppress(CannotCross):
                    found[name] = Encoder(self._peer).encode(self._runner.namespace[name])
        return found
