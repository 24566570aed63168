"""course.yml as frozen, typed records: the one list of modules, models, corpus and grading policy.

Pydantic does the validating; this file adds where the bad value stands (file and line) and what is allowed there.
"""

from __future__ import annotations

import difflib
import re
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from coursekit import settings as settings_module
from coursekit.errors import ManifestError

_DATE_AND_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Model(_Record):
    """One model: its name at the endpoint, its context window in tokens, its prices in USD per million tokens."""

    name: Annotated[str, Field(min_length=1)]
    context_window: Annotated[int, Field(gt=0)]
    usd_per_million_input: Annotated[float, Field(ge=0)]
    usd_per_million_output: Annotated[float, Field(ge=0)] = 0.0
    dimensions: Annotated[int, Field(gt=0)] | None = None


class Profile(_Record):
    """The models of one endpoint, by the role that they play in the course."""

    small: Model
    large: Model
    embedding: Model
    fast_embedding: Model | None = None
    reasoner: Model | None = None


class Module(_Record):
    """One notebook of the course."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")]
    title: Annotated[str, Field(min_length=1)]
    adds: Annotated[str, Field(min_length=1)]
    objectives: Annotated[tuple[str, ...], Field(min_length=1)]
    prerequisites: tuple[str, ...] = ()
    minutes: Annotated[int, Field(ge=1, le=600)]
    points: Annotated[int, Field(ge=1, le=1000)]
    exports: tuple[str, ...] = ()
    time_limit_seconds: Annotated[int, Field(ge=1, le=3600)]
    database: bool = True
    due: datetime | None = None  # without an offset: in grading.time_zone

    @property
    def short(self) -> str:
        """The id's first part: `m01` of `m01_models_as_dependencies`; exercises are named after it."""
        return self.id.split("_")[0]

    @field_validator("exports")
    @classmethod
    def _exports_are_relative_python_files(cls, exports: tuple[str, ...]) -> tuple[str, ...]:
        for name in exports:
            path = PurePosixPath(name)
            parts = [*path.parts[:-1], path.stem]
            if path.suffix != ".py" or path.is_absolute() or not all(part.isidentifier() for part in parts):
                raise ValueError(f"{name!r} is not a file of a package, such as 'retrieval.py' or 'stores/pinecone.py'")
        return exports

    @field_validator("due", mode="before")
    @classmethod
    def _due_is_a_date_with_a_time(cls, due: object) -> object:
        if due is None or isinstance(due, datetime) or isinstance(due, str) and _DATE_AND_TIME.match(due):
            return due
        raise ValueError("a due date needs its time too, such as 2026-03-29 18:00 (in grading.time_zone)")


class Late(_Record):
    """What a late submission loses: percent of the points earned for every day started, after the grace, up to a maximum."""

    grace_minutes: Annotated[float, Field(ge=0, le=7 * 24 * 60)] = 0
    percent_per_day: Annotated[float, Field(ge=0, le=100)] = 0
    max_percent: Annotated[float, Field(ge=0, le=100)] = 100


class Limits(_Record):
    """What one submission may use while it is graded; every limit ends the cell, the check or the submission, never the run."""

    cell_seconds: Annotated[float, Field(gt=0, le=3600)] = 60
    check_seconds: Annotated[float, Field(gt=0, le=3600)] = 20
    notebook_seconds: Annotated[float, Field(gt=0, le=24 * 3600)] = 300
    memory_mb: Annotated[int, Field(ge=64, le=1_000_000)] = 1024
    disk_mb: Annotated[int, Field(ge=1, le=1_000_000)] = 256
    processes: Annotated[int, Field(ge=1, le=10_000)] = 64
    output_kb: Annotated[int, Field(ge=1, le=1_000_000)] = 1024


class Grading(_Record):
    """How submissions are graded.

    `execute` says which cells of a submission run: `all`, or what its exercises and checks `need` (set-up, exported and
    nbgrader cells, the learner's own cells, and given cells that define a name that those use).
    """

    cell_timeout_seconds: Annotated[int, Field(ge=1, le=3600)]
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    execute: Literal["all", "needed"] = "all"
    limits: Limits = Limits()
    time_zone: str = "UTC"
    late: Late = Late()

    @field_validator("time_zone")
    @classmethod
    def _time_zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, LookupError, OSError):  # not a name, unknown, a folder of names
            raise ValueError("no such time zone; give an IANA name, such as Europe/Berlin or UTC") from None
        return name


class Manifest(_Record):
    """The whole of course.yml."""

    title: Annotated[str, Field(min_length=1)]
    package: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    corpus: Annotated[str, Field(min_length=1)] | None = None
    models: dict[str, Profile] = {}
    grading: Grading
    modules: Annotated[tuple[Module, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _modules_fit_together(self) -> Self:
        seen: set[str] = set()
        owners: dict[str, str] = {}
        shorts: dict[str, str] = {}
        for module in self.modules:
            if module.id in seen:
                raise ValueError(f"modules: the id {module.id!r} appears twice; ids must be unique")
            if module.short in shorts:
                raise ValueError(
                    f"modules: {module.id!r} and {shorts[module.short]!r} both start with {module.short!r}; "
                    "exercises are named after that part, so it must be unique"
                )
            for needed in module.prerequisites:
                if needed not in seen:
                    raise ValueError(
                        f"modules: {module.id!r} has the prerequisite {needed!r}; allowed: modules listed above it "
                        f"({', '.join(sorted(seen)) or 'none'})"
                    )
            for name in module.exports:
                if name in owners:
                    raise ValueError(
                        f"modules: {name!r} is exported by {owners[name]!r} and by {module.id!r}; "
                        "each file belongs to exactly one module"
                    )
                owners[name] = module.id
            seen.add(module.id)
            shorts[module.short] = module.id
        return self

    def module(self, name: str) -> Module:
        """The module with this id, or with this unique beginning (`m01`).

        Raises:
            ManifestError: no module, or several, match; the message lists what there is.
        """
        matches = [m for m in self.modules if m.id == name] or [m for m in self.modules if m.id.startswith(name)]
        if len(matches) == 1:
            return matches[0]
        ids = [m.id for m in self.modules]
        close = difflib.get_close_matches(name, ids + [m.short for m in self.modules], n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]!r}?" if close and not matches else ""
        problem = f"several modules start with {name!r}" if matches else f"no module {name!r}"
        raise ManifestError(f"{problem}.{hint} Modules: {', '.join(ids)}.")

    def due_utc(self, module: Module) -> datetime | None:
        """When the module is due, in UTC without an offset (as the gradebook keeps it); None when it has no due date.

        A time that the clocks skip in spring is read with the offset before the change, one that they repeat in autumn
        as the first of the two.
        """
        if module.due is None:
            return None
        due = module.due
        local = due if due.tzinfo else due.replace(tzinfo=ZoneInfo(self.grading.time_zone))
        return local.astimezone(UTC).replace(tzinfo=None)

    def before(self, module_id: str) -> tuple[Module, ...]:
        """The modules listed above `module_id`, in order."""
        ids = [m.id for m in self.modules]
        return self.modules[: ids.index(self.module(module_id).id)]


def load(root: Path | None = None) -> Manifest:
    """Read and validate `<root>/course.yml`.

    Raises:
        ManifestError: each problem on a line of its own, with file, line, key, value and what is allowed.
    """
    path = (root or settings_module.load().root) / settings_module.MANIFEST_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ManifestError(f"{path} is missing. A course's folder needs one: see docs/maintainers.md.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read: {error}. It must be a UTF-8 text file.") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ManifestError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise ManifestError(
            f"{path} must be a mapping with the keys {', '.join(Manifest.model_fields)}; got {data!r:.60}."
        )
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        problems = error.errors()
        deepest = [p for p in problems if not any(_contains(p["loc"], other["loc"]) for other in problems)]
        raise ManifestError("\n".join(_explain(path, node, problem) for problem in deepest)) from error


def _contains(outer: tuple[str | int, ...], inner: tuple[str | int, ...]) -> bool:
    """Does a problem at `outer` only follow from the one at `inner`?"""
    return len(outer) < len(inner) and inner[: len(outer)] == outer


def _explain(path: Path, node: yaml.Node | None, problem: Any) -> str:
    location: tuple[str | int, ...] = problem["loc"]
    key = ".".join(str(part) for part in location) or "(top level)"
    where = f"{path.name}:{_line(node, location)}"
    if problem["type"] == "missing":
        return f"{where}: {key} is missing. Add it."
    if problem["type"] == "extra_forbidden":
        allowed = _allowed_keys(location)
        close = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return f"{where}: {key} is not a known key.{hint} Allowed: {', '.join(allowed)}."
    message = problem["msg"].removeprefix("Value error, ")
    if not location:
        return f"{where}: {message}."
    return f"{where}: {key} = {problem['input']!r:.80}: {message}."


def _allowed_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys of the record that holds the last part of `location`."""
    records: dict[str, type[_Record]] = {"modules": Module, "grading": Grading}
    record: type[_Record] = Manifest
    if len(location) > 1 and location[0] == "models":
        record = Profile if len(location) == 3 else Model
    elif len(location) > 2 and location[0] == "grading":
        nested: dict[str, type[_Record]] = {"limits": Limits, "late": Late}
        record = nested.get(str(location[1]), Grading)
    elif len(location) > 1:
        record = records.get(str(location[0]), Manifest)
    return list(record.model_fields)


def _line(node: yaml.Node | None, location: tuple[str | int, ...]) -> int:
    """The line (from 1) of the deepest part of `location` that exists in the YAML text."""
    line = 1
    for part in location:
        child: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key_node, value_node in node.value:
                if key_node.value == str(part):
                    line, child = key_node.start_mark.line + 1, value_node
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            child = node.value[part]
            line = child.start_mark.line + 1
        if child is None:
            return line
        node = child
    return line
