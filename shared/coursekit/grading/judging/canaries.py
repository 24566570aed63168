"""Small checks with known results, for the few checks that must run in the learner's own process.

Half of them must pass and half must fail, by `assert` and by `Check`, in random order, before and after the check itself:
whoever has patched assert, comparison, `Check` or the answers of the channel gives at least one wrong answer. This makes
cheating harder, not impossible.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

_CHECK = """from coursekit.checks import Check as _Check
with _Check("canary") as _canary:
    _canary.call(lambda: {left}).equals({right}, why="", hint="")
del _Check, _canary"""


class Canaries:
    """Sings through `run`, which executes a source in the learner's process and returns its reply."""

    def __init__(self, run: Callable[[str], Any], count: int = 6) -> None:
        self._run = run
        self._count = count
        self._random = random.SystemRandom()

    def sing(self) -> str:
        """Empty when every canary gave the right answer, else what went wrong."""
        songs = [(index % 2 == 0, index // 2 % 2 == 0) for index in range(self._count)]  # from four on, every kind
        self._random.shuffle(songs)
        for should_pass, by_assert in songs:
            left, right = self._random.randrange(10**6), self._random.randrange(10**6)
            total = left + right if should_pass else left + right + self._random.randrange(1, 100)
            if by_assert:
                source = f"assert {left} + {right} == {total}\n{left} * {right}"
            else:
                source = _CHECK.format(left=f"{left} + {right}", right=total) + f"\n{left} * {right}"
            reply = self._run(source)
            failed = not isinstance(reply, dict) or reply.get("error") is not None
            if failed == should_pass or (should_pass and reply.get("value") != left * right):
                return "this check could not be judged: Python itself was changed in the learner's process"
        return ""
