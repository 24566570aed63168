"""Messages over a unix stream socket: JSON with a length in front, and open files that travel beside it.

Both ends may be hostile to each other: what arrives is only ever JSON, and its size is bounded.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

MAX_BYTES = 64 * 1024 * 1024
MAX_FILES = 16
MAX_PARTS = 8_000_000  # of one message: a few bytes of JSON become a hundred bytes of memory

_LENGTH = struct.Struct(">I")


class BadMessage(Exception):
    """The other end sent something that is no message, or one that is too long."""


def send(sock: socket.socket, message: Any, files: Sequence[int] = ()) -> None:
    """Send one message; `files` are descriptors, of which the receiver gets copies.

    Raises:
        BadMessage: it is too long.
        OSError: the other end is gone.
    """
    data = json.dumps(message, separators=(",", ":")).encode()
    if len(data) > MAX_BYTES:
        raise BadMessage(f"a message of {len(data):,} bytes; at most {MAX_BYTES:,} are sent")
    length = _LENGTH.pack(len(data))
    if files:
        socket.send_fds(sock, [length], list(files))
        sock.sendall(data)
    else:
        sock.sendall(length + data)


def receive(sock: socket.socket, *, takes_files: bool = False) -> tuple[Any, list[int]]:
    """Wait for one message; returns it and the descriptors that came with it.

    Raises:
        EOFError: the other end has closed, between two messages or within one.
        BadMessage: it is too long, or no JSON.
        OSError: the socket fails; TimeoutError when it has a timeout.
    """
    files: list[int] = []
    header = b""
    while len(header) < _LENGTH.size:
        if takes_files:
            chunk, more, _, _ = socket.recv_fds(sock, _LENGTH.size - len(header), MAX_FILES)
            files += more
        else:
            chunk = sock.recv(_LENGTH.size - len(header))
        if not chunk:
            close(files)
            raise EOFError
        header += chunk
    (size,) = _LENGTH.unpack(header)
    try:
        if size > MAX_BYTES:
            raise BadMessage(f"a message of {size:,} bytes; at most {MAX_BYTES:,} are taken")
        data = _exactly(sock, size)
        if size > MAX_PARTS and data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_PARTS:
            raise BadMessage(f"a message of more than {MAX_PARTS:,} parts")
        return json.loads(data), files
    except (ValueError, RecursionError) as error:
        close(files)
        raise BadMessage(f"no JSON: {error!s:.200}") from None
    except BaseException:
        close(files)
        raise


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = sock.recv(min(size - len(data), 1 << 20))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)


def close(files: Sequence[int]) -> None:
    """Close descriptors that came with a message and are not wanted."""
    for file in files:
        os.close(file)
