"""The judge: drives one submission, runs the check cells, gives the points. Runs in a process of its own.

The learner's cells are sent to the learner's process one by one; given cells run on both sides; check cells run here,
with proxies standing for the names that the exercises define. When the learner's process ends or hangs, a new one is
started and the cells before are run again without the fatal one, so every later check still gets its chance.
"""

from __future__ import annotations

import random
import resource
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursekit import messages
from coursekit.grading.intake import reading
from coursekit.grading.judging import INSIDE_TAG, addresses, exceptions, plan
from coursekit.grading.judging.canaries import Canaries
from coursekit.grading.judging.cells import CellResult, Runner
from coursekit.grading.judging.decoding import Decoder
from coursekit.grading.judging.outputs import clean_outputs
from coursekit.grading.judging.peer import Gone
from coursekit.grading.judging.process import CannotIsolate, LearnerProcess, Setting, learner_environ
from coursekit.grading.judging.scoring import Score, Stopped, score
from coursekit.grading.judging.values import CannotCross
from coursekit.zygote import Zygote

MAX_STARTS = 40
_GRACE_SECONDS = 1.0
_MEMORY_BYTES = 2 << 30  # what a judge may take on top of the imported packages


@dataclass
class Outcome:
    """What the judge reports: outputs by step, checks, and remarks (kind, message, cell)."""

    outputs: list[list[dict[str, Any]]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    findings: list[tuple[str, str, str | None]] = field(default_factory=list)


def main(args: dict[str, Any], files: list[int]) -> int:
    """Judge the job in `args`; files are the result's socket and the control socket of the learners' zygote."""
    result, control = (socket.socket(fileno=file) for file in files)
    for sock in (result, control):
        sock.set_inheritable(False)
    _bound_memory()
    messages.send(result, judge(args, Zygote(control)))
    return 0


def judge(job: dict[str, Any], zygote: Zygote) -> dict[str, Any]:
    """One submission from its file to its points, as plain data.

    `error` says why a file cannot be graded, `failure` why this machine cannot grade.
    """
    taken = reading.read_file(Path(job["submission"]))
    findings = [[finding.kind, finding.message, finding.cell] for finding in taken.findings]
    if taken.notebook is None:
        return {"error": taken.reason, "findings": findings}
    rebuilt = plan.make(Path(job["source"]), taken.notebook, job["execute"], job["only"])
    findings += [[finding.kind, finding.message, finding.cell] for finding in rebuilt.findings]
    at_work = Judge(job, plan.steps(rebuilt), zygote)
    try:
        outcome = at_work.run()
    except CannotIsolate as error:
        return {"failure": f"the submission could not be isolated: {error}"}
    finally:
        at_work.end()
    notebook = plan.executed(rebuilt, outcome.outputs)
    return {"checks": outcome.checks, "findings": findings + [list(f) for f in outcome.findings], "notebook": notebook}


class Judge:
    """One submission's judge. `job` is what `coursekit.grading.station` puts together."""

    def __init__(self, job: dict[str, Any], steps: list[dict[str, Any]], zygote: Zygote) -> None:
        self._job = job
        self._steps = steps
        self._limits = job["limits"]
        self._zygote = zygote
        self._learner: LearnerProcess | None = None
        self._fatal: set[int] = set()
        self._starts = 0
        self._done: list[int] = []
        self._broken: dict[str, str] = {}
        self._until = time.monotonic() + self._limits["notebook_seconds"]
        self._runner = Runner(self._limits["output_kb"], examines_exports=False)  # learners' cells run elsewhere
        self._setting = self._prepare()

    def _prepare(self) -> Setting:
        """Models and addresses for the learner's side, before anything runs."""
        extra: dict[str, str] = {}
        ports: list[int] = []
        if self._job["models"]:
            from coursekit import models

            self._server = models.serve_privately(secrets.token_hex(16))
            ports.append(self._server.port)
            extra |= {
                "COURSE_MODELS_READY": "1",
                "OPENAI_BASE_URL": self._server.base_url,
                "OPENAI_API_KEY": "simulated",
            }
        database = self._job["database"]
        if database:
            extra |= {"COURSE_DATABASE_READY": "1", "DATABASE_URL": database["learner"]}
        _know_addresses(self._server.base_url if self._job["models"] else None, database)
        home = self._job["home"]
        environ = learner_environ(self._job["stage"], home, extra)
        return Setting(
            self._job["depth"], self._job["own_network"], self._job["paths"], home, ports, self._limits, environ
        )

    def run(self) -> Outcome:
        """Go through the steps in order."""
        outcome = Outcome()
        for index, step in enumerate(self._steps):
            outputs: list[dict[str, Any]] = []
            if step["kind"] == "check":
                outputs = self._check(step, outcome)
            else:
                if step["learner"] is not None:
                    outputs = self._run_learner(index, step, outcome)
                    self._done.append(index)
                if step["judge"] is not None:
                    self._run_given(step, outcome)
            outcome.outputs.append(outputs)
        return outcome

    def end(self) -> None:
        """Leave no process behind."""
        if self._learner is not None:
            self._learner.end()
            self._learner = None

    # ── the learner's cells ───────────────────────────────────────────────────────────────────────────────────

    def _run_learner(self, index: int, step: dict[str, Any], outcome: Outcome) -> list[dict[str, Any]]:
        try:
            reply = self._send_cell(self._alive(), step)
        except Gone as gone:
            self._fatal.add(index)
            why = self._bury(str(gone))
            message = f"this cell did not end well and is left out: {why}"
            outcome.findings.append(("note", message, step["id"]))
            self._note_broken(step, message)
            return [{"output_type": "stream", "name": "stderr", "text": message}]
        error = reply.get("error")
        if isinstance(error, dict):
            text = f"{error.get('ename')}: {error.get('evalue')}"[:2000]
            self._note_broken(step, text)
            if step["kind"] == "own":
                outcome.findings.append(("note", f"an own cell failed: {text[:300]}", step["id"]))
        return clean_outputs(reply.get("outputs"), self._limits["output_kb"])

    def _note_broken(self, step: dict[str, Any], text: str) -> None:
        for name in step["names"]:
            self._broken[name] = text

    def _send_cell(self, learner: LearnerProcess, step: dict[str, Any]) -> dict[str, Any]:
        learner.peer.deadline = min(time.monotonic() + self._limits["cell_seconds"], self._until)
        reply = learner.peer.command("run", source=step["learner"], id=step["id"])
        if not isinstance(reply, dict):
            raise Gone("it answers with nonsense")
        return reply

    def _alive(self) -> LearnerProcess:
        """The learner's process with every earlier cell run, started when there is none."""
        while self._learner is None:
            if time.monotonic() > self._until:
                raise Gone("the submission's time is over")
            if self._starts >= MAX_STARTS:
                raise Gone("it ended too often")
            self._starts += 1
            learner = LearnerProcess(self._zygote, self._setting, self._runner.namespace)
            for listener in learner.listeners:
                self._server.listen_also(listener)
            self._learner = learner
            for index in self._done:
                if index in self._fatal:
                    continue
                try:
                    self._send_cell(learner, self._steps[index])
                except Gone as gone:
                    self._fatal.add(index)
                    self._bury(str(gone))
                    break
        return self._learner

    def _bury(self, said: str) -> str:
        """End a learner's process that is gone or hangs; says why in words."""
        learner, self._learner = self._learner, None
        if learner is None:
            return said
        why = said if "time is over" in said else learner.why_gone()
        learner.end()
        return why

    # ── given cells ───────────────────────────────────────────────────────────────────────────────────────────

    def _run_given(self, step: dict[str, Any], outcome: Outcome) -> None:
        if step["kind"] == "given":
            try:
                self._bind_names()
            except Gone as gone:
                self._bury(str(gone))
        result = self._guarded(step["judge"], step["id"])
        if result.error is not None and not isinstance(result.error, (NotImplementedError, NameError)):
            text = f"{type(result.error).__name__}: {result.error!s:.300}"
            outcome.findings.append(("note", f"a given cell failed on the judge's side: {text}", step["id"]))

    def _guarded(self, source: str, cell_id: str) -> CellResult:
        """Run a cell here with the learner's process under a deadline; a dead one is buried."""
        if self._learner is not None:
            self._learner.peer.deadline = min(time.monotonic() + self._limits["check_seconds"], self._until)
        try:
            with _alarm(self._limits["check_seconds"] + _GRACE_SECONDS):
                result = self._runner.run(source, cell_id)
        except Gone as gone:  # the alarm rang between two steps
            result = CellResult(error=gone)
        if isinstance(result.error, Gone):
            result.error = exceptions.EndedItself(self._bury(str(result.error)))
        return result

    def _bind_names(self) -> None:
        """Let the exercises' names stand for what the learner's process has under them; the others do not exist.

        Raises:
            Gone: the learner's process does not answer.
        """
        names = sorted({name for step in self._steps for name in step["names"]})
        if not names:
            return
        peer = self._alive().peer
        peer.deadline = min(time.monotonic() + self._limits["check_seconds"], self._until)
        for name in names:
            self._runner.namespace.pop(name, None)
        shared = [name for name, value in self._runner.namespace.items() if _is_given_class(value)]
        found = peer.command("names", names=names, shared=shared)
        for name in names:
            if isinstance(found, dict) and name in found:
                try:
                    self._runner.namespace[name] = Decoder(peer).decode(found[name])
                except CannotCross:
                    continue

    # ── checks ────────────────────────────────────────────────────────────────────────────────────────────────

    def _check(self, step: dict[str, Any], outcome: Outcome) -> list[dict[str, Any]]:
        weaker = INSIDE_TAG in step["tags"]
        try:
            result = self._judge_inside(step) if weaker else self._judge_outside(step)
        except Gone as gone:
            result = CellResult(error=self._stopped(step, str(gone)))
        if isinstance(result.error, Gone):
            result.error = self._stopped(step, str(result.error))
        given = score(result, step["judge"], step["points"])
        given = Score(given.points, self._explained(result.error, given.message))
        outcome.checks.append(
            {
                "id": step["id"],
                "points": given.points,
                "max": step["points"],
                "message": given.message,
                "weaker": weaker,
            }
        )
        if result.error is None:
            return clean_outputs(result.outputs, self._limits["output_kb"])
        name = type(result.error).__name__
        first = given.message.splitlines()[0] if given.message else name
        return [{"output_type": "error", "ename": name, "evalue": first, "traceback": given.message.splitlines()}]

    def _stopped(self, step: dict[str, Any], said: str) -> Stopped:
        why = self._bury(said)
        if "time is over" in why:
            why += (
                f" ({self._limits['check_seconds']:g} s); look for a loop without an end, or a wait without a timeout"
            )
        return Stopped(f"{step['id']}: the check could not go on: {why}")

    def _explained(self, error: BaseException | None, message: str) -> str:
        """Add why a name is missing: its cell failed."""
        if error is None:
            return message
        missing = [name for name in self._broken if name not in self._runner.namespace and name in message]
        return "\n".join(
            [message, *(f"  the cell that defines {name} failed: {self._broken[name]}" for name in missing)]
        )

    def _judge_outside(self, step: dict[str, Any]) -> CellResult:
        self._bind_names()
        peer = self._alive().peer
        peer.deadline = min(time.monotonic() + self._limits["check_seconds"], self._until)
        random.seed(step["id"])
        with _alarm(peer.deadline - time.monotonic() + _GRACE_SECONDS):
            result = self._runner.run(step["judge"], step["id"])
        if result.error is None and peer.is_gone:
            result.error = Gone(peer.reason)
        peer.forget_own()
        return result

    def _judge_inside(self, step: dict[str, Any]) -> CellResult:
        """A check that only works beside the learner's code: run there, between canaries that betray a patched judge."""
        learner = self._alive()
        learner.peer.deadline = min(time.monotonic() + self._limits["check_seconds"], self._until)
        canaries = Canaries(
            lambda source: learner.peer.command("run", source=source, id=f"cell-{secrets.token_hex(4)}")
        )
        problem = canaries.sing()
        reply = learner.peer.command("run", source=step["judge"], id=step["id"])
        problem = problem or canaries.sing()
        if problem:
            return CellResult(error=Stopped(problem))
        error = reply.get("error") if isinstance(reply, dict) else {"ename": "Gone", "evalue": ""}
        if isinstance(error, dict):
            lines = [str(line) for line in error.get("traceback", [])][:20]
            text = (
                "\n".join(lines)
                if error.get("ename") == "CheckFailed"
                else f"{error.get('ename')}: {error.get('evalue')}"
            )
            return CellResult(error=Stopped(text[:4000]))
        value = reply.get("value")
        return CellResult(value=value if isinstance(value, (int, float)) else None)


def _bound_memory() -> None:
    """Let a bomb that arrives over the channel end a check here with MemoryError, not the machine (Linux)."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        present = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (present + _MEMORY_BYTES, hard))


def _is_given_class(value: Any) -> bool:
    return isinstance(value, type) and value.__module__ == "__main__"


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Interrupt what this process itself does for too long, such as making a list of an endless answer."""

    def ring(*_: object) -> None:
        raise Gone("its time is over")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.1), 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _know_addresses(base_url: str | None, database: dict[str, str] | None) -> None:
    """Give the learner's side its own credentials, and take from it only addresses that are ours."""
    if database is not None:
        from coursekit.grading.databases.grading_server import learner_url_for

        addresses.translate_postgres = learner_url_for

    def ours(kind: str, fields: dict[str, Any]) -> bool:
        url = str(fields.get("base_url", ""))
        return kind in ("OpenAI", "AsyncOpenAI") and base_url is not None and url.rstrip("/") == base_url

    addresses.accept = ours
