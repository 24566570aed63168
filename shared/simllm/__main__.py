"""Command line: `python -m simllm serve` runs the server until Ctrl-C and prints its base URL."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from simllm.errors import SimError


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(prog="simllm", description="Simulated, OpenAI-compatible models on loopback.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser(
        "serve", help="run the server until Ctrl-C", epilog="example: simllm serve --port 8080 --cache .cache"
    )
    serve.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1; 0 (default) picks a free one")
    serve.add_argument(
        "--text", type=Path, action="append", default=[], help="folder of text to learn from; repeatable"
    )
    serve.add_argument("--cache", type=Path, default=None, help="folder for trained arrays and vectors")
    serve.add_argument("--api-key", default=None, help="require this key; default: accept any")
    serve.add_argument("--clock", type=float, default=0.0, help="0: answer at once (default); 1: at the models' speed")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    args = build_parser().parse_args(argv)
    from simllm.server import SimServer

    try:
        server = SimServer(
            args.port, text_dirs=args.text, cache_dir=args.cache, api_key=args.api_key, clock_scale=args.clock
        ).start()
    except (SimError, OSError, ValueError) as error:
        print(f"simllm: {error}", file=sys.stderr)
        return 1
    print(server.base_url, flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
