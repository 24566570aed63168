"""`course serve`: addresses that other programs can use, until it is told to end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import openai
import psycopg
import pytest

from tests.conftest import ROOT

SERVE = [sys.executable, "-u", "-m", "coursekit", "serve", "--port"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


def test_the_printed_variables_lead_to_models_and_a_database_until_it_is_terminated(
    environment: dict[str, str],
) -> None:
    with subprocess.Popen([*SERVE, "0"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        variables: dict[str, str] = {}
        for line in process.stdout:
            if match := re.fullmatch(r"export (\w+)='(.*)'\n", line):
                variables[match[1]] = match[2]
            elif line.startswith("# serving"):
                break
        client = openai.OpenAI(
            base_url=variables["OPENAI_BASE_URL"], api_key=variables["OPENAI_API_KEY"], max_retries=0
        )
        roles = {variables[f"ASSISTANT_{role}_MODEL"] for role in ("CHAT", "LARGE", "EMBEDDING")}
        assert len(roles) == 3 and roles <= {model.id for model in client.models.list()}
        client.close()
        with psycopg.connect(variables["DATABASE_URL"], connect_timeout=5) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert Path(variables["ASSISTANT_TOKENIZER_FILE"]).is_file()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_a_taken_port_is_one_sentence_that_says_what_to_do(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run([*SERVE, port], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert port in done.stderr and "use port 0" in done.stderr
    assert "Traceback" not in done.stderr
