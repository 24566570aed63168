"""One line of a fault script: a kind with its options, and which requests it hits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from simllm.faults import bodies, connections, refusals, replies, streams
from simllm.faults.base import PATHS, Effect, check_int

EFFECTS: dict[str, type[Any]] = {
    effect.kind: effect
    for effect in (
        refusals.RateLimit,
        refusals.Quota,
        refusals.BadRequest,
        refusals.Unauthorized,
        refusals.Forbidden,
        refusals.ModelDeprecated,
        refusals.RequestTimeout,
        refusals.Conflict,
        refusals.Unprocessable,
        refusals.ServerError,
        refusals.ProxyPage,
        connections.Slow,
        connections.Reset,
        connections.Refuse,
        streams.Stall,
        streams.Trickle,
        streams.TruncateStream,
        streams.BreakStream,
        streams.CorruptChunk,
        streams.DuplicateChunk,
        streams.ErrorEvent,
        bodies.BrokenJson,
        bodies.EmptyBody,
        bodies.WrongContentType,
        replies.Reply,
        replies.EmbeddingChanged,
    )
}
KINDS = tuple(EFFECTS)
COMMON = ("kind", "times", "probability", "seed", "path", "also")


class Fault:
    """One kind of failure, for the next `times` matching requests or for a share of all of them. Immutable.

    Args:
        kind: one of `KINDS`; `describe(kind)` explains it and its options.
        times: how many requests it hits, in the order of the script.
        probability: instead of `times`: hits each matching request with this chance, for ever. The draw depends on
            `seed`, the kind and the number of the request among this client's, and on nothing else: every client
            sees the same pattern, whatever the others do.
        seed: picks that pattern.
        path: only requests to this path, e.g. "/v1/embeddings"; None hits every path.
        also: further faults that hit the very same request, e.g. `Fault("slow", also=[Fault("truncate_stream")])`.
        **options: the kind's own fields, such as `retry_after_ms` or `after_tokens`; readable as attributes.

    Raises:
        ValueError: a name or value is not allowed; the message names the allowed ones.
    """

    __slots__ = ("also", "effect", "kind", "path", "probability", "seed", "times")
    kind: str
    times: int
    probability: float | None
    seed: int
    path: str | None
    also: tuple[Fault, ...]
    effect: Effect

    def __init__(
        self,
        /,
        kind: str,
        times: int = 1,
        path: str | None = None,
        *,
        probability: float | None = None,
        seed: int = 0,
        also: Sequence[Fault] = (),
        **options: Any,
    ) -> None:
        if not isinstance(kind, str) or kind not in EFFECTS:
            raise ValueError(f"unknown fault kind {kind!r}; the kinds are {', '.join(KINDS)}")
        if path is not None and path not in PATHS:
            raise ValueError(f"unknown path {path!r} in a fault; the paths are {', '.join(PATHS)}")
        check_int("times", times, 1, 100_000)
        check_int("seed", seed, 0, 2**63 - 1)
        _check_probability(probability, times)
        _check_also(also)
        allowed = [item.name for item in fields(EFFECTS[kind])]
        unknown = sorted(name for name in options if name not in allowed)
        if unknown:
            listed = ", ".join([*COMMON, *allowed])
            raise ValueError(f"unknown fault field {unknown[0]!r} for kind {kind!r}; the fields are {listed}")
        values = (kind, times, path, probability, seed, tuple(also), EFFECTS[kind](**options))
        for name, value in zip(("kind", "times", "path", "probability", "seed", "also", "effect"), values, strict=True):
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in self.__slots__:
            raise AttributeError(name)
        return getattr(self.effect, name)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a fault cannot be changed; make a new one with another {name}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fault) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash((self.kind, self.times, self.path, self.probability, self.seed, self.also, self.effect))

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.as_dict().items() if name != "kind")
        return f"Fault({self.kind!r}, {options})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Fault.from_dict, (self.as_dict(),)

    def matches(self, path: str, *, stream: bool) -> bool:
        """Whether this fault hits a request."""
        return (self.path is None or path == self.path) and self.effect.matches(path, stream=stream)

    def fewer(self) -> Fault | None:
        """The fault after one hit; None when it is used up."""
        return Fault.from_dict(self.as_dict() | {"times": self.times - 1}) if self.times > 1 else None

    def as_dict(self) -> dict[str, Any]:
        """The fault as plain JSON."""
        common: dict[str, Any] = {"kind": self.kind, "times": self.times, "path": self.path}
        if self.probability is not None:
            common |= {"probability": self.probability, "seed": self.seed}
            del common["times"]
        if self.also:
            common["also"] = [fault.as_dict() for fault in self.also]
        options: dict[str, Any] = asdict(self.effect)  # type: ignore[call-overload]  # every effect is a dataclass
        return common | options

    @classmethod
    def from_dict(cls, data: object) -> Fault:
        """Build a fault from JSON.

        Raises:
            ValueError: not an object, an unknown field, or a bad value.
        """
        if not isinstance(data, Mapping):
            raise ValueError("a fault is a JSON object with a 'kind'")
        if not isinstance(data.get("kind"), str):
            raise ValueError(f"a fault needs a 'kind'; the kinds are {', '.join(KINDS)}")
        if not isinstance(data.get("path"), str | None):
            raise ValueError(f"path is {data['path']!r}; the paths are {', '.join(PATHS)}")
        also = data.get("also") or []
        if not isinstance(also, list | tuple):
            raise ValueError("'also' is a list of faults that hit the same request")
        if any(isinstance(item, Mapping) and item.get("also") for item in also):
            raise ValueError("a fault in 'also' has an 'also' of its own; put them into one list")
        return cls(**{str(name): value for name, value in data.items()} | {"also": [cls.from_dict(x) for x in also]})


def describe(kind: str) -> str:
    """What a kind does and its options, for people.

    Raises:
        ValueError: no such kind.
    """
    if kind not in EFFECTS:
        raise ValueError(f"unknown fault kind {kind!r}; the kinds are {', '.join(KINDS)}")
    effect = EFFECTS[kind]
    options = ", ".join(f"{item.name}={item.default!r}" for item in fields(effect))
    text = " ".join((effect.__doc__ or "").split("Attributes:")[0].split())
    return f"{kind}({options}): {text}"


def _check_probability(probability: float | None, times: int) -> None:
    if probability is None:
        return
    if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0 <= probability <= 1:
        raise ValueError(f"probability is {probability!r}; it must be a number from 0 to 1")
    if times != 1:
        raise ValueError("a fault has 'times' or 'probability', not both; leave one out")


def _check_also(also: Sequence[Fault]) -> None:
    for fault in also:
        if not isinstance(fault, Fault):
            raise ValueError(f"'also' holds {fault!r}; it must hold faults")
        if fault.times != 1 or fault.probability is not None or fault.path is not None or fault.also:
            raise ValueError(
                f"the fault {fault.kind!r} in 'also' has times, probability, path or also; the outer fault has them"
            )
