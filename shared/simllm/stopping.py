"""Stop strings: notice one as soon as it is complete, also across token borders, and cut the reply before it."""

from __future__ import annotations

from collections.abc import Sequence

from simllm.tokenizer import Tokenizer


class StopWatcher:
    """Finds stop strings in the text as it grows, also across token borders."""

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stop = [s.encode("utf-8", "replace") for s in stop]
        self._text = b""
        self._cut: int | None = None

    def hit(self, emitted: Sequence[int]) -> bool:
        """Note the newest token; True when a stop string is now complete."""
        if not self._stop:
            return False
        start = len(self._text)
        self._text += self._tokenizer.piece(emitted[-1], first=len(emitted) == 1)
        found = [self._text.find(s, max(0, start - len(s) + 1)) for s in self._stop]
        hits = [position for position in found if position >= 0]
        self._cut = min(hits) if hits else None
        return self._cut is not None

    def cut(self, pieces: list[str]) -> list[str]:
        """The pieces before the stop string; the last may be shortened, later ones are dropped."""
        if self._cut is None:
            return pieces
        kept: list[str] = []
        room = len(self._text[: self._cut].decode("utf-8", "replace"))
        for piece in pieces:
            if room <= 0:
                break
            kept.append(piece[:room])
            room -= len(piece)
        return kept
