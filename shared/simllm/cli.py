"""Command line: `simllm serve` runs the server until Ctrl-C or SIGTERM and prints its base URL."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from simllm import __version__
from simllm.errors import ScriptError, SimError
from simllm.faults import KINDS, describe
from simllm.quota import Quota

EXAMPLES = """examples:
  simllm serve --port 8080 --cache .cache
  simllm serve --clock 1 --quota rpm=60,tpm=20000,burst=5
  simllm serve --api-key secret --admin-key teacher --faults faults.yaml
  simllm faults stall

a fault script, YAML or JSON:
  faults:                     # what every client meets
    - {kind: server_error, status: 503, times: 2}
    - {kind: slow, delay_ms: 300, probability: 0.1, seed: 7}
  clients:                    # further ones, by API key
    batch-job:
      - {kind: rate_limit, retry_after_ms: 500}
  quota: {requests_per_minute: 60, tokens_per_minute: 20000, burst: 5}
"""
_QUOTA_NAMES = {"rpm": "requests_per_minute", "tpm": "tokens_per_minute", "burst": "burst"}


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(prog="simllm", description="Simulated, OpenAI-compatible models on loopback.")
    parser.add_argument("--version", action="version", version=f"simllm {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser(
        "serve",
        help="run the server until Ctrl-C",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; default: 127.0.0.1, this machine only"
    )
    serve.add_argument("--port", type=int, default=0, help="TCP port; 0 (default) picks a free one")
    serve.add_argument(
        "--text", type=Path, action="append", default=[], help="folder of text to learn from; repeatable"
    )
    serve.add_argument("--cache", type=Path, default=None, help="folder for trained arrays and vectors")
    serve.add_argument("--api-key", default=None, help="require this key; default: accept any")
    serve.add_argument("--admin-key", default=None, help="what the /sim routes require; default: open to every client")
    serve.add_argument("--clock", type=float, default=0.0, help="0: answer at once (default); 1: at the models' speed")
    serve.add_argument("--faults", type=Path, default=None, help="a fault script; see below")
    serve.add_argument("--quota", default=None, help="every client's allowance, e.g. rpm=60,tpm=20000,burst=5")
    faults = commands.add_parser("faults", help="explain the kinds of faults", epilog="example: simllm faults stall")
    faults.add_argument("kind", nargs="*", help="only these; default: all")
    return parser


def read_quota(text: str | None) -> Quota | None:
    """A quota as the command line writes it.

    Raises:
        ScriptError: an unknown name or a bad number.

    >>> read_quota("rpm=60,burst=5")
    Quota(requests_per_minute=60, tokens_per_minute=None, burst=5)
    """
    if text is None:
        return None
    values: dict[str, int] = {}
    for item in text.split(","):
        name, _, value = item.partition("=")
        if name.strip() not in _QUOTA_NAMES or not value.strip().isdecimal():
            raise ScriptError(f"--quota: cannot read {item!r}; write e.g. rpm=60,tpm=20000,burst=5")
        if _QUOTA_NAMES[name.strip()] in values:
            raise ScriptError(f"--quota: {name.strip()!r} comes twice; write it once")
        values[_QUOTA_NAMES[name.strip()]] = int(value)
    try:
        return Quota(**values)
    except ValueError as error:
        raise ScriptError(f"--quota: {error}") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    args = build_parser().parse_args(argv)
    if args.command == "faults":
        try:
            print("\n".join(describe(kind) for kind in args.kind or KINDS))
        except ValueError as error:
            print(f"simllm: {error}", file=sys.stderr)
            return 2
        return 0
    return _serve(args)


def _serve(args: argparse.Namespace) -> int:
    from simllm.server import SimServer

    stop = threading.Event()
    try:
        server = SimServer(
            args.port,
            host=args.host,
            text_dirs=args.text,
            cache_dir=args.cache,
            api_key=args.api_key,
            clock_scale=args.clock,
            admin_key=args.admin_key,
            faults=args.faults or (),
            quota=read_quota(args.quota),
        )
        if not _is_loopback(args.host):
            print(
                f"simllm: warning: {args.host} is not loopback; other machines can reach this server", file=sys.stderr
            )
            if args.admin_key is None:
                print("simllm: warning: its /sim routes are open to them; set --admin-key", file=sys.stderr)
        with _stopping(stop):  # before it listens: whoever has reached the server may end it
            server.start()
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        print(f"simllm: --cache must be a folder that can be written ({error}); give another path", file=sys.stderr)
        return 1
    except (SimError, OSError, ValueError) as error:
        print(f"simllm: {error}", file=sys.stderr)
        return 1
    to_stderr = logging.StreamHandler()
    to_stderr.setFormatter(logging.Formatter("simllm: %(message)s"))
    logging.getLogger("simllm").addHandler(to_stderr)
    try:
        print(server.base_url, flush=True)
    except BrokenPipeError:  # nobody listens: serve all the same, and let the interpreter find nothing to flush into
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    try:
        stop.wait()
    finally:
        server.stop()
    return 0


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM set the event from here on; as before where the block fails."""
    before = {name: signal.signal(name, lambda *_: stop.set()) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except BaseException:
        for name, handler in before.items():
            signal.signal(name, handler)
        raise


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
