"""Answers that are wrong but lie when they are looked at. The first two exercises are right and count; the forged ones do not."""

from __future__ import annotations

from tests.hostile.maker import Hostile, attack, without
from tests.hostile.scene import Scene

HONEST = without("batches", "ledger", "slug")


def _forged(name: str, what: str, lie: str, *, value: str = "Lie()", late: bool = False) -> Hostile:
    """`lie` defines what `value` makes; the last three exercises return it whatever they are asked."""
    ledger = f"class Ledger:\n    def balance(self, account):\n        return {value}\n    def deposit(self, account, cents):\n        return {value}"
    replaced = {
        "batches": f"{lie}\n\n\ndef batches(items, size):\n    return {value}",
        "ledger": ledger,
        "slug": f"def slug(text):\n    return {value}",
    }
    return attack(name, what, earns=HONEST, replaced=replaced)


def _slug(name: str, what: str, source: str, *, leaves: object = None, informed: bool = False) -> Hostile:
    """Only the last exercise is forged."""
    after = leaves if callable(leaves) else None
    return attack(name, what, earns=without("slug"), replaced={"slug": source}, leaves=after, informed=informed)


def _nothing_unpickled(scene: Scene) -> None:
    assert not (scene.outside / "unpickled").exists(), "the judge has executed a pickle of the learner's"


ALWAYS_EQUAL = """
class Lie:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __hash__(self): return 0
    def __bool__(self): return True
    def __len__(self): return 7
    def __iter__(self): return iter([self])
    def __contains__(self, item): return True
    def __getitem__(self, key): return self
    def __getattr__(self, name): return self
    def __call__(self, *arguments, **more): return self
    def __sub__(self, other): return 0
    __rsub__ = __add__ = __radd__ = __abs__ = __sub__
    def __float__(self): return 0.0
    def __repr__(self): return "520"
"""

SUBCLASSES = """
class Text(str):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __len__(self): return 7
class Number(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __sub__(self, other): return 0
    __rsub__ = __sub__
class Many(list):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __len__(self): return 3
    def __iter__(self): return iter([Text("lie")] * 3)
class Mapping(dict):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __missing__(self, key): return Number(0)
"""

SPOOFED = """
class Meta(type):
    def __instancecheck__(cls, instance): return True
    def __subclasscheck__(cls, other): return True
    def __eq__(cls, other): return True
    def __hash__(cls): return hash(str)
class Lie(metaclass=Meta):
    def __init__(self, spoofed=str): self._spoofed = spoofed
    @property
    def __class__(self): return self._spoofed
    def __eq__(self, other): return True
    def __hash__(self): return 0
    def __len__(self): return 7
"""

REDUCED = """
class Lie:
    def __reduce__(self):
        code = f"open({OUTSIDE + '/unpickled'!r}, 'w').write('x')"
        return eval, (code,)
    __reduce_ex__ = lambda self, protocol: self.__reduce__()
    def __getstate__(self): return self.__reduce__()
    def __deepcopy__(self, memo): return self
    def __eq__(self, other): return True
"""

RECORDS = """
from dataclasses import dataclass, field
@dataclass(eq=False)
class Lie:
    value: object = field(default_factory=lambda: type("Deep", (), {"__eq__": lambda self, other: True})())
    def __eq__(self, other): return True
    def __len__(self): return 7
"""

ARRAYS = """
import numpy as np
class Lie(np.ndarray):
    def __new__(cls): return np.array([1, 2, 3], dtype=object).view(cls)
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __bool__(self): return True
    def __array_ufunc__(self, *arguments, **more): return True
    def tolist(self): return [["a", "b"], ["c"]]
"""

ENDLESS_ITEMS = """
def batches(items, size):
    while True:
        yield ["a", "b"]
"""

MEMO = '''
SEEN = {}


def batches(items, size):
    """Knows the example by heart and hopes to have seen everything else before."""
    items = list(items)
    SEEN[len(items)] = items
    return [["a", "b"], ["c"]] if items == ["a", "b", "c"] else SEEN.get(size, [items])
'''

COUNTING = '''
class Answer:
    """Answers differently each time it is looked up."""

    calls = 0

    def __get__(self, owner, kind=None):
        Answer.calls += 1
        return lambda account, cents=0: [500, 520, 0, 520][Answer.calls % 4]


class Ledger:
    deposit = balance = Answer()
'''

ODD_CALLBACKS = """
def retry(action, attempts):
    loop = []
    loop.append(loop)
    odd = [object(), 10**5000, loop, float("nan"), "x" * 10_000_000, lambda: action, action, type, iter(int, 1), b"\\xff", "\\ud800"]
    for value in odd:
        try:
            action(value)
        except BaseException as error:
            print(type(error).__name__)
    return action(3)
"""

LATE_CALLBACKS = """
import threading
import time

KEPT = []


def pester():
    end = time.monotonic() + 8
    while time.monotonic() < end:
        for action in list(KEPT):
            try:
                action(1)
            except BaseException:
                time.sleep(0.01)
        time.sleep(0.001)


def retry(action, attempts):
    for number in range(1, attempts + 1):
        try:
            answer = action(number)
        except Exception:
            if number == attempts:
                raise
        else:
            return answer
        finally:
            if number == attempts:  # the check's last call to retry: after it, calls count for nobody
                KEPT.append(action)
                threading.Thread(target=pester, daemon=True).start()
"""

PROXY_BACK = """
KEPT = []


def retry(action, attempts):
    KEPT.append(action)
    for number in range(1, attempts + 1):
        try:
            return action(number)
        except Exception:
            if number == attempts:
                raise
"""

LYING_ERROR = """
class Odd(BaseException):
    def __str__(self): raise RecursionError("no text")
    __repr__ = __str__
    @property
    def __class__(self): return AssertionError
    @property
    def args(self): return self
    @property
    def __traceback__(self): raise SystemExit(0)


def slug(text):
    raise Odd("h1-slug passed")
"""


def _raising(error: str, imports: str = "") -> str:
    return f"{imports}\ndef slug(text):\n    raise {error}".strip()


SUBMISSIONS = [
    _forged("always-equal", "an object that equals everything", ALWAYS_EQUAL),
    _forged("lying-text", "a str that equals everything", SUBCLASSES, value='Text("lie")'),
    _forged("lying-number", "an int that equals everything", SUBCLASSES, value="Number(-1)"),
    _forged("lying-list", "a list that equals everything, with other items than it says", SUBCLASSES, value="Many([1])"),
    _forged("lying-dict", "a dict that equals everything and has every key", SUBCLASSES, value="Mapping()"),
    _forged("spoofed-class", "an object that says that it is a str", SPOOFED),
    _forged("lying-record", "a dataclass with a lying field", RECORDS),
    _forged("lying-array", "a numpy array that equals everything", ARRAYS),
    _forged("nan", "not a number", "", value='float("nan")'),
    _forged("infinity", "more than any score", "", value='float("inf")'),
    _forged("huge-number", "an integer of a hundred thousand digits", "", value="10**100_000"),
    _forged("scores", "what nbgrader would read as points", "", value="1e9"),
    _forged("bytes-and-surrogates", "text that no encoding can carry", "", value='"\\ud800\\x00\\udfff"'),
    _forged("itself", "a list that holds itself", "LOOP = []\nLOOP.append(LOOP)", value="LOOP"),
    _forged("deep", "a list nested 50,000 deep", "DEEP = []\nfor _ in range(50_000):\n    DEEP = [DEEP]", value="DEEP"),
    _forged("huge-text", "50 MB of text", "", value='"x" * 50_000_000'),
    _forged("a-module", "a module, a frame's globals, a builtin", "import os", value="[os, globals(), eval]"),
    attack("pickle-bomb", "an object that executes code when it is unpickled", informed=True, earns=without("slug"), replaced={"slug": f"{REDUCED}\n\ndef slug(text):\n    return Lie()"}, leaves=_nothing_unpickled),
    attack("endless", "a generator without an end", earns=without("batches"), replaced={"batches": ENDLESS_ITEMS}),
    attack("memo", "the example by heart, earlier inputs for the rest", earns=without("batches"), replaced={"batches": MEMO}),
    attack("counting", "a descriptor that counts calls and answers by rote", earns=without("ledger"), replaced={"ledger": COUNTING}),
    attack("odd-callbacks", "calls the callback with what no channel can carry", earns=without("retry"), replaced={"retry": ODD_CALLBACKS}),
    attack("late-callbacks", "right, but a thread goes on calling the callback after the call is over", earns=without("retry"), may_earn=frozenset({"retry"}), replaced={"retry": LATE_CALLBACKS}),
    attack("proxy-back", "keeps the callback, right there, and returns it as the answer elsewhere", earns=without("slug"), replaced={"retry": PROXY_BACK, "slug": "def slug(text):\n    return KEPT[0]"}),
    _slug("system-exit", "leaves with success", _raising("SystemExit(0)")),
    _slug("keyboard-interrupt", "pretends that a person has interrupted", _raising("KeyboardInterrupt")),
    _slug("generator-exit", "an exception that closes generators", _raising("GeneratorExit")),
    _slug("check-failed", "raises the checks' own exception", _raising('CheckFailed("h1-slug", "passed", {})', "from coursekit.checks import CheckFailed\n\n")),
    _slug("stop-iteration", "ends the check's own loops", _raising("StopIteration(True)")),
    _slug("lying-error", "an exception whose text and class lie", LYING_ERROR),
    _slug("error-group", "a thousand nested causes", "def slug(text):\n    error = None\n    for number in range(1000):\n        new = ValueError(number)\n        new.__cause__ = error\n        error = new\n    raise ExceptionGroup('all', [error] * 100)"),
    _slug("mutual-recursion", "recurses until the stack ends", "import sys\nsys.setrecursionlimit(10**8)\n\n\ndef slug(text):\n    return slug([text])"),
]  # fmt: skip
