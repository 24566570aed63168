"""Objects with behaviour stay on their side: the learner's classes for the check, the check's doubles for the learner."""

from __future__ import annotations

import pytest

from tests.judging.two_sides import TwoSides

CLASSES = """
class Animal:
    legs = 4
    def __init__(self, name): self.name = name; self._fed = 0
    def speak(self): raise NotImplementedError("speak")
    @property
    def fed(self): self._fed += 1; return self._fed
    @classmethod
    def named(cls, name): return cls(name)
    @staticmethod
    def kingdom(): return "animalia"
class Dog(Animal):
    def speak(self, *, loud=False): return "WOOF" if loud else "woof"
    def meet(self, other): return f"{self.name} meets {other.name}"
def adopt(name): return Dog(name)
class Shelf:
    def __init__(self): self.items = {}
    def __len__(self): return len(self.items)
    def __getitem__(self, key): return self.items[key]
    def __setitem__(self, key, value): self.items[key] = value
    def __delitem__(self, key): del self.items[key]
    def __contains__(self, key): return key in self.items
    def __iter__(self): return iter(sorted(self.items))
    def __call__(self, key): return self.items.get(key)
    def __enter__(self): self.is_open = True; return self
    def __exit__(self, *error): self.is_open = False
class Vector:
    def __init__(self, x, y): self.x, self.y = x, y
    def __add__(self, other): return Vector(self.x + other.x, self.y + other.y)
    def __mul__(self, factor): return Vector(self.x * factor, self.y * factor)
    __rmul__ = __mul__
    def __matmul__(self, other): return self.x * other.x + self.y * other.y
    def __neg__(self): return Vector(-self.x, -self.y)
    def __eq__(self, other): return isinstance(other, Vector) and (self.x, self.y) == (other.x, other.y)
    def __hash__(self): return hash((self.x, self.y))
    def __lt__(self, other): return self.x < other.x
    def __repr__(self): return f"Vector({self.x}, {self.y})"
    def __format__(self, form): return f"<{self.x:{form}}>"
"""


@pytest.fixture
def learner(sides: TwoSides) -> TwoSides:
    sides.define(CLASSES)
    return sides


def test_instances_have_attributes_properties_methods_and_state(learner: TwoSides) -> None:
    dog = learner["Dog"]("Rex")
    assert (dog.name, dog.legs, dog.speak(loud=True), dog.fed, dog.fed) == ("Rex", 4, "WOOF", 1, 2)
    dog.name = "Max"
    assert dog.meet(learner["adopt"]("Ada")) == "Max meets Ada"
    del dog.name
    assert not hasattr(dog, "name") and hasattr(dog, "speak")


def test_classes_have_alternative_constructors_bases_and_instances(learner: TwoSides) -> None:
    animal, dog = learner["Animal"], learner["Dog"]
    assert dog.named("x").name == "x" and animal.kingdom() == "animalia" and dog.__name__ == "Dog"
    assert isinstance(learner["adopt"]("x"), dog) and isinstance(learner["adopt"]("x"), animal)
    assert not isinstance(animal("x"), dog) and not isinstance(3, dog)
    assert issubclass(dog, animal) and not issubclass(animal, dog) and issubclass(dog, object)
    with pytest.raises(NotImplementedError, match="speak"):
        animal("x").speak()


def test_an_instance_is_one_object_however_often_it_crosses(learner: TwoSides) -> None:
    learner.define("def same(value): return value\ndef are_same(a, b): return a is b")
    dog = learner["adopt"]("x")
    assert learner["same"](dog) is dog
    assert learner["are_same"](dog, dog) and not learner["are_same"](dog, learner["adopt"]("x"))


def test_containers_of_the_learners_work_like_containers(learner: TwoSides) -> None:
    shelf = learner["Shelf"]()
    assert not shelf
    shelf["b"], shelf["a"] = 1, [2]
    assert (len(shelf), list(shelf), "a" in shelf, "c" in shelf, shelf["a"], shelf("c")) == (
        2,
        ["a", "b"],
        True,
        False,
        [2],
        None,
    )
    del shelf["b"]
    with pytest.raises(KeyError, match="b"):
        shelf["b"]
    with shelf as opened:
        assert opened is shelf and shelf.is_open
    assert not shelf.is_open


def test_operators_of_the_learners_work_among_the_learners_objects(learner: TwoSides) -> None:
    vector = learner["Vector"]
    a, b = vector(1, 2), vector(3, 4)
    assert a + b == vector(4, 6) and a != b and a @ b == 11
    assert a * 3 == 3 * a == vector(3, 6) and -a == vector(-1, -2)
    assert len({a, vector(1, 2), b}) == 2
    assert sorted([b, a]) == [a, b] and a < b and b > a
    assert (repr(a), str(a), f"{a:03d}") == ("Vector(1, 2)", "Vector(1, 2)", "<001>")
    with pytest.raises(TypeError):
        a - b  # noqa: B018


YES = """
class Yes:
    def __eq__(self, other): return True
    __lt__ = __le__ = __gt__ = __ge__ = __eq__
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
    def __abs__(self): return 0.0
    def __float__(self): return 3.0
    __int__ = __index__ = __float__
def answer(): return Yes()
"""


def test_an_object_that_agrees_to_everything_passes_for_no_value(sides: TwoSides) -> None:
    sides.define(YES)
    answer = sides["answer"]()
    assert answer != 3 and not answer == 3 and not 3 == answer and answer not in [1, 2, 3]  # noqa: SIM201, SIM300
    assert not isinstance(answer, (int, float, str, dict))
    for forged in (
        lambda: abs(answer - 3),
        lambda: 3 - answer,
        lambda: answer < 5,
        lambda: abs(answer),
        lambda: float(answer),
        lambda: round(answer, 2),
        lambda: [1, 2][answer],
    ):
        with pytest.raises(TypeError):
            forged()


class Clock:
    """A test double, as a check cell defines it."""

    __module__ = "__main__"

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._secret = "hidden"

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    @property
    def count(self) -> int:
        return len(self.slept)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int) -> float:
        return self.slept[place]

    def __enter__(self) -> Clock:
        return self

    def __exit__(self, *error: object) -> None:
        self.slept.append(-1)


def test_the_learner_uses_a_checks_object_and_the_check_sees_it(sides: TwoSides) -> None:
    sides.define(
        "def wait(clock):\n    with clock:\n        clock.sleep(2)\n        clock.sleep(seconds=3)\n"
        "    return clock.now, clock.count, len(clock), clock[0], list(clock.slept)"
    )
    clock = Clock()
    assert sides["wait"](clock) == (5.0, 3, 3, 2, [2, 3, -1])
    assert clock.slept == [2, 3, -1]


@pytest.mark.parametrize(
    "line",
    ["clock._secret", "clock.sleep.__globals__", "clock.sleep.__self__", "clock.now = 9", "del clock.now"],
)
def test_the_learner_reaches_nothing_private_of_a_checks_object_and_changes_nothing(sides: TwoSides, line: str) -> None:
    sides.define(f"def pry(clock):\n    {line}")
    clock = Clock()
    with pytest.raises(AttributeError):
        sides["pry"](clock)
    assert (clock.now, clock._secret) == (0.0, "hidden")


def test_the_learner_may_not_call_what_it_was_never_given(sides: TwoSides) -> None:
    sides.define(
        "def guess(function):\n    peer, number, _ = object.__getattribute__(function, '_course')\n    seen = []\n"
        "    for guessed in range(number + 1, number + 40):\n        try:\n            seen.append(peer.request('str', guessed))\n"
        "        except Exception as error:\n            assert 'over' in str(error), error\n    return seen"
    )
    assert all("over" in text for text in sides["guess"](lambda: 1))  # only its own errors can be reached
