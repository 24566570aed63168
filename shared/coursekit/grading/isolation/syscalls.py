"""The few Linux calls that Python's standard library lacks: namespaces, mounts, capabilities.

Numbers and structures are from the kernel's own headers (linux/sched.h, linux/mount.h, linux/capability.h).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import socket
import struct
import sys

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH = 2

_MOUNT_SETATTR = 442
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID = 1, 2
_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP, _PR_SET_DUMPABLE = 38, 24, 4
_CAPABILITY_VERSION_3 = 0x2008_0522
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41


def is_linux() -> bool:
    """Namespaces exist here, and we know this machine's call numbers."""
    return sys.platform.startswith("linux") and platform.machine() in _PIVOT_ROOT


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _require(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the shared namespaces named by `flags` (CLONE_NEW…); raises OSError when the kernel refuses."""
    _require(_libc().unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2); raises OSError."""
    kind_bytes = kind.encode() if kind else None
    data_bytes = data.encode() if data else None
    _require(
        _libc().mount(source.encode(), target.encode(), kind_bytes, ctypes.c_ulong(flags), data_bytes),
        f"mount {target}",
    )


def unmount(target: str) -> None:
    """umount2(2) with MNT_DETACH; raises OSError."""
    _require(_libc().umount2(target.encode(), MNT_DETACH), f"umount {target}")


def make_read_only(target: str) -> None:
    """Make the mount at `target`, and all below it, read-only and nosuid; raises OSError (Linux before 5.12 too)."""
    attributes = struct.pack("QQQQ", _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID, 0, 0, 0)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = _libc().syscall(
        ctypes.c_long(_MOUNT_SETATTR), ctypes.c_int(_AT_FDCWD), target.encode(), ctypes.c_uint(_AT_RECURSIVE), buffer,
        ctypes.c_size_t(len(attributes)),
    )  # fmt: skip
    _require(result, f"read-only {target}")


def pivot_root(new_root: str) -> None:
    """Make `new_root` (a mount point) the root, and drop the old one; raises OSError."""
    os.chdir(new_root)
    number = _PIVOT_ROOT[platform.machine()]
    _require(_libc().syscall(ctypes.c_long(number), b".", b"."), "pivot_root")
    unmount(".")
    os.chdir("/")


def loopback_up() -> None:
    """Switch on 127.0.0.1 in a fresh network namespace; raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", _IFF_UP_RUNNING))


def no_new_privileges() -> None:
    """Nothing that this process executes gains rights (setuid files, file capabilities)."""
    _require(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def drop_bounding_set() -> None:
    """Let no program that is executed from here gain a capability; without the right to do so, nothing happens."""
    libc = _libc()
    for capability in range(64):
        if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break


def drop_capabilities() -> None:
    """Give up every capability that this process has."""
    libc = _libc()
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    empty = struct.pack("IIIIII", 0, 0, 0, 0, 0, 0)
    _require(libc.capset(header, empty), "capset")


def hide_memory(is_hidden: bool = True) -> None:
    """Let no other process of this user read our memory or environment through /proc or ptrace; False undoes it."""
    _libc().prctl(_PR_SET_DUMPABLE, int(not is_hidden), 0, 0, 0)
