"""The kernel that notebooks are executed in, as jupyter_client's manager and client see it.

- It is this Python's own ipykernel, whatever kernelspecs are installed: a `python3` in the user's home that belongs to
  another environment is the classic reason why a notebook runs in one place only.
- It is forked from a process that has everything imported where the run has one (`coursekit.running.forking`).
- It is reached over unix sockets in a private folder: free ports are raced for when several kernels start at once.
- Nobody waits for it longer than needed: the stock client and manager wait 0.3 s at its start and end.
"""

from __future__ import annotations

import os
import time
import uuid
from queue import Empty
from typing import Any

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.paths import jupyter_runtime_dir
from traitlets import default

from coursekit.running.provisioner import ForkingProvisioner
from coursekit.zygote import Zygote


class OwnKernelClient(AsyncKernelClient):
    """Knows that the kernel is ready by the answer itself: the stock client then waits 0.2 s for more to come."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait for a reply on the shell channel and for its `idle` on iopub, which comes last.

        Raises:
            RuntimeError: the kernel died, or did not answer within `timeout` seconds.
        """
        deadline = time.monotonic() + (timeout if timeout is not None else float("inf"))
        while not await self._answers(self.kernel_info()):
            if not await self._async_is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Kernel didn't respond in {timeout:g} seconds")

    async def _answers(self, request: str) -> bool:
        try:
            while (reply := await self.shell_channel.get_msg(timeout=1))["parent_header"].get("msg_id") != request:
                pass  # to an earlier request, whose `idle` nobody heard
            while True:
                status = await self.iopub_channel.get_msg(timeout=0.2)
                mine = status["parent_header"].get("msg_id") == request
                if mine and status["content"].get("execution_state") == "idle":
                    break
        except Empty:
            return False
        self._handle_kernel_info_reply(reply)
        return True


class OwnKernelManager(AsyncKernelManager):
    """Starts this Python's ipykernel, over unix sockets: forked from `zygote` if there is one."""

    zygote: Zygote | None = None
    provisioner: Any  # as jupyter_client declares it

    @default("kernel_spec_manager")
    def _own_kernel_only(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[], parent=self)

    @default("client_factory")
    def _own_client(self) -> type[OwnKernelClient]:
        return OwnKernelClient

    async def _async_pre_start_kernel(self, **settings: Any) -> Any:
        if self.provisioner is None and self.zygote is not None:
            self.kernel_id = str(uuid.uuid4())
            self.provisioner = ForkingProvisioner(
                self.zygote, kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self
            )
        return await super()._async_pre_start_kernel(**settings)

    async def _async_finish_shutdown(
        self, waittime: float | None = None, pollinterval: float = 0.01, restart: bool = False
    ) -> None:
        await super()._async_finish_shutdown(waittime, pollinterval, restart)  # stock: it looks every 100 ms

    @default("transport")
    def _unix_sockets(self) -> str:
        return "ipc"

    @default("connection_file")
    def _private_connection_file(self) -> str:
        return os.path.join(jupyter_runtime_dir(), "kernel.json")  # by default a temporary file, left by a killed run

    @default("ip")
    def _short_socket_path(self) -> str:
        return os.path.join(jupyter_runtime_dir(), "k")  # a socket's path may have about 100 characters
