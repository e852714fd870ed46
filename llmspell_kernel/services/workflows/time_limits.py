"""Time limits whose end is an error of ours, with the name of what took too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llmspell_protocol.errors import Timeout


@asynccontextmanager
async def time_limit(seconds: float | None, what: str, *, begun: bool = True) -> AsyncIterator[asyncio.Timeout]:
    """Ends the block after so many seconds; None: never. Not `begun`: the block itself says when its time begins.

    Raises:
        Timeout: the time is over.
    """
    limit = asyncio.timeout(seconds if begun else None)
    try:
        async with limit:
            yield limit
    except TimeoutError:
        if not limit.expired():
            raise
        took = f" after {seconds:g}s" if seconds is not None else ""
        raise Timeout(f"{what} timed out{took}", details={"timeout_s": seconds}) from None
