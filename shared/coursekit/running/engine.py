"""The papermill engine that executes course notebooks: our own kernel, bounded outputs, a report per cell.

- The kernel is our own (`coursekit.running.kernels`).
- What a cell prints is kept up to a limit, so that a loop that prints does not fill memory, disk and the web page.

Runs inside a worker process (`coursekit.running.worker`), never in the one that the user waits for.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from papermill.log import logger

from coursekit import notebooks
from coursekit.running.kernels import OwnKernelManager
from coursekit.zygote import Zygote

ENGINE_NAME = "course"
STREAM_LIMIT_CHARACTERS = 1_000_000
RICH_LIMIT_CHARACTERS = 8_000_000
ERROR_LIMIT_CHARACTERS = 20_000

_NEVER = 24 * 3600  # seconds; the parent process keeps the time

Report = Callable[..., None]


class CourseClient(PapermillNotebookClient):
    """papermill's client, with bounded outputs, reports and the dead kernel's exit code."""

    report: Report
    zygote: Zygote | None
    kernel_process: Any = None
    kernel_exit: int | None = None

    def __init__(self, nb_man: Any, report: Report, zygote: Zygote | None, **settings: Any) -> None:
        super().__init__(
            nb_man,
            kernel_manager_class=OwnKernelManager,
            timeout=None,
            iopub_timeout=_NEVER,  # its default of 4 s fails cells whose long output is still being read
            on_notebook_start=self._on_ready,
            on_cell_execute=self._on_cell,
            on_cell_executed=self._on_cell_done,
            **settings,
        )
        self.report = report
        self.zygote = zygote
        self._kept: dict[tuple[int, str], int] = {}

    def create_kernel_manager(self) -> OwnKernelManager:
        manager: OwnKernelManager = super().create_kernel_manager()
        manager.zygote = self.zygote
        return manager

    def start_new_kernel(self, **settings: Any) -> None:
        super().start_new_kernel(**settings)
        self.kernel_process = self.km.provisioner.process
        self.report("kernel", pid=self.kernel_process.pid)

    def _on_ready(self, notebook: NotebookNode) -> None:
        provisioner = self.km.provisioner if self.km else None
        self.report("ready", kernel=getattr(provisioner, "pid", None))

    def _on_cell(self, cell: NotebookNode, cell_index: int) -> None:
        self.report("cell", index=cell_index)

    def _on_cell_done(self, cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        if execute_reply["content"]["status"] == "ok" or "raises-exception" in notebooks.tags(cell):
            self.report("cell-done", index=cell_index)

    async def _async_check_alive(self) -> None:
        try:
            await super()._async_check_alive()
        except DeadKernelError:
            process = getattr(self.km.provisioner, "process", None) if self.km else None
            self.kernel_exit = getattr(process, "returncode", None)
            raise

    def output(self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        # nbclient's own coalesce_streams takes minutes for one long line: a regular expression that backtracks
        content = msg["content"]
        if msg["msg_type"] == "stream":
            key = (cell_index, content["name"])
            room = STREAM_LIMIT_CHARACTERS - self._kept.get(key, 0)
            if room < 0:
                return None
            self._kept[key] = self._kept.get(key, 0) + len(content["text"])
            if len(content["text"]) > room:
                content["text"] = (
                    content["text"][:room] + f"\n… output beyond {STREAM_LIMIT_CHARACTERS:,} characters is not kept\n"
                )
                self._kept[key] = STREAM_LIMIT_CHARACTERS + 1
            last = outs[-1] if outs and not self.clear_before_next_output else {}
            if last.get("output_type") == "stream" and last.get("name") == content["name"]:
                last["text"] += content["text"]
                return last
        elif msg["msg_type"] == "error":
            content["evalue"] = content["evalue"][:ERROR_LIMIT_CHARACTERS]
            content["traceback"] = [entry[:ERROR_LIMIT_CHARACTERS] for entry in content["traceback"]]
        elif (
            size := sum(len(v) for v in content.get("data", {}).values() if isinstance(v, str))
        ) > RICH_LIMIT_CHARACTERS:
            content["data"] = {"text/plain": f"… an output of {size:,} characters is not kept"}
        return super().output(outs, msg, display_id, cell_index)


class CourseEngine(Engine):
    """Registered with papermill as `course`; `session` is given through `papermill.execute_notebook`."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, *, session: Session, **settings: Any) -> None:
        session.notebook = nb_man.nb
        session.client = CourseClient(
            nb_man,
            session.report,
            session.zygote,
            kernel_name=kernel_name,
            startup_timeout=settings["start_timeout"],
            log=logger,
        )
        session.client.execute()


class Session:
    """One execution: where to report to, and what can be asked when it has ended, well or not."""

    def __init__(self, report: Report, zygote: Zygote | None) -> None:
        self.report = report
        self.zygote = zygote
        self.notebook: NotebookNode | None = None
        self.client: CourseClient | None = None

    def lost_its_kernel(self) -> bool:
        """Has the kernel been killed by the end of the process that it was forked from, perhaps after the last cell?"""
        return self.client is not None and getattr(self.client.kernel_process, "lost", False)

    def kernel_exit(self) -> str:
        """How the kernel's process ended, as words."""
        code = self.client.kernel_exit if self.client else None
        if code is None:
            return "its process is gone"
        if code >= 0:
            return f"its process ended with exit code {code}"
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        memory = "; a common reason is too little memory" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{memory}"


def register() -> str:
    """Make the engine known to papermill; returns its name."""
    papermill_engines.register(ENGINE_NAME, CourseEngine)
    return ENGINE_NAME
