"""Calls across the channel: either side may call the other, from several threads, while it is being called itself.

Every call belongs to a logical thread. A side that waits for an answer on a logical thread also serves the calls that come
back on it, so a callback runs in the very thread that waits, as it would within one process. Arguments are copied; what
the other side changed in a mutable argument is copied back after the call, as within one process too.
"""

from __future__ import annotations

import asyncio
import collections
import enum
import functools
import inspect
import itertools
import operator
import queue
import socket
import struct
import threading
import time
import types
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from coursekit import messages
from coursekit.grading.judging import classes, exceptions, proxies
from coursekit.grading.judging.decoding import Decoder
from coursekit.grading.judging.encoding import Encoder
from coursekit.grading.judging.records import record_fields, restore
from coursekit.grading.judging.values import CannotCross, World

MAIN = "main"
MAX_THREADS = 64
MAX_WAITING = 16  # messages of one logical thread that nobody has read; an honest side is one ahead at most
_SEND_SECONDS = 10  # how long a message may wait for a reader that does not read

_HIDDEN_TYPES = (
    types.FrameType, types.CodeType, types.ModuleType, types.TracebackType, types.CellType, types.GetSetDescriptorType,
)  # fmt: skip
_CLOSED_TYPES = (
    types.GeneratorType, types.AsyncGeneratorType, types.CoroutineType, types.FunctionType, types.MethodType, functools.partial,
)  # fmt: skip


class Gone(BaseException):
    """The other side does not answer any more: it ended, it was ended, or its time is over. No check may catch this."""


class Peer(World):
    """One end of the channel.

    Args:
        sock: the connected socket.
        namespace: the notebook's names on this side.
        trusts_other: let the other side reach any attribute of what it holds a reference to (the judge does not).
        keeps_own_classes: objects with behaviour stay here (the learner's side).
    """

    def __init__(
        self, sock: socket.socket, namespace: Mapping[str, Any], *, trusts_other: bool, keeps_own_classes: bool
    ) -> None:
        super().__init__(namespace, keeps_own_classes)
        self.deadline: float | None = None
        self.control: Callable[[str, dict[str, Any]], Any] | None = None
        self._sock = sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_SECONDS, 0))
        self._trusts_other = trusts_other
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._own: dict[int, Any] = {}
        self._own_numbers: dict[int, int] = {}
        self._theirs: weakref.WeakValueDictionary[int, proxies.Remote] = weakref.WeakValueDictionary()
        self._class_numbers: dict[type, int] = {}
        self._released: collections.deque[int] = collections.deque()
        self._inboxes: dict[str, queue.SimpleQueue[dict[str, Any] | None]] = {MAIN: queue.SimpleQueue()}
        self._threads = threading.Semaphore(MAX_THREADS)
        self._local = threading.local()
        self._local.name = MAIN
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self.reason = "the other process ended"
        threading.Thread(target=self._read, name="channel", daemon=True).start()

    # ── references ────────────────────────────────────────────────────────────────────────────────────────────

    def to_reference(self, value: Any) -> dict[str, Any]:
        if isinstance(value, proxies.Remote):
            return {"$": "own", "n": object.__getattribute__(value, "_course")[1]}
        if isinstance(value, type) and value in self._class_numbers:
            return {"$": "own", "n": self._class_numbers[value]}
        number = self._number(value)
        return {"$": "reference", "n": number, **self._describe(value, number)}

    def _number(self, value: Any) -> int:
        number = self._own_numbers.get(id(value))
        if number is None:
            number = next(self._numbers)
            self._own[number] = value
            self._own_numbers[id(value)] = number
        return number

    def _describe(self, value: Any, number: int) -> dict[str, Any]:
        name = getattr(value, "__name__", type(value).__name__)
        described: dict[str, Any] = {
            "name": str(name),
            "qualname": str(getattr(value, "__qualname__", name)),
            "number": number,
        }
        if isinstance(value, type):
            described["kind"] = "class"
            described["module"] = value.__module__
            described["classes"] = self._notebook_classes(value)
            if issubclass(value, BaseException):
                described["exception"] = exceptions.class_names(value)
            elif issubclass(value, enum.Enum):
                described["has_items"] = True
                if not classes.has_behaviour(value):
                    described["enum"] = classes.describe_enum(value, Encoder(self), 0)
        elif inspect.iscoroutinefunction(value):
            described["kind"] = "coroutine function"
        elif isinstance(value, (types.FunctionType, types.BuiltinFunctionType, types.MethodType)):
            described["kind"] = "function"
        elif hasattr(value, "__anext__"):
            described["kind"] = "async iterator"
        elif inspect.isawaitable(value):
            described["kind"] = "awaitable"
        elif hasattr(value, "__next__"):
            described["kind"] = "iterator"
        elif callable(value) and not _has_behaviour(value):
            described["kind"] = "function"
        else:
            described["kind"] = "object"
            described["fields"] = record_fields(value)
            described["classes"] = self._notebook_classes(type(value))
            described["names"] = [kind.__qualname__ for kind in type(value).__mro__ if kind.__module__ == "__main__"]
        if described["kind"] in ("function", "class", "coroutine function"):
            doc = getattr(value, "__doc__", None)
            described["doc"] = doc[:5000] if isinstance(doc, str) else None
        return described

    def _notebook_classes(self, kind: type) -> list[int]:
        return [self._number(base) for base in kind.__mro__ if base.__module__ == "__main__"]

    def from_reference(self, data: dict[str, Any]) -> Any:
        number = int(data["n"])
        found = self._known_class(data, number) if data.get("kind") == "class" else None
        if found is not None:
            return found
        known = self._theirs.get(number)
        if known is None:
            known = self._theirs[number] = proxies.make(self, number, data)
        return known

    def _known_class(self, data: dict[str, Any], number: int) -> type | None:
        """This side's own class of that name, or a look-alike; None where only a proxy will do.

        The judge takes nothing but Python's plain types by name: calling a class that the learner chose must not run here.
        """
        module, name = str(data.get("module")), str(data.get("qualname"))
        found: Any = classes.plain_class(module, name)
        if found is not None:
            return found  # type: ignore[no-any-return]
        if self._trusts_other:
            return self.find_class(module, name)
        if "exception" in data:
            found = exceptions.class_of(data["exception"], self)
        elif "enum" in data and name.isidentifier():
            found = classes.enum_class(name, data["enum"], Decoder(self), 0, self.lookalikes)
        if found is not None and found in self.lookalikes.values():
            self._class_numbers[found] = number
            if issubclass(found, Exception):
                found._course_class = (self, number)
        return found  # type: ignore[no-any-return]

    def own(self, number: int) -> Any:
        if number not in self._own:
            raise CannotCross("a reference to something that is over")
        return self._own[number]

    def forget_own(self) -> None:
        """Let go of everything that the other side holds references to; its calls to them fail from now on."""
        self._own.clear()
        self._own_numbers.clear()

    def release(self, number: int) -> None:
        self._released.append(number)

    @property
    def is_gone(self) -> bool:
        """The other side has ended."""
        return self._closed

    # ── calling ───────────────────────────────────────────────────────────────────────────────────────────────

    def request(self, op: str, number: int, *args: Any, **kwargs: Any) -> Any:
        """Ask the other side to do `op` with its object `number`; returns or raises what that did.

        Raises:
            Gone: no answer will come, or not in time.
        """
        encoder = Encoder(self)
        body = {"op": op, "n": number, "a": [encoder.encode(arg) for arg in args]}
        body["k"] = [[name, encoder.encode(value)] for name, value in kwargs.items()]
        reply = self._exchange(body)
        decoder = Decoder(self, encoder.containers)
        try:
            for place, data in reply.get("after", []):
                restore(encoder.containers[int(place)], decoder.decode(data))
            failed = "error" in reply
            result = decoder.decode(reply["error" if failed else "value"])
        except Exception as problem:  # noqa: BLE001  whatever a malformed answer does to us
            raise exceptions.EndedItself(f"what came back cannot be read: {problem}") from None
        if failed:
            raise result if isinstance(result, Exception) else exceptions.EndedItself("an error that is none")
        return result

    def command(self, op: str, **details: Any) -> Any:
        """Ask the other side's `control` to do something that is no call of an object; plain JSON both ways."""
        reply = self._exchange({"op": f"control:{op}", "d": details})
        if "control" not in reply:
            raise Gone("the other process answers with nonsense")
        return reply["control"]

    def _exchange(self, body: dict[str, Any]) -> dict[str, Any]:
        thread = self._thread_name()
        inbox = self._inboxes.setdefault(thread, queue.SimpleQueue())
        call = next(self._numbers)
        dead = [self._released.popleft() for _ in range(len(self._released))]
        released = [number for number in dead if self._theirs.get(number) is None]  # a new proxy may stand for it again
        self._send({**body, "t": thread, "c": call, "released": released})
        while True:
            message = self._wait(inbox)
            if "r" not in message:
                self._serve(message)
            elif message["r"] == call:
                return message

    def _thread_name(self) -> str:
        name = getattr(self._local, "name", None)
        if name is None:
            side = "learner" if self.keeps_own_classes else "judge"
            name = self._local.name = f"{side}-{threading.get_ident()}"
        return str(name)

    def _wait(self, inbox: queue.SimpleQueue[dict[str, Any] | None]) -> dict[str, Any]:
        left = None if self.deadline is None else self.deadline - time.monotonic()
        if self._closed and inbox.empty():
            raise Gone(self.reason)
        try:
            message = inbox.get(timeout=None if left is None else max(left, 0.001))
        except queue.Empty:
            self.reason = "its time is over"
            raise Gone(self.reason) from None
        if message is None:
            raise Gone(self.reason)
        return message

    def _send(self, message: dict[str, Any]) -> None:
        try:
            with self._sending:
                messages.send(self._sock, message)
        except messages.BadMessage as error:
            raise CannotCross(f"too much for the channel: {error}") from None
        except OSError as error:
            raise Gone(f"the channel is closed: {error}") from None

    # ── being called ──────────────────────────────────────────────────────────────────────────────────────────

    def _read(self) -> None:
        try:
            while True:
                message, _ = messages.receive(self._sock)
                self._deliver(_checked(message))
        except (EOFError, OSError, messages.BadMessage, MemoryError):
            pass
        finally:
            self._closed = True
            for inbox in list(self._inboxes.values()):
                inbox.put(None)

    def _deliver(self, message: dict[str, Any]) -> None:
        thread = message["t"]
        for number in message.get("released", ()):
            if (dropped := self._own.pop(number, None)) is not None:
                self._own_numbers.pop(id(dropped), None)
        inbox = self._inboxes.get(thread)
        if inbox is not None:
            if inbox.qsize() >= MAX_WAITING:
                raise messages.BadMessage("more messages than anybody has asked for")
            inbox.put(message)
        elif "r" not in message and self._threads.acquire(blocking=False):
            self._inboxes[thread] = queue.SimpleQueue()
            threading.Thread(target=self._serve_thread, args=(thread, message), daemon=True).start()

    def _serve_thread(self, thread: str, first: dict[str, Any]) -> None:
        self._local.name = thread
        message: dict[str, Any] | None = first
        try:
            while message is not None:
                self._serve(message)
                try:
                    message = self._inboxes[thread].get(timeout=5)
                except queue.Empty:
                    message = None
        except Gone:
            pass
        finally:
            self._inboxes.pop(thread, None)
            self._threads.release()

    def serve_main(self) -> None:
        """Serve calls on the main logical thread until the channel closes."""
        with suppress(Gone):
            while True:
                self._serve(self._wait(self._inboxes[MAIN]))

    def _serve(self, message: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"r": message["c"], "t": message["t"]}
        op = str(message["op"])
        if op.startswith("control:"):
            if self.control is None:
                return
            answer["control"] = self.control(op.removeprefix("control:"), message["d"])
            self._send(answer)
            return
        decoder = Decoder(self)
        try:
            args = [decoder.decode(data) for data in message["a"]]
            kwargs = {str(name): decoder.decode(data) for name, data in message["k"]}
            before = (
                [Encoder(self).encode_contents(value) for value in decoder.containers] if self.keeps_own_classes else []
            )
            target = self.own(int(message["n"]))
            try:
                value = self._do(op, target, args, kwargs)
            finally:
                if self.keeps_own_classes:
                    answer["after"] = self._changed(decoder.containers, before)
            given = {id(container): place for place, container in enumerate(decoder.containers)}
            answer["value"] = Encoder(self, given if self.keeps_own_classes else None).encode(value)
        except Gone:
            raise
        except BaseException as error:  # noqa: BLE001  it is the caller's to hear of
            answer["error"] = exceptions.encode(error, Encoder(self), 0)
        try:
            self._send(answer)
        except CannotCross:
            problem = CannotCross("the returned value is too large for the channel")
            self._send({"r": message["c"], "t": message["t"], "error": exceptions.encode(problem, Encoder(self), 0)})

    def _changed(self, containers: list[Any], before: list[Any]) -> list[Any]:
        changed = []
        for place, (container, old) in enumerate(zip(containers, before, strict=True)):
            with suppress(CannotCross):
                new = Encoder(self).encode_contents(container)
                if new != old:
                    changed.append([place, new])
        return changed

    def _do(self, op: str, target: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        match op:
            case "call":
                self._require(callable(target) and not isinstance(target, _HIDDEN_TYPES))
                value = target(*args, **kwargs)
                return (
                    self._finish(value) if inspect.iscoroutinefunction(target) or inspect.iscoroutine(value) else value
                )
            case "getattr" | "call_method":
                name, *rest = args
                self._require(self._may_reach(target, name))
                found = getattr(target, name)
                if op == "getattr":
                    return found
                value = found(*rest, **kwargs)
                return self._finish(value) if inspect.iscoroutine(value) else value
            case "next":
                try:
                    return (True, next(target))
                except StopIteration as stop:
                    return (False, stop.value)
            case "anext":
                try:
                    return (self._finish(target.__anext__()),)
                except StopAsyncIteration:
                    return ()
            case "iter":
                return iter(target)
            case "await":
                return self._finish(target)
            case "repr" | "str":
                return (repr(target) if op == "repr" else str(target))[: exceptions.MAX_TEXT]
            case "bool":
                return bool(target)
            case "contains":
                return args[0] in target
            case "eq":
                return bool(target == args[0])
            case "hash" | "format":
                self._require(self._trusts_other)
                return hash(target) if op == "hash" else format(target, args[0])[: exceptions.MAX_TEXT]
            case "operator":
                self._require(self._trusts_other and args[0] in proxies.OPERATORS)
                name, operands, is_swapped = args[0], [target, *args[2:]], args[1]
                return getattr(operator, name)(*(reversed(operands) if is_swapped else operands))
            case "setattr" | "delattr":
                self._require(self._trusts_other)
                return setattr(target, *args) if op == "setattr" else delattr(target, *args)
            case "exit" | "aexit":
                kind = type(args[0]) if args[0] is not None else None
                if op == "exit":
                    return bool(target.__exit__(kind, args[0], None))
                return bool(self._finish(target.__aexit__(kind, args[0], None)))
            case "aenter":
                return self._finish(target.__aenter__())
        raise CannotCross(f"unknown operation {op!r:.40}")

    def _may_reach(self, target: Any, name: Any) -> bool:
        if self._trusts_other:
            return True
        container = ("__len__", "__getitem__", "__enter__", "__setitem__", "__delitem__")
        hidden = isinstance(target, (*_HIDDEN_TYPES, *_CLOSED_TYPES))
        return isinstance(name, str) and not hidden and (not name.startswith("_") or name in container)

    @staticmethod
    def _require(allowed: bool) -> None:
        if not allowed:
            raise AttributeError("not to be reached from the other process")

    def _finish(self, awaitable: Any) -> Any:
        """Run it on this side's one event loop."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="event loop", daemon=True).start()

        async def finish() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(finish(), self._loop).result()


def _has_behaviour(value: Any) -> bool:
    """Has its class public methods, or only __call__?"""
    kind = type(value)
    if hasattr(kind, "__enter__") or hasattr(kind, "__aenter__"):
        return True
    return kind.__module__ == "__main__" and any(
        not name.startswith("_") and callable(member)
        for base in kind.__mro__[:-1]
        for name, member in vars(base).items()
    )


def _checked(message: Any) -> dict[str, Any]:
    """The message, if it has the fields of one; raises BadMessage. What an answer or an argument holds is checked later."""
    is_message = (
        isinstance(message, dict)
        and isinstance(message.get("t"), str)
        and len(message["t"]) < 100
        and isinstance(message.get("released", []), list)
        and all(type(number) is int for number in message.get("released", []))
    )
    if is_message and "r" in message:
        if type(message["r"]) is int:
            return dict(message)
    elif is_message and type(message.get("c")) is int and isinstance(message.get("op"), str):
        if message["op"].startswith("control:"):
            if isinstance(message.get("d"), dict):
                return dict(message)
        elif type(message.get("n")) is int and all(isinstance(message.get(part), list) for part in "ak"):
            return dict(message)
    raise messages.BadMessage("a message without the fields of one")
