"""What a check cell is made of: call the learner's function, compare, explain.

    with Check("m04-rrf-basic") as check:
        check.call(fuse, [["a", "b"], ["c", "a"]], k=60).equals(
            ["a", "c", "b"],
            problem="wrong document first",
            why="'a' is in both lists: 1/61 + 1/62 = 0.0325 > 1/61 = 0.0164",
            hint="start ranks at 1; add scores per id before sorting",
        )
        ### BEGIN HIDDEN TESTS
        with check.hidden():
            ...
        ### END HIDDEN TESTS

The first difference ends the check with a `CheckFailed`, shown as five lines instead of a traceback. Inside
`hidden()` the same layout is used with the values withheld. A passed check prints one line to stdout and nothing
to stderr (nbgrader scores any stderr text as 0). `NotImplementedError` passes through: the exercise is unsolved.

The messages follow check50's `Mismatch`: expected, actual and help are separate fields.
"""

from __future__ import annotations

import copy
import html
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from coursekit.comparing import differences
from coursekit.rendering import render_call, render_value

WITHHELD = "(withheld: hidden test)"
_MISSING_NAME = {
    "why": "the cell that defines it has not run in this kernel, or did not compile",
    "try": "run the cells above, in order from the top; read the first error that they show",
}


class CheckFailed(AssertionError):
    """A learner's answer is wrong. `str(error)` is the whole message, ready to read."""

    def __init__(self, check_id: str, problem: str, fields: Mapping[str, str]) -> None:
        self.check_id = check_id
        self.problem = problem
        self.fields = dict(fields)
        lines = [f"{check_id}: {problem}"]
        for name, text in self.fields.items():
            first, *rest = text.splitlines() or [""]
            lines.append(f"  {name:<9} {first}")
            lines.extend(f"  {'':<9} {line}" for line in rest)
        super().__init__("\n".join(lines))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a traceback."""
        return str(self).splitlines()


class Check:
    """One check cell. Use it as a context manager; `check_id` is the cell's grade_id."""

    def __init__(self, check_id: str) -> None:
        self.check_id = check_id
        self.public_count = 0
        self.hidden_count = 0
        self._is_hidden = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from coursekit import progress

        progress.record_check(self.check_id, passed=error is None)
        if error is None:
            _show_passed(self._passed_message())
        elif isinstance(error, NameError):
            got = f"NameError: {error}"
            raise CheckFailed(self.check_id, "a name is missing", {"got": got, **_MISSING_NAME}) from None
        elif isinstance(error, NotImplementedError):
            line = f"{self.check_id}: {error}. Write the body in its cell above, run that cell, then this one."
            error._render_traceback_ = lambda: [line]  # type: ignore[attr-defined]  # IPython shows it, not a traceback

    def _passed_message(self) -> str:
        message = f"✓ {self.check_id}: public checks passed ({self.public_count})"
        if self.hidden_count:
            return f"{message}, hidden tests passed ({self.hidden_count})"
        return message

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Withhold inputs and values in the messages of every comparison inside."""
        self._is_hidden = True
        try:
            yield
        finally:
            self._is_hidden = False

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Outcome:
        """Call the learner's function and keep what came back, or what it raised, for a comparison."""
        called = render_call(function, args, kwargs)
        try:
            return Outcome(self, called, value=function(*copy.deepcopy(args), **copy.deepcopy(kwargs)))
        except NotImplementedError:
            raise
        except Exception as error:  # noqa: BLE001  a learner's function may raise anything: that is what is compared
            return Outcome(self, called, error=error)

    def observe(self, called: str, value: Any) -> Outcome:
        """Compare a value that took more than one call to get; `called` says how."""
        return Outcome(self, called, value=value)

    def that(self, condition: bool, *, called: str, expected: str, got: Any, why: str, hint: str, problem: str) -> None:
        """Require any other condition; `expected` says it in words."""
        self._judge(bool(condition), problem=problem, called=called, expected=expected, got=got, why=why, hint=hint)

    def _judge(
        self, is_right: bool, *, problem: str, called: str, expected: str, got: Any, why: str, hint: str
    ) -> None:
        if is_right:
            if self._is_hidden:
                self.hidden_count += 1
            else:
                self.public_count += 1
            return
        shown = got if isinstance(got, _Verbatim) else render_value(got)
        values = {"called": called, "expected": expected, "got": shown}
        if self._is_hidden:
            problem = f"{problem} (hidden test)"
            values = dict.fromkeys(values, WITHHELD)
        raise CheckFailed(self.check_id, problem, {**values, "why": why, "try": hint})


class Outcome:
    """What one call returned or raised. Each comparison returns the outcome, so that several can follow each other."""

    def __init__(self, check: Check, called: str, *, value: Any = None, error: Exception | None = None) -> None:
        self._check = check
        self._called = called
        self._value = value
        self._error = error

    @property
    def value(self) -> Any:
        """The returned value; when the call raised, the check ends here and says so."""
        if self._error is not None:
            self._require_value("a value", "", "read the exception's message: it names the line's problem")
        return self._value

    def equals(
        self, expected: Any, *, why: str, hint: str, problem: str = "wrong result", tolerance: float | None = None
    ) -> Self:
        """The value must equal `expected`: same shape and kind, numbers within `tolerance` (absolute) if given."""
        text = render_value(expected) + (f" (within {tolerance:g})" if tolerance else "")
        self._require_value(text, why, hint)
        found = differences(expected, self._value, tolerance)
        got = render_value(self._value) + (f"\n{found}" if found and found != "the values differ" else "")
        self._report(not found, problem, text, _Verbatim(got), why, hint)
        return self

    def has(
        self, *, why: str, hint: str, problem: str = "wrong result", tolerance: float | None = None, **fields: Any
    ) -> Self:
        """The value must have these attributes with these values; other attributes do not matter."""
        text = ", ".join(f"{name}={render_value(value)}" for name, value in fields.items())
        self._require_value(text, why, hint)
        missing = [name for name in fields if not hasattr(self._value, name)]
        if missing:
            got = _Verbatim(f"{render_value(self._value)}\nwithout the attribute {', '.join(missing)}")
            self._report(False, problem, text, got, why, hint)
        got_fields = {name: getattr(self._value, name) for name in fields}
        found = differences(fields, got_fields, tolerance)
        got = _Verbatim(", ".join(f"{name}={render_value(value)}" for name, value in got_fields.items()))
        self._report(not found, problem, text, got, why, hint)
        return self

    def satisfies(
        self, predicate: Callable[[Any], bool], *, expected: str, why: str, hint: str, problem: str = "wrong result"
    ) -> Self:
        """The value must make `predicate` true; `expected` says in words what that means."""
        self._require_value(expected, why, hint)
        try:
            is_right = bool(predicate(self._value))
        except Exception:  # noqa: BLE001  a value of a wrong kind makes the predicate itself fail
            is_right = False
        self._report(is_right, problem, expected, self._value, why, hint)
        return self

    def raises(
        self, kind: type[Exception], *, why: str, hint: str, mentions: tuple[str, ...] = (), problem: str | None = None
    ) -> Self:
        """The call must raise `kind` (compared by name along the class tree) with a message that mentions these words."""
        expected = f"{kind.__name__}" + (f" with a message that mentions {', '.join(mentions)}" if mentions else "")
        if self._error is None:
            self._report(False, problem or "no error raised", expected, self._value, why, hint)
        message = str(self._error)
        names = {cls.__name__ for cls in type(self._error).__mro__}
        is_right = kind.__name__ in names and all(word.lower() in message.lower() for word in mentions)
        got = _Verbatim(f"{type(self._error).__name__}: {message}")
        self._report(is_right, problem or "wrong error", expected, got, why, hint)
        return self

    def _require_value(self, expected: str, why: str, hint: str) -> None:
        if self._error is not None:
            got = _Verbatim(f"{type(self._error).__name__}: {self._error}")
            if isinstance(self._error, NameError):
                why, hint = _MISSING_NAME["why"], _MISSING_NAME["try"]
            self._report(False, "the call raised an exception", expected, got, why or "it should return here", hint)

    def _report(self, is_right: bool, problem: str, expected: str, got: Any, why: str, hint: str) -> None:
        self._check._judge(
            is_right, problem=problem, called=self._called, expected=expected, got=got, why=why, hint=hint
        )


def _show_passed(message: str) -> None:
    """One line: green in a notebook, plain text elsewhere."""
    from IPython.core.getipython import get_ipython

    if get_ipython() is None:
        print(message)
        return
    from IPython.display import display

    style = "border-left:4px solid #4f9d69;padding:.2em .8em;color:#2f6b45"
    markup = f"<div style='{style}'>{html.escape(message)}</div>"
    display({"text/plain": message, "text/html": markup}, raw=True)


class _Verbatim(str):
    """Text that is shown as it is, not as the repr of a string."""
