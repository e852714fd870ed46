"""The globals `Event` and `Hook`: what they ask the kernel for, and what scripts get of the answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.lua_kernel import LuaBench, refused, reply

EVENT = {"id": "e1", "event_type": "order.placed", "data": {"id": 7}, "sequence": 3}
STATS = {"events_processed": 5, "buffer_size": 10, "active_subscriptions": 1, "subscriptions_by_language": {"Lua": 1}}
HOOK = {"id": "h1", "hook_point": "ToolError", "priority": "normal"}


@pytest.fixture
def bench() -> LuaBench:
    bench = LuaBench()
    answers: dict[str, dict[str, Any]] = {
        "event publish": {"id": "e1", "sequence": 1, "correlation_id": "c"},
        "event listen": {"subscription": "s1", "pattern": "order.*"},
        "event receive": {"event": EVENT, "dropped": 0},
        "event unsubscribe": {"removed": True},
        "event subscriptions": {"subscriptions": [{"id": "s1", "pattern": "order.*", "language": "lua"}], "count": 1},
        "event stats": STATS,
        "hook register": {"hook": HOOK},
        "hook unregister": {"removed": True},
        "hook list": {"hooks": [HOOK], "count": 1},
        "hook fire": {"verdict": "continue", "data": {"n": 1}, "reason": ""},
        "hook stats": {"hooks": [HOOK], "builtin": {}},
    }
    bench.kernel.answers = {action: reply(**content) for action, content in answers.items()}
    return bench


@pytest.mark.parametrize("form", ["Event.publish", "Event.emit"])
def test_publish_sends_type_data_and_options(bench: LuaBench, form: str) -> None:
    code = f"return {form}('order.placed', {{id = 7}}, {{correlation_id = 'c', ttl_seconds = 60, language = 'lua'}})"
    assert bench.value(code) is True
    [(msg_type, content)] = bench.kernel.requests
    assert msg_type == "event_request"
    assert {key: value for key, value in content.items() if value is not None} == {
        "action": "publish",
        "event_type": "order.placed",
        "data": {"id": 7},
        "correlation_id": "c",
        "ttl_s": 60,
        "language": "lua",
    }


def test_events_are_subscribed_to_received_and_let_go(bench: LuaBench) -> None:
    code = (
        "local id = Event.subscribe('order.*') local e = Event.receive(id, 100) return {id, e, Event.unsubscribe(id)}"
    )
    assert bench.value(code) == ["s1", EVENT, True]
    assert [content["action"] for _, content in bench.kernel.requests] == ["listen", "receive", "unsubscribe"]
    assert bench.kernel.requests[1][1]["timeout_ms"] == 100


def test_nothing_that_came_is_nil(bench: LuaBench) -> None:
    bench.kernel.answers["event receive"] = reply(event=None, dropped=0)
    assert bench.value("return Event.receive('s1') == nil") is True


def test_a_function_as_second_argument_is_offered_to_the_kernel(bench: LuaBench) -> None:
    assert bench.value("return Event.subscribe('order.*', function(event) end)") == "s1"
    assert bench.kernel.requests[0][1]["execute"] == {"$fn": 1}


def test_statistics_come_in_two_tables(bench: LuaBench) -> None:
    stats = bench.value("return Event.get_stats()")
    assert stats["event_bus_stats"] == {"events_processed": 5, "buffer_size": 10}
    assert stats["bridge_stats"] == {"active_subscriptions": 1, "subscriptions_by_language": {"Lua": 1}}
    assert bench.value("return Event.list_subscriptions()[1].pattern") == "order.*"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("Event.publish(7)", "bad argument #1 to 'Event.publish' (string expected, got number)"),
        ("Event.publish('a', 1, {ttl_second = 1})", "did you mean 'ttl_seconds'?"),
        ("Event.subscribe({})", "bad argument #1 to 'Event.subscribe'"),
        ("Event.subscribe('a', 7)", "bad argument #2 to 'Event.subscribe'"),
        ("Event.receive()", "bad argument #1 to 'Event.receive'"),
        ("Hook.register('ToolError')", "bad argument #2 to 'Hook.register' (function expected, got no value)"),
        ("Hook.unregister('h1')", "bad argument #1 to 'Hook.unregister' (hook handle expected, got string)"),
        ("Hook.unregister({})", "hook handle expected"),
        ("Hook.list({hook_pint = 'a'})", "did you mean 'hook_point'?"),
        ("Hook.fire({})", "bad argument #1 to 'Hook.fire'"),
    ],
)
def test_wrong_arguments_are_said(bench: LuaBench, code: str, said: str) -> None:
    assert said in bench.caught(code)


def test_what_the_kernel_refuses_is_raised_in_the_words_that_scripts_look_for(bench: LuaBench) -> None:
    bench.kernel.answers["event receive"] = refused("not_found", "No active subscription found: s9")
    assert bench.caught("Event.receive('s9')") == "No active subscription found: s9"
    bench.kernel.answers["event listen"] = refused("invalid_request", "Pattern cannot be empty")
    assert "Pattern cannot be empty" in bench.caught("Event.subscribe('')")
    bench.kernel.answers["hook fire"] = refused("forbidden", "Operation cancelled by hook: no")
    assert bench.caught("Hook.fire('custom:x')") == "Operation cancelled by hook: no"


def test_a_handle_knows_its_hook_and_takes_it_back(bench: LuaBench) -> None:
    code = (
        "local h = Hook.register('ToolError', function() end, 'high') "
        "return {h:id(), h.id(), h:hook_point(), h:unregister(), Hook.unregister(h)}"
    )
    assert bench.value(code) == ["h1", "h1", "ToolError", True, True]
    register, *others = (content for _, content in bench.kernel.requests)
    assert (register["point"], register["priority"], register["execute"]) == ("ToolError", "high", {"$fn": 1})
    assert [content["hook"] for content in others] == ["h1", "h1"]


@pytest.mark.parametrize(
    ("filter", "sent"),
    [
        ("", {}),
        ("'ToolError'", {"point": "ToolError"}),
        ("{hook_point = 'ToolError', priority = 'low'}", {"point": "ToolError", "priority": "low"}),
        ("{language = 'lua', tag = 'x'}", {"language": "lua", "tag": "x"}),
    ],
)
def test_hooks_are_listed_by_what_is_asked_for(bench: LuaBench, filter: str, sent: dict[str, str]) -> None:
    assert bench.value(f"return Hook.list({filter})[1].id") == "h1"
    content = {key: value for key, value in bench.kernel.requests[0][1].items() if value is not None}
    assert content == {"action": "list", **sent}


def test_points_of_a_script_s_own_are_fired(bench: LuaBench) -> None:
    assert bench.value("return Hook.fire('custom:x', {n = 1}).verdict") == "continue"
    assert bench.value("return Hook.get_stats().hooks[1].id") == "h1"
