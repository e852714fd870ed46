"""From a target to a connected client: which kernel is meant, and, for `embedded`, one in this process.

The one module here that imports the kernel, and only when it is asked for one of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell.asynchronous.kernel import AsyncKernel
from llmspell.hints import hints_shown
from llmspell.progress import Wanted, chosen
from llmspell.synchronous.kernel import Kernel
from llmspell_protocol.client.aio import AsyncClient
from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import resolve
from llmspell_protocol.errors import KernelUnreachable

if TYPE_CHECKING:
    import zmq

AUTO, EMBEDDED = "auto", "embedded"


class _Place(NamedTuple):
    """A kernel to connect to; one of this process comes with its context, and ends by `stop`."""

    info: ConnectionInfo
    context: zmq.Context[zmq.Socket[bytes]] | None = None
    stop: Callable[[], None] | None = None


def connect(
    target: str | ConnectionInfo | None = None,
    *,
    timeout_s: float = 2.0,
    progress: Wanted = "auto",
    session: str | None = None,
) -> Kernel:
    """Connects to a kernel; close what this returns, or use it in a `with` block.

    `target` is what `llmspell --connect` takes: a kernel's id, `auto` (the newest that runs), `host:port`, a connection
    file, a URL; or `embedded`: a kernel in this process, which ends with the connection. Without one it is the variable
    LLMSPELL_CONNECT, else `auto`.

    `progress` shows how far downloads, loads and long prompts are: by `auto` in notebooks and at terminals, by None
    nowhere; a callable gets what the work is about and returns a `Display`. All requests are recorded in `session`
    where one is named.

    Raises:
        KernelUnreachable: no kernel runs, or none answers there within `timeout_s` seconds.
        Unauthorized: it does not accept the key.
        LlmspellError: the target can't be used; the error says why.
    """
    with hints_shown():
        place = _place(target)
        try:
            client = Client(place.info, context=place.context).connect(timeout_s)
        except BaseException:
            _end(place)
            raise
    return Kernel(client, make_display=chosen(progress), session=session, on_close=place.stop)


async def connect_async(
    target: str | ConnectionInfo | None = None,
    *,
    timeout_s: float = 2.0,
    progress: Wanted = "auto",
    session: str | None = None,
) -> AsyncKernel:
    """The same for asyncio: `async with await connect_async() as kernel: …`. It belongs to the running loop."""
    # A kernel of one's own takes a while to start, and the loop has other work.
    import asyncio

    with hints_shown():
        place = await asyncio.to_thread(_place, target)
        try:
            client = await AsyncClient(place.info, context=place.context).connect(timeout_s)
        except BaseException:
            _end(place)
            raise
    return AsyncKernel(client, make_display=chosen(progress), session=session, on_close=place.stop)


def _place(target: str | ConnectionInfo | None) -> _Place:
    if isinstance(target, ConnectionInfo):
        return _Place(target)
    wanted = target or os.environ.get("LLMSPELL_CONNECT") or AUTO
    if wanted == EMBEDDED:
        return _embedded()
    # The home's rules are the configuration's; who names a kernel whole needs them for nothing else.
    from llmspell_profiles.loading.home import home_text

    try:
        return _Place(resolve(wanted, os.path.join(home_text(os.environ), "run"), os.environ))
    except KernelUnreachable as error:
        if wanted == AUTO:
            error.hint = f"{error.hint}; or a kernel in this process: connect('{EMBEDDED}')"
        raise


def _embedded() -> _Place:
    # A client of a kernel that runs waits for none of its code.
    from pathlib import Path

    from llmspell_kernel.embedded import EmbeddedKernel

    kernel: Any = EmbeddedKernel.start(env=os.environ, cwd=Path.cwd())
    try:
        kernel.wait()
    except BaseException:
        kernel.stop()
        raise
    return _Place(kernel.info, kernel.context, kernel.stop)


def _end(place: _Place) -> None:
    if place.stop is not None:
        place.stop()
