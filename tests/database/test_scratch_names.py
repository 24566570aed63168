"""Names of scratch databases."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from coursekit.postgres import scratch_names


@pytest.mark.parametrize("label", ["m03", "M03 Embeddings & pgvector", "", "é" * 200, "x" * 200, 'a"; DROP'])
def test_any_label_gives_a_valid_unique_name(label: str) -> None:
    first, second = scratch_names.new_name(label), scratch_names.new_name(label)
    assert first != second
    assert scratch_names.is_scratch(first)
    assert first == first.lower() and len(first.encode()) <= 63


@pytest.mark.parametrize(
    "name", ["course", "course_template_0_8_5", "postgres", "course_x_1_abc", "xcourse_a_1_0123456789ab"]
)
def test_other_databases_are_not_scratch(name: str) -> None:
    assert not scratch_names.is_scratch(name) and not scratch_names.is_leftover(name)


def test_a_running_process_has_no_leftovers() -> None:
    assert not scratch_names.is_leftover(scratch_names.new_name("x"))


def test_the_database_of_a_process_that_ended_is_a_leftover_on_its_own_host_only() -> None:
    code = "from coursekit.postgres.scratch_names import new_name; print(new_name('x'))"
    name = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert scratch_names.is_leftover(name)
    elsewhere = name[:-12] + ("000000" if name[-12:-6] != "000000" else "111111") + name[-6:]
    assert scratch_names.is_scratch(elsewhere) and not scratch_names.is_leftover(elsewhere)


def test_a_killed_process_that_nobody_reaped_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    name = scratch_names.new_name("x").replace(f"_{os.getpid()}_", f"_{child.pid}_")
    assert not scratch_names.is_leftover(name)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert scratch_names.is_leftover(name)
    child.wait()
