"""Hooks around what scripts keep, and events of its changes: in a real kernel."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.command_line import Done, llmspell


def run(code: str, **environment: str) -> str:
    done: Done = llmspell("--embedded", "run", "-", stdin=code, env=environment)
    assert done.status == 0, done.err
    return done.out


@pytest.mark.usefixtures("home")
def test_hooks_see_change_leave_out_and_refuse_what_is_written() -> None:
    out = run(
        """
        Hook.register("BeforeStateWrite", function(context)
          local data = context.data
          print(data.operation, data.scope, data.key, JSON.stringify(data.value))
          if data.key == "no" then return "not this" end
          if data.key == "up" then return { type = "modified", data = { value = data.value:upper() } } end
          if data.key == "leave" then return "skip" end
        end)
        State.set("mixed", { 1, x = 2 })
        print(pcall(State.set, "no", 1))
        State.set("up", "abc") State.set("leave", 1)
        print(State.set_many("s", { up = "x" }), pcall(State.set_many, { no = 1 }))
        print(State.get("mixed")[1], State.get("mixed").x, State.get("up"), State.get("leave"), State.load("s", "up"))
        State.delete("up")
        print(State.clear(), State.clear("s"))
        """
    )
    assert out.splitlines() == [
        'set\tglobal\tmixed\t{"1":1,"x":2}',
        "set\tglobal\tno\t1",
        "false\tOperation cancelled by hook: not this",
        'set\tglobal\tup\t"abc"',
        "set\tglobal\tleave\t1",
        'set\tcustom:s\tup\t"x"',
        "set\tglobal\tno\t1",
        "1\tfalse\tOperation cancelled by hook: not this",
        "1\t2\tABC\tnil\tX",
        "delete\tglobal\tup\tnull",
        "clear\tglobal\t\tnull",
        "clear\tcustom:s\t\tnull",
        "1\t1",
    ]


@pytest.mark.usefixtures("home")
def test_hooks_give_other_values_to_readers_and_refuse_readers() -> None:
    out = run(
        """
        State.set("a", { 1, 2 }) State.set("secret", "s") State.set("b", 5)
        Hook.register("AfterStateRead", function(context)
          if context.data.key == "b" then return { type = "replace", data = { context.data.value * 2 } } end
        end)
        Hook.register("BeforeStateRead", function(context)
          if context.data.key == "secret" then return "secret" end
          if context.data.operation == "show" then return "one by one" end
        end)
        print(#State.get("a"), State.get("b")[1], pcall(State.get, "secret"))
        print(pcall(State.all))
        print(#State.keys())
        """
    )
    assert out.splitlines() == [
        "2\t10\tfalse\tOperation cancelled by hook: secret",
        "false\tOperation cancelled by hook: one by one",
        "3",
    ]


@pytest.mark.usefixtures("home")
def test_what_a_hook_gives_is_kept_as_what_it_is_or_ignored() -> None:
    out = run(
        """
        local give
        Hook.register("BeforeStateWrite", function() return { type = "modified", data = give } end)
        give = { value = true } State.set("a", 1)
        give = { value = 1.0 } State.set("b", 1)
        give = { key = "d" } State.set("c", { 1, x = "\\255" })
        print(State.get("a"), math.type(State.get("b")), State.get("c"), State.get("d").x == "\\255")
        give = { key = 5 } print(pcall(State.set, "e", 1))
        give = { key = ".." } print(pcall(State.set_many, { f = 1 }))
        print(State.get("e"), State.get("f"))
        """
    )
    assert out.splitlines() == [
        "true\tfloat\tnil\ttrue",
        "true\ttrue",
        "true\t1",
        "1\t1",
    ]


@pytest.mark.usefixtures("home")
def test_a_conflict_is_a_point_and_update_goes_on_after_it() -> None:
    out = run(
        """
        Hook.register("StateConflict", function(context) print("conflict", context.data.key) end)
        local calls = 0
        print(State.update("n", function(n)
          calls = calls + 1
          if calls == 1 then State.set("n", 10) end
          return (n or 0) + 1
        end), calls)
        """
    )
    assert out.splitlines() == ["conflict\tn", "11\t2"]


EVENTS = """
local id = Event.subscribe("state.*")
State.set("cache", "a", 1) State.set_many({ b = 2 }) State.delete("b") State.delete("b") State.clear("cache")
while true do
  local event = Event.receive(id, 200)
  if event == nil then break end
  print(event.event_type, event.data.operation, event.data.scope, event.data.key)
end
"""


@pytest.mark.parametrize(
    ("emits", "lines"),
    [
        (
            "true",
            [
                "state.changed\tset\tcustom:cache\ta",
                "state.changed\tset\tglobal\tb",
                "state.changed\tdelete\tglobal\tb",
                "state.changed\tclear\tcustom:cache\t",
            ],
        ),
        ("false", []),
    ],
)
@pytest.mark.usefixtures("home")
def test_changes_are_events_where_the_settings_say_so(emits: str, lines: list[Any]) -> None:
    assert run(EVENTS, LLMSPELL_EVENTS_EMIT_STATE_EVENTS=emits).splitlines() == lines
