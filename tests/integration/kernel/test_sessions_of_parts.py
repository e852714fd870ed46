"""Steps of workflows and turns of agents in sessions: recorded below what they are part of, run again in replays."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from tests.support.session_talks import RECORDING, Talk, talking

SUM = {"name": "sum", "type": "tool", "tool": "calculator", "input": {"input": "6*7"}}
SAY = {"name": "say", "type": "agent", "agent": {"model": "mock/a"}, "input": "It is {{sum}}."}
FLOW = {
    "name": "count",
    "steps": [
        SUM,
        SAY,
        {"name": "twice", "type": "parallel", "branches": [{"name": "left", "steps": [{**SUM, "name": "again"}]}]},
    ],
}


def execute(talk: Talk, definition: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """A workflow that a client brings."""
    return talk.ask(
        "workflow", {"action": "execute", "definition": {"type": "sequential", **(definition or FLOW)}}, **options
    )


def answer(talk: Talk, *said: str, session: str = "s", **more: Any) -> dict[str, Any]:
    """A turn with tools over the client's conversation."""
    sides = ("user", "assistant")
    messages = [{"role": sides[at % 2], "content": text} for at, text in enumerate(said)]
    content = {"action": "answer", "model": "mock/a", "messages": messages, "tools": ["calculator"], **more}
    return talk.ask("agent", content, session=session)


def told(talk: Talk, session: str = "s") -> list[tuple[str, str | None, str, str]]:
    """What the steps below the clients' are."""
    below = [step for step in talk.steps(session) if "." in step["step"]]
    return [
        (one["step"], one["step_name"], f"{one['action']} {one['details']}".rstrip(), one["answered"]) for one in below
    ]


def test_each_step_of_a_clients_workflow_is_a_step_below_it(home: Path) -> None:
    def body(talk: Talk) -> None:
        assert execute(talk, session="s")["result"]["success"] is True
        whole, *below = talk.steps("s")
        assert (whole["action"], whole["details"], whole["is_part"]) == ("workflow execute", "count", False)
        assert whole["answered"].startswith("Sequential workflow 'count' completed successfully. 3 steps executed.")
        assert told(talk) == [
            ("1.1", "sum", "tool invoke calculator", "42"),
            ("1.2", "say", "agent execute say", "[mock/a] It is 42."),
            ("1.2.1", None, "model chat mock/a", "[mock/a] It is 42."),
            ("1.3", "twice", "workflow execute twice", below[3]["answered"]),
            ("1.3.1", "left/again", "tool invoke calculator", "42"),
        ]
        assert all(step["is_part"] and step["status"] == "ok" and step["duration_ms"] is not None for step in below)
        # The tokens of a turn are those of its model's replies, and are counted once.
        session = talk.session("show", session="s")["session"]
        assert session["completion_tokens"] == below[2]["completion_tokens"] > 0
        assert session["steps"] == 1

    talking(home, body)


def test_a_failed_step_is_a_failed_step_of_the_session_and_each_try_is_one(home: Path) -> None:
    wrong = {**SUM, "name": "wrong", "input": {"input": "1/0"}, "retries": 1, "retry_delay_ms": 1}

    def body(talk: Talk) -> None:
        execute(talk, {"name": "w", "steps": [wrong]}, session="s")
        whole, *tries = talk.steps("s")
        assert [(one["step_name"], one["status"]) for one in tries] == [("wrong", "error")] * 2
        assert "zero" in tries[0]["error"]
        assert "zero" in whole["answered"]
        [replayed] = talk.session("replay", session="s")["steps"]
        assert (replayed["status"], replayed["served"]) == ("same", 2)

    talking(home, body)


def test_a_loop_names_its_rounds(home: Path) -> None:
    flow = {
        "name": "l",
        "type": "loop",
        "collection": [1, 2],
        "body": [{**SUM, "input": {"input": "{{loop:current_item}}*2"}}],
    }

    def body(talk: Talk) -> None:
        execute(talk, flow, session="s")
        assert [(name, said) for _, name, _, said in told(talk)] == [("sum [0]", "2"), ("sum [1]", "4")]

    talking(home, body)


def test_a_turn_with_tools_has_its_models_turns_and_its_calls_below_it(home: Path) -> None:
    def body(talk: Talk) -> None:
        said = answer(talk, 'call calculator {"input": "2+3"}')
        assert len(said["tool_calls"]) == 1
        assert told(talk) == [
            ("1.1", None, "model chat mock/a", '[calculator {"input": "2+3"}]'),
            ("1.2", None, "tool invoke calculator", "5"),
            ("1.3", None, "model chat mock/a", said["text"]),
        ]
        # A conversation goes on as it was.
        assert [one["role"] for one in talk.session("conversation", session="s")["messages"]] == [
            *("user", "assistant", "tool", "assistant"),
        ]
        session = talk.session("show", session="s")["session"]
        assert session["completion_tokens"] == said["usage"]["completion_tokens"]

    talking(home, body)


def test_an_agents_turns_are_below_what_a_script_asked(home: Path) -> None:
    code = """
    local agent = Agent.create{model = "mock/a", tools = {"calculator"}}
    Agent.wrap_as_tool(agent, {tool_name = "ask"})
    local outer = Agent.create{model = "mock/b", tools = {"ask"}}
    return outer:execute{text = 'call ask {"text": "hello"}'}.text"""

    def body(talk: Talk) -> None:
        talk.script(code, session="s")
        steps = {step["step"]: step for step in talk.steps("s")}
        turn = next(step for step in steps.values() if step["action"] == "agent execute")["step"]
        below = [(at.removeprefix(turn), one["action"]) for at, one in steps.items() if at.startswith(f"{turn}.")]
        assert below == [
            (".1", "model chat"),
            (".2", "tool invoke"),
            (".2.1", "agent execute"),
            (".2.1.1", "model chat"),
            (".3", "model chat"),
        ]
        [replayed] = talk.session("replay", session="s")["steps"]
        # What a script asks of an agent is answered whole.
        assert replayed["differences"] == []
        assert (replayed["status"], replayed["served"]) == ("same", 4)

    talking(home, body)


def test_functions_of_a_workflow_have_what_they_asked_below_them(home: Path) -> None:
    code = """
    local flow = Workflow.builder():name("f"):sequential():add_step{name = "mine", type = "custom", execute = function()
      return Tool.execute("calculator", {input = "1+1"}).output
    end}:build()
    return flow:execute({}).success"""

    def body(talk: Talk) -> None:
        assert talk.script(code, session="s")["result"] is True
        (at, name, step, said), (below, _, tool, _) = told(talk)[-2:]
        assert (name, step, said, tool) == ("mine", "workflow step", "2", "tool invoke calculator")
        assert below == f"{at}.1"

    talking(home, body)


def test_an_exact_replay_of_a_workflow_runs_its_engine_and_asks_nothing(home: Path) -> None:
    flow = {**FLOW, "steps": [*FLOW["steps"], {**SAY, "name": "kept", "input": "{{state:shown}}"}], "checkpoint": True}

    def record(talk: Talk) -> None:
        talk.ask("state", {"action": "set", "scope": "global", "key": "shown", "value": "then"})
        execute(talk, flow, session="s")
        talk.ask("state", {"action": "set", "scope": "global", "key": "shown", "value": "now"})

    def replay(talk: Talk) -> None:
        reply = talk.session("replay", session="s")
        [step] = reply["steps"]
        assert (step["differences"], step["asked_otherwise"], step["error"]) == ([], [], None)
        assert (step["status"], step["served"]) == ("same", 5)
        assert step["answered"].startswith("Sequential workflow 'count' completed successfully.")
        [simulated] = talk.session("replay", session="s", mode="simulate")["steps"]
        assert simulated["served"] == 5
        assert talk.ask("workflow", {"action": "list"})["runs"] == []

    talking(home, record, replay)


def test_what_was_recorded_otherwise_is_told_by_an_exact_replay(home: Path) -> None:
    """The engine is really run: with another recorded answer of a tool it asks its model something else."""

    def record(talk: Talk) -> None:
        execute(talk, session="s")

    def replay(talk: Talk) -> None:
        [step] = talk.session("replay", session="s")["steps"]
        assert step["status"] == "differs"
        assert [one["path"] for one in step["asked_otherwise"]] == ["1.2.input", "1.2.1.messages.0.content"]
        assert "It is 43." in step["asked_otherwise"][0]["description"]
        assert any(one["path"].startswith("result.outputs.sum") for one in step["differences"])

    talking(home, record)
    with sqlite3.connect(home / "sessions.db") as connection:
        (number, reply) = connection.execute(
            "SELECT number, reply FROM steps WHERE msg_type = 'tool_request'"
        ).fetchone()
        changed = reply.replace(b'"output": 42', b'"output": 43')
        assert changed != reply
        connection.execute("UPDATE steps SET reply = ? WHERE number = ?", (changed, number))
    connection.close()
    talking(home, replay)


def test_a_turn_with_tools_is_run_again_with_the_answers_of_its_model_and_tools(home: Path) -> None:
    def record(talk: Talk) -> None:
        answer(talk, 'call calculator {"input": "2+3"}\ncall calculator {"input": "nonsense("}')

    def replay(talk: Talk) -> None:
        [step] = talk.session("replay", session="s")["steps"]
        assert (step["status"], step["served"], step["asked_otherwise"]) == ("same", 4, [])

    # A call that a person had to allow is answered too, where there is none to be asked.
    talking(home, record)
    talking(home, replay, tools__approval="always")


def test_branches_and_rounds_are_answered_each_with_its_own(home: Path) -> None:
    def branch(number: int) -> dict[str, Any]:
        added = {**SUM, "input": {"input": f"{number}*{number}"}}
        steps = [added, {**SAY, "name": f"say{number}", "input": f"{number}: {{{{sum}}}}"}]
        return {"name": f"b{number}", "steps": steps}

    flow = {"name": "p", "type": "parallel", "branches": [branch(number) for number in range(1, 6)]}

    def body(talk: Talk) -> None:
        execute(talk, flow, session="s")
        [step] = talk.session("replay", session="s")["steps"]
        assert step["differences"] == []
        assert (step["status"], step["served"], step["asked_otherwise"]) == ("same", 10, [])

    talking(home, body)


def test_a_changed_turn_asks_what_comes_of_the_change(home: Path) -> None:
    def body(talk: Talk) -> None:
        answer(talk, 'call calculator {"input": "2+3"}')
        changes = [{"path": "1.2.parameters.input", "value": "2+4"}]
        [step] = talk.session("replay", session="s", mode="modified", modifications=changes)["steps"]
        # The first reply is the recorded one, the tool is really called, and its model told of another result.
        assert (step["status"], step["served"], step["error"]) == ("differs", 1, None)
        assert step["answered"] == "[mock/a] 6"

    talking(home, body)


def test_changes_reach_the_steps_within_and_what_is_the_same_is_served(home: Path) -> None:
    def body(talk: Talk) -> None:
        execute(talk, session="s")

        def replay(path: str, value: Any) -> dict[str, Any]:
            changes = [{"path": path, "value": value}]
            [step] = talk.session("replay", session="s", mode="modified", modifications=changes)["steps"]
            assert step["error"] is None
            return dict(step)

        step = replay("1.1.parameters.input", "6*8")
        assert (step["status"], step["served"]) == ("differs", 1)
        assert "output" in str(step["differences"])
        assert "48" in str(step["differences"])
        step = replay("1.2.1.messages.0.content", "Something else.")
        assert "[mock/a] Something else." in str(step["differences"])
        assert step["served"] == 2
        step = replay("1.3.1.parameters.input", "6*7")
        assert (step["status"], step["served"]) == ("same", 3)
        assert replay("2.1.parameters.input", "6*8")["status"] == "same"

    talking(home, body)


def test_sessions_without_parts_are_replayed_as_they_were(home: Path) -> None:
    """Those of a version that recorded none."""

    def record(talk: Talk) -> None:
        execute(talk, session="s")
        answer(talk, "hello")
        talk.script("return Agent.create{model = 'mock/a'}:complete('hi')", session="s")

    def replay(talk: Talk) -> None:
        steps = talk.session("replay", session="s")["steps"]
        assert [(one["status"], one["served"]) for one in steps] == [("recorded", 1), ("recorded", 1), ("same", 2)]
        changes = [{"path": "input", "value": "ho"}]
        steps = talk.session("replay", session="s", mode="modified", modifications=changes, from_step=3)["steps"]
        assert [(one["status"], one["asked_otherwise"]) for one in steps] == [("differs", [])]

    talking(home, record)
    with sqlite3.connect(home / "sessions.db") as connection:
        connection.execute("DELETE FROM steps WHERE CAST(request AS TEXT) LIKE '%\"part\": true%'")
    connection.close()
    talking(home, replay)


def test_what_is_part_of_a_turn_is_found_where_it_was_said_first(home: Path) -> None:
    def body(talk: Talk) -> None:
        answer(talk, 'a zebra\ncall calculator {"input": "1234*2"}')
        assert [one["step"] for one in talk.session("search", query="zebra")["matches"]] == ["1"]
        assert {one["step"] for one in talk.session("search", query="2468")["matches"]} == {"1", "1.2"}

    talking(home, body)


def test_secrets_are_in_no_part(home: Path) -> None:
    secret = "canary-of-the-environment"

    def body(talk: Talk) -> None:
        execute(talk, {"name": "w", "steps": [{**SAY, "input": f"say {secret} sk-canary1234567890"}]})
        assert "canary" not in str([talk.steps(name) for name in talk.names()])

    talking(home, body, variables={"SOME_API_KEY": secret}, **RECORDING)
    for path in home.glob("sessions.db*"):
        assert b"canary" not in path.read_bytes()


def test_a_step_that_ran_out_of_time_is_recorded_as_one_that_failed(home: Path) -> None:
    code = """
    local flow = Workflow.builder():name("f"):sequential():add_step{
      name = "long", type = "custom", timeout_ms = 50, execute = function() while true do end end,
    }:build()
    return pcall(flow.execute, flow, {}) and "yes" or "no" """

    def body(talk: Talk) -> None:
        assert talk.script(code, session="s")["result"] == "no"
        last = talk.steps("s")[-1]
        assert (last["step_name"], last["status"]) == ("long", "error")
        assert "cancelled" in last["error"]

    talking(home, body)
