"""A filter on system calls for learners' processes: what no exercise needs, and what namespaces do not hold back.

Memory that belongs to no process (memfd, System V), keyrings, tracing, io_uring, mounts and namespaces, sockets of families
that have no network namespace (vsock, for one). The list follows Docker's default profile (moby/profiles, seccomp), read as
a list of refusals; a refused call fails with EPERM. Programs and constants are from linux/seccomp.h and linux/filter.h.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

_MACHINES = {"x86_64": (0xC000_003E, 0), "aarch64": (0xC000_00B7, 1)}  # audit architecture, column below
_REFUSED: dict[str, tuple[int, int]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_settime": (227, 112),
    "finit_module": (313, 273),
    "fsopen": (430, 430),
    "init_module": (175, 105),
    "io_uring_setup": (425, 425),
    "kcmp": (312, 272),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mount": (165, 40),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "swapon": (167, 224),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
_SOCKET = (41, 198)
_FAMILIES = (1, 2, 10, 16)  # unix, IPv4, IPv6, netlink (which looks up names)

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF_0000, 0x0005_0000 | errno.EPERM
_NUMBER_AT, _MACHINE_AT, _ARGUMENT_AT = 0, 4, 16  # in struct seccomp_data
_OTHER_ABI = 0x4000_0000  # x86_64's x32 calls
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


def refuse_calls() -> None:
    """Install the filter in this process and all that it starts; needs `no_new_privileges`.

    Raises:
        OSError: the kernel has no filters, or this machine's call numbers are not known.
    """
    program = _program(platform.machine())
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    pointer = ctypes.create_string_buffer(header, len(header))
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, pointer, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "a filter on system calls")


def _program(machine: str) -> bytes:
    """The filter in the kernel's byte code."""
    if machine not in _MACHINES:
        raise OSError(errno.ENOSYS, f"no filter on system calls for {machine}")
    audit, column = _MACHINES[machine]
    refused = [numbers[column] for numbers in _REFUSED.values()]
    body = [(_EQUAL, number, "refuse", "") for number in refused]
    body += [(_EQUAL, _SOCKET[column], "", "allow"), (_LOAD, _ARGUMENT_AT, "", "")]
    body += [(_EQUAL, family, "allow", "") for family in _FAMILIES]
    head = [(_LOAD, _MACHINE_AT, "", ""), (_EQUAL, audit, "", "refuse"), (_LOAD, _NUMBER_AT, "", "")]
    lines = [*head, (_AT_LEAST, _OTHER_ABI, "refuse", ""), *body]
    places = {"refuse": len(lines), "allow": len(lines) + 1}
    packed = [
        struct.pack("HBBI", code, *(places[way] - index - 1 if way else 0 for way in (yes, no)), value)
        for index, (code, value, yes, no) in enumerate(lines)
    ]
    packed += [struct.pack("HBBI", _RETURN, 0, 0, verdict) for verdict in (_REFUSE, _ALLOW)]
    return b"".join(packed)
