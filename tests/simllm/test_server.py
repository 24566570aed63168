"""Starting, stopping, and staying quiet."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import openai
import pytest

from simllm import SimServer
from simllm.errors import ServerStartError

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
