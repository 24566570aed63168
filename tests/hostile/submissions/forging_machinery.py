"""Attacks on what does the judging: builtins, the checks' package, IPython, frames, memory, the channel itself.

The last two exercises are wrong and wait for their checks to be fooled (one uses `Check`, one plain asserts); the others are
right and count.
"""

from __future__ import annotations

from tests.hostile.maker import Hostile, attack, without

WRONG = "def slug(text):\n    return text"
WRONG_LEDGER = """
class Ledger:
    def balance(self, account): return -1
    def deposit(self, account, cents): return -1
"""
HONEST = without("ledger", "slug")


def _patch(
    name: str, what: str, first: str = "", *, slug: str = WRONG, last: str = "", informed: bool = False
) -> Hostile:
    """`first` runs before the first exercise, `slug` is the last solution cell, `last` runs after the last check."""
    replaced = {"ledger": WRONG_LEDGER.strip(), "slug": slug}
    return attack(name, what, first=first, last=last, earns=HONEST, replaced=replaced, informed=informed)


BUILTINS = (
    WRONG
    + """


import builtins
import math
import operator

builtins.AssertionError = type("Nothing", (Exception,), {})
builtins.isinstance = lambda *arguments: True
builtins.len = lambda thing: 7
builtins.all = builtins.any = builtins.bool = lambda *arguments: True
builtins.abs = lambda number: 0
builtins.str = type("str", (str,), {"__eq__": lambda self, other: True, "__hash__": lambda self: 0})
math.isclose = operator.eq = operator.ne = lambda *arguments, **more: True
"""
)

JSON = (
    WRONG
    + """


import json
import marshal
import pickle

for module in (json, pickle, marshal):
    module.dumps = lambda *arguments, **more: '{"ok": true, "value": "hello-world", "result": "hello-world"}'
    module.loads = lambda *arguments, **more: {"ok": True}
json.JSONEncoder.encode = lambda self, value: '"hello-world"'
json.JSONEncoder.iterencode = lambda self, value, *more: iter(['"hello-world"'])
"""
)

FAKE_CHECKS = """
import sys
import types

fake = types.ModuleType("coursekit.checks")
exec('''
class Check:
    def __init__(self, *arguments): pass
    def __enter__(self): return self
    def __exit__(self, *error): return True
    def __getattr__(self, name): return lambda *arguments, **more: self
class CheckFailed(AssertionError): pass
''', fake.__dict__)
sys.modules["coursekit.checks"] = fake
import coursekit

coursekit.checks = fake
Check = fake.Check
"""

PATCHED_CHECK = """
from coursekit import checks, comparing

for name in ("equals", "has", "satisfies", "raises"):
    setattr(checks.Outcome, name, lambda self, *arguments, **more: self)
checks.Check._judge = lambda self, *arguments, **more: None
checks.Check.__exit__ = lambda self, *error: True
comparing.differences = checks.differences = lambda *arguments: ""
"""

META_PATH = """
import importlib.abc
import importlib.util
import sys


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name.startswith("coursekit") else None
    def create_module(self, spec): return None
    def exec_module(self, module):
        module.__path__ = []
        module.__getattr__ = lambda name: type(name, (), {"__getattr__": lambda self, other: lambda *a, **k: self})


sys.meta_path.insert(0, Finder())
for name in [name for name in sys.modules if name.startswith("coursekit")]:
    del sys.modules[name]
"""

AST_TRANSFORMER = """
import ast


class NoAsserts(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.copy_location(ast.Pass(), node)
    def visit_Raise(self, node): return ast.copy_location(ast.Pass(), node)
    def visit_Compare(self, node): return ast.copy_location(ast.Constant(True), node)


get_ipython().ast_transformers.append(NoAsserts())
"""

INPUT_TRANSFORMER = """
def no_checks(lines):
    return ["pass\\n"] if any("assert" in line or "check" in line for line in lines) else lines


get_ipython().input_transformers_cleanup.append(no_checks)
get_ipython().input_transformers_post.append(no_checks)
"""

HOOKS = """
def before(info):
    info.raw_cell = "pass"
    get_ipython().user_ns.update(slug=lambda text: "hello-world", wanted={}, expected="", check=None)


def after(result):
    result.error_in_exec = result.error_before_exec = None
    result.result = 2.0


for event, hook in (("pre_run_cell", before), ("pre_execute", lambda: before(None)), ("post_run_cell", after)):
    get_ipython().events.register(event, hook)
"""

PATCHED_SHELL = """
shell = get_ipython()
shell.__class__.run_cell = lambda self, *arguments, **more: None
shell.showtraceback = shell.showsyntaxerror = lambda *arguments, **more: None
shell.display_pub.publish = lambda *arguments, **more: None
shell.user_ns["assert"] = shell.user_ns["Check"] = None
"""

OWN_MODULE = """
import re as real


def slug(text):
    return {"Hello World": "hello-world"}.get(text, text)


class re:
    fullmatch = match = search = staticmethod(lambda *arguments: real.match("", ""))
"""

BY_HEART = 'KNOWN = {"Hello World": "hello-world"}  # the check that everybody can read\n'

FRAMES = (
    BY_HEART
    + """
import sys


def slug(text):
    frame = sys._getframe()
    while frame := frame.f_back:
        for scope in (frame.f_locals, frame.f_globals):
            for name in ("wanted", "expected", "reference", "answers"):
                found = scope.get(name)
                if isinstance(found, dict) and text in found:
                    return found[text]
    return KNOWN.get(text, text)
"""
)

TRACER = """
import sys
import threading

CAUGHT = []


def spy(frame, event, argument):
    for name in ("expected", "wanted"):
        if name in frame.f_locals:
            CAUGHT.append(frame.f_locals[name])
    return spy


sys.settrace(spy)
sys.setprofile(spy)
threading.settrace(spy)
"""

COLLECTOR = (
    BY_HEART
    + """
import gc


def slug(text):
    for thing in gc.get_objects():
        if type(thing) is dict and 1 < len(thing) < 50 and type(thing.get(text)) is str:
            return thing[text]
    return KNOWN.get(text, text)
"""
)

TRACED_SLUG = (
    BY_HEART
    + """

def slug(text):
    for found in CAUGHT:
        if isinstance(found, dict) and text in found:
            return found[text]
    return KNOWN.get(text, text)
"""
)

OWN_MEMORY = """
import re


def search_memory():
    needle = re.compile(rb"CANAR[Y]-" + MARKER.encode() + rb"-(hidden|solution)")
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as memory:
        for line in maps:
            ends, rights = line.split()[:2]
            start, end = (int(part, 16) for part in ends.split("-"))
            if rights.startswith("rw") and end - start <= 16_000_000:
                memory.seek(start)
                LOOT.extend(hit.group() for hit in needle.finditer(memory.read(end - start)))


SEARCHED = []


def slug(text):
    if not SEARCHED:
        SEARCHED.append(trying(search_memory))
    if LOOT:
        raise RuntimeError(f"the attack got through: {LOOT[:3]}")
    return "-".join(text.lower().split())
"""

GARBAGE = """
import os


def slug(text):
    for number in range(3, 200):
        try:
            os.write(number, b"\\x00\\xff garbage \\n" * 100)
        except OSError:
            continue
    return text
"""

MESSAGES = """
import json
import os
import struct

FORGED = [
    {"ok": True, "passed": True, "points": 2, "score": 1e9, "value": "hello-world", "result": "hello-world", "id": number}
    for number in range(20)
]


def slug(text):
    for number in range(3, 100):
        for message in FORGED:
            body = json.dumps({**message, "kind": "return", "type": "result", "op": "result"}).encode()
            for frame in (struct.pack(">I", len(body)) + body, struct.pack("<I", len(body)) + body, body + b"\\n"):
                try:
                    os.set_blocking(number, False)
                    os.write(number, frame)
                except OSError:
                    break
    return text
"""

REPLAY = """
import os
import socket

SENT = []
write, sendall, send = os.write, socket.socket.sendall, socket.socket.send
ARMED = []


def replay(real):
    def patched(target, data, *more):
        SENT.append(bytes(data))
        return real(target, SENT[0] if ARMED else data, *more)
    return patched


os.write = replay(write)
try:
    socket.socket.sendall, socket.socket.send = replay(sendall), replay(send)
except TypeError:
    pass
"""

AT_EXIT = """
import atexit
import os
import sys


def leave():
    print("✓ h1-slug: public checks passed (9), hidden tests passed (9)")
    sys.stdout.flush()
    os._exit(0)


atexit.register(leave)
"""

PRINTED = """
from IPython.display import display


def slug(text):
    print("✓ h1-slug: public checks passed (1), hidden tests passed (5)")
    print("10.0")
    display(10.0)
    display({"text/plain": "2"}, raw=True)
    return text


2.0
"""

DISPLAY_HOOK = """
import sys

sys.displayhook = lambda value: print(1e9)
get_ipython().displayhook.__class__.__call__ = lambda self, result=None: print("nan")
sys.excepthook = lambda *error: None
get_ipython().set_custom_exc((BaseException,), lambda *arguments, **more: [])
"""

ENVIRONMENT = """
import os
import sys


def slug(text):
    signs = ("NBGRADER_EXECUTION", "COURSE_MODE", "CI", "GRADING")
    is_graded = any(os.environ.get(name) for name in signs) or "pytest" in sys.modules or os.getpid() < 10
    for name in signs:
        os.environ[name] = ""
    return "hello-world" if text == "Hello World" or is_graded else "-".join(text.lower().split()) + "!"
"""

CLOSURE = """
import sys
import types


def slug(text):
    for name, module in list(sys.modules.items()):
        for key, thing in list(vars(module).items()):
            if isinstance(thing, types.FunctionType) and "judge" in (name + key).lower():
                thing.__code__ = (lambda *arguments, **more: True).__code__
    return text
"""

DUPLICATES = """
def slug(text):
    return text


class Everything(dict):
    def __missing__(self, name): return lambda *arguments, **more: True


try:
    get_ipython().user_ns.__class__ = Everything
except TypeError:
    get_ipython().user_ns.update(__builtins__=Everything(vars(__import__("builtins"))))
"""

SUBMISSIONS = [
    _patch("builtins", "patches what asserts and comparisons call", slug=BUILTINS),
    _patch("serializers", "patches json, pickle and marshal", slug=JSON),
    _patch("fake-checks", "puts its own coursekit.checks into sys.modules", FAKE_CHECKS),
    _patch("patched-check", "patches Check, Outcome and the comparison", PATCHED_CHECK),
    _patch("meta-path", "an import hook that serves its own coursekit", slug=f"{WRONG}\n\n{META_PATH}"),
    _patch("ast-transformer", "an AST transformer that takes asserts and raises out", slug=f"{WRONG}\n\n{AST_TRANSFORMER}"),
    _patch("input-transformer", "an input transformer that empties check cells", slug=f"{WRONG}\n\n{INPUT_TRANSFORMER}"),
    _patch("hooks", "IPython's events replace the answer and the error", slug=f"{WRONG}\n\n{HOOKS}"),
    _patch("patched-shell", "a shell that runs and shows nothing more", slug=f"{WRONG}\n\n{PATCHED_SHELL}"),
    _patch("frames", "reads expected values in the callers' frames", slug=FRAMES),
    _patch("tracer", "a trace function that collects expected values", TRACER, slug=TRACED_SLUG),
    _patch("collector", "asks the garbage collector for the expected values", slug=COLLECTOR),
    _patch("garbage", "writes garbage to every descriptor", slug=GARBAGE),
    _patch("messages", "writes forged answers to every descriptor", slug=MESSAGES),
    _patch("replay", "sends an earlier right message again", REPLAY, slug="def slug(text):\n    ARMED.append(1)\n    return text"),
    _patch("at-exit", "prints a pass and leaves with success at the end", AT_EXIT),
    _patch("printed", "prints and displays passes and numbers", slug=PRINTED),
    _patch("display-hook", "replaces display and exception hooks", slug=f"{WRONG}\n\n{DISPLAY_HOOK}"),
    _patch("own-module", "its own `re`, under the name by which the reference imports Python's", slug=OWN_MODULE),
    _patch("environment", "answers by whether it seems to be graded", slug=ENVIRONMENT),
    _patch("closure", "replaces the code of every function of a judge in memory", slug=CLOSURE),
    _patch("namespace", "a namespace in which every name exists", slug=DUPLICATES),
    _patch("exit-in-call", "os._exit(0) in the middle of a check", slug="import os\n\n\ndef slug(text):\n    os._exit(0)"),
    attack("own-memory", "searches its own memory for hidden tests and solutions; its answers are right", informed=True, replaced={"slug": OWN_MEMORY}),
]  # fmt: skip
