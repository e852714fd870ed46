"""A real model behind a real kernel: many clients at once, cancelling, crashes, limits, and what a client is told."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from llmspell_protocol.client.aio import AsyncClient, AsyncPending
from llmspell_protocol.client.events import Delta, Progress
from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import Cancelled, ContextLengthExceeded, ModelNotFound, WorkerCrashed
from tests.support.kernels import KernelProcess

pytestmark = pytest.mark.slow

LONG_PROMPT = "The quick brown fox jumps over the lazy dog. " * 250
CLIENTS = 10
CRASH_DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def kernel(smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelProcess]:
    """A kernel with the model loaded and pinned, for all tests of this file."""
    home = tmp_path_factory.mktemp("home")
    process = KernelProcess(env={"LLMSPELL_HOME": str(home)}, cwd=home)
    try:
        with process.client() as client:
            client.request("model_request", {"action": "pull", "model": f"file://{smollm2_path}@candle"}).result()
        yield process
    finally:
        process.stop()


@pytest.fixture(scope="module")
def model(kernel: KernelProcess) -> Iterator[str]:
    with kernel.client() as client:
        [found] = client.request("model_request", {"action": "list", "backend": "candle"}).result().content["models"]
        name = f"{found['id']}@candle"
        client.request("model_request", {"action": "load", "model": name, "pin": True}).result()
        yield name


@pytest.fixture
def client(kernel: KernelProcess, model: str) -> Iterator[Client]:
    with kernel.client() as connected:
        yield connected


def chat(model: str, text: str, **options: Any) -> dict[str, Any]:
    return {
        "action": "chat",
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "options": {"temperature": 0, "max_tokens": 24, **options},
    }


@asynccontextmanager
async def connected(kernel: KernelProcess, count: int) -> AsyncIterator[list[AsyncClient]]:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(AsyncClient(kernel.info)) for _ in range(count)]
        for one in clients:
            await one.connect(20)
        yield clients


async def read_all(name: str, pending: AsyncPending, order: list[str], streaming: asyncio.Event) -> str:
    text = ""
    async for event in pending:
        if isinstance(event, Delta):
            text += event.content.get("text", "")
            streaming.set()
    reply = await pending.result()
    order.append(name)
    assert reply.content["message"]["content"] == text
    return text


def test_ten_clients_stream_while_an_eleventh_is_answered_before_any_of_them_ends(
    kernel: KernelProcess, model: str
) -> None:
    async def everyone() -> tuple[list[str], list[str]]:
        order: list[str] = []
        async with connected(kernel, CLIENTS + 1) as clients:
            streaming = asyncio.Event()
            readers = []
            for number, one in enumerate(clients[:CLIENTS]):
                pending = one.request("model_request", chat(model, f"Count to {number}.", max_tokens=64))
                reading = read_all(f"chat {number}", pending, order, streaming)
                readers.append(asyncio.create_task(reading))
            await asyncio.wait_for(streaming.wait(), 120)
            await clients[CLIENTS].request("model_request", {"action": "status"}).result()
            order.append("status")
            return order, await asyncio.gather(*readers)

    order, texts = asyncio.run(everyone())

    assert order[0] == "status"
    assert len(order) == CLIENTS + 1
    assert all(texts)


def test_the_second_turn_of_a_conversation_reuses_the_first(client: Client, model: str) -> None:
    first = client.request("model_request", chat(model, LONG_PROMPT[:1000])).result().content
    messages = [
        {"role": "user", "content": LONG_PROMPT[:1000]},
        {"role": "assistant", "content": first["message"]["content"]},
        {"role": "user", "content": "And then?"},
    ]
    second = client.request("model_request", {**chat(model, ""), "messages": messages}).result().content

    assert second["usage"]["cached_tokens"] > 0.8 * first["usage"]["prompt_tokens"]


def test_cancelling_while_the_prompt_is_read_frees_the_slot(client: Client, model: str) -> None:
    pending = client.request("model_request", chat(model, "Cancelled soon. " + LONG_PROMPT, num_ctx=4096))
    progress = next(event for event in pending if isinstance(event, Progress))
    pending.cancel()
    with pytest.raises(Cancelled):
        pending.result()

    assert progress.content["phase"] == "prefill"
    assert busy_slots(client) == 0


def test_cancelling_a_reply_keeps_what_came_and_frees_the_slot(client: Client, model: str) -> None:
    pending = client.request("model_request", chat(model, "Tell me a long story.", max_tokens=2000))
    pieces = []
    for event in pending:
        if isinstance(event, Delta):
            pieces.append(event.content["text"])
        if len(pieces) == 3:
            break
    pending.cancel()
    with pytest.raises(Cancelled) as caught:
        pending.result()

    assert caught.value.details["partial"]["text"].startswith("".join(pieces))
    assert busy_slots(client) == 0


def test_a_client_that_vanishes_has_its_reply_cancelled(kernel: KernelProcess, client: Client, model: str) -> None:
    with kernel.client() as vanishing:
        pending = vanishing.request("model_request", chat(model, "Tell me a long story.", max_tokens=2000))
        next(event for event in pending if isinstance(event, Delta))
        assert busy_slots(client) == 1

    wait_until_free(client)


def test_a_prompt_that_is_too_long_says_by_how_much(client: Client, model: str) -> None:
    with pytest.raises(ContextLengthExceeded) as caught:
        client.request("model_request", chat(model, LONG_PROMPT * 4)).result()

    assert caught.value.details["prompt_tokens"] > caught.value.details["limit"] == 8192


def test_a_wrong_name_is_not_found_with_what_there_is(client: Client) -> None:
    with pytest.raises(ModelNotFound, match="nosuch"):
        client.request("model_request", chat("nosuch@candle", "hi")).result()


def test_a_killed_worker_is_told_to_each_request_and_the_next_one_works(
    kernel: KernelProcess, client: Client, model: str
) -> None:
    async def kill_while_they_stream() -> list[BaseException | str]:
        async with connected(kernel, 3) as clients:
            order: list[str] = []
            tasks = []
            for number, one in enumerate(clients):
                streaming = asyncio.Event()
                pending = one.request("model_request", chat(model, "Tell me a long story.", max_tokens=2000))
                tasks.append(asyncio.create_task(read_all(str(number), pending, order, streaming)))
                await asyncio.wait_for(streaming.wait(), 60)
            os.kill(worker_pid(client), signal.SIGKILL)
            return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), CRASH_DEADLINE_S)

    outcomes = asyncio.run(kill_while_they_stream())
    assert [type(outcome) for outcome in outcomes] == [WorkerCrashed] * 3
    assert all(outcome.retryable for outcome in outcomes)  # type: ignore[union-attr]

    assert client.request("model_request", chat(model, "Say hi.")).result().content["message"]["content"]
    client.request("model_request", {"action": "unload", "model": model, "force": True}).result()


def test_unloading_returns_the_memory_to_the_system(client: Client, model: str) -> None:
    client.request("model_request", {"action": "load", "model": model}).result()
    process = psutil.Process(worker_pid(client))
    reply = client.request("model_request", {"action": "unload", "model": model}).result().content

    assert reply["unloaded"][0]["bytes_freed"] > 100_000_000
    process.wait(60)


def residents(client: Client) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = client.request("model_request", {"action": "ps"}).result().content["models"]
    return models


def busy_slots(client: Client) -> int:
    return sum(resident["busy_slots"] for resident in residents(client))


def wait_until_free(client: Client) -> None:
    """Each look is a round trip, so nothing spins."""
    for _ in range(50_000):
        if not busy_slots(client):
            return
    pytest.fail("the slot stays busy")


def worker_pid(client: Client) -> int:
    [resident] = residents(client)
    return int(resident["pid"])
