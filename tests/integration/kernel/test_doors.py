"""A kernel with two doors: limits, ends and figures are those of the kernel, whatever door a client came through."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from llmspell_kernel.request import Request
from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import Busy, Cancelled, LlmspellError
from tests.support.kernel_in_process import InProcessKernel, kernel_in_process
from tests.support.raw_sockets import raw_socket
from tests.support.second_door import SecondDoor, reply_to
from tests.support.steering import wait_until

LISTING = {"action": "list", "backend": "candle"}
WORK = {"code": "Utils.sleep(600)"}


def run(home: Path, body: Callable[[InProcessKernel, SecondDoor], Awaitable[None]], **settings: object) -> SecondDoor:
    """Runs a test's body beside a kernel with both doors; returns the second one as it was left."""
    door = SecondDoor()

    async def main() -> None:
        async with kernel_in_process(home, doors=[door], **settings) as kernel:
            await body(kernel, door)

    asyncio.run(main())
    return door


async def at_zmq(kernel: InProcessKernel, use: Callable[[Client], Any]) -> Any:
    """What a client at the ZeroMQ door gets; an error is what it gets too."""

    def talk() -> Any:
        with Client(kernel.info).connect(60.0) as client:
            try:
                return use(client)
            except LlmspellError as error:
                return error

    return await asyncio.to_thread(talk)


def _list(client: Client) -> Any:
    return dict(client.request("model_request", LISTING).result().content)["status"]


def _work(client: Client) -> Any:
    return client.request("execute_request", WORK, metadata={"llmspell": {"isolated": True}}).result()


def _scripts(kernel: InProcessKernel) -> list[Request]:
    """The scripts that run; a client that connects makes requests of its own."""
    return [request for request in kernel.kernel.requests if request.msg_type == "execute_request"]


def test_the_limit_of_clients_counts_those_of_all_doors(home: Path) -> None:
    async def body(kernel: InProcessKernel, door: SecondDoor) -> None:
        for client in ("second-a", "second-b"):
            door.connect(client)
        refused = await at_zmq(kernel, _list)
        assert isinstance(refused, Busy)
        assert refused.details["max_clients"] == 2
        assert (await door.ask("second-b", "model_request", LISTING))["status"] == "ok"
        door.leave("second-a")
        assert await at_zmq(kernel, _list) == "ok"

    run(home, body, kernel__max_clients=2)


def test_a_client_that_leaves_takes_only_its_own_work_with_it(home: Path) -> None:
    async def body(kernel: InProcessKernel, door: SecondDoor) -> None:
        for client in ("second-a", "second-b"):
            door.connect(client)
        leaving = door.send("second-a", "execute_request", WORK, isolated=True)
        staying = door.send("second-b", "execute_request", WORK, isolated=True)
        elsewhere = asyncio.create_task(at_zmq(kernel, _work))
        await kernel.until(lambda: len(_scripts(kernel)) == 3)
        door.leave("second-a")
        gone = await reply_to(leaving)
        assert (gone["code"], gone["message"]) == ("cancelled", "interrupted: the client is gone")
        assert len(_scripts(kernel)) == 2
        kernel.kernel.drain.begin(0)
        told = await elsewhere
        assert isinstance(told, Cancelled)
        assert told.message == (await reply_to(staying))["message"] == "interrupted: the kernel is shutting down"

    assert run(home, body).closed


def test_status_and_figures_are_of_both_doors(home: Path) -> None:
    async def body(kernel: InProcessKernel, door: SecondDoor) -> None:
        door.dropped["size"] += 2
        door.connect("second-a")

        def forge_and_look(client: Client) -> Any:
            with raw_socket(kernel.info, key="a wrong key") as raw:
                raw.send(raw.message("kernel_info_request", {}))
                return wait_until(client, lambda status: "signature" in status["metrics"]["messages_dropped"])

        status = await at_zmq(kernel, forge_and_look)
        assert status["clients"] >= 2
        assert status["state"] == "Healthy"
        assert status["metrics"]["active_connections"] == status["clients"]
        assert status["metrics"]["messages_dropped"] == {"size": 2, "signature": 1}
        assert (await door.ask("second-a", "kernel_request", {"action": "status"}))["clients"] >= 1

    run(home, body)
