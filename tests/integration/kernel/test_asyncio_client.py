"""The asyncio client over real sockets: streams side by side, ends of every kind, questions and output."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from llmspell_protocol.client.aio import AsyncClient
from llmspell_protocol.client.events import Delta
from llmspell_protocol.connection import Transport
from llmspell_protocol.errors import (
    Cancelled,
    KernelUnreachable,
    LlmspellError,
    Timeout,
    Unauthorized,
)
from llmspell_protocol.messages import Message
from tests.support.client_scenes import TRANSPORTS, Start, silence, stream_of
from tests.support.scripted_kernel import Answer


def test_ten_streams_at_once_over_one_asyncio_client(start: Start) -> None:
    kernel = start("tcp", stream_of(50))

    async def read(client: AsyncClient, who: int) -> list[str]:
        pending = client.request("model_request", {"who": f"{who}:"})
        texts = [event.content["text"] async for event in pending if isinstance(event, Delta)]
        assert (await pending.result()).content["count"] == 50
        return texts

    async def run() -> None:
        async with await AsyncClient(kernel.info).connect(60.0) as client:
            streams = await asyncio.gather(*(read(client, who) for who in range(10)))
        for who, texts in enumerate(streams):
            assert texts == [f"{who}:{number} " for number in range(1, 51)]

    asyncio.run(run())


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_asyncio_client_hears_of_death_time_and_cancel(start: Start, transport: Transport) -> None:
    waiting: dict[str, Message] = {}

    def script(message: Message) -> Iterator[Answer]:
        match message.content.get("action"):
            case "die":
                kernel.die()
            case "cancel" if message.content["msg_id"] in waiting:
                message.header = waiting.pop(message.content["msg_id"]).header
                yield "shell", "model_reply", {**Cancelled("cancelled").to_content(), "seq": 0}
            case _:
                waiting[message.msg_id] = message

    kernel = start(transport, script)

    async def run() -> None:
        async with await AsyncClient(kernel.info, context=kernel.client_context).connect(60.0) as client:
            pending = client.request("model_request", {"action": "chat"})
            pending.cancel()
            with pytest.raises(Cancelled):
                await pending.result()
            with pytest.raises(Timeout):
                await client.request("model_request", {}, timeout_s=0.05).result()
            open_request = client.request("model_request", {})
            client.request("model_request", {"action": "die"})
            with pytest.raises(KernelUnreachable):
                await asyncio.wait_for(open_request.result(), 2.0)
            with pytest.raises(KernelUnreachable):
                client.request("model_request", {})

    asyncio.run(run())


def test_the_asyncio_client_answers_questions_and_brings_output(start: Start) -> None:
    execute: list[Message] = []

    def script(message: Message) -> Iterator[Answer]:
        if message.msg_type == "execute_request":
            execute.append(message)
            yield "stdin", "input_request", {"prompt": "name? "}
        else:
            text = message.content["value"]
            message.header = execute.pop().header
            yield "iopub", "stream", {"name": "stdout", "text": text}
            yield "shell", "execute_reply", {"status": "ok"}
            yield "iopub", "status", {"execution_state": "idle"}

    kernel = start("tcp", script)

    async def on_input(prompt: str, password: bool) -> str | None:
        return f"answer to {prompt}"

    async def run() -> None:
        async with await AsyncClient(kernel.info).connect(60.0) as client:
            await client.subscribe(60.0)
            pending = client.request("execute_request", {"allow_stdin": True}, output=True, on_input=on_input)
            assert [event.content async for event in pending] == [{"name": "stdout", "text": "answer to name? "}]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "kind"), [({"key": "guessed"}, Unauthorized), ({"shell_port": 1}, KernelUnreachable)]
)
def test_the_asyncio_client_connects_only_where_it_may(
    start: Start, change: dict[str, Any], kind: type[LlmspellError]
) -> None:
    kernel = start("tcp", silence)

    async def run() -> None:
        with pytest.raises(kind):
            await AsyncClient(kernel.info._replace(**change)).connect()

    asyncio.run(run())
