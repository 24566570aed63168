"""Where documentation lies in a Python installation: the standard library's sources and the installed distributions.

Everything is found by looking at folders and at each distribution's own list of files (RECORD); nothing is imported.
Left out: tests, copies of other packages, and editable installs, whose text changes while their version stands still.
"""

from __future__ import annotations

import json
import os
import platform
import re
import site
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

SKIPPED_FOLDERS = frozenset(
    {"test", "tests", "idlelib", "lib2to3", "__pycache__"}  # tests, and tools that a release of Python may drop
    | {"_vendor", "_vendored", "vendor", "vendored"}  # copies of other distributions
    | {"site-packages", "dist-packages"}  # below the standard library: read as distributions
)
FEWEST_DOCUMENTS = 500

_TOPICS = ("pydoc_data", "topics.py")


@dataclass(frozen=True)
class Places:
    """The folders of one Python installation."""

    stdlib: Path
    sites: tuple[Path, ...]
    python: str
    fewest: int = FEWEST_DOCUMENTS
    """Fewer documents than this mean that the installation came without its sources."""

    @property
    def topics(self) -> Path:
        """The file behind `help("assignment")`: one dictionary of texts."""
        return self.stdlib.joinpath(*_TOPICS)


@dataclass(frozen=True)
class ModuleFile:
    """A Python source file, which distribution (or `stdlib`) it belongs to, and its dotted name."""

    path: Path
    source: str
    version: str
    name: str


@dataclass(frozen=True)
class Installed:
    """One distribution in a site-packages folder."""

    name: str
    version: str
    info: Path


def here() -> Places:
    """The places of the Python that runs this: its own standard library, its environment, and the user's site."""
    found = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    if site.ENABLE_USER_SITE:
        found.append(site.getusersitepackages())
    sites = dict.fromkeys(Path(os.path.realpath(folder)) for folder in found)  # lib64 is often a link to lib
    stdlib = Path(os.path.realpath(sysconfig.get_path("stdlib")))
    return Places(stdlib=stdlib, sites=tuple(sites), python=platform.python_version())


def stdlib_modules(places: Places) -> list[ModuleFile]:
    """The standard library's source files, sorted by module name; empty when there are none (a zipped library)."""
    files = (path for path in _walk(places.stdlib) if path != places.topics)
    named = ((_dotted(path.relative_to(places.stdlib).parts), path) for path in files)
    return [ModuleFile(path, "stdlib", places.python, name) for name, path in sorted(named)]


def distributions(sites: Sequence[Path]) -> list[Installed]:
    """The installed distributions, sorted by name; of one that is there twice, the one in the earlier folder."""
    found: dict[str, Installed] = {}
    for folder in sites:
        for info in sorted(folder.glob("*.dist-info")):
            name, _, version = info.name.removesuffix(".dist-info").partition("-")
            normal = re.sub(r"[-_.]+", "-", name).lower()
            if version and info.is_dir() and not _is_editable(info):
                found.setdefault(normal, Installed(normal, version, info))
    return [found[name] for name in sorted(found)]


def distribution_modules(installed: Installed) -> list[ModuleFile]:
    """The distribution's source files by its RECORD, sorted by module name; empty when it has no RECORD.

    Raises:
        OSError, ValueError: RECORD cannot be read.
    """
    modules = []
    for listed in metadata.Distribution.at(installed.info).files or ():
        path = PurePosixPath(str(listed).replace("\\", "/"))
        inside = not path.is_absolute() and ".." not in path.parts
        if path.suffix == ".py" and inside and SKIPPED_FOLDERS.isdisjoint(path.parts[:-1]):
            where = installed.info.parent.joinpath(*path.parts)
            if where.exists():  # Python 3.12 and later leave out what is gone, 3.11 lists it
                modules.append(ModuleFile(where, installed.name, installed.version, _dotted(path.parts)))
    return sorted(modules, key=lambda module: (module.name, module.path))


def readme(installed: Installed) -> str:
    """The long description in the distribution's METADATA; empty when it has none.

    Raises:
        OSError, ValueError: METADATA cannot be read.
    """
    header = metadata.Distribution.at(installed.info).metadata
    return str(header["Description"] or "") if header is not None and "Description" in header else ""


def _walk(root: Path) -> Iterator[Path]:
    for folder, below, files in os.walk(root):  # does not follow links to folders, so it ends
        below[:] = [name for name in below if name not in SKIPPED_FOLDERS]
        yield from (Path(folder, name) for name in files if name.endswith(".py"))


def _dotted(parts: Sequence[str]) -> str:
    names = [*parts[:-1], parts[-1].removesuffix(".py")]
    return ".".join(names[:-1] if names[-1] == "__init__" and len(names) > 1 else names)


def _is_editable(info: Path) -> bool:
    try:
        origin = json.loads((info / "direct_url.json").read_text(encoding="utf-8"))
        return bool(origin["dir_info"]["editable"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
