"""Events in a real kernel: between scripts, to clients that follow them, to functions, and to no other key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.identity import Key
from llmspell_protocol.client.events import Delta, Progress
from llmspell_protocol.client.sync import Client, Pending
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.messages import METADATA_KEY
from tests.support.kernel_in_process import kernel_in_process
from tests.support.kernels import KernelProcess
from tests.support.raw_sockets import RawSocket, raw_socket
from tests.support.script_kernel import ran, script_kernel
from tests.support.steering import wait_until
from tests.support.web_server import WebServer, web_server

GUEST = Key("guest", b"a guest's")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with script_kernel(tmp_path_factory.mktemp("events")) as connected:
        yield connected


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> None:
    """The tests share a kernel, which keeps its tool workers; `client` looks when it has ended."""


def following(client: Client, pattern: str, count: int | None = None) -> Pending:
    """A stream of events whose subscription is there."""
    pending = client.request("event_request", {"action": "subscribe", "pattern": pattern, "count": count})
    assert isinstance(next(iter(pending)), Progress)
    return pending


def followed(pending: Pending) -> list[dict[str, Any]]:
    """The events of a stream that ends well."""
    found = [event.content["event"] for event in pending if isinstance(event, Delta)]
    pending.result()
    return found


def started(client: Client, code: str) -> Pending:
    metadata = {METADATA_KEY: {"isolated": True, "name": "test.lua"}}
    return client.request("execute_request", {"code": code, "allow_stdin": False}, metadata=metadata)


def test_a_script_publishes_and_receives_its_own_events(client: Client) -> None:
    code = (
        "local id = Event.subscribe('order.*') Event.publish('order.placed', {id = 7}) Event.emit('other', 1) "
        "local event, none = Event.receive(id), Event.receive(id, 10) "
        "return {event.event_type, event.data.id, event.language, none == nil, Event.unsubscribe(id), "
        "Event.unsubscribe(id), select(2, pcall(Event.receive, id))}"
    )
    *found, said = ran(client, code)
    assert found == ["order.placed", 7, "lua", True, True, False]
    assert said.startswith("No active subscription found: ")


def test_receive_waits_in_the_kernel_for_another_script_s_event(client: Client) -> None:
    receiving = started(client, "local e = Event.receive(Event.subscribe('answer'), 60000) return e.data")
    wait_until(client, lambda _: subscriptions(client, "answer") == 1)
    ran(client, "Event.publish('answer', {6, 7})")
    assert receiving.result().content["result"] == [6, 7]


def subscriptions(client: Client, pattern: str) -> int:
    found = client.request("event_request", {"action": "subscriptions"}).result().content["subscriptions"]
    return sum(one["pattern"] == pattern for one in found)


def test_a_client_follows_what_scripts_publish_in_their_order(client: Client) -> None:
    pending = following(client, "n.*", count=200)
    scripts = [started(client, f"for i = 1, 100 do Event.publish('n.{name}', i) end") for name in ("a", "b")]
    for script in scripts:
        script.result()
    events = followed(pending)
    for name in ("a", "b"):
        assert [event["data"] for event in events if event["event_type"] == f"n.{name}"] == list(range(1, 101))
    assert pending.result().content["events"] == 200
    assert pending.result().content["dropped"] == 0


def test_work_is_told(client: Client) -> None:
    pending = following(client, "*.*ed", count=6)
    ran(
        client,
        "local a = Agent.create{name = 'ada', model = 'mock/a'} a:complete('hi') "
        "Tool.execute('calculator', {input = '6'}) pcall(Tool.execute, 'calculator', {operation = 'evaluate'})",
    )
    events = followed(pending)
    assert [event["event_type"] for event in events] == [
        *("agent.started", "agent.completed", "tool.started", "tool.completed", "tool.started", "tool.failed"),
    ]
    assert events[0]["data"]["component_name"] == "ada"
    assert events[0]["data"]["input_text_length"] == 2
    assert events[1]["data"]["model_used"] == "mock/a"
    assert events[1]["data"]["duration_ms"] >= 0
    assert events[2]["data"]["parameter_keys"] == ["input"]
    assert events[5]["data"]["error_type"] == "invalid_request"
    assert len({event["correlation_id"] for event in events}) == 1


def test_a_function_is_called_with_each_event_between_the_script_s_own_calls(client: Client) -> None:
    code = (
        "local seen = {} Event.subscribe('order.*', function(e) seen[#seen + 1] = e.data end) "
        "for i = 1, 3 do Event.publish('order.x', i) end return seen"
    )
    assert ran(client, code) == [1, 2, 3]


def test_a_function_may_publish_itself(client: Client) -> None:
    code = (
        "local seen = {} "
        "Event.subscribe('*.x', function(e) seen[#seen + 1] = e.event_type if e.event_type == 'a.x' then "
        "Event.publish('b.x') end end) "
        "Event.publish('a.x') Event.receive(Event.subscribe('none'), 300) return seen"
    )
    assert ran(client, code) == ["a.x", "b.x"]


def test_a_function_may_end_its_own_subscription(client: Client) -> None:
    code = (
        "local seen, id = {} id = Event.subscribe('x', function(e) seen[#seen + 1] = e.data Event.unsubscribe(id) end) "
        "for i = 1, 3 do Event.publish('x', i) end return {seen, #Event.list_subscriptions()}"
    )
    assert ran(client, code) == [[1], 0]


def test_functions_of_a_script_that_publish_wait_for_no_other(client: Client) -> None:
    code = (
        "local seen = {} Event.subscribe('x', function(e) seen[#seen + 1] = e.data end) "
        "Hook.register('BeforeToolExecution', function() Event.publish('x', 'hook') end) "
        "Tool.register{name = 'mine', description = 'd', execute = function() Event.publish('x', 'tool') end} "
        "Tool.execute('mine', {}) Event.publish('x', 'last') return seen"
    )
    assert ran(client, code) == ["hook", "tool", "last"]


def test_a_function_that_fails_is_told_to_hooks_and_called_no_more_after_five(client: Client) -> None:
    code = (
        "local n, told = 0, {} "
        "Hook.register('EventHandlerError', function(ctx) told[#told + 1] = ctx.data.error end) "
        "Event.subscribe('x', function() n = n + 1 error('broken') end) "
        "for i = 1, 7 do Event.publish('x', i) end return {n, told[1], #told}"
    )
    pending = started(client, code)
    errors = "".join(e.content["text"] for e in pending if isinstance(e, Delta) and e.content["stream"] == "stderr")
    calls, said, told = pending.result().content["result"]
    assert (calls, told) == (5, 5)
    assert said == "test.lua:1: broken"
    assert errors.count("it is called no more") == 1


def test_a_subscription_ends_with_its_script_and_a_stream_with_its_client(client: Client) -> None:
    ran(client, "Event.subscribe('mine')")
    wait_until(client, lambda _: subscriptions(client, "mine") == 0)
    with Client(client.info).connect(60) as other:
        following(other, "theirs")
        assert subscriptions(client, "theirs") == 1
    wait_until(client, lambda _: subscriptions(client, "theirs") == 0)


def test_cancelling_a_stream_ends_its_subscription(client: Client) -> None:
    pending = following(client, "cancelled")
    client.request("kernel_request", {"action": "cancel", "msg_id": pending.msg_id}, channel="control").result()
    with pytest.raises(LlmspellError, match="cancelled"):
        pending.result()
    assert subscriptions(client, "cancelled") == 0


def test_a_reader_who_does_not_read_loses_the_oldest_and_is_told(client: Client) -> None:
    code = (
        "local id = Event.subscribe('flood') for i = 1, 1100 do Event.publish('flood', i) end "
        "return {Event.receive(id).data, Event.list_subscriptions()[1].dropped, "
        "Event.get_stats().event_bus_stats.events_dropped >= 100}"
    )
    assert ran(client, code) == [101, 100, True]


def test_clients_can_not_do_what_is_for_scripts(client: Client) -> None:
    for action, fields in (("listen", {"pattern": "a"}), ("receive", {"subscription": "x"})):
        with pytest.raises(LlmspellError):
            client.request("event_request", {"action": action, **fields}).result()


def ask(raw: RawSocket, msg_type: str, content: dict[str, Any]) -> dict[str, Any]:
    """The content of a reply."""
    request = raw.message(msg_type, content)
    raw.send(request)
    return raw.reply_to(request).content


def test_no_key_sees_what_another_s_scripts_tell_who_listens_or_what_they_hook(home: Path) -> None:
    def talk(info: ConnectionInfo) -> None:
        with Client(info).connect(60) as own, raw_socket(info, key="a guest's", key_id="guest") as guest:
            mine = following(own, "*.x", count=1)
            hook = "Hook.register('BeforeToolExecution', function() return 'no' end) Event.subscribe('*')"
            own.request("execute_request", {"code": hook, "allow_stdin": False}).result()
            published = {"action": "publish", "event_type": "guest.x", "data": 1}
            assert ask(guest, "event_request", published)["status"] == "ok"
            assert ask(guest, "event_request", {"action": "subscriptions"})["subscriptions"] == []
            assert ask(guest, "hook_request", {"action": "list"})["hooks"] == []
            invoke = {"action": "invoke", "tool": "calculator", "parameters": {"input": "6"}}
            assert ask(guest, "tool_request", invoke)["output"] == 6
            own.request("event_request", {**published, "event_type": "own.x"}).result()
            assert [event["event_type"] for event in followed(mine)] == ["own.x"]

    async def main() -> None:
        async with kernel_in_process(home, keys=[GUEST]) as running:
            await asyncio.to_thread(talk, running.info)

    asyncio.run(main())


def test_a_follower_who_reads_nothing_for_a_while_is_told_what_it_has_lost(client: Client) -> None:
    many = 4000
    with raw_socket(client.info, hwm=1) as slow:
        request = slow.message("event_request", {"action": "subscribe", "pattern": "flood"})
        slow.send(request)
        wait_until(client, lambda _: subscriptions(client, "flood") == 1)
        text = "('x'):rep(2000)"
        ran(client, f"for i = 1, {many} do Event.publish('flood', {{i = i, text = {text}}}) end")
        seen, dropped = 0, 0
        while seen + dropped < many:
            message = slow.receive()
            if message.msg_type == "event_delta":
                dropped += message.content["dropped"]
                seen += 1
                assert message.content["event"]["data"]["i"] == seen + dropped
        assert dropped > 0
    wait_until(client, lambda _: subscriptions(client, "flood") == 0)


def test_a_stream_ends_in_order_with_its_kernel_and_everything_was_exported(home: Path) -> None:
    path = home / "events.ndjson"
    (home / "config.toml").write_text(f'[events.export]\nfile = "{path}"\n')
    kernel = KernelProcess()
    try:
        with kernel.client() as client:
            pending = following(client, "*")
            code = "Event.publish('order.placed', {api_key = 'canary', note = 'kept'})"
            client.request("execute_request", {"code": code, "allow_stdin": False}).result()
            client.request("kernel_request", {"action": "drain", "timeout_s": 30}, channel="control").result()
            events = followed(pending)
            assert [event["event_type"] for event in events] == ["order.placed", "system.stopping"]
            assert pending.result().content["status"] == "ok"
            kernel.wait()
    finally:
        kernel.stop()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event_type"] for line in lines] == ["system.started", "order.placed", "system.stopping"]
    assert lines[1]["data"] == {"api_key": "***", "note": "kept"}


def test_a_webhook_gets_events_in_batches_and_one_that_fails_is_told(home: Path) -> None:
    with web_server() as server:
        url = server.page("/events", {"ok": True})
        (home / "config.toml").write_text(f'[events.export]\nwebhook = "{url}"\n')
        kernel = KernelProcess()
        try:
            with kernel.client() as client:
                ran(client, "Event.publish('order.placed', {id = 7, token = 'canary'})")
                wait_until(client, lambda _: len(posted(server)) >= 2)
        finally:
            kernel.stop()
    events = posted(server)
    assert [event["event_type"] for event in events[:2]] == ["system.started", "order.placed"]
    assert events[1]["data"] == {"id": 7, "token": "***"}


def posted(server: WebServer) -> list[dict[str, Any]]:
    return [event for asked in server.asked for event in asked.json]
