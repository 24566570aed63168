"""A small foreign course to be attacked: `h1_functions` (10 points, no database) and `h2_database` (3 points, Postgres).

The exercises cross the judge's channel in different ways: plain values, a callback, a generator, an object with state, a plain
`assert` cell as any nbgrader course has it, and a Postgres connection. Solutions and hidden tests hold canaries (`CANARY-...`):
whoever finds one has seen what no learner may see.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from nbformat import NotebookNode

from tests import notebook_files
from tests.notebook_files import code, nbgrader_metadata

H1, H2 = "h1_functions", "h2_database"
LIMITS = {
    "cell_seconds": 3,
    "check_seconds": 4,
    "notebook_seconds": 25,
    "memory_mb": 400,
    "disk_mb": 32,
    "processes": 24,
    "output_kb": 64,
}


@dataclass(frozen=True)
class Exercise:
    """One exercise: the reference's cell (its body follows the head) and the check cells with their points."""

    name: str
    head: str
    body: str
    checks: dict[str, tuple[float, str]]

    @property
    def answer(self) -> str:
        """A right answer, as a learner hands it in."""
        return f"{self.head}\n{self.body}"

    def source(self, canary: str) -> str:
        """The instructor's cell."""
        indent = " " * (len(self.body) - len(self.body.lstrip()))
        begin, end = f"{indent}### BEGIN SOLUTION", f"{indent}### END SOLUTION"
        return "\n".join([self.head, begin, f"{indent}# {canary}-solution", self.body, end])


MEDIAN = Exercise(
    "median",
    '#| export functions.py\ndef median(values: list[float]) -> float:\n    """The middle value; the mean of the middle two."""',
    "    if not values:\n        raise ValueError('no values')\n    ordered = sorted(values)\n    half = len(ordered) // 2\n"
    "    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2",
    {
        "median": (
            2,
            """with Check("h1-median") as check:
    check.call(median, [3, 1, 2]).equals(2, why="2 stands in the middle", hint="sort first")
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        check.call(median, [9, 1, 4, 6]).equals(5.0, why="the mean of 4 and 6", hint="an even number of values")
        check.call(median, []).raises(ValueError, why="nothing has no middle", hint="refuse it")
    ### END HIDDEN TESTS""",
        )
    },
)
RETRY = Exercise(
    "retry",
    "#| export functions.py\nfrom collections.abc import Callable\n\n\n"
    "def retry(action: Callable[[int], str], attempts: int) -> str:\n"
    '    """Call action(1), action(2) ... until one returns; raise the last error after `attempts` calls."""',
    "    for number in range(1, attempts + 1):\n        try:\n            return action(number)\n"
    "        except Exception:\n            if number == attempts:\n                raise\n"
    '    raise ValueError("no attempts")',
    {
        "retry": (
            2,
            """calls = []


def flaky(number):
    calls.append(number)
    if number < 3:
        raise ConnectionError("busy")
    return f"answer {number}"


with Check("h1-retry") as check:
    check.call(retry, flaky, 5).equals("answer 3", why="the third call answers", hint="stop at the first answer")
    check.observe("the numbers it called with", list(calls)).equals([1, 2, 3], why="one by one", hint="count from 1")
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        check.call(retry, flaky, 2).raises(ConnectionError, mentions=("busy",), why="both failed", hint="raise the last")
        check.observe("the numbers", list(calls)).equals([1, 2, 3, 1, 2], why="two more calls", hint="no call too many")
    ### END HIDDEN TESTS""",
        )
    },
)
BATCHES = Exercise(
    "batches",
    "#| export functions.py\nfrom collections.abc import Iterable, Iterator\n\n\n"
    "def batches(items: Iterable[str], size: int) -> Iterator[list[str]]:\n"
    '    """Yield lists of `size` items in order; the last may be shorter."""',
    "    batch: list[str] = []\n    for item in items:\n        batch.append(item)\n        if len(batch) == size:\n"
    "            yield batch\n            batch = []\n    if batch:\n        yield batch",
    {
        "batches": (
            2,
            """with Check("h1-batches") as check:
    got = list(batches(["a", "b", "c"], 2))
    check.observe("list(batches(['a', 'b', 'c'], 2))", got).equals(
        [["a", "b"], ["c"]], why="two and one", hint="do not forget the rest"
    )
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        got = list(batches([str(n) for n in range(7)], 3))
        wanted = [["0", "1", "2"], ["3", "4", "5"], ["6"]]
        check.observe("list(batches(...))", got).equals(wanted, why="3 + 3 + 1", hint="the last one is shorter")
        check.observe("list(batches([], 3))", list(batches([], 3))).equals([], why="nothing", hint="no empty batch")
    ### END HIDDEN TESTS""",
        )
    },
)
LEDGER = Exercise(
    "ledger",
    '#| export functions.py\nclass Ledger:\n    """Cents by account."""\n\n'
    "    def __init__(self) -> None:\n        self.cents: dict[str, int] = {}\n\n"
    "    def balance(self, account: str) -> int:\n"
    '        """What the account holds; 0 when it is unknown."""\n        return self.cents.get(account, 0)\n\n'
    '    def deposit(self, account: str, cents: int) -> int:\n        """Add; returns the new balance. ValueError below 1."""',
    "        if cents < 1:\n            raise ValueError('a deposit adds')\n"
    "        self.cents[account] = self.balance(account) + cents\n        return self.cents[account]",
    {
        "ledger": (
            2,
            """with Check("h1-ledger") as check:
    ledger = Ledger()
    check.call(ledger.deposit, "ada", 500).equals(500, why="0 + 500", hint="return the new balance")
    check.call(ledger.deposit, "ada", 20).equals(520, why="500 + 20", hint="keep what was there")
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        other = Ledger()
        check.call(other.balance, "ada").equals(0, why="a ledger of its own", hint="state belongs to the object")
        check.call(ledger.deposit, "bob", 0).raises(ValueError, why="0 adds nothing", hint="refuse it")
        check.call(ledger.balance, "ada").equals(520, why="bob's deposit is not hers", hint="by account")
    ### END HIDDEN TESTS""",
        )
    },
)
SLUG = Exercise(
    "slug",
    '#| export functions.py\nimport re\n\n\ndef slug(text: str) -> str:\n    """The words of `text` in lower case, joined by dashes."""',
    '    return "-".join(text.lower().split())',
    {
        "slug": (
            2,
            """assert slug("Hello World") == "hello-world", "words are joined by dashes"
### BEGIN HIDDEN TESTS
# CANARY
wanted = {"": "", "A  B\\tC": "a-b-c", " Grüße ": "grüße", "x": "x"}
for text, expected in wanted.items():
    assert slug(text) == expected and re.fullmatch(r"[\\w-]*", slug(text))
### END HIDDEN TESTS""",
        )
    },
)
TALLY = Exercise(
    "tally",
    "#| export tally.py\nimport psycopg\n\n\ndef tally(connection: psycopg.Connection, word: str) -> int:\n"
    '    """How many rows of the table `words` hold `word`."""',
    '    row = connection.execute("SELECT count(*) FROM words WHERE word = %s", (word,)).fetchone()\n'
    "    return row[0] if row else 0",
    {
        "tally": (
            1,
            """with database.scratch("h2") as url, database.connect(url, autocommit=True) as connection:
    connection.execute("CREATE TABLE words (word text)")
    connection.execute("INSERT INTO words VALUES ('a'), ('b'), ('a')")
    with Check("h2-tally") as check:
        check.observe("tally(connection, 'a')", tally(connection, "a")).equals(2, why="two rows", hint="count them")""",
        ),
        "tally-large": (
            2,
            """with database.scratch("h2") as url, database.connect(url, autocommit=True) as connection:
    connection.execute("CREATE TABLE words (word text)")
    connection.execute("INSERT INTO words SELECT 'w' || n % 7 FROM generate_series(1, 1000) n")
    with Check("h2-tally-large") as check:
        check.observe("tally(connection, 'none')", tally(connection, "none")).equals(0, why="none", hint="count 0")
        ### BEGIN HIDDEN TESTS
        with check.hidden():
            check.observe("tally(...)", tally(connection, "w3")).equals(143, why="every seventh", hint="in SQL")
        ### END HIDDEN TESTS""",
        ),
    },
)

EXERCISES: dict[str, tuple[Exercise, ...]] = {H1: (MEDIAN, RETRY, BATCHES, LEDGER, SLUG), H2: (TALLY,)}
POINTS: dict[str, dict[str, float]] = {
    module: {name: points for exercise in exercises for name, (points, _) in exercise.checks.items()}
    for module, exercises in EXERCISES.items()
}


def check_id(module: str, check: str) -> str:
    """The check's grade_id: `slug` of `h1_functions` is `h1-slug`; its exercise is `h1-slug-solution`."""
    return f"{module[:2]}-{check}"


def build(root: Path, canary: str) -> Path:
    """Write course.yml and both source notebooks below `root`; `canary` goes into solutions and hidden tests."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "course.yml").write_text(yaml.safe_dump(_manifest(), sort_keys=False), encoding="utf-8")
    for module in (H1, H2):
        notebook_files.write(root / "solutions" / module / f"{module}.ipynb", _cells(module, canary))
    return root


def _manifest() -> dict[str, Any]:
    modules = [
        {
            "id": module,
            "title": module,
            "adds": "functions",
            "objectives": ["Be attacked"],
            "minutes": 10,
            "points": int(sum(POINTS[module].values())),
            "exports": [export],
            "time_limit_seconds": 60,
            "database": module == H2,
        }
        for module, export in ((H1, "functions.py"), (H2, "tally.py"))
    ]
    grading = {"cell_timeout_seconds": 10, "limits": LIMITS}
    return {"title": "Attacked", "package": "assistant", "grading": grading, "modules": modules}


def _cells(module: str, canary: str) -> list[NotebookNode]:
    imports = "from coursekit.checks import Check"
    cells = [
        code(f'MODULE = "{module}"', "params", tags=["parameters"]),
        code("%load_ext coursekit", "load"),
        code(f"from coursekit import database\n{imports}" if module == H2 else imports, "imports"),
    ]
    for exercise in EXERCISES[module]:
        grade_id = check_id(module, f"{exercise.name}-solution")
        metadata = nbgrader_metadata(grade_id, solution=True)
        cells.append(code(exercise.source(canary), grade_id, **metadata))
        for name, (points, text) in exercise.checks.items():
            hidden = text.replace("# CANARY", f'secret = "{canary}-hidden"')
            grade_id = check_id(module, name)
            cells.append(code(hidden, grade_id, **nbgrader_metadata(grade_id, points=points)))
    return cells
