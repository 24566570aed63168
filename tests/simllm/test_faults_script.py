"""Scripts: composition, probability, headers, files."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import openai
import pytest

from simllm import Bench, Fault, SimServer
from simllm.errors import ScriptError
from simllm.faults import KINDS, FaultBoard, describe
from simllm.faults.files import load_script

CHAT = "/v1/chat/completions"
HI: list[Any] = [{"role": "user", "content": "hi"}]


def chat(client: Any, **options: Any) -> Any:
    return client.chat.completions.create(**({"model": "sim-small", "messages": HI, "temperature": 0} | options))


def test_one_request_meets_several_faults(client: openai.OpenAI, bench: Bench, key: str) -> None:
    both = Fault("truncate_stream", times=2, after_tokens=2, also=[Fault("slow", delay_ms=60)])
    bench.script(key, [both])
    for _ in range(2):
        assert chat(client, stream=True).response.status_code == 200
    entry = bench.journal(key)[0]
    assert (entry["fault"], entry["faults"], entry["outcome"]) == (
        "truncate_stream",
        ["truncate_stream", "slow"],
        "short",
    )
    assert entry["silent_ms"] >= 60
    assert chat(client).choices


def test_waits_come_before_cuts_and_cuts_before_errors(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("rate_limit", also=[Fault("reset"), Fault("slow", delay_ms=50)])])
    with pytest.raises(openai.APIConnectionError):
        chat(client)
    entry = bench.journal(key)[0]
    assert (entry["status"], entry["outcome"]) == (0, "broken")
    assert entry["silent_ms"] >= 50


def test_what_ends_a_stream_first_wins(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("break_stream", after_tokens=4, also=[Fault("error_event", after_tokens=2)])])
    with pytest.raises(openai.APIError) as caught:
        list(chat(client, stream=True))
    assert type(caught.value) is openai.APIError


def pattern(board: FaultBoard, client: str, count: int = 60) -> list[bool]:
    return ["slow" in board.take(client, CHAT, stream=False).kinds for _ in range(count)]


def test_a_probability_hits_a_share_and_the_same_requests_every_time() -> None:
    def board(seed: int) -> FaultBoard:
        return FaultBoard([Fault("slow", probability=0.3, seed=seed)])

    first = pattern(board(7), "a", 400)
    assert first == pattern(board(7), "b", 400)
    assert first != pattern(board(8), "a", 400)
    assert 80 <= sum(first) <= 160


def test_a_probability_does_not_depend_on_other_clients() -> None:
    alone, crowded = FaultBoard([Fault("slow", probability=0.5)]), FaultBoard([Fault("slow", probability=0.5)])
    seen = []
    for _ in range(60):
        crowded.take("other", CHAT, stream=False)
        seen += pattern(crowded, "me", 1)
    assert seen == pattern(alone, "me")


def test_a_probability_stands_beside_the_queue() -> None:
    board = FaultBoard([Fault("slow", probability=1), Fault("server_error", times=2), Fault("quota")])
    met = [board.take("k", CHAT, stream=False).kinds for _ in range(4)]
    assert met == [["slow", "server_error"], ["slow", "server_error"], ["slow", "quota"], ["slow"]]
    board.clear("k")
    assert board.take("k", CHAT, stream=False).kinds == []


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("both", {"retry-after", "retry-after-ms"}),
        ("ms", {"retry-after-ms"}),
        ("seconds", {"retry-after"}),
        ("date", {"retry-after"}),
        ("none", set()),
    ],
)
def test_the_wait_is_told_in_the_wanted_header(
    client: openai.OpenAI, bench: Bench, key: str, form: str, names: set[str]
) -> None:
    bench.script(key, [Fault("rate_limit", retry_after_ms=2_000, retry_header=form, of="tokens", limit=900)])
    with pytest.raises(openai.RateLimitError) as caught:
        chat(client)
    headers = caught.value.response.headers
    assert {name for name in headers if name.startswith("retry-after")} == names
    assert (headers["x-ratelimit-limit-tokens"], headers["x-ratelimit-remaining-tokens"]) == ("900", "0")
    assert "tokens per min (TPM): Limit 900" in caught.value.message
    told = bench.journal(key)[0]["retry_after_ms"]
    assert told is None if form == "none" else 900 <= told <= 3_000


def test_x_should_retry_overrules_the_status(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("server_error", should_retry=False), Fault("bad_request", should_retry=True)])
    eager = client.with_options(max_retries=1)
    with pytest.raises(openai.InternalServerError):
        chat(eager)
    assert chat(eager).choices
    assert [entry["should_retry"] for entry in bench.journal(key)] == [False, True, None]


def test_faults_are_values() -> None:
    fault = Fault("rate_limit", times=2, retry_after_ms=5, also=[Fault("slow")])
    for twin in (Fault.from_dict(fault.as_dict()), copy.deepcopy(fault), pickle.loads(pickle.dumps(fault))):
        assert (twin, hash(twin), repr(twin)) == (fault, hash(fault), repr(fault))
    assert fault.retry_after_ms == 5
    assert fault != Fault("slow")
    with pytest.raises(AttributeError, match="cannot be changed"):
        fault.times = 3
    with pytest.raises(AttributeError):
        _ = fault.colour


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_explains_itself(kind: str) -> None:
    assert describe(kind).startswith(f"{kind}(")
    assert len(describe(kind)) > len(kind) + 20


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"kind": "slow", "probability": 1.5}, "0 to 1"),
        ({"kind": "slow", "probability": 0.5, "times": 3}, "not both"),
        ({"kind": "slow", "also": [{"kind": "reset", "times": 2}]}, "outer fault"),
        ({"kind": "slow", "also": "reset"}, "list"),
        ({"kind": "slow", "also": [{"kind": "reset", "also": [{"kind": "quota"}]}]}, "one list"),
        ({"kind": "wrong_content_type", "content_type": "a\r\nb: c"}, "printable"),
        ({"kind": "slow", "status": 500}, "delay_ms"),
        ({"kind": "rate_limit", "retry_header": "soon"}, "both, ms, seconds"),
        ({"kind": "server_error", "should_retry": "yes"}, "true, false"),
        ({"kind": "proxy_page", "status": 418}, "502"),
        ({"kind": "stall", "for_ms": -1}, "for_ms"),
        ({"kind": "break_stream", "how": ""}, "close, reset"),
        ({"kind": "embedding_changed", "model": "gpt"}, "minilm-l6-v2"),
        ({"kind": "bad_request", "message": 3}, "message"),
        ({"kind": ["slow"]}, "rate_limit"),
        ({"kind": "slow", "self": 1}, "unknown fault field 'self'"),
        ("slow", "JSON object"),
    ],
)
def test_a_bad_script_line_is_refused_with_what_is_allowed(values: Any, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Fault.from_dict(values)


YAML = """
faults:
  - {kind: server_error, status: 503}
clients:
  batch-job:
    - kind: rate_limit
      retry_after_ms: 500
quota: {requests_per_minute: 60}
"""


def test_a_script_file_sets_faults_and_quota(tmp_path: Path, cache_dir: Path) -> None:
    (tmp_path / "faults.yaml").write_text(YAML, encoding="utf-8")
    with SimServer(cache_dir=cache_dir, faults=tmp_path / "faults.yaml") as server:
        bench = Bench(server.base_url)
        assert [fault.kind for fault in bench.pending("anybody")] == ["server_error"]
        assert [fault.kind for fault in bench.pending("batch-job")] == ["server_error", "rate_limit"]
        with openai.OpenAI(base_url=server.base_url, api_key="anybody", max_retries=1) as client:
            raw = client.chat.completions.with_raw_response.create(model="sim-small", messages=HI)
        assert raw.headers["x-ratelimit-limit-requests"] == "60"


def test_json_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "faults.json").write_text('{\n\t"faults": [\n\t\t{"kind": "slow"}\n\t]\n}', encoding="utf-8")
    assert load_script(tmp_path / "faults.json").faults == (Fault("slow"),)


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("faults:\n  - {kind: meteor}\n", 2, "rate_limit"),
        ("faults:\n  - {kind: slow}\n  - {kind: slow, delay: 5}\n", 3, "delay_ms"),
        ("fault:\n  - {kind: slow}\n", 1, "faults, clients, quota"),
        ("faults: {kind: slow}\n", 1, "list"),
        ("faults: []\nfaults: []\n", 2, "comes twice"),
        ("faults:\n  - {kind: slow, kind: stall}\n", 2, "'kind' comes twice"),
        ("? [a]\n: 1\n", 1, "no text"),
        ("clients:\n  - a\n", 2, "mapping"),
        ("faults: []\nquota: {rpm: 3}\n", 2, "requests_per_minute"),
        ("faults:\n  - [kind: slow\n", 3, "mend the line"),
    ],
)
def test_a_bad_file_is_named_with_its_line_and_the_fix(tmp_path: Path, text: str, line: int, word: str) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScriptError, match=word) as caught:
        load_script(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_a_missing_or_empty_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="absent.yaml: cannot be read"):
        load_script(tmp_path / "absent.yaml")
    (tmp_path / "empty.yaml").write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(ScriptError, match="empty.yaml: the file is empty"):
        load_script(tmp_path / "empty.yaml")
