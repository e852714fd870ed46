"""A search of the hub as the kernel sees it: one worker process a question. Asks no network itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from llmspell_protocol.areas.found_models import HubRepository
from llmspell_protocol.child import Child
from llmspell_protocol.errors import LlmspellError, SourceUnavailable, WorkerCrashed, error_from_content
from llmspell_protocol.exit_status import ending
from llmspell_protocol.frames import Frame
from llmspell_protocol.worker_memory import PULL_BYTES

WITHIN_S = 30.0
"""A hub answers in a second; one that never ends is left."""


async def search(
    words: str, limit: int, *, environment: Mapping[str, str], log_path: Path | None
) -> list[HubRepository]:
    """GGUF repositories of the hub that fit some words, the most downloaded first.

    Raises:
        SourceUnavailable, Unauthorized, Forbidden, RateLimited: the hub can't be reached, or doesn't answer.
        WorkerCrashed: the process ended meanwhile.
    """
    answer: asyncio.Future[list[HubRepository]] = asyncio.get_running_loop().create_future()

    def fail(error: LlmspellError) -> None:
        if not answer.done():
            answer.set_exception(error)

    def on_frame(frame: Frame) -> None:
        if frame["op"] == "error":
            fail(error_from_content(frame["error"]))
        elif frame["op"] == "found" and not answer.done():
            answer.set_result([HubRepository(**one) for one in frame["repositories"]])

    def on_exit(status: int) -> None:
        fail(WorkerCrashed(f"The process that was asking the hub ended {ending(status)}", hint="try again"))

    child = Child.spawn(
        "llmspell_providers.pulls.search_worker",
        environment=environment,
        log_path=log_path,
        memory_bytes=PULL_BYTES,
        on_frame=on_frame,
        on_exit=on_exit,
    )
    try:
        child.send({"op": "search", "words": words, "limit": limit})
        async with asyncio.timeout(WITHIN_S):
            return await answer
    except TimeoutError:
        raise SourceUnavailable(
            f"The hub did not answer within {WITHIN_S:g} s", hint="try again later, or check the network"
        ) from None
    finally:
        await child.end()
