"""`python -m coursekit.running.worker <job as JSON>`: execute one notebook and report over a pipe.

Started by `coursekit.running`, one process per notebook. Each report is a line of JSON on the pipe `job.events`:
`ready`, `cell`, `cell-done`, then `verdict`, and `html` when a web page was asked for. Standard input is the
lifeline: when it ends, the parent is gone, and everything that belongs to this run ends itself.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursekit import notebooks
from coursekit.running import processes as running_processes
from coursekit.running.tracebacks import cell_frames, error_text, failing_line
from coursekit.zygote import Zygote

if TYPE_CHECKING:
    from coursekit.running.engine import Session

MESSAGE_LIMIT_CHARACTERS = 4_000
START_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Job:
    """What one worker has to do; paths are absolute."""

    notebook: str
    partial: str
    partial_html: str | None
    folder: str
    events: int
    kernels: int | None = None  # a socket to the process to fork the kernel from
    forks_token: str | None = None  # carried by everything that was forked in this run

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class _Reports:
    """The worker's end of the pipe."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)  # the kernel must not keep it open
        self._stream = os.fdopen(descriptor, "w", encoding="utf-8")

    def send(self, kind: str, **details: Any) -> None:
        self._stream.write(json.dumps({"kind": kind, **details}) + "\n")
        self._stream.flush()


def _end_with_the_parent(forks_token: str | None) -> threading.Thread:
    token = os.environ[running_processes.TOKEN_VARIABLE]
    private = os.environ["JUPYTER_RUNTIME_DIR"]  # made for this run, with its sockets and its log

    def watch() -> None:
        while os.read(0, 1):
            pass
        running_processes.end_all(token, {os.getpid(), *running_processes.kernel_sessions})
        if forks_token is not None:  # with its owner, the run's fork server and all that came from it have to go
            running_processes.end_all(forks_token)
        shutil.rmtree(private, ignore_errors=True)
        os._exit(1)

    lifeline = threading.Thread(target=watch, name="lifeline", daemon=True)
    lifeline.start()
    return lifeline


def execute(job: Job, reports: _Reports) -> dict[str, Any]:
    """Run the notebook and return the verdict: status, and what and where it failed."""
    notebooks.import_nbformat()  # first, because what follows imports it the slow way
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from coursekit.running import engine as running_engine

    session = running_engine.Session(reports.send, _zygote(job))
    try:
        papermill.execute_notebook(
            job.notebook, job.partial, engine_name=running_engine.register(), kernel_name="python3", cwd=job.folder,
            progress_bar=False, start_timeout=START_TIMEOUT_SECONDS, autosave_cell_every=2, session=session,
        )  # fmt: skip
    except PapermillExecutionError:
        pass  # it also complains of errors in cells tagged raises-exception; `_failed_cell` knows better
    except DeadKernelError:
        return _kernel_died(session)
    except Exception as error:  # noqa: BLE001  (whatever it is, the parent has to hear of it)
        message = f"the notebook could not be executed: {type(error).__name__}: {error}"
        return {"status": "failed", "message": message[:MESSAGE_LIMIT_CHARACTERS]}
    if session.lost_its_kernel():
        return _kernel_died(session)
    failure = _failed_cell(session.notebook)
    if failure is not None:
        return {"status": "failed", "failure": failure, "message": f"{failure['error']}: {failure['message']}"}
    _drop_markers(job.partial)
    return {"status": "ok", "message": ""}


def _kernel_died(session: Session) -> dict[str, Any]:
    return {"status": "kernel-died", "message": f"the kernel died: {session.kernel_exit()}"}


def _zygote(job: Job) -> Zygote | None:
    if job.kernels is None:
        return None
    os.set_inheritable(job.kernels, False)
    return Zygote(socket.socket(fileno=job.kernels))


def _failed_cell(notebook: Any) -> dict[str, Any] | None:
    from papermill.execute import ERROR_MARKER_TAG

    own = [cell for cell in notebook.cells if ERROR_MARKER_TAG not in cell.metadata.get("tags", [])]
    for index, cell in enumerate(own):
        if cell.metadata.get("papermill", {}).get("exception") is not True:
            continue
        errors = [output for output in cell.get("outputs", []) if output.output_type == "error"]
        frames = cell_frames(errors[-1].traceback) if errors else ()
        return {
            "index": index,
            "execution_count": cell.execution_count,
            "error": errors[-1].ename if errors else "Error",
            "message": error_text(errors[-1].evalue)[:MESSAGE_LIMIT_CHARACTERS] if errors else "no error was shown",
            "line": failing_line(frames, cell.execution_count),
            "traceback": frames,
        }
    return None


def _drop_markers(path: str) -> None:
    """Take out the red headlines that papermill adds for errors, also for those that a cell is meant to show."""
    import nbformat
    from papermill.execute import remove_error_markers

    notebook = nbformat.read(path, as_version=4)
    before = len(notebook.cells)
    if len(remove_error_markers(notebook).cells) != before:
        nbformat.write(notebook, path)


def _write_html(notebook: str, target: str) -> None:
    from nbconvert.exporters import HTMLExporter

    page, _ = HTMLExporter().from_filename(notebook)
    Path(target).write_text(page, encoding="utf-8")


def main(arguments: list[str]) -> int:
    job = Job(**json.loads(arguments[0]))
    reports = _Reports(job.events)
    parent, lifeline = os.getppid(), _end_with_the_parent(job.forks_token)
    try:
        _run(job, reports)
    finally:
        if os.getppid() != parent:  # a daemon's work would end with this thread: let it finish
            lifeline.join()
    return 0


def _run(job: Job, reports: _Reports) -> None:
    reports.send("verdict", **execute(job, reports))
    if job.partial_html and Path(job.partial).exists():
        try:
            _write_html(job.partial, job.partial_html)
        except Exception as error:  # noqa: BLE001  (a page that cannot be made must not fail a notebook that passed)
            reports.send("html", problem=f"no web page: {type(error).__name__}: {error}"[:MESSAGE_LIMIT_CHARACTERS])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
