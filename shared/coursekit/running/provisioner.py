"""A Jupyter kernel provisioner that forks kernels instead of starting a Python for each.

A kernel that is forked from a process with everything imported is ready within a fraction of the time. When the fork
server is gone, the kernel is started the plain way. Used inside the worker (`coursekit.running.worker`); who owns the
fork servers is `coursekit.running.forking`, what runs in them `coursekit.running.kernel_server`.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import LocalProvisioner

from coursekit.running import processes as running_processes
from coursekit.zygote import Zygote, ZygoteDied

_LAUNCHER = "ipykernel_launcher"
_BIND_SECONDS = 2.0
_LOST = -int(signal.SIGKILL)


class ForkedProcess:
    """A kernel as `subprocess.Popen` would show it.

    `returncode` is None as long as it is not known, and for good when it is `lost`: the fork server died before it.
    Then `poll` says that it was killed, which is what happens to it.
    """

    stdin = stdout = stderr = None

    def __init__(self, zygote: Zygote, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._zygote = zygote
        self.lost = False

    def poll(self) -> int | None:
        if self.returncode is None and not self.lost:
            try:
                self.returncode = self._zygote.poll(self.pid)
            except ZygoteDied:
                self.lost = True
        return _LOST if self.lost else self.returncode

    def wait(self) -> int | None:
        return self.poll()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class ForkingProvisioner(LocalProvisioner):
    """Forks the kernel from `zygote`; everything else is as with a local process."""

    def __init__(self, zygote: Zygote, **settings: Any) -> None:
        super().__init__(**settings)
        self._zygote = zygote

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        if _LAUNCHER not in cmd:
            return await super().launch_kernel(cmd, **kwargs)
        argv, cwd = cmd[cmd.index(_LAUNCHER) + 1 :], str(kwargs.get("cwd") or Path.cwd())
        environment = {name: value for name, value in kwargs["env"].items() if not name.startswith("JPY_")}
        with open(os.devnull, "rb") as nothing:
            try:
                pid = self._zygote.spawn(
                    "coursekit.running.kernel_server:kernel", {"argv": argv}, (nothing.fileno(), 1, 2),
                    environ=environment, cwd=cwd, stdio=True,
                )  # fmt: skip
            except ZygoteDied as error:
                self._zygote.close()  # should it answer late, its kernel must not live beside the one started now
                self.log.warning("%s; the kernel is started the plain way", error)
                return await super().launch_kernel(cmd, **kwargs)
        running_processes.kernel_sessions.add(pid)
        self.process = ForkedProcess(self._zygote, pid)
        self.pid = self.pgid = pid  # it leads a session, and so a group, of its own
        self.cwd = cwd
        return self.connection_info

    async def post_launch(self, **kwargs: Any) -> None:
        """Wait for the kernel's last socket: a client that is earlier would try again only after 100 ms."""
        await super().post_launch(**kwargs)
        socket = Path(f"{self.connection_info['ip']}-{self.connection_info['hb_port']}")
        deadline = asyncio.get_running_loop().time() + _BIND_SECONDS
        while self.connection_info["transport"] == "ipc" and not socket.exists() and await self.poll() is None:
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(0.005)

    async def send_signal(self, signum: int) -> None:
        if await self.poll() is None:  # later, the pid may be somebody else's
            await super().send_signal(signum)
