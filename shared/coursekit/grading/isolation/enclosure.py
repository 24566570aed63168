"""Namespaces of its own for one learner: no network but an own loopback, own processes, own files.

`enter` turns the calling process into two: the caller goes on as pid 1 of a new pid namespace, and its parent waits
for it and ends with its exit code. Two depths:

- `full`: a new root with nothing in it but read-only views of the listed paths, /proc, a few devices and a small home;
- `nested`: within a sandbox that bubblewrap made for a whole worker, fresh /proc, /tmp, /dev/shm and home.

The caller keeps the rights to set things up; `shed_rights` gives them up for good.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from coursekit.grading.isolation import syscalls
from coursekit.zygote import die_with_parent

HOME = "/home/learner"
LEARNER_ID = 1000
NOBODY = 65534

_SCRATCH = ((HOME, 0.6), ("/tmp", 0.3), ("/dev/shm", 0.1))  # with the share of the space that each gets
_DEVICES = ("null", "zero", "full", "random", "urandom")
_NAMESPACES = (
    syscalls.CLONE_NEWUSER
    | syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
)


def enter(depth: str, paths: list[str], disk_mb: int) -> None:
    """Put this process into namespaces of its own; returns in the new pid 1 only.

    Args:
        depth: `full` or `nested`.
        paths: absolute paths to show read-only at the same place, none inside another.
        disk_mb: the size of the home, /tmp and /dev/shm together, about; they live in memory.

    Raises:
        OSError: the kernel refuses.
    """
    _separate()
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    if depth == "full":
        _new_root(paths, disk_mb)
    else:
        _freshen(paths, disk_mb)
    syscalls.loopback_up()
    socket.sethostname("learner")
    with suppress(OSError):  # no further user namespaces: they are where most kernel bugs are reached from
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
    syscalls.mount(
        "none", "/proc", None,
        syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC,
    )  # fmt: skip


def shed_rights(has_own_id: bool) -> None:
    """Become an ordinary user without capabilities, for good.

    Args:
        has_own_id: the namespace maps LEARNER_ID to nobody (it was made by root), so we can change to it.
    """
    syscalls.drop_bounding_set()  # first: it takes a right that a change of user gives up
    if has_own_id:
        os.setgroups([])
        os.setresgid(LEARNER_ID, LEARNER_ID, LEARNER_ID)
        os.setresuid(LEARNER_ID, LEARNER_ID, LEARNER_ID)
    syscalls.drop_capabilities()
    syscalls.no_new_privileges()


def maps_nobody() -> bool:
    """Was this namespace made by root, so that the learner can be somebody else?"""
    return len(Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()) > 1


def _separate() -> None:
    """New namespaces, user ids mapped, and the caller goes on as the new pid 1."""
    uid, gid = os.geteuid(), os.getegid()
    own = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY)
    ready, go = os.pipe()
    mapper = os.fork()
    if mapper == 0:  # still outside: may map a second id when it is root
        code = 1
        try:
            os.close(go)
            os.read(ready, 1)
            _write_maps(own, uid, gid)
            code = 0
        finally:
            os._exit(code)
    os.close(ready)
    try:
        syscalls.unshare(_NAMESPACES)
    finally:
        os.close(go)
        _, status = os.waitpid(mapper, 0)
        os.close(own)
    if os.waitstatus_to_exitcode(status) != 0:
        _write_own_map(uid, gid)
    pid = os.fork()
    if pid:
        _wait_and_end(pid)
    die_with_parent()
    os.setsid()


def _write_maps(own: int, uid: int, gid: int) -> None:
    def write(name: str, text: str) -> None:
        file = os.open(name, os.O_WRONLY, dir_fd=own)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)

    for name, mine in (("uid_map", uid), ("gid_map", gid)):
        write(name, f"0 {mine} 1\n{LEARNER_ID} {NOBODY} 1\n")


def _write_own_map(uid: int, gid: int) -> None:
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{LEARNER_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{LEARNER_ID} {gid} 1")


def _wait_and_end(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _new_root(paths: list[str], disk_mb: int) -> None:
    root = "/mnt" if os.path.isdir("/mnt") else "/tmp"  # any folder: the new root is mounted over it, for us only
    kept = _hold(paths)
    devices = _hold([f"/dev/{name}" for name in _DEVICES])
    syscalls.mount("root", root, "tmpfs", syscalls.MS_NOSUID, "size=4m,mode=755")
    _scratch(root, disk_mb)
    _show(root, kept)
    for link in ("bin", "sbin", "lib", "lib64"):
        if os.path.islink(f"/{link}"):
            os.symlink(os.readlink(f"/{link}"), f"{root}/{link}")
    os.makedirs(f"{root}/proc")
    syscalls.mount("proc", f"{root}/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    _show(root, devices)
    for target, link in (("/proc/self/fd", "fd"), ("fd/0", "stdin"), ("fd/1", "stdout"), ("fd/2", "stderr")):
        os.symlink(target, f"{root}/dev/{link}")
    syscalls.mount(root, root, None, syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY)
    syscalls.pivot_root(root)


def _freshen(paths: list[str], disk_mb: int) -> None:
    hidden = _hold([path for path in paths if path.startswith(tuple(f"{place}/" for place, _ in _SCRATCH))])
    syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    for name in _DEVICES:
        with suppress(OSError):
            syscalls.make_read_only(f"/dev/{name}")
    _scratch("", disk_mb)
    _show("", hidden)


def _hold(paths: list[str]) -> dict[str, int]:
    return {path: os.open(path, os.O_PATH) for path in paths if os.path.exists(path)}


def _show(root: str, held: dict[str, int]) -> None:
    """Make what is held visible, read-only, at its old place below `root`."""
    for path, file in held.items():
        source, target = f"/proc/self/fd/{file}", root + path
        if os.path.isdir(source):
            os.makedirs(target, exist_ok=True)
        else:
            _touch(target)
        syscalls.mount(source, target, None, syscalls.MS_BIND | syscalls.MS_REC)
        syscalls.make_read_only(target)
        os.close(file)


def _scratch(root: str, disk_mb: int) -> None:
    """The places that can be written to: small, in memory, gone with the namespace."""
    for place, share in _SCRATCH:
        os.makedirs(root + place, exist_ok=True)
        size = max(int(disk_mb * 1024 * share), 64)
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
        syscalls.mount("scratch", root + place, "tmpfs", flags, f"size={size}k,nr_inodes=20000,mode=1777")


def _touch(path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
