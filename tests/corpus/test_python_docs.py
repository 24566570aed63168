"""The big corpus: what is read from a Python installation, what is left out, and how the result is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from coursekit.corpus import python_docs
from coursekit.corpus.python_docs import Places, PythonDocument, cache, docstrings
from coursekit.corpus.python_docs.places import distributions, here, stdlib_modules
from coursekit.corpus.python_docs.reading import read
from coursekit.errors import CorpusError

WORDS = " ".join(f"word{number}" for number in range(25))


def say(text: str) -> str:
    """A module whose docstring is long enough and says `text`."""
    return f'"""{text} {WORDS}"""\n'


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


Install = Callable[..., Path]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A standard library of two modules and one topic, and an empty site-packages folder."""
    stdlib = tmp_path / "lib" / "python3"
    write(stdlib / "queue.py", say("A multi-producer queue."))
    write(stdlib / "json" / "__init__.py", say("Encode and decode JSON."))
    write(stdlib / "pydoc_data" / "topics.py", f"topics = {{'assignment': 'Assignment statements {WORDS}'}}\n")
    sites = stdlib / "site-packages"
    sites.mkdir()
    return Places(stdlib=stdlib, sites=(sites,), python="3.11.0", fewest=1)


@pytest.fixture
def install(places: Places) -> Install:
    """Install a distribution: its files with their contents, a README, and a RECORD."""

    def make(name: str, version: str = "1.0", readme: str = "", site: Path | None = None, **files: str | bytes) -> Path:
        site = site or places.sites[0]
        paths = [write(site / key.replace("__", "/"), text) for key, text in files.items()]
        info = site / f"{name}-{version}.dist-info"
        write(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n{readme}")
        write(info / "RECORD", "".join(f"{path.relative_to(site).as_posix()},,\n" for path in paths))
        return info

    return make


def ids(places: Places) -> list[str]:
    return [document.id for document in read(places).documents]


# ── what a document looks like


def test_a_module_becomes_its_docstring_and_headings_in_source_order(places: Places) -> None:
    source = f'''
        """The module. {WORDS}"""
        class Pool:
            """A pool.

                Indented example.

            Then more.
            """
            def get(self, timeout: float = 1.0) -> int:
                """Take one."""
            def silent(self):
                pass
            class Full(Exception):
                """Raised when full."""
        class Bare:
            async def run(self, *args, **kwargs):
                "Runs."
        class Silent:
            x = 1
        if True:
            def helper(a, /, b=(1, 2)):
                """Helps."""
        '''
    write(places.stdlib / "pool.py", textwrap.dedent(source))
    text = next(document.text for document in read(places).documents if document.id == "stdlib/pool")
    assert text.split("\n\n") == [
        f"The module. {WORDS}",
        "## Pool",
        "A pool.",
        "    Indented example.",
        "Then more.",
        "### Pool.get(self, timeout: float=1.0) -> int",
        "Take one.",
        "### Pool.Full",
        "Raised when full.",
        "## Bare",
        "### Bare.run(self, *args, **kwargs)",
        "Runs.",
        "## helper(a, /, b=(1, 2))",
        "Helps.",
    ]


def test_a_readme_is_one_document_and_stands_before_the_modules(places: Places, install: Install) -> None:
    install("Fast_Lib", "2.5", readme=f"# Fast\r\n\r\nVery fast. {WORDS}", **{"fast_lib__core.py": say("Core.")})
    first, second = read(places).documents[-2:]
    assert first == PythonDocument("fast-lib/README", "fast-lib", "fast-lib", "2.5", f"# Fast\n\nVery fast. {WORDS}")
    assert (second.id, second.title) == ("fast-lib/core", "fast_lib.core")


def test_an_old_readme_in_a_header_counts_too(places: Places, install: Install) -> None:
    info = install("old")
    write(
        info / "METADATA",
        f"Metadata-Version: 1.2\nName: old\nVersion: 1.0\nDescription: Older. {WORDS}\n        End.\n",
    )
    assert read(places).documents[-1].text == f"Older. {WORDS}\nEnd."


def test_order_is_stdlib_then_topics_then_distributions_by_name(places: Places, install: Install) -> None:
    install("zeta", **{"zeta.py": say("Zeta.")})
    install("Alpha", **{"other__b.py": say("B."), "other__a.py": say("A.")})
    assert ids(places) == [
        *("stdlib/json", "stdlib/queue", "topics/assignment"),
        *("alpha/other.a", "alpha/other.b", "zeta/zeta"),
    ]


def test_versions_are_pythons_or_the_distributions(places: Places, install: Install) -> None:
    install("alpha", "7.1", **{"alpha.py": say("A.")})
    found = {document.source: document.version for document in read(places).documents}
    assert found == {"stdlib": "3.11.0", "topics": "3.11.0", "alpha": "7.1"}


def test_ids_stay_unique_where_names_collide(places: Places, install: Install) -> None:
    install("alpha", readme=f"Read me. {WORDS}", **{"README.py": say("A module."), "alpha__README.py": say("Another.")})
    assert [name for name in ids(places) if "README" in name] == [
        *("alpha/README", "alpha/README-2", "alpha/README-3"),
    ]


def test_a_module_named_like_its_package_keeps_its_full_name(places: Places, install: Install) -> None:
    write(places.sites[0] / "alpha" / "__init__.py", say("Package."))
    info = install("alpha", **{"alpha__alpha.py": say("Module.")})
    write(info / "RECORD", "alpha/alpha.py,,\nalpha/__init__.py,,\n")
    assert ids(places)[-2:] == ["alpha/alpha", "alpha/alpha.alpha"]


def test_docstrings_are_read_under_double_o_too(places: Places) -> None:
    script = (
        "from pathlib import Path; from coursekit.corpus.python_docs import Places, reading;"
        f"p = Places(Path({str(places.stdlib)!r}), (), '3', 1); print(len(reading.read(p).documents))"
    )
    found = subprocess.run([sys.executable, "-OO", "-c", script], capture_output=True, text=True, timeout=60)
    assert found.stdout == "3\n", found.stderr


def test_documents_cannot_be_changed(places: Places) -> None:
    with pytest.raises(FrozenInstanceError):
        read(places).documents[0].text = ""  # type: ignore[misc]


# ── what is left out


@pytest.mark.parametrize("folder", ["test", "tests", "idlelib", "lib2to3", "_vendor", "__pycache__"])
def test_folders_of_tests_and_copies_are_left_out(places: Places, install: Install, folder: str) -> None:
    before = ids(places)
    write(places.stdlib / folder / "found.py", say("In the library."))
    install("alpha")
    write(places.sites[0] / "alpha" / folder / "found.py", say("In a package."))
    write(places.sites[0] / "alpha-1.0.dist-info" / "RECORD", f"alpha/{folder}/found.py,,\n")
    assert ids(places) == before


def test_a_record_cannot_point_outside_its_folder(places: Places, install: Install, tmp_path: Path) -> None:
    before = ids(places)
    secret = write(tmp_path / "secret.py", say("Secret."))
    info = install("alpha")
    write(info / "RECORD", f"../../../secret.py,,\n{secret},,\n")
    assert ids(places) == before


def test_editable_installs_are_left_out(places: Places, install: Install) -> None:
    info = install("mine", readme=f"Mine. {WORDS}")
    write(info / "direct_url.json", '{"url": "file:///x", "dir_info": {"editable": true}}')
    assert distributions(places.sites) == []


def test_short_and_repeated_texts_are_left_out_and_counted(places: Places, install: Install) -> None:
    install("alpha", **{"alpha__a.py": say("Same."), "alpha__b.py": say("Same."), "alpha__c.py": '"""Too short."""'})
    reading = read(places)
    assert [document.id for document in reading.documents][-1] == "alpha/a"
    assert reading.skipped == {"duplicate": 1, "too short": 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"def broken(:\n", "unreadable"),
        (b'"""\xff\xfe not utf-8"""', "unreadable"),
        (b"# coding: no-such-codec\n", "unreadable"),
        (b"x = '\0'", "unreadable"),
        (b"x = " + b"(" * 5000 + b")" * 5000, "unreadable"),
        (b"x = " + b"-" * 100_000 + b"1", "unreadable"),
        (b"#" * (docstrings.LARGEST_BYTES + 1), "too large"),
    ],
    ids=["syntax", "encoding", "codec", "nul", "nesting", "recursion", "size"],
)
def test_files_that_cannot_be_read_are_skipped_and_counted(places: Places, content: bytes, reason: str) -> None:
    write(places.stdlib / "bad.py", content)
    reading = read(places)
    assert len(reading.documents) == 3
    assert reading.skipped == {reason: 1}


def test_a_signature_too_deep_to_print_is_shortened(places: Places) -> None:
    deep = "a" + "+ a" * 900
    write(places.stdlib / "deep.py", f'def f(x={deep}):\n    """Adds {WORDS}"""\n')
    text = next(document.text for document in read(places).documents if document.id == "stdlib/deep")
    assert text.startswith("## f(") and "\n\nAdds word0" in text
    assert len(text.splitlines()[0]) < docstrings.LONGEST_SIGNATURE + 10


def test_a_file_that_is_gone_or_is_a_pipe_does_not_stop_the_reading(places: Places, install: Install) -> None:
    info = install("alpha")
    write(info / "RECORD", "alpha/gone.py,,\nalpha/pipe.py,,\n")
    (places.sites[0] / "alpha").mkdir()
    os.mkfifo(places.sites[0] / "alpha" / "pipe.py")
    assert read(places).skipped["unreadable"] == 1, "the pipe; the file that is gone is not counted"


def test_damaged_metadata_is_skipped_and_counted(places: Places, install: Install) -> None:
    write(install("alpha") / "METADATA", b"Name: alpha\n\n\xff\xfe")
    assert read(places).skipped["unreadable"] == 1
    (install("beta") / "METADATA").unlink()
    assert "stdlib/queue" in ids(places)


def test_other_encodings_and_line_ends_are_read_as_their_files_say(places: Places) -> None:
    latin = f'# coding: latin-1\r\n"""Größe.\r\n\r\nZweite Zeile {WORDS}"""\r\n'
    write(places.stdlib / "latin.py", latin.encode("latin-1"))
    write(places.stdlib / "mark.py", b"\xef\xbb\xbf" + say("With a mark.").encode())
    texts = {document.id: document.text for document in read(places).documents}
    assert texts["stdlib/latin"] == f"Größe.\n\nZweite Zeile {WORDS}"
    assert texts["stdlib/mark"].startswith("With a mark.")


def test_texts_hold_nothing_that_a_database_refuses(places: Places) -> None:
    write(places.stdlib / "odd.py", f'"""Odd \\0 \\ud800 \\x1b[31m \\r\\n end {WORDS}"""')
    text = next(document.text for document in read(places).documents if document.id == "stdlib/odd")
    assert text.encode() and not set(text) & {"\0", "\x1b", "\r", "\ud800"}


def test_links_that_go_round_in_circles_end(places: Places, tmp_path: Path) -> None:
    (places.stdlib / "json" / "loop").symlink_to(places.stdlib)
    linked = tmp_path / "linked"
    linked.symlink_to(places.sites[0])
    assert ids(replace(places, sites=(places.sites[0], linked))) == ids(places)


# ── drawing, keeping, refusing


@pytest.fixture
def many(places: Places, install: Install) -> Places:
    install("alpha", **{f"alpha__m{number:02}.py": say(f"Module {number}.") for number in range(30)})
    return places


def test_a_limit_draws_evenly_and_a_smaller_one_draws_a_part_of_it(many: Places, tmp_path: Path) -> None:
    def draw(limit: int | None) -> tuple[PythonDocument, ...]:
        return python_docs.load(limit, places=many, cache_dir=tmp_path / "cache")

    everything = draw(None)
    assert [len(draw(limit)) for limit in (0, 1, 10, 33, 99)] == [0, 1, 10, 33, 33]
    assert draw(10) == draw(10) == tuple(each for each in everything if each in draw(10))
    assert set(draw(10)) < set(draw(20))
    assert draw(10) != everything[:10]
    with pytest.raises(CorpusError, match="limit=-1"):
        draw(-1)


def test_the_second_call_reads_the_cache_and_not_the_files(many: Places, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def load() -> tuple[PythonDocument, ...]:
        return python_docs.load(places=many, cache_dir=tmp_path / "c", progress=lambda *done: calls.append(done))

    first = load()
    assert calls == [(number, 34) for number in range(1, 35)]  # 2 modules, topics, README, 30 modules
    for path in many.sites[0].joinpath("alpha").iterdir():
        path.unlink()
    assert load() == first
    assert len(calls) == 34


def test_a_new_package_version_or_python_is_read_again_into_the_same_file(
    many: Places, install: Install, tmp_path: Path
) -> None:
    def versions(places: Places) -> set[tuple[str, str]]:
        found = python_docs.load(places=places, cache_dir=tmp_path / "c")
        return {(document.source, document.version) for document in found}

    assert ("alpha", "1.0") in versions(many)
    many.sites[0].joinpath("alpha-1.0.dist-info").rename(many.sites[0] / "alpha-1.1.dist-info")
    assert ("alpha", "1.1") in versions(many)
    install("beta", "3", **{"beta.py": say("Beta.")})
    assert ("beta", "3") in versions(many)
    assert ("stdlib", "3.12.0") in versions(replace(many, python="3.12.0"))
    assert len(list((tmp_path / "c").iterdir())) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("queue", "quiet"),
        lambda text: "[" * 100_000,
        lambda text: "[]\n[]",
        lambda text: text.partition("\n")[0].replace("sha256", "sha") + "\n[]",
        lambda text: "\udcff\udcfe",
    ],
    ids=["empty", "half", "changed", "nested", "list", "no checksum", "not utf-8"],
)
def test_a_damaged_cache_is_rebuilt(many: Places, tmp_path: Path, damage: Callable[[str], str]) -> None:
    right = python_docs.load(places=many, cache_dir=tmp_path)
    path = cache.path_of(tmp_path, many)
    whole = path.read_bytes()
    path.write_bytes(damage(whole.decode()).encode(errors="surrogateescape"))
    assert python_docs.load(places=many, cache_dir=tmp_path) == right
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(many: Places, tmp_path: Path) -> None:
    in_the_way = write(tmp_path / "file", "not a folder")
    assert len(python_docs.load(places=many, cache_dir=in_the_way)) == 33
    cache.path_of(tmp_path, many).mkdir()
    assert len(python_docs.load(places=many, cache_dir=tmp_path)) == 33


def test_an_interrupted_reading_leaves_nothing_behind(
    many: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        python_docs.load(places=many, cache_dir=tmp_path / "c", progress=stop)
    assert not (tmp_path / "c").exists()
    monkeypatch.setattr("os.replace", stop)
    with pytest.raises(KeyboardInterrupt):
        python_docs.load(places=many, cache_dir=tmp_path / "c")
    assert list((tmp_path / "c").iterdir()) == []


def test_two_processes_at_once_get_the_same_and_leave_one_whole_file(many: Places, tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import hashlib, sys
        from pathlib import Path
        from coursekit.corpus import python_docs
        places = python_docs.Places(Path({str(many.stdlib)!r}), (Path({str(many.sites[0])!r}),), "3.11.0", fewest=1)
        print("ready", flush=True)
        sys.stdin.readline()
        for _ in range(20):
            found = python_docs.load(places=places, cache_dir=Path({str(tmp_path / "c")!r}))
            for file in Path({str(tmp_path / "c")!r}).glob("*.json"):
                file.write_bytes(b"broken")  # so that both write, again and again
            print(len(found), hashlib.sha256(repr(found).encode()).hexdigest())
        python_docs.load(places=places, cache_dir=Path({str(tmp_path / "c")!r}))
    """)
    command = [sys.executable, "-W", "error", "-c", script]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout and process.stdout.readline() == "ready\n"
    results = [process.communicate("go\n", timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert len({line for out, _ in results for line in out.split("\n") if line}) == 1
    assert [path.name for path in (tmp_path / "c").iterdir()] == [cache.path_of(tmp_path, many).name]


def test_a_python_without_sources_is_refused_with_what_is_missing_and_not_kept(places: Places, tmp_path: Path) -> None:
    bare = replace(places, stdlib=tmp_path / "python311.zip", fewest=500)
    with pytest.raises(CorpusError) as caught:
        python_docs.load(places=bare, cache_dir=tmp_path / "c")
    message = str(caught.value)
    assert "holds 0 documents (0 from stdlib, 0 from topics, 0 from packages); at least 500" in message
    assert str(bare.stdlib) in message and "Use a full one" in message
    assert not (tmp_path / "c").exists()


# ── this Python


def test_the_real_standard_library_is_read_the_same_twice_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = ("asyncio.", "email.", "json", "logging", "this", "antigravity", "turtle")
    some = [module for module in stdlib_modules(here()) if module.name.startswith(parts)]
    monkeypatch.setattr("coursekit.corpus.python_docs.reading.stdlib_modules", lambda places: some)
    places = replace(here(), sites=())
    before = set(sys.modules)
    reading = read(places)
    new = {name for name in set(sys.modules) - before if not name.startswith("encodings.")}
    assert not new, "reading imports nothing but the codecs that coding lines name"
    assert reading == read(places)
    names = [document.id for document in reading.documents]
    assert len(names) == len(set(names)) > 100
    assert {"stdlib/asyncio.events", "stdlib/logging.handlers", "topics/assignment"} <= set(names)
    events = next(document for document in reading.documents if document.id == "stdlib/asyncio.events")
    assert "\n## AbstractEventLoop\n" in events.text
    assert "### AbstractEventLoop.run_until_complete(self, future)" in events.text
    assert reading.skipped.keys() <= {"too short", "duplicate"}


def test_this_environment_is_found_with_its_packages() -> None:
    places = here()
    names = {installed.name for installed in distributions(places.sites)}
    assert {"numpy", "pydantic", "pytest"} <= names
    assert "ai-backend-course" not in names, "the course itself is an editable install"
    assert places.topics.is_file()
