"""Check cells as ordinary nbgrader courses have them: judged outside they give the verdict that stock nbgrader gives."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coursekit.grading import stock
from coursekit.grading.results import Grade
from tests.conftest import ROOT
from tests.judging.one_notebook import Course, Exercise, check

EXERCISES = [
    Exercise(
        "plain-asserts",
        "def squares(n):\n    if n < 0:\n        raise ValueError('n must not be negative')\n    return [i ** 2 for i in range(n)]",
        "def squares(n):\n    return [i * 2 for i in range(n)]",
        "assert squares(3) == [0, 1, 4]\nassert isinstance(squares(0), list), 'a list, please'\n"
        "### BEGIN HIDDEN TESTS\ntry:\n    squares(-1)\nexcept ValueError as error:\n    assert 'negative' in str(error)\n"
        "else:\n    raise AssertionError('no error')\n### END HIDDEN TESTS",
    ),
    Exercise(
        "numpy-testing",
        "import numpy as np\ndef normalise(x):\n    x = np.asarray(x, dtype=float)\n    return (x - x.mean()) / x.std()",
        "import numpy as np\ndef normalise(x):\n    return np.asarray(x, dtype=float) - np.mean(x)",
        "import numpy as np\nfrom numpy.testing import assert_allclose\nresult = normalise([1, 2, 3, 6])\n"
        "assert result.shape == (4,) and result.dtype == np.float64\nassert_allclose(result.mean(), 0, atol=1e-12)\n"
        "assert_allclose(result.std(), 1)\nassert np.argmax(normalise(np.arange(5))) == 4",
    ),
    Exercise(
        "pytest-raises",
        "class TooLong(ValueError):\n    def __init__(self, size):\n        super().__init__(f'{size} is too long')\n        self.size = size\n"
        "def shorten(text, limit=5):\n    if len(text) > limit:\n        raise TooLong(len(text))\n    return text",
        "class TooLong(ValueError):\n    pass\ndef shorten(text, limit=5):\n    if len(text) > limit:\n        raise ValueError('long')\n    return text",
        "import pytest\nassert shorten('abc') == 'abc'\nwith pytest.raises(TooLong, match='7 is too long') as caught:\n    shorten('abcdefg')\n"
        "assert caught.value.size == 7 and issubclass(TooLong, ValueError)\nassert shorten('abcdefg', limit=7)",
    ),
    Exercise(
        "unittest",
        "class Stack:\n    def __init__(self): self._items = []\n    def push(self, item): self._items.append(item)\n"
        "    def pop(self): return self._items.pop()\n    def __len__(self): return len(self._items)",
        "class Stack:\n    def __init__(self): self._items = []\n    def push(self, item): self._items.append(item)\n"
        "    def pop(self): return self._items.pop(0)\n    def __len__(self): return len(self._items)",
        "import io, unittest\nclass TestStack(unittest.TestCase):\n    def setUp(self):\n        self.stack = Stack()\n"
        "    def test_last_in_first_out(self):\n        self.stack.push(1)\n        self.stack.push(2)\n        self.assertEqual(self.stack.pop(), 2)\n"
        "        self.assertEqual(len(self.stack), 1)\n    def test_empty(self):\n        self.assertRaises(IndexError, self.stack.pop)\n"
        "result = unittest.TextTestRunner(stream=io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromTestCase(TestStack))\n"
        "assert result.wasSuccessful(), result.failures + result.errors",
    ),
    Exercise(
        "partial-credit",
        "def vowels(text): return sum(letter in 'aeiou' for letter in text.lower())",
        "def vowels(text): return sum(letter in 'aeiou' for letter in text)",
        "score = 0\nfor text, expected in [('abc', 1), ('xyz', 0), ('AEIOU', 5), ('Echo', 2)]:\n    if vowels(text) == expected:\n        score += 1\nscore",
        points=4,
        wrong_points=2,
    ),
    Exercise(
        "pandas",
        "import pandas as pd\ndef totals(sales):\n    return sales.assign(total=sales['price'] * sales['count']).groupby('shop', as_index=False)['total'].sum()",
        "import pandas as pd\ndef totals(sales):\n    return sales.groupby('shop', as_index=False)['price'].sum()",
        "import pandas as pd\nsales = pd.DataFrame({'shop': ['b', 'a', 'b'], 'price': [1.0, 2.0, 3.0], 'count': [1, 2, 3]})\nresult = totals(sales)\n"
        "assert list(result.columns) == ['shop', 'total'] and len(result) == 2\n"
        "pd.testing.assert_frame_equal(result, pd.DataFrame({'shop': ['a', 'b'], 'total': [4.0, 10.0]}))\n"
        "assert result.set_index('shop').loc['b', 'total'] == 10 and 'total' not in sales",
    ),
    Exercise(
        "operators",
        "class Money:\n    def __init__(self, cents): self.cents = cents\n    def __add__(self, other): return Money(self.cents + other.cents)\n"
        "    def __eq__(self, other): return isinstance(other, Money) and self.cents == other.cents\n    def __repr__(self): return f'Money({self.cents})'",
        "class Money:\n    def __init__(self, cents): self.cents = cents\n    def __add__(self, other): return self.cents + other.cents",
        "assert Money(1) + Money(2) == Money(3)\nassert repr(Money(5)) == 'Money(5)' and Money(1) != Money(2)\nassert sum([Money(1), Money(2)], Money(0)).cents == 3",
    ),
    Exercise(
        "in-place",
        "def add_item(cart, name, price):\n    cart.items[name] = price\n    cart.total += price\n    return cart",
        "def add_item(cart, name, price):\n    from copy import deepcopy\n    cart = deepcopy(cart)\n    cart.total += price\n    return cart",
        "cart = Cart()\nassert add_item(cart, 'tea', 3) is cart\nassert cart == Cart({'tea': 3}, 3) and isinstance(add_item(cart, 'jam', 2), Cart)\nassert cart.total == 5",
        given="from dataclasses import dataclass, field\n@dataclass\nclass Cart:\n    items: dict = field(default_factory=dict)\n    total: int = 0",
    ),
    Exercise(
        "enum-and-generator",
        "import enum\nclass Light(enum.Enum):\n    RED = 1\n    GREEN = 2\ndef lights(start):\n    while True:\n        yield start\n"
        "        start = Light.GREEN if start is Light.RED else Light.RED",
        "import enum\nclass Light(enum.Enum):\n    RED = 1\n    GREEN = 2\ndef lights(start):\n    yield start\n    yield Light.RED",
        "from itertools import islice\nassert list(islice(lights(Light.RED), 3)) == [Light.RED, Light.GREEN, Light.RED]\nassert len(Light) == 2 and Light(2) is Light.GREEN",
    ),
    Exercise(
        "retry-with-double",
        "def retry(action, times, errors=(ConnectionError,)):\n    for attempt in range(times):\n        try:\n            return action()\n"
        "        except errors:\n            if attempt + 1 == times:\n                raise",
        "def retry(action, times, errors=(ConnectionError,)):\n    try:\n        return action()\n    except Exception:\n        return action()",
        "from unittest.mock import Mock\naction = Mock(side_effect=[ConnectionError('busy'), TimeoutError('slow'), 'done'])\n"
        "assert retry(action, 3, errors=(ConnectionError, TimeoutError)) == 'done'\nassert action.call_count == 3\n"
        "action = Mock(side_effect=KeyError('k'))\ntry:\n    retry(action, 3)\nexcept KeyError:\n    pass\nassert action.call_count == 1",
    ),
    Exercise(
        "async",
        "import asyncio\nasync def fetch_all(fetch, keys):\n    return await asyncio.gather(*(fetch(key) for key in keys))",
        "async def fetch_all(fetch, keys):\n    return [fetch(key) for key in keys][:1]",
        "async def fetch(key):\n    return key * 2\nassert await fetch_all(fetch, [1, 2]) == [2, 4]",
    ),
    Exercise(
        "a-value",
        "answer = {'n': 3, 'parts': (1, 2)}",
        "answer = {'n': 4, 'parts': (1, 2)}",
        "assert answer['n'] == 3\nassert answer['parts'] == (1, 2)",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    with pytest.MonkeyPatch.context() as patch:
        made = Course(tmp_path_factory.mktemp("cells") / "course", EXERCISES)
        shutil.copyfile(ROOT / "nbgrader_config.py", made.root / "nbgrader_config.py")
        patch.chdir(made.root)
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # nbgrader finds alembic
        yield made


@pytest.fixture(scope="module")
def submissions(course: Course) -> dict[str, Path]:
    return {"right": course.submission("right"), "wrong": course.submission("wrong", wrong=True)}


@pytest.fixture(scope="module")
def outside(course: Course, submissions: dict[str, Path]) -> dict[str, Grade]:
    return course.grade(submissions, "auto")


@pytest.fixture(scope="module")
def inside(course: Course, submissions: dict[str, Path]) -> dict[str, Grade]:
    where, _, module = course.loaded
    return {grade.student: grade for grade in stock.grade(where, module, submissions)}


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_outside_as_under_stock_nbgrader(
    exercise: Exercise, outside: dict[str, Grade], inside: dict[str, Grade]
) -> None:
    expected = {"right": exercise.points, "wrong": exercise.wrong_points}
    for name, points in expected.items():
        judged, ran = check(outside[name], exercise.name), check(inside[name], exercise.name)
        assert ran.points == points, ran.message
        assert judged.points == points, judged.message
        assert not judged.weaker
