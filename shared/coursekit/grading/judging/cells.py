"""One cell after the other in an IPython shell, as a kernel runs them; what they show is kept, up to a limit."""

from __future__ import annotations

import base64
import io
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

CUT = "\n… output beyond the limit is not kept\n"
_MAX_OUTPUTS = 500  # of one cell: those after are not kept
_MAX_TRACEBACK_LINES = 40
_MAX_ERROR_CHARACTERS = 20_000


@dataclass
class CellResult:
    """What a cell left behind. `error` is the exception's name and message, `value` that of a last expression."""

    outputs: list[dict[str, Any]] = field(default_factory=list)
    error: BaseException | None = None
    value: Any = None


class _Bounded(io.TextIOBase):
    """A text stream into the cell's outputs that keeps only so many characters."""

    def __init__(self, name: str, outputs: list[dict[str, Any]], room: list[int]) -> None:
        self.name, self._outputs, self._room = name, outputs, room

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        kept = text[: max(self._room[0], 0)]
        if self._room[0] > 0 and len(text) >= self._room[0]:
            kept += CUT
        self._room[0] -= len(text)
        if kept:
            last = self._outputs[-1] if self._outputs else {}
            if last.get("output_type") == "stream" and last.get("name") == self.name:
                last["text"] += kept
            else:
                self._outputs.append({"output_type": "stream", "name": self.name, "text": kept})
        return len(text)

    def fileno(self) -> int:
        return 1 if self.name == "stdout" else 2


class _Hook(DisplayHook):
    """Keeps the value of a cell's last expression instead of printing it."""

    keep: Callable[[dict[str, Any]], None]

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None) -> None:
        data = {
            "output_type": "execute_result",
            "execution_count": None,
            "data": format_dict,
            "metadata": md_dict or {},
        }
        self.keep(data)

    def finish_displayhook(self) -> None:
        pass

    def log_output(self, format_dict: dict[str, Any]) -> None:
        pass


class _Publisher(DisplayPublisher):
    """Keeps what is displayed."""

    keep: Callable[[dict[str, Any]], None]
    clear: Callable[[], None]

    def publish(self, data: dict[str, Any], metadata: Any = None, **_: Any) -> None:
        self.keep({"output_type": "display_data", "data": data, "metadata": metadata or {}})

    def clear_output(self, wait: bool = False) -> None:
        self.clear()


class _Shell(InteractiveShell):
    """An IPython shell that keeps its errors for the notebook instead of printing them."""

    displayhook_class = Type(_Hook)
    display_pub_class = Type(_Publisher)
    keep_error: Callable[[dict[str, Any]], None]
    examines_exports: bool  # read by coursekit.jupyter

    def showtraceback(self, *args: Any, **kwargs: Any) -> None:
        self.showsyntaxerror()

    def showsyntaxerror(self, *args: Any, **kwargs: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None:
            self.keep_error(error_output(error))

    def _showtraceback(self, kind: Any, error: BaseException, lines: Any) -> None:
        self.keep_error({**error_output(error), "traceback": [str(line) for line in lines]})


class Runner:
    """Runs cells in one shell.

    Args:
        output_kb: bounds what one cell may show.
        examines_exports: refuse `#| export` cells that could not become a module; not where only some of them run.
    """

    def __init__(self, output_kb: int, *, examines_exports: bool) -> None:
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "nocolor"
        config.InteractiveShell.cache_size = 0
        self.shell = _Shell.instance(config=config)
        self.shell.examines_exports = examines_exports
        self._output_kb = output_kb
        self.namespace: dict[str, Any] = self.shell.user_ns

    def run(self, source: str, cell_id: str | None) -> CellResult:
        """Run one cell; never raises for what the cell does, except for exits of the process itself."""
        result = CellResult()
        outputs, room = result.outputs, [self._output_kb * 1024]

        def keep(output: dict[str, Any]) -> None:
            _keep(outputs, room, output)

        hook, publisher = self.shell.displayhook, self.shell.display_pub
        hook.keep, publisher.keep, publisher.clear = keep, keep, outputs.clear
        self.shell.keep_error = outputs.append
        kept = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = _Bounded("stdout", outputs, room), _Bounded("stderr", outputs, room)
        try:
            done = self.shell.run_cell(source, store_history=False, cell_id=cell_id)
            _show_figures(keep)
        finally:
            sys.stdout, sys.stderr = kept
        result.error = done.error_before_exec or done.error_in_exec
        result.value = done.result
        return result


def error_output(error: BaseException) -> dict[str, Any]:
    """An error as a notebook's output."""
    name = type(error).__name__
    try:
        message = str(error)[:_MAX_ERROR_CHARACTERS]
    except Exception:  # noqa: BLE001  its __str__ is anybody's code
        message = ""
    render = getattr(error, "_render_traceback_", None)
    try:
        lines = list(render()) if callable(render) else _traceback(error)
    except Exception:  # noqa: BLE001  as above
        lines = [f"{name}: {message}"]
    lines = [str(line)[:_MAX_ERROR_CHARACTERS] for line in lines[-_MAX_TRACEBACK_LINES:]]
    return {"output_type": "error", "ename": name, "evalue": message, "traceback": lines}


def _traceback(error: BaseException) -> list[str]:
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return [line for line in text.splitlines() if "IPython/core" not in line]


def _keep(outputs: list[dict[str, Any]], room: list[int], output: dict[str, Any]) -> None:
    if len(outputs) >= _MAX_OUTPUTS:
        return
    data = {str(kind): text for kind, text in output["data"].items() if isinstance(text, (str, dict, list))}
    size = sum(len(str(text)) for text in data.values())
    if size > room[0]:
        data = {"text/plain": CUT.strip()}
        size = 0
    room[0] -= size
    outputs.append({**output, "data": data})


def _show_figures(keep: Callable[[dict[str, Any]], None]) -> None:
    """Figures that the cell left open, as the inline backend shows them; smaller, to keep feedback pages light."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    try:
        for number in pyplot.get_fignums()[:8]:
            buffer = io.BytesIO()
            pyplot.figure(number).savefig(buffer, format="png", dpi=60)
            picture = base64.b64encode(buffer.getvalue()).decode()
            keep({"output_type": "display_data", "data": {"image/png": picture}, "metadata": {}})
        pyplot.close("all")
    except Exception:  # noqa: BLE001  a picture that cannot be drawn costs nobody a point
        return
