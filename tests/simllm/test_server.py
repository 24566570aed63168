"""Starting, stopping, and staying quiet."""

from __future__ import annotations

import asyncio
import http.client
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import openai
import pytest

from simllm import Bench, SimServer
from simllm.__main__ import main
from simllm.errors import ServerStartError
from simllm.faults import KINDS

HI = [{"role": "user", "content": "hello"}]


def test_a_taken_port_is_named(server: SimServer) -> None:
    with pytest.raises(ServerStartError, match=rf"127.0.0.1:{server.port}.*port 0"):
        SimServer(server.port).start()
    with pytest.raises(ServerStartError):
        SimServer(99_999).start()


def test_start_and_stop_are_idempotent_and_release_the_port(cache_dir: Path) -> None:
    running = SimServer(cache_dir=cache_dir).start()
    port = running.port
    assert running.start() is running
    running.stop()
    running.stop()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    with pytest.raises(ServerStartError, match="not running"):
        _ = running.base_url
    with SimServer(port, cache_dir=cache_dir) as again:
        assert again.port == port


def test_stop_breaks_off_a_slow_reply(cache_dir: Path) -> None:
    slow = SimServer(cache_dir=cache_dir, clock_scale=100).start()
    failed: list[Exception] = []

    def call() -> None:
        with openai.OpenAI(base_url=slow.base_url, api_key="k", max_retries=0) as client:
            try:
                client.chat.completions.create(model="sim-small", messages=HI)  # type: ignore[arg-type]
            except openai.APIConnectionError as error:
                failed.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    while not slow._connections:
        pass
    slow.stop()
    caller.join(timeout=5)
    assert not caller.is_alive()
    assert len(failed) == 1


def test_bad_arguments_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="clock_scale"):
        SimServer(clock_scale=-1)
    with pytest.raises(FileNotFoundError, match="text folder not found"):
        SimServer(text_dirs=[tmp_path / "absent"]).start()


def test_the_models_talk_about_the_text_they_were_given(tmp_path: Path) -> None:
    (tmp_path / "zoo.md").write_text("The zebra quarrels with the walrus about marmalade.\n\n" * 400, encoding="utf-8")
    with SimServer(text_dirs=[tmp_path]) as server, openai.OpenAI(base_url=server.base_url, api_key="k") as client:
        reply = client.chat.completions.create(
            model="sim-small",
            messages=[{"role": "user", "content": "The zebra quarrels"}],
            temperature=0,
            max_tokens=20,
        )
    assert "walrus" in (reply.choices[0].message.content or "")


_SCRIPT = """
import signal, openai
from simllm import Bench, Fault, SimServer
handler = signal.getsignal(signal.SIGINT)
server = SimServer(cache_dir={cache!r}).start()
assert signal.getsignal(signal.SIGINT) is handler
bench = Bench(server.base_url)
key = bench.client_key("quiet")
bench.script(key, [Fault("reset"), Fault("server_error"), Fault("broken_json")])
client = openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=3)
try:
    client.chat.completions.create(model="sim-small", messages=[{{"role": "user", "content": "hello"}}])
except ValueError:
    pass
stream = client.chat.completions.create(model="sim-large", messages=[{{"role": "user", "content": "Write a text."}}], stream=True)
next(iter(stream))
client.embeddings.create(model="minilm-l6-v2", input="x")
client.embeddings.create(model="wordllama-256", input="x")
import os
if os.fork() == 0:
    os._exit(0)
os.wait()
"""


def test_normal_use_prints_nothing_and_the_thread_dies_with_the_process(cache_dir: Path) -> None:
    script = _SCRIPT.format(cache=str(cache_dir))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_importing_the_package_is_light() -> None:
    script = (
        "import simllm, sys; print([m for m in ('numpy', 'onnxruntime', 'tokenizers', 'uvicorn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_prints_its_url_and_serves(cache_dir: Path) -> None:
    command = [sys.executable, "-m", "simllm", "serve", "--cache", str(cache_dir), "--api-key", "k"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
                assert client.models.list().data
        finally:
            process.terminate()
            process.wait(timeout=10)


def test_the_command_reports_a_taken_port(server: SimServer) -> None:
    command = [sys.executable, "-m", "simllm", "serve", "--port", str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("simllm: cannot listen on")
    assert "Traceback" not in done.stderr


def test_many_clients_at_once_each_get_their_reply(server: SimServer) -> None:
    replies: dict[int, str] = {}

    def call(n: int) -> None:
        with openai.OpenAI(base_url=server.base_url, api_key=f"many-{n}", max_retries=0) as client:
            message = f"Context:\n[1] Box {n} holds {n * 7} apples.\n\nQuestion: How many apples are in box {n}?"
            reply = client.chat.completions.create(
                model="sim-large", messages=[{"role": "user", "content": message}], temperature=0
            )
            replies[n] = reply.choices[0].message.content or ""

    threads = [threading.Thread(target=call, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert replies == {n: f"Box {n} holds {n * 7} apples." for n in range(16)}


def test_64_streams_at_once_all_arrive_whole(server: SimServer) -> None:
    async def one(client: openai.AsyncOpenAI, n: int) -> tuple[int, str | None]:
        message: list[Any] = [{"role": "user", "content": f"Write about box {n}."}]
        reply = await client.chat.completions.create(
            model="sim-small", messages=message, stream=True, seed=n, max_tokens=40
        )
        chunks = [chunk async for chunk in reply]
        return sum(bool(chunk.choices[0].delta.content) for chunk in chunks), chunks[-1].choices[0].finish_reason

    async def all_at_once() -> list[tuple[int, str | None]]:
        key = Bench(server.base_url).client_key("crowd")
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
            found = await asyncio.wait_for(asyncio.gather(*(one(client, n) for n in range(64))), timeout=60)
        entries = Bench(server.base_url).journal(key)
        assert [entry["outcome"] for entry in entries] == ["whole"] * 64
        return found

    replies = asyncio.run(all_at_once())
    assert all(tokens > 0 and reason in ("stop", "length") for tokens, reason in replies)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_cleanly_on_a_signal_even_in_a_stall(cache_dir: Path, tmp_path: Path, how: int) -> None:
    (tmp_path / "faults.yaml").write_text("faults: [{kind: stall, after_tokens: 1}]", encoding="utf-8")
    command = [sys.executable, "-m", "simllm", "serve", "--cache", str(cache_dir)]
    command += ["--faults", str(tmp_path / "faults.yaml"), "--quota", "rpm=60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with openai.OpenAI(base_url=url, api_key="k", max_retries=0, timeout=20) as client:
                stream = client.chat.completions.create(model="sim-small", messages=HI, stream=True)  # type: ignore[arg-type]
                assert isinstance(stream, openai.Stream)
                assert stream.response.headers["x-ratelimit-remaining-requests"] == "59"
                process.send_signal(how)
                with pytest.raises(openai.APIConnectionError):
                    list(stream)
            _, errors = process.communicate(timeout=20)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--quota", "rpm=many"), "rpm=60,tpm=20000"),
        (("--quota", "burst=3"), "requests_per_minute"),
        (("--faults", "absent.yaml"), "absent.yaml: cannot be read"),
        (("--quota", "rpm=5,rpm=6"), "'rpm' comes twice"),
        (("--clock", "-1"), "clock_scale"),
        (("--clock", "nan"), "clock_scale"),
        (("--clock", "inf"), "clock_scale"),
        (("--api-key", ""), "api_key is ''"),
        (("--admin-key", ""), "admin_key is ''"),  # would match the header that nobody sends
        (("--admin-key", "\u00e9"), "printable ASCII"),
        (("--host", "::1"), "IPv4"),
        (("--cache", "/dev/null/cache"), "--cache must be a folder"),
        (("--host", "192.0.2.1"), "192.0.2.1"),
    ],
)
def test_the_command_refuses_bad_options_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], word: str
) -> None:
    assert main(["serve", *arguments]) == 1
    assert word in capsys.readouterr().err


def test_the_command_warns_of_a_host_that_others_can_reach(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "192.0.2.1"]) == 1  # an address of nobody: first the warning, then it cannot listen
    shown = capsys.readouterr().err
    assert "not loopback" in shown
    assert "--admin-key" in shown


def test_help_has_examples_and_the_kinds_explain_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["serve", "--help"])
    shown = capsys.readouterr().out
    for word in ("--port", "--host", "--clock", "--api-key", "--admin-key", "--faults", "--quota", "examples:"):
        assert word in shown
    assert main(["faults", "stall"]) == 0
    assert capsys.readouterr().out.startswith("stall(")
    assert main(["faults"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(KINDS)
    assert main(["faults", "meteor"]) == 2
    assert "the kinds are rate_limit, quota" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])


def test_an_admin_key_of_other_letters_is_refused_not_a_crash(cache_dir: Path) -> None:
    with SimServer(cache_dir=cache_dir, admin_key="teacher") as running:
        for key, status in (("teacher", 200), ("t\u00e9", 403), ("", 403)):
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
            connection.request("GET", "/sim/journal", headers={"x-sim-admin-key": key.encode("latin-1")})
            assert connection.getresponse().status == status
            connection.close()


def test_the_command_serves_on_when_nobody_reads_its_output() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "simllm", "serve", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", max_retries=8) as client:
                assert client.models.list().data
            process.terminate()
            assert (process.wait(timeout=20), process.stderr.read()) == (0, "")
        finally:
            process.kill()


def test_ctrl_c_before_the_server_is_there_prints_nothing() -> None:
    script = (
        "import os, signal, sys; sys.argv = ['simllm', 'serve']; from simllm import __main__ as command\n"
        "class Late:\n    def find_spec(self, name, *_):\n        name == 'simllm.server' and os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Late())\ncommand.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_the_command_ends_well_as_soon_as_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def start(self: SimServer) -> None:
        seen.append(signal.getsignal(signal.SIGTERM) is not before)
        raise OSError("no port")

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(SimServer, "start", start)
    assert main(["serve", "--port", "0"]) == 1
    assert seen == [True]
    assert signal.getsignal(signal.SIGTERM) is before  # it never ran
