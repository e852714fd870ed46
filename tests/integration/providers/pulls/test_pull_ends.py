"""Pull workers that are ended by any signal, or take too much memory: a typed error, and the next pull goes on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from llmspell_protocol.errors import DownloadError, LlmspellError, OutOfMemory
from llmspell_protocol.exit_status import ending
from llmspell_providers.pulls.pull import Puller
from tests.support.hub_server import HubServer
from tests.support.pulling import MODEL, begun, pull, workers
from tests.support.turns import until

FILE = "tiny.Q4_K_M.gguf"
SIGNALS = (*(signal.SIGHUP, signal.SIGABRT, signal.SIGSEGV, signal.SIGTERM, signal.SIGBUS), 34, 40, 64)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_pull_whose_worker_is_ended_is_told_to_all_who_watch_and_goes_on(
    number: int, puller_of: Callable[..., Puller], server: HubServer
) -> None:
    manner = server.manner(FILE)
    manner.hold_at = len(MODEL) // 2
    puller = puller_of()

    async def watched() -> LlmspellError:
        with pytest.raises(DownloadError) as caught:
            await pull(puller, "tiny")
        return caught.value

    async def ended() -> list[LlmspellError]:
        running = await begun(puller, "tiny", len(MODEL) // 2)
        other = asyncio.create_task(watched())
        await until(lambda: [download.watchers for download in puller._running.values()] == [2])
        (worker,) = workers()
        os.kill(worker.pid, number)
        with pytest.raises(DownloadError) as caught:
            async for _ in running:
                pass
        return [caught.value, await other]

    errors = asyncio.run(ended())
    assert all(ending(-number) in error.message and error.retryable and error.hint for error in errors)
    manner.release.set()
    assert asyncio.run(pull(puller, "tiny")).result.resumed_from


def test_a_pull_that_takes_too_much_memory_is_told_by_its_limit(
    puller_of: Callable[..., Puller], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Enough to begin, and less than the hub's client takes.
    monkeypatch.setattr("llmspell_providers.pulls.pull.PULL_BYTES", 30 << 20)
    with pytest.raises(OutOfMemory, match="took more memory than it may") as caught:
        asyncio.run(pull(puller_of(), "tiny"))
    assert caught.value.hint
