"""Judge and learner in one process, joined by a real channel: for tests of what crosses it and how.

The learner's peer serves from a thread of its own; each side has a notebook's namespace. What a test reaches by name is what
a check cell would find under that name.
"""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Any, Self

from coursekit.grading.judging.decoding import Decoder
from coursekit.grading.judging.encoding import Encoder
from coursekit.grading.judging.peer import Peer


class TwoSides:
    """Use as a context manager: `define` learner's code, then reach its names as the judge does, with `sides["name"]`."""

    def __init__(self) -> None:
        self.learner_names: dict[str, Any] = {"__name__": "__main__"}
        self.judge_names: dict[str, Any] = {"__name__": "__main__"}
        self._learner: Peer | None = None
        ours, self._theirs = socket.socketpair()
        self._sock = ours
        self.judge = Peer(ours, self.judge_names, trusts_other=False, keeps_own_classes=False)
        self.judge.deadline = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="learner", daemon=True)

    def _serve(self) -> None:
        self._learner = Peer(self._theirs, self.learner_names, trusts_other=True, keeps_own_classes=True)
        self._learner.control = self._control
        self._ready.set()
        self._learner.serve_main()

    def _control(self, op: str, details: dict[str, Any]) -> Any:
        assert self._learner is not None and op == "name"
        self._learner.shared = frozenset(details["shared"])
        return Encoder(self._learner).encode(self.learner_names[details["name"]])

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._sock.close()
        self._theirs.close()

    def define(self, source: str) -> None:
        """Run a cell of the learner's."""
        exec(compile(source, "<learner>", "exec", dont_inherit=True), self.learner_names)

    def given(self, source: str) -> None:
        """Run a given cell: on both sides."""
        self.define(source)
        exec(compile(source, "<given>", "exec", dont_inherit=True), self.judge_names)

    def __getitem__(self, name: str) -> Any:
        return Decoder(self.judge).decode(self.judge.command("name", name=name, shared=self._shared()))

    def _shared(self) -> list[str]:
        return [name for name, value in self.judge_names.items() if isinstance(value, type)]

    def there_and_back(self, value: Any) -> Any:
        """A value as the learner's identity function returns it, in a container that it has not been in before."""
        self.define("def echo_in_a_box(value):\n    import copy\n    return {'box': value}['box']")
        return self["echo_in_a_box"](value)
