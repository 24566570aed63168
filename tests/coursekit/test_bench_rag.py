"""`course bench rag`: the loader's bad input, a tiny folder through the assistant, the table and the page. No timing is asserted."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from coursekit import manifest, settings
from coursekit.bench_rag import beir, builtin, environment, page, table
from coursekit.bench_rag.processes import HERE
from coursekit.bench_rag.records import Outcome, Query, SearchResult, Source, Workload
from coursekit.bench_rag.running import Comparison, compare
from coursekit.bench_rag.scoring import score
from coursekit.corpus.python_docs import PythonDocument
from coursekit.errors import BenchError, CorpusError

DOCUMENTS = {
    "weird id/1 '; --": ("Queues", "The dispatcher drains its queue before it stops."),
    "b": ("", "Berths are given to ships in the order of arrival.\r\nA ship waits."),
    "c": ("Only a title", ""),
    "d": ("Cranes", "A crane lifts containers; error ERR-1042 means that the wind is too strong."),
}
QUERIES = {"q 1": "How does the dispatcher stop?", "q2": "What does ERR-1042 mean?", "q3": "nobody judged this"}
QRELS = [("q 1", "weird id/1 '; --", 1), ("q2", "d", 2), ("q2", "nowhere", 1), ("gone", "b", 1)]


def write(
    folder: Path, corpus: list[str] | None = None, queries: list[str] | None = None, qrels: str | None = None
) -> Path:
    """A folder in BEIR's layout; each part can be replaced."""
    rows = [{"_id": id, "title": title, "text": text} for id, (title, text) in DOCUMENTS.items()]
    asked = [json.dumps({"_id": id, "text": text}) for id, text in QUERIES.items()]
    judged = "query-id\tcorpus-id\tscore\r\n" + "\r\n".join(f"{q}\t{d}\t{g}" for q, d, g in QRELS)
    folder.mkdir(exist_ok=True)
    (folder / "corpus.jsonl").write_text("\r\n".join(corpus or map(json.dumps, rows)), encoding="utf-8")
    (folder / "queries.jsonl").write_text("\ufeff" + "\n".join(queries or asked), encoding="utf-8")
    (folder / "qrels.tsv").write_text(judged if qrels is None else qrels, encoding="utf-8")
    return folder


def test_a_folder_is_read_with_every_oddity_counted(tmp_path: Path) -> None:
    rows = [
        {"_id": "a", "text": "one"},
        {"_id": "a", "text": "two"},
        {"_id": 7, "title": "seven", "text": ""},
        {"_id": "e", "title": " ", "text": ""},
        {"_id": "n", "text": "with\x00nul and \ud800 half"},
    ]
    qrels = "q1 0 a 1\nq1 0 a 2\nq1 0 missing 1\nq2 0 7 0\ngone 0 a 1\n"
    asked = [json.dumps({"_id": name, "text": "?"}) for name in ("q1", "q1", "q2", "q3")]
    workload = beir.load(write(tmp_path / "odd", [json.dumps(row) for row in rows], asked, qrels))
    assert [source.id for source in workload.sources] == ["a", "7", "n"]
    assert workload.sources[0].text == "one"
    assert "\x00" not in workload.sources[2].text
    assert workload.qrels == {"q1": {"a": 2, "missing": 1}}
    notes = " | ".join(workload.notes)
    for part in (
        "1 lines of corpus.jsonl with an id that came before",
        "1 documents without title and text: left out",
        "1 documents without text: their title",
        "1 texts with a NUL",
        "1 lines of queries.jsonl with an id",
        "1 judgments that came before",
        "1 judgments of documents that corpus.jsonl does not have",
        "1 judged questions that queries.jsonl does not have",
        "1 questions without a relevant document",
        "1 questions without any judgment",
    ):
        assert part in notes


def test_line_ends_inside_a_text_do_not_end_a_line(tmp_path: Path) -> None:
    rows = [json.dumps({"_id": "a", "text": "one\u2028two\x85three"}, ensure_ascii=False)]
    workload = beir.load(write(tmp_path / "ends", rows, None, "q2\ta\t1\n"))
    assert workload.sources[0].text == "one\u2028two\x85three"


@pytest.mark.parametrize(
    ("part", "content", "says"),
    [
        ("corpus.jsonl", '{"_id": "a", "text": "x"}\n\n{"_id": ', "corpus.jsonl, line 3: not JSON"),
        ("corpus.jsonl", "[1, 2]", "corpus.jsonl, line 1: expected a JSON object"),
        ("corpus.jsonl", '{"text": "x"}', 'line 1: it has no "_id"'),
        ("corpus.jsonl", '{"_id": true, "text": "x"}', 'line 1: it has no "_id"'),
        ("corpus.jsonl", '{"_id": "a", "title": "x"}', 'line 1: it has no "text"'),
        ("corpus.jsonl", '{"_id": "a", "text": ["x"]}', "line 1: 'text' is list"),
        ("corpus.jsonl", "", "there is no document in it"),
        ("queries.jsonl", "nonsense", "queries.jsonl, line 1: not JSON"),
        ("qrels.tsv", "q2\td\t1\nq2\td\n", "qrels.tsv, line 2: expected question id"),
        ("qrels.tsv", "q2\td\thigh\n", "line 1: expected question id"),
        ("qrels.tsv", "q2\td\tinf\n", "line 1: expected question id"),
        ("qrels.tsv", "q2\td\t0\n", "no question of queries.jsonl has a relevant document"),
        ("qrels.tsv", "\n", "there is no judgment in it"),
    ],
)
def test_what_cannot_be_read_is_named_with_file_and_line(tmp_path: Path, part: str, content: str, says: str) -> None:
    folder = write(tmp_path / "bad")
    (folder / part).write_text(content, encoding="utf-8")
    with pytest.raises(BenchError) as caught:
        beir.load(folder)
    assert says in str(caught.value)


@pytest.mark.parametrize("part", ["corpus.jsonl", "queries.jsonl", "qrels.tsv"])
def test_missing_and_binary_files_are_named(tmp_path: Path, part: str) -> None:
    folder = write(tmp_path / "gap")
    (folder / part).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BenchError, match=f"{part} is not UTF-8"):
        beir.load(folder)
    (folder / part).unlink()
    with pytest.raises(BenchError, match=part):
        beir.load(folder)
    with pytest.raises(BenchError, match="is no folder"):
        beir.load(tmp_path / "nothing")


def test_filling_never_repeats_a_text_and_cuts_smaller_when_it_must() -> None:
    long = "\n\n".join(f"{number} " + "word " * 30 for number in range(20))
    pages = [PythonDocument(f"p{n}", f"P{n}", "stdlib", "3", long.replace("word", f"w{n % 2}")) for n in range(4)]
    words, few = builtin.fill(pages, 10)
    smaller, many = builtin.fill(pages, 40)
    assert (words, smaller) == (100, 60)
    pieces = [piece for source in many for piece in source.pieces]
    assert len(pieces) == len(set(pieces)) >= 40
    assert len(few) < 4
    with pytest.raises(CorpusError, match="40 different pieces, and 50 are needed"):
        builtin.fill(pages, 50)


WORKLOAD = Workload(
    "tiny",
    [Source("a", "A", "x"), Source("b", "B", "y")],
    [Query("q1", "x"), Query("q2", "y")],
    {"q1": {"a": 1}, "q2": {"b": 1, "unknown": 1}},
)


def outcome(system: str, rankings: dict[str, list[str]]) -> Outcome:
    return Outcome(
        system, "", 2, 0.5, {"stored": 0.5}, {}, 60.0, {"lib": "1"}, {"hybrid": SearchResult((1.0, 3.0), rankings)}
    )


def test_scores_are_paired_and_unknown_documents_count_against_everybody() -> None:
    ours, theirs, broken = score(
        WORKLOAD,
        [
            outcome("assistant", {"0": ["0", "1"], "1": ["1"]}),
            outcome("langchain", {"0": ["1", "0"], "1": []}),
            Outcome("llamaindex", problem="no module"),
        ],
    )
    assert ours.quality is not None and theirs.quality is not None
    assert ours.quality["recall@5"].mean == pytest.approx(0.75)  # of q2, one of two can be found
    assert theirs.quality["recall@5"].mean == pytest.approx(0.5)
    assert ours.quality["nDCG@10"].low == ours.quality["nDCG@10"].high == 0
    assert theirs.quality["nDCG@10"].high < 0
    assert (ours.p50_ms, ours.chunks_per_s) == (2.0, 4.0)
    assert broken.problem == "no module" and broken.quality is None


def comparison() -> Comparison:
    outcomes = {
        "assistant": outcome("assistant", {"0": ["0"], "1": ["1"]}),
        "langchain": outcome("langchain", {"0": ["0"], "1": ["0"]}),
        "llamaindex": Outcome("llamaindex", problem="no module named x"),
    }
    rows = score(WORKLOAD, list(outcomes.values()))
    return Comparison("tiny", 2, 2, 2, "minilm", 384, ("1 text was odd",), outcomes, rows)


def test_the_page_and_the_table_say_who_could_not_run_and_what_was_left_out(tmp_path: Path) -> None:
    target = tmp_path / "bench.md"
    target.write_text("# T\n<!-- bench-rag:begin -->\n<!-- bench-rag:end -->\nend\n", encoding="utf-8")
    page.check(target)
    written = page.write(target, [comparison(), comparison()], "course bench rag")
    text = target.read_text(encoding="utf-8")
    assert written == [target, tmp_path / "images" / "bench-rag.png"] and written[1].stat().st_size > 1000
    for part in ("| the assistant | 4 |", "LlamaIndex could not run: no module named x", "1 text was odd", "lib 1"):
        assert part in text
    from rich.console import Console

    console = Console(width=200, record=True, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    console.print(table.render([comparison()]))
    console.file.close()
    assert "LangChain" in console.export_text()
    (tmp_path / "plain.md").write_text("no markers", encoding="utf-8")
    with pytest.raises(CorpusError, match="bench-rag:begin"):
        page.check(tmp_path / "plain.md")


def test_the_project_s_page_has_the_markers_and_names_the_command() -> None:
    text = (settings.load().root / "docs" / "bench.md").read_text(encoding="utf-8")
    page.check(settings.load().root / "docs" / "bench.md")
    assert "./course bench rag --write docs/bench.md" in text


def test_a_tiny_folder_goes_through_the_assembled_assistant(tmp_path: Path) -> None:
    where = settings.load()
    said: list[str] = []
    before = set((where.state_dir / "bench").glob("work-*"))
    workload = beir.load(write(tmp_path / "tiny"))
    measured = compare(where, manifest.load(where.root), workload, embedding="fast", peers=False, say=said.append)
    rows = {row.search: row for row in measured.rows}
    assert set(rows) == {"hybrid", "keywords", "vectors"}
    assert (
        rows["hybrid"].quality is not None and rows["hybrid"].quality["recall@5"].mean == 0.75
    )  # one judged document is unknown
    assert (measured.chunks, measured.queries) == (4, 2)
    assert set((where.state_dir / "bench").glob("work-*")) <= before
    assert any("questions" in line for line in said)


def test_what_runs_beside_the_course_never_imports_it() -> None:
    scripts = sorted((HERE / "systems").glob("*.py"))
    assert {path.stem for path in scripts} >= {"run_assistant", "run_langchain", "run_llamaindex", "harness"}
    for path in scripts:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in ("coursekit", "simllm")], path.name


def test_the_peers_lock_has_hashes_and_no_address() -> None:
    lines = environment.LOCK.read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert len(pinned) > 50 and all("==" in line for line in pinned)
    assert not [line for line in lines if "://" in line or line.startswith("--")]
    for name in environment.LOCK.with_suffix(".in").read_text(encoding="utf-8").splitlines():
        if name and not name.startswith("#"):
            assert any(line.startswith(f"{name.split('[')[0]}==") for line in pinned), name


@pytest.mark.parametrize("installer", ["/usr/bin/uv", None])
def test_uv_and_pip_install_the_lock_and_nothing_beside_it(
    installer: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dependencies resolved anew, pip refuses the hashes: `sqlalchemy[asyncio]` is not pinned under that name."""
    commands: list[list[str]] = []
    where = replace(settings.load(), state_dir=tmp_path)

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        environment.folder(where).mkdir(parents=True, exist_ok=True)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(environment.shutil, "which", lambda name: installer)
    monkeypatch.setattr(environment.subprocess, "run", run)
    environment.ensure(where, lambda text: None)
    assert {"pip", "install", "--require-hashes", "--no-deps", str(environment.LOCK)} <= set(commands[-1])
    assert (commands[-1][0] == installer) == (installer is not None)


@pytest.mark.parametrize("peer", ["langchain", "llamaindex"])
def test_a_peer_s_script_imports_in_its_environment(peer: str) -> None:
    where = settings.load()
    if not environment.is_ready(where):
        pytest.skip("the peers' environment does not exist: course bench rag makes it")
    done = subprocess.run(
        [environment.python(where), "-c", f"import systems.run_{peer}"],
        env=os.environ | {"PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
