"""Time limits whose end is an error of ours, with the name of what took too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llmspell_protocol.errors import Timeout


@asynccontextmanager
async def time_limit(seconds: float | None, what: str, hint: str | None = None) -> AsyncIterator[asyncio.Timeout]:
    """Ends the block after so many seconds; None: never, unless the limit that is given is moved.

    Raises:
        Timeout: the time is over.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield limit
    except TimeoutError:
        if not limit.expired():
            raise
        took = f" after {seconds:g}s" if seconds is not None else ""
        raise Timeout(f"{what} timed out{took}", hint=hint, details={"timeout_s": seconds}) from None
