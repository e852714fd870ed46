"""A kernel on the test's own loop, with ZeroMQ on this machine and whatever other doors the test brings."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import zmq

from llmspell_kernel.app import Kernel
from llmspell_kernel.doors.binding import bind_sockets
from llmspell_kernel.doors.door import Door
from llmspell_kernel.doors.zmq import ZmqDoor
from llmspell_kernel.identity import Key, KeyRing
from llmspell_profiles.loading.loader import LoadedSettings, load_settings
from llmspell_protocol.connection import ConnectionInfo

SECRET = "the connection's"


class InProcessKernel:
    """A kernel that serves; blocking clients have to be in threads."""

    def __init__(self, kernel: Kernel, info: ConnectionInfo) -> None:
        self.kernel = kernel
        self.info = info
        self._changed = asyncio.Event()
        kernel.requests.on_change(self._changed.set)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits until requests have come or ended so that something holds."""
        async with asyncio.timeout(20):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def kernel_in_process(
    home: Path,
    *,
    doors: Iterable[Door] = (),
    keys: Iterable[Key] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
    **settings: object,
) -> AsyncIterator[InProcessKernel]:
    """A kernel for the time of a block; `settings` by dotted key, with `__` for the dot. It has ended afterwards.

    `variables` are its environment, besides its home.
    """
    # Both bring a C++ library, and beside usearch's libzmq names no message's connection. Kernels never load usearch.
    assert "usearch.compiled" not in sys.modules, "a test before this one has loaded usearch in this process"
    flags = {key.replace("__", "."): value for key, value in settings.items()}
    environment = {**variables, "LLMSPELL_HOME": str(home)}

    def load() -> LoadedSettings:
        return load_settings(profile=None, config=None, env=environment, cwd=home, flags=flags)

    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    info, sockets = bind_sockets(ConnectionInfo(key=SECRET), context)
    ring = KeyRing(SECRET.encode(), keys)
    ready = asyncio.Event()
    kernel = Kernel(load(), info, [ZmqDoor(info, sockets, ring), *doors], environment=environment, reload=load)
    serving = asyncio.get_running_loop().create_task(kernel.serve(ready.set))
    try:
        await ready.wait()
        yield InProcessKernel(kernel, info)
    finally:
        kernel.drain.begin(0)
        await serving
        context.term()
