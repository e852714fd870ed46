"""`llmspell session …`, `chat --session`, `chat --continue` and `run --session`, as people use them."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.command_line import AtTerminal, llmspell


def test_a_chat_goes_on_where_it_was(home: Path) -> None:
    assert llmspell("chat", "mock/a", "--session", "italy", "-s", "Be brief.", "What is Rome?").status == 0
    done = llmspell("chat", "--continue", "And Milan?", "--json", "--no-stream")
    assert done.status == 0, done.err
    assert done.document["model"] == "mock/a"
    [_, turn] = json.loads(llmspell("session", "show", "italy", "--json").out)["steps"]
    assert turn["asked"] == "And Milan?"
    # The whole conversation was sent: 2 words of the system's, 3 and 4 of the first turn, and the new ones.
    assert done.document["usage"]["prompt_tokens"] > 8


def test_a_chat_that_goes_on_at_a_terminal_says_so_and_takes_words_as_the_prompt(home: Path) -> None:
    llmspell("chat", "mock/a", "--session", "italy", "What is Rome?")
    terminal = AtTerminal(["chat", "--session", "italy"])
    terminal.wait_for("Going on with session 'italy': 2 messages")
    terminal.wait_for("Chatting with mock/a@mock.")
    terminal.wait_for("> ")
    terminal.type("more\r")
    terminal.wait_for("[mock/a] more")
    terminal.wait_for("> ")
    terminal.type("\x04")
    assert terminal.end() == 0
    shown = llmspell("session", "show", "italy").out
    assert "You: What is Rome?\n\nmock/a: [mock/a] What is Rome?\n\nYou: more\n\nmock/a: [mock/a] more\n" in shown


def test_a_chat_that_goes_on_says_which_turn_is_left_out(home: Path) -> None:
    for text in ("one", "two"):
        llmspell("chat", "mock/a", "--session", "italy", text)
    with closing(sqlite3.connect(home / "sessions.db")) as connection, connection:
        connection.execute("UPDATE steps SET request = X'7B' WHERE number = 2")
    terminal = AtTerminal(["chat", "--session", "italy"], columns=200)
    terminal.wait_for("Going on with session 'italy': 2 messages, without step 2, which can't be read")
    terminal.wait_for("> ")
    terminal.type("\x04")
    assert terminal.end() == 0


def test_a_new_chat_that_is_kept_says_where(home: Path) -> None:
    terminal = AtTerminal(["chat", "mock/a", "--session", "new one", "hello"], columns=200)
    terminal.wait_for("This chat is kept in session 'new one'")
    terminal.wait_for("sessions.db")
    assert terminal.end() == 0


def test_a_chat_in_which_nothing_was_answered_is_none_to_go_on_with(home: Path) -> None:
    llmspell("chat", "mock/a", "--session", "italy", "What is Rome?")
    assert llmspell("chat", "nosuch@candle", "--session", "wrong", "What is Rome?").status == 3
    done = llmspell("chat", "--continue", "And Milan?")
    assert (done.status, done.out) == (0, "[mock/a] And Milan?\n"), done.err


@pytest.mark.parametrize("name", ["", " ", "x" * 201])
def test_a_session_has_a_name_that_can_be_said_again(home: Path, name: str) -> None:
    done = llmspell("chat", "mock/a", "--session", name, "hello")
    assert (done.status, "a session's name has 1 to 200 characters" in done.err) == (2, True), done.err


def test_there_is_nothing_to_go_on_with_without_a_kept_chat(home: Path) -> None:
    done = llmspell("chat", "--continue", "hello")
    assert done.status == 3
    assert "there is no chat to go on with" in done.err
    assert "--session NAME keeps a chat" in done.err
    done = llmspell("chat", "--continue", "hello", env={"LLMSPELL_SESSIONS_ENABLED": "true"})
    assert "sessions end with the kernel" in done.err


def test_a_model_that_is_gone_is_told_with_the_session(home: Path) -> None:
    llmspell("chat", "mock/a", "--session", "old", "hello")
    home.joinpath("sessions.db").exists()
    with sqlite3.connect(home / "sessions.db") as connection:
        (request,) = connection.execute("SELECT request FROM steps").fetchone()
        changed = request.replace(b'"mock/a"', b'"tinyllama:gone@candle"')
        connection.execute("UPDATE steps SET request = ?", (changed,))
    connection.close()
    done = llmspell("chat", "--session", "old", "again")
    assert done.status == 3
    assert "session 'old' was held with tinyllama:gone@candle" in done.err
    assert "-m MODEL goes on with another model" in done.err
    assert llmspell("chat", "--session", "old", "-m", "mock/a", "again").status == 0


def test_scripts_are_recorded_where_they_are_told_to_be(home: Path, tmp_path: Path) -> None:
    script = tmp_path / "add.lua"
    script.write_text("print(1 + 1) return Tool.calculator:execute{input = '6*7'}.output")
    assert llmspell("run", "--session", "sums", str(script)).status == 0
    assert llmspell("exec", "--session", "sums", "6*7").status == 0
    shown = llmspell("session", "show", "sums").out
    assert "1 execute " in shown
    assert "\n  2\n  42\n" in shown
    assert "tool invoke calculator" in shown
    assert "2 execute exec" in shown
    [listed] = llmspell("session", "list", "--json").document["sessions"]
    assert (listed["name"], listed["kind"], listed["steps"]) == ("sums", "script", 2)


def test_with_sessions_on_everything_is_recorded(home: Path) -> None:
    env = {"LLMSPELL_SESSIONS_ENABLED": "true", "LLMSPELL_SESSIONS_BACKEND": "sqlite"}
    llmspell("exec", "1 + 1", env=env)
    llmspell("chat", "mock/a", "What is Rome?", env=env)
    llmspell("tool", "invoke", "calculator", "--params", '{"input": "1"}', env=env)
    llmspell("model", "list", env=env)
    sessions = llmspell("session", "list", "--json").document["sessions"]
    assert [one["name"] for one in sessions] == ["calculator", "What is Rome?", "exec"]
    assert {one["status"] for one in sessions} == {"completed"}
    done = llmspell("chat", "--continue", "And Milan?", env=env)
    assert done.out == "[mock/a] And Milan?\n"


def test_a_replay_says_what_is_the_same_and_what_differs(home: Path, tmp_path: Path) -> None:
    script = tmp_path / "ask.lua"
    script.write_text("print(Agent.create{model = 'mock/a'}:complete('hi'))")
    llmspell("run", "--session", "s", str(script))
    done = llmspell("session", "replay", "s")
    assert done.status == 0
    assert done.out.startswith("✓ step 1 same: execute ")
    assert "2 recorded answers" in done.out
    done = llmspell("session", "replay", "s", "--set", "input", "ho", "--json")
    assert done.status == 0
    [step] = done.document["steps"]
    # An agent remembers what it was asked, so that its turns are not answered from the record here.
    assert (step["status"], step["same"], step["served"]) == ("differs", False, 0)
    assert [one["path"] for one in step["differences"]] == ["printed.stdout"]
    assert "hi" in step["differences"][0]["description"]
    done = llmspell("session", "replay", "s", "--dry-run")
    assert done.out.splitlines()[-1] == "1 step: 1 not run"
    assert llmspell("session", "replay", "s", "--from-step", "7").status == 2


def test_a_replay_of_a_chat_shows_what_was_said_and_how_to_ask_again(home: Path) -> None:
    llmspell("chat", "mock/a", "--session", "s", "What is Rome?")
    done = llmspell("session", "replay", "s")
    assert done.out.splitlines() == [
        "· step 1 as recorded: model chat mock/a",
        "    > What is Rome?",
        "    [mock/a] What is Rome?",
        "1 step: 1 as recorded",
    ]
    assert "--set model NAME asks, and compares" in done.err
    done = llmspell("session", "replay", "s", "--set", "model", "mock/b")
    assert done.out.startswith("≠ step 1 differs: model chat mock/")
    assert "[mock/a] What is Rome?" in done.out


def test_calls_of_tools_are_short_lines_of_a_conversation(home: Path, tmp_path: Path) -> None:
    asked = 'Sum it.\ncall calculator {"input": "2 + 3"}'
    assert llmspell("chat", "mock/a", "--session", "s", "--tool", "calculator", asked).status == 0
    shown = llmspell("session", "show", "s").out
    line = '[calculator {"input": "2 + 3"}] 5'
    assert f"You: {asked}\n\n  {line}\n\nmock/a: [mock/a] 5\n" in shown
    text = llmspell("session", "export", "s").out
    assert f"## You\n\n{asked}\n\n## mock/a\n\n```\n{line}\n```\n\n[mock/a] 5\n" in text
    steps = llmspell("session", "show", "s", "--json").document["steps"]
    assert [one["action"] for one in steps] == ["agent answer", "model chat", "tool invoke", "model chat"]
    assert [one["is_part"] for one in steps] == [False, True, True, True]


def test_steps_of_a_workflow_are_shown_as_a_tree(home: Path, tmp_path: Path) -> None:
    flow = {
        "name": "count",
        "type": "sequential",
        "steps": [
            {"name": "sum", "type": "tool", "tool": "calculator", "input": {"input": "6*7"}},
            {"name": "say", "type": "agent", "agent": {"model": "mock/a"}, "input": "It is {{sum}}."},
        ],
    }
    (tmp_path / "count.json").write_text(json.dumps(flow))
    env = {"LLMSPELL_SESSIONS_ENABLED": "true", "LLMSPELL_SESSIONS_BACKEND": "sqlite"}
    done = llmspell("workflow", "run", "count.json", env=env)
    assert done.status == 0, done.err
    shown = re.sub(r"[\d.]+ m?s\b", "N ms", llmspell("session", "show", "count").out)
    shown = re.sub(r"\d+ tokens read, \d+ written", "N tokens", shown)
    tree = shown[shown.index("1 workflow execute") :].splitlines()
    assert tree[0] == "1 workflow execute count, N ms"
    assert tree[-3:] == [
        "  1.1 sum: tool invoke calculator, N ms: 42",
        "  1.2 say: agent execute, N ms, N tokens: [mock/a] It is 42.",
        "    1.2.1 model chat mock/a, N ms, N tokens",
    ]
    assert llmspell("session", "replay", "count").out.splitlines()[-1] == "1 step: 1 same"


def test_sessions_are_listed_with_their_dates_and_the_beginnings_of_long_names(home: Path) -> None:
    name = "a name that is so long that nobody would like to read all of it in a list of some sessions"
    llmspell("chat", "mock/a", "--session", name, "hello")
    listed = llmspell("session", "list").out
    assert re.search(r"  a name that is so long .{30,36}…  \d{4}-\d\d-\d\d \d\d:\d\d  suspended  1", listed)
    assert name in llmspell("session", "list", "-v").out
    terminal = AtTerminal(["session", "list"], columns=80)
    terminal.wait_for("a name that is so long…")
    assert terminal.end() == 0


def test_a_replay_that_fails_ends_with_1(home: Path, tmp_path: Path) -> None:
    script = tmp_path / "look.lua"
    script.write_text("assert(io.open('there.txt')):close()")
    (tmp_path / "there.txt").write_text("x")
    assert llmspell("run", "--session", "s", str(script)).status == 0
    (tmp_path / "there.txt").unlink()
    done = llmspell("session", "replay", "s")
    assert done.status == 1
    assert done.out.startswith("✗ step 1 failed: execute ")


def test_a_replay_step_by_step_needs_a_terminal(home: Path) -> None:
    done = llmspell("session", "replay", "s", "--mode", "debug")
    assert done.status == 2
    assert "debug waits at each step for a person at a terminal" in done.err


def test_a_replay_step_by_step_waits_for_enter(home: Path) -> None:
    for text in ("one", "two"):
        llmspell("chat", "mock/a", "--session", "s", text)
    terminal = AtTerminal(["session", "replay", "s", "--mode", "debug"])
    terminal.wait_for("step 1: model chat mock/a [Enter] ")
    terminal.type("\r")
    terminal.wait_for("· step 1 as recorded")
    terminal.wait_for("step 2: model chat mock/a [Enter] ")
    terminal.type("s\r")
    terminal.wait_for("· step 2 skipped")
    assert terminal.end() == 0


@pytest.mark.parametrize("name", ["talk.md", "talk.json"])
def test_a_session_is_exported_by_the_files_name(home: Path, tmp_path: Path, name: str) -> None:
    llmspell("chat", "mock/a", "--session", "talk", "Hello, *you*.")
    done = llmspell("session", "export", "talk", name)
    assert done.out == f"✓ Exported session to {name}\n"
    text = (tmp_path / name).read_text()
    if name.endswith(".json"):
        assert json.loads(text)["steps"][0]["asked"] == "Hello, *you*."
    else:
        assert text.startswith("# talk\n\n")
        assert "## You\n\nHello, *you*.\n\n## mock/a\n\n[mock/a] Hello, *you*.\n" in text
    assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_a_session_of_several_messages_is_shown_and_exported_whole(home: Path, tmp_path: Path) -> None:
    script = tmp_path / "long.lua"
    script.write_text("for i = 1, 12 do State.set('k' .. i, string.rep('long text ', 50000)) end")
    assert llmspell("run", "--session", "long", str(script)).status == 0
    steps = llmspell("session", "show", "long", "--json").document["steps"]
    assert [step["step"] for step in steps] == ["1", *(f"1.{at}" for at in range(1, 13))]
    assert all(len(step["asked"]) > 500_000 for step in steps[1:])
    shown = llmspell("session", "show", "long").out
    assert [line.split()[0] for line in shown.splitlines() if "state set" in line] == [
        step["step"] for step in steps[1:]
    ]
    assert llmspell("session", "export", "long", "long.json").status == 0
    assert json.loads((tmp_path / "long.json").read_text())["steps"] == steps


def test_deleting_asks_where_it_takes_much(home: Path) -> None:
    for name in ("a", "b", "c"):
        llmspell("chat", "mock/a", "--session", name, "hello")
    assert llmspell("session", "delete", "a").out.startswith("✓ Deleted session: a (")
    asked = llmspell("session", "delete", "--all", stdin="n\n")
    assert asked.out == "Delete all sessions? [y/N]: Cancelled\n"
    assert llmspell("session", "delete", "--all", "--yes").out == "✓ Deleted all sessions (2)\n"
    listed = llmspell("session", "list")
    assert listed.out == "No sessions found\n"
    assert "chat --session NAME keeps a chat" in listed.err
