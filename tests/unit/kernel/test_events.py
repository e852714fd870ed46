"""The event bus: who gets what, in which order, what is dropped, kept out, and written elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.services.events.backlog import BEFORE_HOOKS, OWNER_BYTES
from llmspell_kernel.services.events.event import Event
from llmspell_kernel.services.events.export import Exporter
from llmspell_kernel.services.events.sizes import HEAVIEST, LARGEST, LONGEST_TYPE
from llmspell_kernel.services.events.subscription import BUFFERED, Subscription
from llmspell_kernel.services.events.subscriptions import MAX_SUBSCRIPTIONS
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.hook import Occasion
from llmspell_kernel.services.patterns import matcher
from llmspell_profiles.credentials.redaction import Redactor
from llmspell_protocol.errors import Forbidden, InvalidRequest, NotFound
from tests.support.hook_bench import HookBench, asked, run, settings_of
from tests.support.virtual_time import run_in_virtual_time

_COMPONENT = Component("custom", "x")


def taken(subscription: Subscription) -> list[Event]:
    """Everything that waits."""
    found = []
    while (event := subscription.taken()) is not None:
        found.append(event)
    return found


def types(subscription: Subscription) -> list[str]:
    return [event.event_type for event in taken(subscription)]


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("*", ["a", "a.b", "a\nb"], []),
        ("user.*", ["user.", "user.login", "user.a.b"], ["user", "users.a"]),
        ("*.error", ["a.error", ".error"], ["error", "a.errors"]),
        ("a.*.c", ["a.b.c", "a..c", "a.b.b.c"], ["a.c", "a.b.c.d"]),
        ("a.?", ["a.b"], ["a.", "a.bc"]),
        ("a.b", ["a.b"], ["a-b", "a.b.c", "A.B"]),
        ("[ab]", ["[ab]"], ["a"]),
    ],
)
def test_patterns(pattern: str, fitting: list[str], others: list[str]) -> None:
    assert all(matcher(pattern)(one) for one in fitting)
    assert not any(matcher(pattern)(one) for one in others)


def test_no_pattern_takes_long() -> None:
    assert not matcher("*" * 100 + "a")("b" * 10_000)
    assert not matcher("*a" * 100)("a" * 199 + "b")
    assert matcher("*a" * 100 + "*")("a" * 199 + "b")
    assert not matcher("?" * 5)("a" * 4)


def test_what_an_event_holds_is_bounded_and_so_is_what_waits() -> None:
    async def scene() -> None:
        bench, client = HookBench(), asked()
        with pytest.raises(InvalidRequest, match="more than 1048576"):
            await bench.events.publish_for(client, "x", "x" * 1024 * 1024)
        subscription = bench.events.subscribe("*", client)
        for _ in range(20):
            await bench.events.publish_for(client, "x", "x" * 1024 * 1000)
        assert (subscription.waiting, subscription.dropped) == (16, 4)

    run(scene)


def test_an_event_has_all_its_fields() -> None:
    async def scene() -> None:
        bench = HookBench()
        subscription = bench.events.subscribe("order.*", asked())
        await bench.events.publish_for(asked(), "order.placed", {"id": 7}, ttl_s=60)
        [event] = taken(subscription)
        content = event.as_content()
        assert content.keys() == {
            *("id", "event_type", "data", "timestamp", "sequence", "correlation_id", "language", "metadata"),
            *("serialization_version", "ttl"),
        }
        assert (content["event_type"], content["data"], content["ttl"]) == ("order.placed", {"id": 7}, 60)
        assert content["timestamp"].endswith("Z")

    run(scene)


@pytest.mark.parametrize(
    "event_type",
    ["system.stopping", "tool.completed", "workflow.failed", "workflow.step.started", "state.changed", "hook.executed"],
)
def test_the_kernel_s_own_types_are_published_by_nothing_else(event_type: str) -> None:
    async def scene() -> None:
        bench = HookBench()
        with pytest.raises(Forbidden) as caught:
            await bench.events.publish_for(asked(), event_type, None)
        prefix = event_type[: event_type.rindex(".") + 1]
        assert caught.value.details["prefix"] == prefix
        assert prefix in (caught.value.hint or "")
        assert event_type in caught.value.details["reserved"]

    run(scene)


def test_other_types_below_the_kernel_s_prefixes_are_free_but_not_its_language() -> None:
    async def scene() -> None:
        bench = HookBench()
        subscription = bench.events.subscribe("*", asked())
        free = [
            "system.alert",
            "agent.error",
            "workflow.audit.log",
            "workflow.step.start",
            "started",
            "tool.x.completed",
        ]
        for event_type in free:
            await bench.events.publish_for(asked(), event_type, None)
        assert types(subscription) == free
        with pytest.raises(Forbidden, match="native"):
            await bench.events.publish_for(asked(), "x", None, language="native")

    run(scene)


@pytest.mark.parametrize("size", [10, 200_000])
def test_an_event_is_shown_without_the_secrets_in_it_however_large_it_is(size: int) -> None:
    async def scene() -> None:
        bench = HookBench()
        subscription = bench.events.subscribe("*", asked())
        data = {"api_key": "canary", "text": "Authorization: Bearer abc123def456", "n": 1, "fill": "x" * size}
        await bench.events.publish_for(asked(), "x", data)
        [event] = taken(subscription)
        shown = await bench.events.shown(event)
        assert shown["data"] == {"api_key": "***", "text": "Authorization: Bearer ***", "n": 1, "fill": "x" * size}
        assert event.data == data

    run(scene)


def test_what_comes_of_one_request_has_one_correlation_id() -> None:
    async def scene() -> None:
        bench = HookBench()
        subscription = bench.events.subscribe("*", asked())
        root = asked()
        bench.events.publish("a", None, request=asked(parent=root))
        bench.events.publish("b", None, request=asked(context="script-1", parent=root))
        await bench.events.publish_for(root, "c", None, correlation_id="6F9619FF-8B86-D011-B42D-00CF4FC964FF")
        first, second, third = taken(subscription)
        assert first.correlation_id == second.correlation_id != third.correlation_id
        assert third.correlation_id == "6f9619ff-8b86-d011-b42d-00cf4fc964ff"
        with pytest.raises(InvalidRequest, match="is not a UUID"):
            await bench.events.publish_for(root, "c", None, correlation_id="no")

    run(scene)


def test_events_before_the_subscription_and_after_its_end_are_not_seen() -> None:
    async def scene() -> None:
        bench, client = HookBench(), asked()
        bench.events.publish("before", None, request=client)
        subscription = bench.events.subscribe("*", client)
        bench.events.publish("now", None, request=client)
        assert types(subscription) == ["now"]
        bench.events.publish("too late", None, request=client)
        assert bench.events.unsubscribe(subscription.id, client.caller)
        assert not bench.events.unsubscribe(subscription.id, client.caller)
        bench.events.publish("after", None, request=client)
        assert types(subscription) == []
        assert bench.events.processed == 4

    run(scene)


def test_two_publishers_are_each_seen_in_their_order() -> None:
    async def scene() -> None:
        bench = HookBench()
        subscription = bench.events.subscribe("*", asked())

        async def publish(client: str) -> None:
            for number in range(100):
                await bench.events.publish_for(asked(client=client), client, number)
                await asyncio.sleep(0)

        await asyncio.gather(publish("one"), publish("two"))
        found = taken(subscription)
        for client in ("one", "two"):
            assert [event.data for event in found if event.event_type == client] == list(range(100))
        assert [event.sequence for event in found] == sorted(event.sequence for event in found)

    run(scene)


def test_a_buffer_keeps_the_newest_and_counts_what_it_drops() -> None:
    async def scene() -> None:
        bench, client = HookBench(), asked()
        subscription = bench.events.subscribe("*", client)
        for number in range(BUFFERED + 5):
            bench.events.publish("n", number, request=client)
        assert (subscription.waiting, subscription.dropped) == (BUFFERED, 5)
        assert taken(subscription)[0].data == 5
        assert bench.events.figures()["events_dropped"] == 5

    run(scene)


def test_what_takes_much_memory_is_refused_however_short_it_is_when_it_is_sent() -> None:
    async def scene() -> None:
        bench = HookBench()
        with pytest.raises(InvalidRequest, match="takes more than"):
            await bench.events.publish_for(asked(), "n", [{} for _ in range(240_000)])
        with pytest.raises(InvalidRequest, match="bytes long, more than"):
            await bench.events.publish_for(asked(), "n", None, target_language="x" * LARGEST)

    run(scene)


def test_the_subscriptions_of_an_owner_keep_so_many_bytes_together() -> None:
    async def scene() -> None:
        bench, client = HookBench(), asked()
        own = [bench.events.subscribe("*", client), bench.events.subscribe("n", client)]
        other = bench.events.subscribe("*", asked(client="client-2"))
        small: list[dict[str, int]] = [{} for _ in range(10_000)]
        for _ in range(60):
            await bench.events.publish_for(client, "n", small)
        size = own[0].taken().size  # type: ignore[union-attr]
        assert size > 10_000 * 64
        most = OWNER_BYTES // size
        # What both have is there once.
        assert [one.dropped for one in own] == [60 - most] * 2
        assert own[1].waiting == other.waiting == most
        text = "x" * 1_000_000
        for number in range(40):
            await bench.events.publish_for(client, f"other.{number}", text)
        assert own[1].waiting == 0
        assert [event.event_type for event in taken(own[0])][-1] == "other.39"
        bench.events.unsubscribe(own[0].id, client.caller)
        bench.events.publish("n", None, request=client)
        assert types(own[1]) == ["n"]

    run(scene)


def test_the_kernel_s_own_events_count_what_they_take_and_too_large_ones_are_shortened() -> None:
    async def scene() -> None:
        bench, client = HookBench(), asked()
        subscription = bench.events.subscribe("*", client)
        for number in range(20):
            bench.events.publish("n", {"round": number, "state": "x" * 2_000_000}, request=client)
        assert subscription.waiting == OWNER_BYTES // 2_002_000
        bench.events.publish("n", {"round": 20, "state": "x" * 9_000_000, "path": ["a"]}, request=client)
        said = taken(subscription)[-1].data
        assert said == {
            "round": 20,
            "path": ["a"],
            "state": f"left out: it takes more than {HEAVIEST} bytes of memory",
            "shortened": ["state"],
        }

    run(scene)


@pytest.mark.parametrize(
    "said",
    [
        {"type": "modified", "data": {"data": "x" * (LARGEST + 1)}},
        {"type": "replace", "data": [{} for _ in range(240_000)]},
        {"type": "redirect", "target": "x" * (LONGEST_TYPE + 1)},
    ],
)
def test_a_hook_that_makes_an_event_too_large_has_failed(said: Any) -> None:
    async def scene() -> None:
        bench, client = HookBench(), asked()
        subscription = bench.events.subscribe("*", client)
        bench.hook("BeforeEventEmit", said)
        await bench.events.publish_for(client, "n", 1)
        assert [(event.event_type, event.data) for event in taken(subscription)] == [("n", 1)]
        assert "failed and is ignored: an event's" in bench.told[0]

    run(scene)


def test_an_event_is_as_large_as_hooks_have_made_it() -> None:
    async def scene() -> None:
        bench, client = HookBench(), asked()
        subscription = bench.events.subscribe("*", client)
        bench.hook("BeforeEventEmit", {"type": "modified", "data": {"data": "x" * 1_000_000}})
        for _ in range(30):
            await bench.events.publish_for(client, "n", 1)
        assert subscription.waiting == OWNER_BYTES // 1_002_000

    run(scene)


@pytest.mark.parametrize("point", ["BeforeEventEmit", "AfterEventEmit"])
def test_events_that_wait_for_hooks_are_bounded(point: str) -> None:
    async def scene() -> None:
        bench, client = HookBench(), asked()
        bench.events.subscribe("*", client)
        goes_on, all_called = asyncio.Event(), asyncio.Event()

        async def act(occasion: Occasion) -> None:
            await goes_on.wait()
            if len(bench.occasions) == BEFORE_HOOKS:
                all_called.set()

        bench.hook(point, act=act)
        for number in range(BEFORE_HOOKS + 10):
            bench.events.publish("n", number, request=client)
        for _ in range(40):
            bench.events.publish("n", "x" * 2_000_000, request=client)
        assert bench.events.figures()["events_dropped"] >= 50
        goes_on.set()
        await all_called.wait()
        await bench.services.close()
        assert len(bench.occasions) == BEFORE_HOOKS

    run(scene)


def test_the_buffer_is_as_small_as_the_setting_says() -> None:
    async def scene() -> None:
        bench, client = HookBench(settings_of(events={"buffer_size": 2})), asked()
        subscription = bench.events.subscribe("*", client)
        for number in range(5):
            bench.events.publish("n", number, request=client)
        assert [event.data for event in taken(subscription)] == [3, 4]
        assert bench.events.figures()["buffer_size"] == 2

    run(scene)


def test_an_event_whose_time_is_over_is_not_delivered() -> None:
    async def scene() -> None:
        bench, client = HookBench(), asked()
        subscription = bench.events.subscribe("*", client)
        await bench.events.publish_for(client, "short", None, ttl_s=1)
        await bench.events.publish_for(client, "long", None, ttl_s=1000)
        await asyncio.sleep(2)
        assert types(subscription) == ["long"]
        assert subscription.expired == 1
        for wrong in (0, -1, float("nan")):
            with pytest.raises(InvalidRequest, match="ttl_seconds"):
                await bench.events.publish_for(client, "x", None, ttl_s=wrong)

    run_in_virtual_time(scene())


def test_an_event_is_seen_by_its_own_key_alone_and_the_kernel_s_by_all() -> None:
    async def scene() -> None:
        bench = HookBench()
        own = bench.events.subscribe("*", asked(client="a"))
        same = bench.events.subscribe("*", asked(client="b", context="script-1"))
        other = bench.events.subscribe("*", asked(client="c", key="other"))
        bench.events.publish("mine", None, request=asked(client="a"))
        bench.events.publish("theirs", None, request=asked(client="c", key="other"))
        bench.events.publish("system.started", None, request=None)
        assert types(own) == types(same) == ["mine", "system.started"]
        assert types(other) == ["theirs", "system.started"]

    run(scene)


def test_a_subscription_belongs_to_its_owner_and_ends_with_it() -> None:
    async def scene() -> None:
        bench = HookBench()
        mine, other = asked(context="script-1"), asked(context="script-2")
        subscription = bench.events.subscribe("*", mine)
        with pytest.raises(NotFound, match=f"No active subscription found: {subscription.id}"):
            bench.events.find(subscription.id, other.caller)
        assert not bench.events.unsubscribe(subscription.id, other.caller)
        assert bench.events.subscriptions(other.caller) == []
        assert bench.events.subscriptions(asked(client="c").caller) == [subscription]
        assert bench.events.subscriptions(asked(client="c", key="other").caller) == []
        waiting = asyncio.ensure_future(subscription.next())
        await asyncio.sleep(0)
        bench.events.forget("script-1")
        assert await waiting is None
        assert bench.events.subscriptions(mine.caller) == []
        assert not bench.event_service.wanted("x")

    run(scene)


def test_what_makes_no_sense_is_refused() -> None:
    async def scene() -> None:
        bench, client = HookBench(), asked()
        with pytest.raises(InvalidRequest, match="Pattern cannot be empty"):
            bench.events.subscribe("", client)
        for event_type in ("", "x" * (LONGEST_TYPE + 1)):
            with pytest.raises(InvalidRequest, match="an event's type has"):
                await bench.events.publish_for(client, event_type, None)
        for _ in range(MAX_SUBSCRIPTIONS):
            bench.events.subscribe("*", client)
        with pytest.raises(InvalidRequest, match="subscriptions already"):
            bench.events.subscribe("*", client)

    run(scene)


def test_switched_off_nothing_is_published_and_nothing_subscribed_to() -> None:
    async def scene() -> None:
        bench, client = HookBench(settings_of(events={"enabled": False})), asked()
        with pytest.raises(Forbidden, match="events are switched off"):
            bench.events.subscribe("*", client)
        with pytest.raises(Forbidden, match="events are switched off"):
            await bench.events.publish_for(client, "x", None)
        bench.events.publish("x", None, request=client)

    run(scene)


@pytest.mark.parametrize(
    ("filtering", "let_in"),
    [
        ({}, ["a.one", "b.two"]),
        ({"include_types": ["a.*"]}, ["a.one"]),
        ({"exclude_types": ["a.*"]}, ["b.two"]),
        ({"include_components": ["two"]}, ["b.two"]),
        ({"exclude_components": ["t*"]}, ["a.one"]),
    ],
)
def test_filters_say_what_is_let_in(filtering: dict[str, Any], let_in: list[str]) -> None:
    async def scene() -> None:
        bench, client = HookBench(settings_of(events={"filtering": filtering})), asked()
        subscription = bench.events.subscribe("*", client)
        bench.events.publish("a.one", None, request=client, component="one")
        bench.events.publish("b.two", None, request=client, component="two")
        assert types(subscription) == let_in
        assert bench.events.filtered == 2 - len(let_in)

    run(scene)


def test_events_beyond_the_rate_are_left_out_and_counted() -> None:
    async def scene() -> None:
        bench, client = HookBench(settings_of(events={"max_events_per_second": 3})), asked()
        subscription = bench.events.subscribe("*", client)
        for _ in range(5):
            bench.events.publish("x", None, request=client)
        assert len(taken(subscription)) == 3
        assert bench.events.figures()["rate_limit_violations"] == 2
        await asyncio.sleep(1)
        bench.events.publish("x", None, request=client)
        assert len(taken(subscription)) == 1

    run_in_virtual_time(scene())


def test_timings_changes_of_state_and_calls_of_hooks_are_told_as_the_settings_say() -> None:
    async def scene() -> None:
        bench, client = HookBench(), asked()
        assert bench.events.timing(0.5) == {"duration_ms": 500}
        subscription = bench.events.subscribe("*", client)
        bench.events.state_changed("global", "k", "set", client)
        bench.hook("custom:x")
        await bench.services.run("custom:x", client, component=_COMPONENT, data={})
        assert taken(subscription) == []
        bench.settings = settings_of(
            events={"emit_timing_events": False, "emit_state_events": True, "emit_debug_events": True}
        )
        bench.events.configure(bench.settings)
        assert bench.events.timing(0.5) == {}
        bench.events.state_changed("global", "k", "set", client)
        await bench.services.run("custom:x", client, component=_COMPONENT, data={})
        changed, executed = taken(subscription)
        assert (changed.event_type, changed.data) == (
            "state.changed",
            {"scope": "global", "key": "k", "operation": "set"},
        )
        assert executed.data == {"hook": "test", "point": "custom:x", "verdict": "continue"}

    run(scene)


def test_hooks_see_change_and_cancel_events_and_keep_their_order() -> None:
    async def scene() -> None:
        bench, client = HookBench(), asked()
        subscription = bench.events.subscribe("*", client)

        async def act(occasion: Occasion) -> Any:
            await asyncio.sleep(0)
            number = occasion.data["data"]
            return "too many" if number == 3 else {"type": "modified", "data": {"data": number * 10}}

        bench.hook("BeforeEventEmit", act=act)
        bench.hook("AfterEventEmit")
        bench.events.publish("n", 1, request=client)
        bench.events.publish("n", 2, request=client)
        with pytest.raises(Forbidden, match="Operation cancelled by hook: too many"):
            await bench.events.publish_for(client, "n", 3)
        await bench.events.publish_for(client, "n", 4)
        assert [event.data for event in taken(subscription)] == [10, 20, 40]
        assert bench.events.figures()["events_cancelled"] == 1
        assert bench.points.count("AfterEventEmit") == 3

    run(scene)


def test_events_are_written_to_a_file_without_the_secrets_in_them(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "events.ndjson"
        settings = settings_of(events={"export": {"file": path}})
        bench = HookBench(settings, {"OPENAI_API_KEY": "sk-canary-0123456789", "PATH": "/usr/bin:/bin"})
        data = {
            "api_key": "canary-one",
            "nested": [{"Authorization": "Bearer canary-two"}],
            "text": "the key is sk-canary-0123456789, and /usr/bin:/bin stays",
            "url": "https://user:canary-three@example.com/?token=canary-four",
            "prompt_tokens": 7,
            "parameter_keys": ["input"],
            "key": "name",
        }
        await bench.events.publish_for(asked(), "order.placed", data)
        await bench.events.close()
        [line] = path.read_text().splitlines()
        assert "canary" not in line
        written = json.loads(line)
        assert written["event_type"] == "order.placed"
        assert written["data"]["prompt_tokens"] == 7
        assert written["data"]["parameter_keys"] == ["input"]
        assert written["data"]["key"] == "name"
        assert "/usr/bin:/bin stays" in written["data"]["text"]
        assert bench.events.figures()["events_exported"] == 1

    run(scene)


@pytest.mark.parametrize("pretty", [False, True])
def test_events_are_printed_where_the_kernel_prints(pretty: bool, capfd: pytest.CaptureFixture[str]) -> None:
    async def scene() -> None:
        bench = HookBench(settings_of(events={"export": {"stdout": True, "pretty_json": pretty}}))
        await bench.events.publish_for(asked(), "order.placed", {"password": "canary"})
        await bench.events.close()

    run(scene)
    out = capfd.readouterr().out
    assert "canary" not in out
    assert json.loads(out)["data"] == {"password": "***"}
    assert (len(out.splitlines()) > 1) == pretty


def test_an_export_that_fails_is_told_once_and_takes_nothing_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        bench = HookBench(settings_of(events={"export": {"file": tmp_path / "nowhere" / "events"}}))
        for number in range(3):
            await bench.events.publish_for(asked(), "n", number)
            await asyncio.sleep(0)
        await bench.events.close()
        assert bench.events.figures()["export_dropped"] == 3

    run(scene)
    assert len([record for record in caplog.records if "can't be exported" in record.message]) == 1


def test_an_export_that_takes_nothing_holds_nothing_up(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    async def scene() -> None:
        bench = HookBench(settings_of(events={"buffer_size": 2, "export": {"file": path}}))
        subscription = bench.events.subscribe("*", asked())
        for number in range(5):
            await bench.events.publish_for(asked(), "n", number)
            await asyncio.sleep(0)
        assert [event.data for event in taken(subscription)] == [3, 4]
        await bench.events.close()
        assert bench.events.figures()["export_dropped"] >= 2

    run(scene)
    # The thread that waits for a reader has one now, and ends.
    with path.open() as reader:
        assert json.loads(reader.readline())["data"] == 0


def test_one_event_that_can_not_be_written_is_told_and_the_others_are_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        bench = HookBench(settings_of(events={"export": {"file": tmp_path / "events"}}))
        for data in ("before", {b"\xff": "no key of JSON's"}, "behind"):
            bench.events.publish("n", data, request=asked())
        await bench.events.close()
        figures = bench.events.figures()
        assert (figures["events_exported"], figures["export_dropped"]) == (2, 1)

    run(scene)
    assert [json.loads(line)["data"] for line in (tmp_path / "events").read_text().splitlines()] == ["before", "behind"]
    assert "an event can't be exported and is dropped" in caplog.text
    assert "incident " in caplog.text


def test_an_export_goes_on_behind_a_defect_which_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    written: list[str] = []

    def write(_content: object, line: str) -> None:
        if not written:
            written.append("nothing")
            raise ZeroDivisionError
        written.append(json.loads(line)["event_type"])

    async def scene() -> None:
        redactor = Redactor()
        exporter = Exporter(settings_of(events={"export": {"stdout": True}}).events, redactor, write)
        bench = HookBench()
        subscription = bench.events.subscribe("*", asked())
        for name in ("one", "two"):
            bench.events.publish(name, "x" * 3_000_000, request=asked())
            bench.events.publish(name, "x" * 3_000_000, request=asked())
        for event in taken(subscription):
            exporter.add(event)
        while exporter.exported + exporter.dropped < 4:  # noqa: ASYNC110 — it is told on a thread, by no event
            await asyncio.sleep(0)
        await exporter.close()
        assert (exporter.exported, exporter.dropped) == (2, 2)

    run(scene)
    assert written == ["nothing", "two", "two"]
    assert len([record for record in caplog.records if "incident" in record.message]) == 1
    assert "ZeroDivisionError" in caplog.text


def test_events_are_redacted_and_written_on_no_thread_that_has_the_loop() -> None:
    threads: set[int] = set()

    class Watched(Redactor):
        def value(self, value: Any, name: str = "") -> Any:
            threads.add(threading.get_ident())
            return super().value(value, name)

    async def scene() -> None:
        exporter = Exporter(
            settings_of(events={"export": {"stdout": True}}).events,
            Watched(),
            lambda _content, _line: threads.add(threading.get_ident()),
        )
        bench = HookBench()
        subscription = bench.events.subscribe("*", asked())
        bench.events.publish("n", {"api_key": "canary"}, request=asked())
        [event] = taken(subscription)
        exporter.add(event)
        await exporter.close()
        assert exporter.exported == 1
        assert threading.get_ident() not in threads
        assert threads

    run(scene)


def test_a_file_of_events_is_its_owner_s_alone(tmp_path: Path) -> None:
    async def scene() -> None:
        bench = HookBench(settings_of(events={"export": {"file": tmp_path / "events"}}))
        await bench.events.publish_for(asked(), "x", None)
        await bench.events.close()

    run(scene)
    assert (tmp_path / "events").stat().st_mode & 0o777 == 0o600


def test_the_queue_of_an_export_is_bounded(tmp_path: Path) -> None:
    async def scene() -> None:
        bench = HookBench(settings_of(events={"buffer_size": 2, "export": {"file": tmp_path / "events"}}))
        for number in range(5):
            bench.events.publish("n", number, request=asked())
        await bench.events.close()
        lines = (tmp_path / "events").read_text().splitlines()
        assert [json.loads(line)["data"] for line in lines] == [3, 4]
        assert bench.events.figures()["export_dropped"] == 3

    run(scene)
