"""What a run says while it goes on (`Event`) and what it found (`RunResult`). Plain records: no work is done here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal["ok", "failed", "timeout", "kernel-died", "interrupted", "invalid"]

EventKind = Literal["planned", "started", "cell", "finished", "warning"]


@dataclass(frozen=True)
class CellFailure:
    """The cell at which a notebook stopped.

    Attributes:
        index: the cell's place among all cells of the notebook, from 1.
        execution_count: the number in `In [n]`; None when the cell never finished.
        source: the cell's code.
        error: the exception's class, such as `KeyError`; for a timeout or a dead kernel, those words.
        message: the exception's text, shortened to a few thousand characters.
        line: the line of `source` that failed, from 1, where known.
        traceback: the frames inside the notebook's own cells, outermost first, without colour codes.
    """

    index: int
    execution_count: int | None
    source: str
    error: str
    message: str
    line: int | None = None
    traceback: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunResult:
    """How the execution of one notebook ended.

    Attributes:
        module: the module's id; for a notebook that course.yml does not list, the name that it gives itself.
        notebook: the notebook that was executed (the source; it is never written to).
        seconds: wall time, starting and stopping the kernel included.
        cells_done, cells_total: code cells that ran without error, and all that are not empty.
        failure: the cell at which it stopped; None where no cell is to blame.
        message: one sentence on what went wrong; empty when ok.
        output: the executed notebook, with the outputs up to the failure; None when there is none.
        html: the same as a web page, when asked for.
    """

    module: str
    notebook: Path
    status: Status
    seconds: float
    cells_done: int
    cells_total: int
    failure: CellFailure | None = None
    message: str = ""
    output: Path | None = None
    html: Path | None = None

    @property
    def ok(self) -> bool:
        return self.status == "ok"


@dataclass(frozen=True)
class Event:
    """Something that happened in a run.

    Kinds: `planned` (once per notebook, before any starts), `started`, `cell` (one more is done), `finished`
    (with `result`), `warning` (with `message`; the run goes on).
    """

    kind: EventKind
    module: str
    cells_done: int = 0
    cells_total: int = 0
    result: RunResult | None = None
    message: str = ""
