"""`course lab` listens on this machine alone, unless it is told otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from coursekit import lab, manifest, settings
from coursekit.cli import app


@pytest.mark.parametrize(
    ("arguments", "ip", "port", "browser"),
    [
        ([], "127.0.0.1", 8888, True),
        (["--ip", "0.0.0.0", "--no-browser"], "0.0.0.0", 8888, False),
        (["--ip", "::1", "--port", "9000"], "::1", 9000, True),
    ],
)
def test_the_address_is_loopback_by_default_and_chosen_by_an_option(
    arguments: list[str], ip: str, port: int, browser: bool, monkeypatch: pytest.MonkeyPatch, course_root: Any
) -> None:
    seen: list[dict[str, Any]] = []

    def start(*_: Any, say: Any, **options: Any) -> int:
        seen.append(options)
        return 0

    monkeypatch.chdir(course_root)
    monkeypatch.setattr(lab, "start", start)
    assert CliRunner().invoke(app, ["lab", *arguments]).exit_code == 0
    assert seen == [{"ip": ip, "port": port, "browser": browser}]


def test_jupyterlab_is_told_where_to_listen(where: settings.Settings, course: manifest.Manifest) -> None:
    command = lab.command(where, course.modules[0], ip="0.0.0.0", port=9000, browser=False)
    assert {"--ServerApp.ip=0.0.0.0", "--ServerApp.port=9000", "--no-browser"} <= set(command)
    assert "--no-browser" not in lab.command(where, course.modules[0], ip="127.0.0.1", port=8888, browser=True)
