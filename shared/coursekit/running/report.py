"""What a run looks like in a terminal: a progress display, a summary table, a panel per failure.

Fed by the events and results of `coursekit.running`; used by the CLI, which owns the console. On something that is
not a terminal (a CI log, a pipe) the display is one plain line per notebook.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from coursekit.running.records import CellFailure, Event, RunResult, Status

STYLES: dict[Status, str] = {
    "ok": "green",
    "failed": "red",
    "timeout": "red",
    "kernel-died": "red",
    "interrupted": "yellow",
    "invalid": "red",
}

_SOURCE_LINES = 13
_FRAME_LINES = 6
_MESSAGE_LINES = 5
_MESSAGE_CHARACTERS = 400


class RunProgress:
    """Shows a run while it goes on; give it to `running.run` as `on_event`, inside a `with` block.

    >>> with RunProgress(Console(quiet=True)) as progress:
    ...     progress(Event("planned", "m00_orientation", cells_total=3))
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._all: TaskID = self._progress.add_task("notebooks", total=0, unit="done")
        self._tasks: dict[str, TaskID] = {}
        self._planned = 0
        self._finished = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Take in one event of the run."""
        match event.kind:
            case "planned":
                self._planned += 1
                self._progress.update(self._all, total=self._planned)
            case "started":
                self._tasks[event.module] = self._progress.add_task(event.module, total=event.cells_total, unit="cells")
            case "cell":
                self._progress.update(self._tasks[event.module], completed=event.cells_done)
            case "warning":
                self._print(Text(f"{event.module}: {event.message}", style="yellow"))
            case "finished" if event.result is not None:
                self._finished += 1
                self._progress.update(self._all, completed=self._finished)
                if event.module in self._tasks:
                    self._progress.remove_task(self._tasks.pop(event.module))
                self._print(self._line(event.result))

    def _line(self, result: RunResult) -> Text:
        count = f"[{self._finished}/{self._planned}]"
        line = Text.assemble((f"{count} ", "dim"), (f"{result.status:<11}", STYLES[result.status]), f" {result.module}")
        line.append(f"  {result.cells_done}/{result.cells_total} cells, {result.seconds:.1f} s")
        if result.message and result.status not in ("ok", "interrupted"):
            line.append(f"  {_shortened(result.message, lines=1, characters=160)}")
        return line

    def _print(self, line: Text) -> None:
        # a plain log keeps each notebook on one line, however narrow it believes itself to be
        self._console.print(line, soft_wrap=not self._console.is_terminal, highlight=False)


def summary_table(results: Sequence[RunResult]) -> Table:
    """One row per notebook, and what they add up to."""
    passed = sum(result.ok for result in results)
    table = Table(title=f"{passed} of {len(results)} notebooks passed", title_justify="left", title_style="bold")
    table.add_column("module", overflow="fold")
    table.add_column("status")
    table.add_column("cells", justify="right")
    table.add_column("seconds", justify="right")
    for result in results:
        table.add_row(
            Text(result.module),
            Text(result.status, style=STYLES[result.status]),
            f"{result.cells_done}/{result.cells_total}",
            f"{result.seconds:.1f}",
        )
    return table


def failure_panel(result: RunResult) -> Panel:
    """What went wrong, in about 30 lines: the cell's source around the failing line, the way there, the message.

    Raises:
        ValueError: the result is ok; there is nothing to show.
    """
    if result.ok:
        raise ValueError(f"{result.module} passed: it has no failure to show")
    parts: list[RenderableType] = []
    failure = result.failure
    if failure is not None:
        number = f"In [{failure.execution_count}], " if failure.execution_count is not None else ""
        parts.append(Text(f"{number}cell {failure.index} of {result.notebook.name}", style="dim"))
        parts.append(_source(failure))
        parts.extend(_way_there(failure))
        parts.append(Text.assemble((failure.error, "bold red"), f": {_shortened(failure.message)}"))
    else:
        parts.append(Text(_shortened(result.message)))
    if result.output is not None:
        parts.append(Text(f"with all outputs: {result.output}", style="dim", overflow="fold"))
    title = Text(f"{result.module}: {result.status}", style=f"bold {STYLES[result.status]}")
    return Panel(Group(*parts), title=title, title_align="left", border_style=STYLES[result.status])


def _source(failure: CellFailure) -> Syntax:
    lines = failure.source.splitlines() or [""]
    middle = failure.line or 1
    first = max(1, min(middle - _SOURCE_LINES // 2, len(lines) - _SOURCE_LINES + 1))
    return Syntax(
        "\n".join(lines),
        "python",
        line_numbers=True,
        line_range=(first, min(len(lines), first + _SOURCE_LINES - 1)),
        highlight_lines={failure.line} if failure.line else set(),
        background_color="default",
        theme="ansi_dark",
    )


def _way_there(failure: CellFailure) -> list[Text]:
    """The frames after the failing cell's own: functions of earlier cells, where the error really arose."""
    lines = [line for frame in failure.traceback[1:] for line in frame.splitlines() if line.strip()]
    cut = len(lines) - _FRAME_LINES
    shown = lines if cut <= 0 else [f"… {cut + 1} lines …", *lines[-_FRAME_LINES + 1 :]]
    return [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in shown]


def _shortened(message: str, lines: int = _MESSAGE_LINES, characters: int = _MESSAGE_CHARACTERS) -> str:
    kept = message.strip().splitlines()
    text = "\n".join(kept[:lines]) + (" …" if len(kept) > lines else "")
    return text if len(text) <= characters else f"{text[: characters - 2]} …"
