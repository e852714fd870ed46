"""Chat templates that certain messages make costly: the request ends, its worker too, and the next request works."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from llmspell_protocol.errors import OutOfMemory, Timeout, WorkerCrashed
from llmspell_providers.candle import process
from llmspell_providers.candle.trial_model import trial_model
from tests.support.hostile_templates import DEEP, ENDLESS
from tests.support.wayward import ask, failure, models

SETTINGS = "context_size = 256\nmax_concurrent = 2\nbatch_size = 32\ntimeout_seconds = {timeout}\n[models]\n{models}\n"


def costly(piece: str) -> bytes:
    """A model whose template is this only where somebody says so."""
    macros, _, body = piece.rpartition("{% endmacro %}")
    template = (
        f"{{% for m in messages %}}{{{{ m.content }}}}{{% if m.content == 'evil' %}}{body}{{% endif %}}{{% endfor %}}"
    )
    return trial_model({"tokenizer.chat_template": (macros + "{% endmacro %}" if macros else "") + template})


def settings(timeout: int = 60, limits: str = 'worker_memory_bytes = "400 MB"') -> str:
    return SETTINGS.format(timeout=timeout, models=limits)


@pytest.mark.parametrize("name", ["a loop", "growth by join"])
def test_a_message_that_takes_all_memory_is_out_of_memory_and_the_next_request_works(name: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with models(tmp_path, settings(), costly(ENDLESS[name])) as service:
            await ask(service, "hi")
            first = (await service.inventory.ps()).models[0].pid
            error = await failure(service, "evil")
            assert type(error) is OutOfMemory
            assert error.details["limit_bytes"] == 400_000_000
            await ask(service, "hi")
            assert (await service.inventory.ps()).models[0].pid != first

    asyncio.run(run())


def test_a_message_that_overruns_a_stack_is_a_crash_and_the_next_request_works(tmp_path: Path) -> None:
    async def run() -> None:
        async with models(tmp_path, settings(), costly(DEEP["a macro that calls itself"])) as service:
            assert type(await failure(service, "evil")) is WorkerCrashed
            await ask(service, "hi")

    asyncio.run(run())


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_a_message_that_never_ends_is_ended_with_its_worker_and_others_are_answered_meanwhile(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(process.STOP_WITHIN_S, "chat", 1.0)

    async def run() -> None:
        timeout = 2 if how == "timeout" else 60
        async with models(tmp_path, settings(timeout), costly(ENDLESS["loops in loops"])) as service:
            await ask(service, "hi")
            [loaded] = (await service.inventory.ps()).models
            assert loaded.pid is not None
            worker = psutil.Process(loaded.pid)
            evil = asyncio.create_task(failure(service, "evil"))
            await ask(service, "hi")
            if how == "timeout":
                assert type(await evil) is Timeout
            else:
                evil.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await evil
            await asyncio.to_thread(worker.wait, 30)
            await ask(service, "hi")

    asyncio.run(run())
