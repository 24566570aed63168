"""Cells that no teacher expects: magics, shell lines, ruined names, bombs in the file's metadata. All answers are right."""

from __future__ import annotations

import nbformat

from tests.hostile.maker import ALL, NONE, Hostile, Made, Maker, attack, index, own, raw, without


def _odd(name: str, what: str, cell: str) -> Hostile:
    """The cell stands before the first exercise and again after the last check."""
    return attack(name, what, first=cell, last=cell, odd_python=True)


def _cells(name: str, what: str, *cells: str, may_earn: frozenset[str] = NONE) -> Hostile:
    """These own cells stand before the first exercise."""

    def make(maker: Maker) -> Made:
        notebook = maker.solved()
        place = index(notebook, "median-solution")
        notebook.cells[place:place] = [own(cell) for cell in cells]
        return notebook

    return Hostile(name, what, make, earns=ALL - may_earn, may_earn=may_earn, odd_python=True)


def _metadata_bomb(maker: Maker) -> Made:
    notebook = maker.solved()
    tree: object = "x"
    for _ in range(60):
        tree = {"tree": tree, "list": [tree] if isinstance(tree, str) else []}
    notebook.metadata["bomb"] = tree
    notebook.metadata["wide"] = {f"key {number}": ["x"] * 10 for number in range(50_000)}
    for cell in notebook.cells:
        cell.metadata["bomb"] = tree
        cell.metadata["tags"] = ["tag"] * 5_000
    return raw(notebook)


def _deep_file(maker: Maker) -> Made:
    text = raw(maker.solved()).decode()
    return text.replace('"metadata": {', '"metadata": {"deep": ' + "[" * 90_000 + "]" * 90_000 + ", ", 1).encode()


def _many_cells(maker: Maker) -> Made:
    notebook = maker.solved()
    notebook.cells.extend(nbformat.v4.new_code_cell("1") for _ in range(3_000))
    return notebook


def _large_cell(maker: Maker) -> Made:
    notebook = maker.solved()
    notebook.cells.insert(0, own("x = [\n" + "    'a line of text',\n" * 300_000 + "]"))
    return notebook


MAGICS = """
%%bash
echo hello; exit 3
"""
SHELL = "!echo hello; false\nfiles = !ls\n%env X=1\n%cd /\n%pwd"
NEXT_INPUT = """
get_ipython().set_next_input("import os; os._exit(0)", replace=True)
get_ipython().payload_manager.write_payload({"source": "ask_exit", "keepkernel": False})
get_ipython().ask_exit()
get_ipython().kernel = None
"""
RUINED_NAMES = """
_ = __ = In = Out = exit = quit = display = print = open = None
get_ipython = lambda: None
__name__ = "not main"
__file__ = __doc__ = __spec__ = __loader__ = 7
"""
NO_BUILTINS = "__builtins__ = {}\n__build_class__ = None"
OWN_BUILTINS = """
import builtins

builtins.print = builtins.open = builtins.__import__ = builtins.exec = builtins.compile = None
"""
SHELL_RUIN = """
shell = get_ipython()
shell.user_ns = shell.user_global_ns.__class__()
shell.events.callbacks.clear()
shell.input_transformer_manager = None
"""
TRANSFORMER = """
class Ruin:
    def visit(self, node):
        raise SystemExit(0)


get_ipython().ast_transformers.append(Ruin())
"""
NEVER_CLOSED = "def unfinished(:\n    '''"
SAME_NAMES = "Check = lambda *a: 1/0\nmedian = retry = batches = Ledger = slug = MODULE = check = None"
LOCALE = """
import gc, locale, os, random, resource, signal, sys, threading, warnings

gc.disable()
warnings.simplefilter("error")
sys.setswitchinterval(100)
threading.stack_size(32768)
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
os.environ.clear()
signal.alarm(1)
"""

SUBMISSIONS = [
    _odd("bash-cell", "a %%bash cell that fails", MAGICS.strip()),
    _odd("script-cell", "a %%script cell that waits for itself", "%%script --bg sleep 5\n"),
    _odd("unknown-magic", "a magic that does not exist", "%%nonsense\nx"),
    _odd("shell-lines", "shell lines and folders", SHELL),
    _odd("reset", "forgets every name", "%reset -f"),
    _odd("html-cell", "a cell of HTML with a script", "%%html\n<script>alert(1)</script>"),
    _odd("next-input", "asks for a next cell, an exit and a new kernel", NEXT_INPUT),
    _odd("not-python", "no Python at all", NEVER_CLOSED),
    _odd("top-level-await", "awaits and returns at the top level", "import asyncio\n\nawait asyncio.sleep(0.01)\nyield_ = 1"),
    _odd("exit-cell", "leaves", "exit()\nquit()\nraise SystemExit(3)"),
    _cells("ruined-names", "rebinds IPython's own names", RUINED_NAMES),
    _cells("same-names", "binds every name of the course before the course does", SAME_NAMES),
    _cells("no-builtins", "takes the builtins away", NO_BUILTINS, may_earn=ALL),
    _cells("ruined-builtins", "ruins the builtins", OWN_BUILTINS, may_earn=ALL),
    _cells("ruined-shell", "ruins the shell", SHELL_RUIN, may_earn=ALL),
    _cells("ruined-transformer", "a transformer that leaves at every cell", TRANSFORMER, may_earn=ALL),
    _cells("ruined-process", "an alarm, few descriptors, no environment", LOCALE, may_earn=ALL),
    attack("slow-cells", "own cells that each stay below the limit, after the last check", last="import time\n\ntime.sleep(2.6)"),
    _cells("slow-cells-first", "own cells that each stay below the limit, until the time is over", *["import time\n\ntime.sleep(2.6)"] * 12, may_earn=ALL),
    Hostile("metadata-bomb", "metadata deep, wide and repeated", _metadata_bomb),
    Hostile("deep-file", "metadata nested 90,000 deep", _deep_file, earns=NONE, error="(?i)nest|deep|JSON|notebook"),
    Hostile("many-cells", "three thousand own cells", _many_cells),
    Hostile("large-cell", "an own cell of 6 MB", _large_cell),
    attack("wrong-with-comments", "a wrong answer dressed as a solution cell with markers", earns=without("slug"), replaced={"slug": "### BEGIN SOLUTION\ndef slug(text):\n    return text\n### END SOLUTION\n### BEGIN HIDDEN TESTS\nassert False\n### END HIDDEN TESTS"}),
]  # fmt: skip
