"""Sessions in a kernel: what is recorded where, what is read of it, and what never gets into it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.services.sessions import showing
from llmspell_kernel.services.sessions.packing import unpacked
from llmspell_protocol.errors import ConfigError, InvalidRequest, SessionNotFound
from tests.support.session_talks import RECORDING, Talk, talking


def test_a_script_is_recorded_with_what_it_asked_for(home: Path) -> None:
    code = "print('begun') return Agent.create{model = 'mock/a'}:complete('hi there')"

    def run(talk: Talk) -> None:
        talk.script(code, "hello.lua")

    def look(talk: Talk) -> None:
        [listed] = talk.session("list")["sessions"]
        assert (listed["name"], listed["kind"], listed["status"]) == ("hello.lua", "script", "completed")
        assert listed["steps"] == 1
        whole, *below = talk.steps("hello.lua")
        assert (whole["step"], whole["action"], whole["details"]) == ("1", "execute", "hello.lua")
        assert (whole["asked"], whole["answered"]) == (code, 'begun\n"[mock/a] hi there"')
        assert [(one["step"], one["action"], one["is_part"]) for one in below] == [
            *(("1.1", "agent create", False), ("1.2", "agent execute", False), ("1.2.1", "model chat", True)),
        ]
        assert below[1]["answered"] == "[mock/a] hi there"
        assert below[1]["completion_tokens"] > 0
        assert all(one["duration_ms"] is not None for one in (whole, *below))

    talking(home, run, look, **RECORDING)


def test_cells_of_a_notebook_are_recorded_with_what_they_showed(home: Path) -> None:
    def cells(talk: Talk) -> None:
        talk.ask("execute", {"code": "x = 6 print('six')", "silent": False})
        talk.ask("execute", {"code": "x * 7", "silent": False})
        talk.ask("execute", {"code": "print('silent')", "silent": True})

    def look(talk: Talk) -> None:
        [listed] = talk.session("list")["sessions"]
        assert (listed["name"], listed["kind"], listed["status"]) == ("notebook", "notebook", "completed")
        assert [step["answered"] for step in talk.steps("notebook")] == ["six", "42"]

    talking(home, cells, look, **RECORDING)


def test_a_failed_script_makes_a_failed_session_with_what_it_had_printed(home: Path) -> None:
    def run(talk: Talk) -> None:
        with pytest.raises(Exception, match="no such"):
            talk.script("print('so far') error('no such thing')")

    def look(talk: Talk) -> None:
        [listed] = talk.session("list")["sessions"]
        assert listed["status"] == "failed"
        [step] = talk.steps(listed["id"])
        assert step["status"] == "error"
        assert "no such thing" in step["error"]
        assert step["answered"] == "so far"

    talking(home, run, look, **RECORDING)


def test_a_clients_turns_are_one_session_called_after_the_first(home: Path) -> None:
    def chat(talk: Talk) -> None:
        talk.chat("What is the capital of France?")
        talk.chat("What is the capital of France?", "Paris", "And of Italy?")
        talk.ask("model", {"action": "list"})
        talk.ask("tool", {"action": "info", "tool": "calculator"})
        talk.ask("tool", {"action": "invoke", "tool": "calculator", "parameters": {"input": "2+3"}})

    def look(talk: Talk) -> None:
        assert talk.names() == ["What is the capital of France?"]
        steps = talk.steps("What is the capital of France?")
        assert [step["asked"] for step in steps[:2]] == ["What is the capital of France?", "And of Italy?"]
        assert [(step["action"], step["details"]) for step in steps[2:]] == [("tool invoke", "calculator")]
        assert (steps[2]["asked"], steps[2]["answered"]) == ('{"input": "2+3"}', "5")

    talking(home, chat, look, **RECORDING)


def test_a_request_that_names_a_session_is_recorded_in_it_also_when_sessions_are_off(home: Path) -> None:
    def chat(talk: Talk) -> None:
        talk.chat("unheard")
        talk.chat("one", session="notes")

    def go_on(talk: Talk) -> None:
        [before] = talk.session("list")["sessions"]
        assert (before["name"], before["status"]) == ("notes", "suspended")
        talk.chat("two", session=before["id"][:8])
        [after] = talk.session("list")["sessions"]
        assert (after["id"], after["status"], after["steps"]) == (before["id"], "active", 2)
        assert talk.session("list")["place"] == str(home / "sessions.db")

    talking(home, chat, go_on)


def test_what_nothing_names_leaves_no_file_where_sessions_are_off(home: Path) -> None:
    def body(talk: Talk) -> None:
        talk.chat("hello")
        assert talk.session("list")["sessions"] == []
        with pytest.raises(ConfigError, match="switched off"):
            talk.session("create", name="x")

    talking(home, body)
    assert not (home / "sessions.db").exists()


def test_sessions_in_memory_are_there_as_long_as_the_kernel(home: Path) -> None:
    def chat(talk: Talk) -> None:
        talk.chat("hello")

    def look(talk: Talk) -> None:
        assert talk.names() == ["hello"]
        assert talk.session("list")["place"] == "memory"

    talking(home, chat, look, runtime__sessions__enabled=True)
    assert not (home / "sessions.db").exists()
    talking(home, lambda talk: talk.names() == [] or pytest.fail("they are still there"))


def test_a_session_is_named_by_the_beginning_of_its_id_or_by_a_name_of_its_own(home: Path) -> None:
    def body(talk: Talk) -> None:
        one, two = (talk.session("create", name="same")["session"]["id"] for _ in range(2))
        assert talk.session("show", session=one[:12])["session"]["id"] == one
        with pytest.raises(InvalidRequest, match="'same' means 2 sessions") as raised:
            talk.session("show", session="same")
        assert set(raised.value.details["ids"]) == {one, two}
        with pytest.raises(SessionNotFound, match="session 'nosuch' not found"):
            talk.session("show", session="nosuch")

    talking(home, body, **RECORDING)


def test_a_status_is_reached_from_some_others_only(home: Path) -> None:
    def body(talk: Talk) -> None:
        id = talk.session("create", name="work")["session"]["id"]
        assert talk.session("suspend", session=id)["session"]["status"] == "suspended"
        with pytest.raises(InvalidRequest, match="'work' is suspended, and can't be suspended"):
            talk.session("suspend", session=id)
        assert talk.session("resume", session=id)["session"]["status"] == "active"
        assert talk.session("complete", session=id)["session"]["status"] == "completed"
        with pytest.raises(InvalidRequest, match="is completed, and can't be resumed"):
            talk.session("resume", session=id)
        assert talk.session("list", status="completed")["count"] == 1
        assert talk.session("list", status="active")["count"] == 0

    talking(home, body, **RECORDING)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"messages": value} for value in (5, [{}], "abc", [5], [{"role": "user", "content": "x", "tool_calls": 5}])),
        {"messages": [{"role": "user", "content": "x", "tool_calls": [5]}]},
        *({"options": value} for value in ([1], {"temperature": 99})),
        *({"tools": value} for value in (5, [5])),
        {"model": 5},
    ],
)
def test_a_turn_that_was_refused_is_left_out_of_the_conversation_and_told(home: Path, wrong: dict[str, Any]) -> None:
    def body(talk: Talk) -> None:
        asked = {"action": "chat", "model": "mock/a", "messages": [{"role": "user", "content": "hi"}], **wrong}
        with pytest.raises(InvalidRequest):
            talk.ask("model", asked, session="s")
        found = talk.session("conversation", session="s")
        assert (found["messages"], found["left_out"]) == ([], ["1"])
        talk.chat("one", session="s")
        with pytest.raises(InvalidRequest):
            talk.ask("model", asked, session="s")
        found = talk.session("conversation", session="s")
        assert [one["content"] for one in found["messages"]] == ["one", "[mock/a] one"]
        assert (found["model"], found["left_out"]) == ("mock/a", ["3"])
        assert len(talk.steps("s")) == 3
        assert talk.session("replay", session="s")["outcome"] == "completed"

    talking(home, body)


def test_a_long_session_is_shown_page_by_page(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "PAGE_CHARACTERS", 10_000)
    code = "for i = 1, 20 do Tool.execute('calculator', {input = i .. '+1'}) end print(string.rep('x', 4000))"

    def body(talk: Talk) -> None:
        for _ in range(3):
            talk.script(code, session="s")
        talk.artifact("store", session="s", type="t", name="n", content="c")
        talk.chat("hello", session="s")
        found: list[str] = []
        after, pages = None, 0
        while True:
            page = talk.session("show", session="s", after=after)
            assert sum(len(step["asked"]) + len(step["answered"]) for step in page["steps"]) < 10_000
            found += [step["step"] for step in page["steps"]]
            after, pages = page["after"], pages + 1
            assert len(page["artifacts"]) == (1 if after is None else 0)
            if after is None:
                break
        assert pages > 3
        below = [f"{root}.{number}" for root in range(1, 4) for number in range(1, 21)]
        assert sorted(found) == sorted([*below, "1", "2", "3", "4"])
        assert found[:3] == ["1", "1.1", "1.2"]
        assert talk.session("conversation", session="s")["messages"][0]["content"] == "hello"
        replayed = talk.session("replay", session="s", from_step=2)["steps"]
        assert [(step["step"], step["status"], step["served"]) for step in replayed] == [
            *(("2", "same", 20), ("3", "same", 20), ("4", "recorded", 1)),
        ]
        for wrong in ("x", "²", "1.", "9" * 5000):
            with pytest.raises(InvalidRequest, match="is no step"):
                talk.session("show", session="s", after=wrong)

    talking(home, body)


def test_artifacts_and_replays_come_in_pages(home: Path) -> None:
    code = """
    for at = 1, 1005 do Artifact.store(ARGS[1], "t", "n" .. at, "c" .. at % 3) end
    return {#Artifact.list(ARGS[1]), #Artifact.query{session_id = ARGS[1], limit = 1003}, #Artifact.query{limit = 2}}"""

    def body(talk: Talk) -> None:
        id = talk.session("create", name="s")["session"]["id"]
        assert talk.script(code, args=[id])["result"] == [1005, 1003, 2]
        pages = [talk.artifact("query", session="s")]
        while pages[-1]["next"] is not None:
            pages.append(talk.artifact("query", session="s", after=pages[-1]["next"]))
        assert [page["count"] for page in pages] == [500, 500, 5]
        names = [one["name"] for page in pages for one in page["artifacts"]]
        assert names == [f"n{at}" for at in range(1, 1006)]
        assert talk.artifact("query", limit=5000)["count"] == 1000
        first = talk.artifact("query", name_pattern="n?", limit=4)
        rest = talk.artifact("query", name_pattern="n?", after=first["next"])
        assert [one["name"] for one in (*first["artifacts"], *rest["artifacts"])] == [f"n{at}" for at in range(1, 10)]
        assert rest["next"] is None
        for wrong in ("x", "1/2", "1/2/x"):
            with pytest.raises(InvalidRequest, match="is not what a reply before has as its next"):
                talk.artifact("query", after=wrong)
        for text in ("one", "two", "three"):
            talk.chat(text, session="chats")
        reply = talk.session("replay", session="chats", limit=2)
        assert ([step["step"] for step in reply["steps"]], reply["next"]) == (["1", "2"], 3)
        reply = talk.session("replay", session="chats", limit=2, from_step=3)
        assert ([step["step"] for step in reply["steps"]], reply["next"]) == (["3"], None)
        assert talk.session("replay", session="chats", to_step=2)["next"] is None
        for limit in (0, 1001):
            with pytest.raises(InvalidRequest, match="limit has to be 1 to 1000"):
                talk.session("replay", session="chats", limit=limit)

    talking(home, body, **RECORDING, runtime__sessions__max_artifacts_per_session=2000)


def test_words_are_found_in_what_was_asked_and_answered(home: Path) -> None:
    def body(talk: Talk) -> None:
        talk.chat("Where is Zürich?", session="places")
        talk.chat("Wo ist die Große Straße von 東京都?", session="signs")
        talk.script("print('a needle in the hay')", "hay.lua", session="scripts")
        [match] = talk.session("search", query="zurich")["matches"]
        assert (match["name"], match["step"]) == ("places", "1")
        assert "[Zürich]" in match["text"]
        [match] = talk.session("search", query="STRASSE 京都")["matches"]
        assert (match["name"], "[Straße] von 東[京都]?" in match["text"]) == ("signs", True)
        assert [one["name"] for one in talk.session("search", query="hay NEEDLE")["matches"]] == ["scripts"]
        assert talk.session("search", query='needle "AND NOT')["matches"] == []
        assert [one["name"] for one in talk.session("search", query="hay\0needle")["matches"]] == ["scripts"]
        talk.session("delete", session="scripts")
        assert talk.session("search", query="needle")["matches"] == []

    talking(home, body)


def test_secrets_are_not_in_a_sessions_own_fields(home: Path) -> None:
    known = "canary-of-the-environment"

    def body(talk: Talk) -> None:
        made = talk.session("create", name=known, tags=[f"a {known}"], description=known, metadata={"m": known})
        assert "canary" not in str(made)
        assert made["session"]["tags"] == ["a ***"]

    talking(home, body, variables={"SOME_API_KEY": known}, **RECORDING)


@pytest.mark.parametrize("limit", [-1, 0])
def test_a_limit_below_one_is_refused(home: Path, limit: int) -> None:
    def body(talk: Talk) -> None:
        for ask in (lambda: talk.session("list", limit=limit), lambda: talk.artifact("query", limit=limit)):
            with pytest.raises(InvalidRequest, match="limit"):
                ask()

    talking(home, body, **RECORDING)


def test_secrets_are_not_in_the_file(home: Path) -> None:
    """Canaries in a prompt, a tool's arguments and headers, a script's code, arguments, variables and output."""
    known = "canary-of-the-environment"
    (home / "config.toml").write_text(
        "[providers.box]\nprovider_type = 'openai'\nbase_url = 'http://127.0.0.1:9'\napi_key = 'canary-of-the-file'\n"
    )
    env = {"MODEL": "mock/a", "SERVICE_TOKEN": "canary-of-a-variable"}

    def body(talk: Talk) -> None:
        talk.chat("my key is sk-canary1234567890 and canary-of-the-file", session="s")
        parameters = {"url": "http://u:canary-in-a-url@127.0.0.1:9/", "headers": {"X-Api-Key": "canary-in-a-header"}}
        parameters["auth"] = {"type": "bearer", "token": "canary-of-a-call"}
        with pytest.raises(Exception, match=r".+"):
            talk.ask("tool", {"action": "invoke", "tool": "http-requester", "parameters": parameters}, session="s")
        code = f"local api_key = 'canary-in-the-code' print('Bearer canary-printed-1') print('{known}')"
        talk.script(code, session="s", args=["--api-key", "canary-of-an-argument"], env=env)
        fields = {"type": f"type {known}", "name": f"name {known}", "content": "x"}
        fields["metadata"] = {"password": "canary-meta", "tags": [f"tag {known}"]}
        talk.artifact("store", session="s", **fields)
        assert "canary" not in str(talk.session("show", session="s"))
        assert "canary" not in str(talk.artifact("query", session="s"))

    talking(home, body, variables={"SOME_API_KEY": known})
    for path in home.glob("sessions.db*"):
        data = path.read_bytes()
        assert b"canary" not in data, path
    connection = sqlite3.connect(home / "sessions.db")
    kept = connection.execute("SELECT request, reply FROM steps").fetchall()
    assert len(kept) == 3
    # What is long is compressed.
    assert "canary" not in str([unpacked(part) for row in kept for part in row if part is not None])
    connection.close()
