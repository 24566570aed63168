"""Attacks on the channel to the judge, by somebody who has read its source: forged frames, floods, guesses, bombs.

They use the learner's own end (`PEER`), or rewrite what it sends. Where the last exercise is the weapon, it earns nothing;
an own cell stands before the first exercise, and all answers are right.
"""

from __future__ import annotations

from tests.hostile.maker import ALL, Hostile, attack, without

OTHERS = without("slug")

OPEN = '''
import gc
import json
import os
import struct
import time

from coursekit import messages
from coursekit.grading.judging.peer import Peer

PEER = next(thing for thing in gc.get_objects() if type(thing) is Peer)
SEND = messages.send


def write(data):
    """Raw bytes to the judge."""
    PEER._sock.sendall(data)


def post(message):
    """One well-framed message, whatever is in it."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    write(struct.pack(">I", len(body)) + body)


def answering(forged):
    """From now on, every answer is `forged`."""

    def send(sock, message, files=()):
        if "value" in message or "error" in message:
            message = {**{key: message[key] for key in ("r", "t")}, **forged}
        SEND(sock, message, files)

    messages.send = send

'''
RIGHT = 'def slug(text):\n    return "-".join(text.lower().split())'


def _own(name: str, what: str, code: str, *, needs_isolation: bool = False) -> Hostile:
    """An own cell before right answers; it confesses what it got."""
    return attack(name, what, first=OPEN + code, confess=True, needs_isolation=needs_isolation)


def _call(name: str, what: str, body: str) -> Hostile:
    """The last exercise does `body` before it answers wrongly."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    source = f"{OPEN}\n\ndef slug(text):\n{lines}\n    return text"
    return attack(name, what, informed=True, earns=OTHERS, replaced={"slug": source})


def _answer(name: str, what: str, value: str, kind: str = "value") -> Hostile:
    """The last exercise's answer is this JSON, written by hand."""
    return _call(name, what, f"answering({{{kind!r}: {value}}})")


def _error(name: str, what: str, classes: str, message: str = '"passed"') -> Hostile:
    """The last exercise's error is of these classes, as it says."""
    data = (
        f'{{"$": "exception", "classes": {classes}, "message": {message}, "args": None, "attributes": [["with_traceback", 1],'
        ' ["fields", 2], ["_render_traceback_", 3]], "cause": None, "context": None, "suppress": 7, "n": 10**30}'
    )
    return _answer(name, what, data, "error")


WRONG_TYPES = """
odd = [None, [], {}, 1.5, "x", True, {"$": "own", "n": 1}, 10**400, -1]
for kind in odd:
    for message in ({"t": kind, "c": 1, "op": "repr", "n": 1, "a": [], "k": []}, {"t": "main", "c": kind, "op": kind, "n": kind, "a": kind, "k": kind},
                    {"t": "main", "r": kind, "value": kind}, {"t": "x", "c": 1, "released": kind}, kind):
        try:
            post(message)
        except (OSError, OverflowError):
            break
"""

EARLY = """
for call in range(1, 3000):
    post({"t": "main", "r": call, "value": "hello-world"})
"""

FLOOD = """
try:
    for number in range(30_000):
        post({"t": f"thread-{number % 3000}", "c": number, "op": "repr", "n": number, "a": [], "k": []})
except OSError:
    pass
"""

LARGE_REPLIES = """
body = json.dumps({"t": "main", "r": -1, "value": "x" * 10_000_000}).encode()
try:
    for _ in range(30):
        post(body)
except OSError:
    pass
"""

RELEASED = """
post({"t": "elsewhere", "c": 1, "op": "repr", "n": 1, "a": [], "k": [], "released": list(range(-10, 300_000))})
"""

GUESSES = '''
import threading

NAMES = (
    "__globals__", "__code__", "__closure__", "__self__", "__func__", "__dict__", "__class__", "__subclasses__", "f_locals",
    "f_back", "gi_frame", "ag_frame", "cr_frame", "tb_frame", "func", "keywords", "check", "_check", "mro", "modules",
)


def guess():
    """Ask for every attribute of everything that the judge may hold."""
    end = time.monotonic() + 1.5  # within the check's time
    for number in range(1, 40):
        if time.monotonic() > end:
            return
        for name in NAMES:
            try:
                LOOT.append(f"{name} of {number}: {PEER.request('getattr', number, name)!r:.60}")
            except Exception:
                continue
        for op, *arguments in (("setattr", "x", 1), ("delattr", "x"), ("eval", "1"), ("call_method", "__reduce__")):
            try:
                LOOT.append(f"{op} of {number}: {PEER.request(op, number, *arguments)!r:.60}")
            except Exception:
                continue


def retry(action, attempts):
    if not LOOT:
        guess()
    for number in range(1, attempts + 1):
        try:
            return action(number)
        except Exception:
            if number == attempts:
                raise
    raise ValueError("no attempts")
'''

CONTROL = """
post({"t": "main", "c": 1, "op": "control:run", "d": {"source": "1/0", "id": "x"}})
post({"t": "other", "c": 1, "op": "control:names", "d": {"names": ["wanted", "slug"]}})
"""

LATE = """
import threading

def late():
    time.sleep(2)
    for call in range(300):
        post({"t": "main", "r": call, "value": "hello-world"})

threading.Thread(target=late, daemon=True).start()
"""

CLOSED = """
write(struct.pack(">I", 1000))
os.close(PEER._sock.fileno())
time.sleep(0.2)
"""

DESCRIPTORS = """
for number in sorted(map(int, os.listdir("/proc/self/fd"))):
    try:
        target = os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        continue  # the listing's own
    if number > 2 and number != PEER._sock.fileno():
        LOOT.append(f"an open descriptor {number}: {target}")
    if number <= 2 and target != "/dev/null":
        LOOT.append(f"descriptor {number} is {target}")
"""

PASSED_ON = """
import array
import socket

left, right = socket.socketpair()
for _ in range(200):
    try:
        PEER._sock.sendmsg([b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [left.fileno(), right.fileno()]))])
    except OSError:
        break
"""

REPLACED_PEER = """
import sys
import types

for name in [name for name in sys.modules if name.startswith("coursekit.grading")]:
    fake = types.ModuleType(name)
    fake.__dict__.update({key: (lambda *a, **k: True) for key in ("Peer", "Encoder", "Decoder", "encode", "receive", "restore")})
    sys.modules[name] = fake
sys.modules["coursekit.messages"] = None
"""

PICKLED_SELF = """
from coursekit.grading.judging import encoding, exceptions

encoding.Encoder.encode = lambda self, value, depth=0: "hello-world"
exceptions.encode = lambda *arguments: "hello-world"
"""

LEAKY_NAME = """
def slug(text):
    raise type("Leak_" + text.encode().hex(), (Exception,), {})("Leak_" + text.encode().hex())
"""

MIDDLE_OF_A_FRAME = "write(struct.pack('>I', 60_000_000) + b'[')"
JSON_BOMB = "body = b'[' + b'[],' * 15_000_000 + b'[]]'\ntry:\n    post(body)\nexcept OSError:\n    pass"
DEEP = "post(b'[' * 1_000_000 + b']' * 1_000_000)"

SUBMISSIONS = [
    _own("garbage-frame", "writes noise while nobody asks", "write(b'\\x00\\x00\\x00\\x03xyz\\xff\\xff\\xff\\xff')"),
    _own("half-frame", "announces a frame that never comes", MIDDLE_OF_A_FRAME),
    _own("idle-wrong-types", "messages with impossible fields, while nobody asks", WRONG_TYPES),
    _own("idle-control", "gives the judge orders", CONTROL),
    _own("idle-flood", "30,000 requests on 3,000 threads, while nobody asks", FLOOD),
    _own("idle-released", "releases references that it never had", RELEASED),
    _own("closed-channel", "announces a frame and closes the channel", CLOSED),
    _own("inherited-descriptors", "lists what it has inherited", DESCRIPTORS),
    _own("passed-descriptors", "sends 400 open descriptors to the judge", PASSED_ON),
    _own("deep-frame", "a frame nested a million deep", DEEP),
    attack("replaced-peer", "replaces the grader's modules in its process", first=REPLACED_PEER, earns=frozenset(), may_earn=ALL),
    _call("call-wrong-types", "messages with impossible fields, while the judge waits", WRONG_TYPES),
    _call("early-answers", "answers to calls that are yet to come", EARLY),
    _call("late-answers", "answers when the call is over", LATE),
    _call("call-flood", "30,000 requests while the judge waits", FLOOD),
    _call("large-replies", "300 MB of answers that nobody waits for", LARGE_REPLIES),
    _call("json-bomb", "45 MB that become 15 million lists", JSON_BOMB),
    _call("call-control", "gives the judge orders while it waits", CONTROL),
    _call("call-closed", "closes the channel and answers", CLOSED),
    _call("patched-encoder", "an encoder that encodes the wished answer", PICKLED_SELF),
    attack("guessed-references", "asks for the insides of everything that the judge holds; its answers are right", informed=True, confess=True, replaced={"retry": OPEN + GUESSES}),
    attack("leaky-name", "tells hidden inputs by the names of its errors", earns=OTHERS, replaced={"slug": LEAKY_NAME}, never="Leak_(?!48656c6c6f20576f726c64)"),
    _answer("fraction-bomb", "a fraction that takes hours to build", '{"$": "fraction", "v": "1e999999999"}'),
    _answer("decimal-bomb", "a decimal of a billion digits", '{"$": "decimal", "v": "1e999999999"}'),
    _answer("range-bomb", "a range that fills memory when it is listed", '{"$": "range", "v": [0, 10**10, 1]}'),
    _answer("array-bomb", "an array of a billion empty rows", '{"$": "array", "dtype": "<f8", "shape": [10**9, 0], "v": ""}'),
    _answer("object-array", "arrays of objects and of odd types", '[{"$": "array", "dtype": "O", "shape": [1], "v": "AAAAAAAAAAA="}, {"$": "scalar", "v": 1}]'),
    _answer("huge-integer", "an integer of fifty million digits", '{"$": "int", "v": "0x" + "f" * 50_000_000}'),
    _answer("guessed-own", "whatever the judge holds under some number", '[{"$": "own", "n": n} for n in range(200)]'),
    _answer("given-index", "a container that was never given", '[{"$": "given", "n": -1}, {"$": "given", "n": 10**20}, {"$": "given", "n": "x"}]'),
    _answer("after-bomb", "changes containers that it was never given", '"hello-world", "after": [[n, {"$": "dict", "v": []}] for n in range(-5, 50)]'),
    _answer("no-answer", "neither a value nor an error", '"x"', "nothing"),
    _answer("judge-record", "records of the judge's own classes", '[{"$": "record", "class": [module, name], "frozen": True, "v": [["points", 2.0], ["message", ""]]} for module, name in (("coursekit.grading.judging.scoring", "Score"), ("coursekit.checks", "Outcome"), ("coursekit.models", "BenchClient"))]'),
    _answer("shadowing-fields", "a record whose fields have the names of methods", '{"$": "record", "class": ["__main__", "str"], "frozen": 1, "v": [["__class__", "str"], ["__eq__", True]]}'),
    _answer("equal-fields", "a record with fields that comparisons look at", '{"$": "record", "class": ["x", "str"], "frozen": 1, "v": [["model_fields", []], ["__dataclass_fields__", []]]}'),
    _answer("odd-reference", "a reference whose description is impossible", '{"$": "reference", "n": 5, "kind": ["class"], "name": {}, "fields": [1, None], "qualname": 7, "number": "x", "classes": 3}'),
    _answer("remote-record", "an object that says which fields it has", '{"$": "reference", "n": 5, "kind": "object", "name": "str", "fields": [], "classes": [5]}'),
    _answer("foreign-address", "a client of an address outside", '{"$": "address", "kind": "OpenAI", "base_url": f"http://127.0.0.1:{PORT}/v1", "api_key": "x", "timeout": 1, "max_retries": 9}'),
    _answer("foreign-database", "a connection to an address outside", '{"$": "address", "kind": "Connection", "url": f"host=127.0.0.1 port={PORT} connect_timeout=1", "autocommit": True}'),
    _answer("own-enum", "members of the judge's enumerations", '{"$": "enum", "class": ["http", "HTTPStatus"], "name": "OK", "v": "hello-world"}'),
    _answer("unknown-kind", "a kind of value that does not exist", '{"$": ["x"], "v": 1}'),
    _error("exit-classes", "errors that end processes", '[["builtins", "SystemExit"], ["builtins", "BaseException"]]'),
    _error("gone-class", "the judge's own signal that nobody answers", '[["coursekit.grading.judging.peer", "Gone"], ["builtins", "KeyboardInterrupt"]]'),
    _error("group-class", "a group of errors that needs arguments", '[["builtins", "BaseExceptionGroup"], ["builtins", "ExceptionGroup"], ["builtins", "Exception"]]'),
    _error("verdict-class", "the judge's own verdict", '[["coursekit.grading.judging.scoring", "Stopped"], ["coursekit.checks", "CheckFailed"]]'),
    _error("no-class", "errors without a class", '[["", ""], [None, None], 7]'),
    _error("large-message", "an error with 50 MB of text", '[["builtins", "ValueError"]]', '"x" * 50_000_000'),
]  # fmt: skip
