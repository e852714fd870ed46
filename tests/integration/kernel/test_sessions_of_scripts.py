"""Session, Artifact and Replay in scripts, with a kernel that records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.identity import Key
from llmspell_protocol.errors import ScriptError
from tests.support.session_talks import RECORDING, Talk, talking, talking_by_key


def value(home: Path, code: str, **options: Any) -> Any:
    """What a script returns."""

    def body(talk: Talk) -> Any:
        return talk.script(code, **options)["result"]

    return talking(home, body, **RECORDING)[0]


def test_a_script_makes_finds_and_ends_sessions(home: Path) -> None:
    code = """
    local id = Session.create{name = "work", description = "d", tags = {"a", "b"}, metadata = {n = 1}}
    local made = Session.builder():name("built"):tag("a"):metadata("k", true):build()
    Session.suspend(id)
    local suspended = Session.get(id).status
    assert(Session.load(id) == id)
    Session.complete(id)
    local again, why = pcall(Session.resume, id)
    local one = Session.get(id)
    local counts = {#Session.list(), #Session.list{status = "completed"}, #Session.list{tags = {"a"}}}
    Session.delete(made)
    return {
      suspended = suspended, status = one.status, name = one.name, description = one.description, tags = one.tags,
      metadata = one.custom_metadata, why = why, counts = counts, gone = Session.get(made) == nil,
      bad = select(2, pcall(Session.get, "x")),
      unknown = select(2, pcall(Session.save, made)),
    }"""
    found = value(home, code)
    assert (found["suspended"], found["status"]) == ("suspended", "completed")
    assert (found["name"], found["description"], found["tags"]) == ("work", "d", ["a", "b"])
    assert found["metadata"] == {"n": 1}
    assert found["why"] == "Session error: session 'work' is completed, and can't be resumed"
    # The script's own session is the third.
    assert found["counts"] == [3, 1, 2]
    assert found["gone"] is True
    assert found["bad"] == "Invalid session ID: x"
    assert found["unknown"].startswith("Session error: session '")
    assert found["unknown"].endswith("' not found")


def test_what_a_script_asks_is_recorded_where_it_says_and_answered_from_there(home: Path) -> None:
    code = """
    local id = Session.create{name = "chosen"}
    local before = Session.get_current()
    Session.set_current(id)
    assert(Session.get_current() == id)
    local agent = Agent.create{model = "mock/a"}
    local said = agent:complete("hello")
    Tool.execute("calculator", {input = "6*7"})
    Session.set_current(nil)
    local exact = Session.replay(id, {compare_results = true})
    local uncompared = Session.replay(id)
    local simulated = Session.replay(id, Replay.create_config("simulate"))
    local config = Replay.create_config(Replay.modes.modified, {compare_results = true})
    config:add_modification("parameters.input", "6*8")
    local changed = Session.replay(id, config)
    local ok, why = pcall(Session.replay, id, {mode = "wild"})
    return {
      before = before == nil, said = said, can = Session.can_replay(id), all = #Session.list_replayable(),
      exact = exact, uncompared = uncompared, simulated = simulated.steps, changed = changed.steps, why = why,
      metadata = Session.get_replay_metadata(id),
    }"""
    found = value(home, code)
    assert found["before"] is True
    assert found["can"] is True
    assert (found["exact"]["hooks_replayed"], found["exact"]["successful_replays"]) == (3, 3)
    assert [step["action"] for step in found["exact"]["steps"]] == ["agent create", "agent execute", "tool invoke"]
    assert {step["status"] for step in found["exact"]["steps"]} == {"recorded"}
    uncompared = found["uncompared"]
    assert {(step["status"], step.get("same")) for step in uncompared["steps"]} == {("recorded", None)}
    assert (uncompared["successful_replays"], uncompared["failed_replays"]) == (3, 0)
    assert {step["status"] for step in found["simulated"]} == {"simulated"}
    assert [step["status"] for step in found["changed"]] == ["recorded", "recorded", "differs"]
    assert "Unknown replay mode: wild. Expected: exact, modified, simulate, debug" in found["why"]
    assert found["metadata"]["total_hooks"] == 3


def test_what_one_key_has_chosen_in_a_shared_context_is_no_others_choice(home: Path) -> None:
    def as_owner(talk: Talk) -> None:
        talk.ask("execute", {"code": "Session.set_current(Session.create{name = 'mine'})"})
        talk.ask("execute", {"code": "assert(Session.get_current())"})

    def as_guest(talk: Talk) -> None:
        talk.ask("execute", {"code": "assert(Session.get_current() == nil)"})
        talk.ask("execute", {"code": "Tool.execute('calculator', {input = '6*7'})"})
        assert [step["action"] for step in talk.steps("notebook")][-1] == "tool invoke"

    def as_owner_again(talk: Talk) -> None:
        assert talk.steps("mine") == []
        talk.ask("execute", {"code": "Tool.execute('calculator', {input = '1+1'})"})
        assert [step["action"] for step in talk.steps("mine")] == ["tool invoke"]

    keys = (Key("guest", b"the guest's"),)
    bodies = ((None, as_owner), ("guest", as_guest), (None, as_owner_again))
    talking_by_key(home, *bodies, keys=keys, **RECORDING)


def test_workflows_and_state_of_a_script_are_recorded_and_answered_from_the_record(home: Path) -> None:
    code = """
    local flow = Workflow.builder():name("sum"):sequential()
      :add_step{name = "a", type = "tool", tool = "calculator", input = {input = "6*7"}}:build()
    print(flow:execute({}).success)
    State.set("visits", (State.get("visits") or 0) + 1)
    print(State.get("visits"))"""

    def body(talk: Talk) -> None:
        talk.script(code, session="s")
        whole, *below = talk.steps("s")
        assert whole["answered"] == "true\n1"
        assert "workflow execute" in [one["action"] for one in below]
        assert "state set" in [one["action"] for one in below]
        [step] = talk.session("replay", session="s")["steps"]
        # What is served sets nothing: the second visit would be another one.
        asked = [one for one in below if one["step"].count(".") == 1]
        assert (step["status"], step["served"]) == ("same", len(asked))
        [part] = [one for one in below if one not in asked]
        assert (part["action"], part["step_name"], part["answered"]) == ("tool invoke", "a", "42")
        assert talk.script("return State.get('visits')")["result"] == 1

    talking(home, body)


def test_an_exact_replay_does_nothing_twice(home: Path) -> None:
    code = """
    local id = Session.create{name = "made"}
    local doomed = Session.create{name = "doomed"}
    Session.set_current(id)
    assert(Session.get_current() == id)
    local ref = Artifact.store("", "note", "n.txt", "content")
    print(Artifact.get("", ref).content, #Artifact.list(""))
    Session.set_current(nil)
    Session.suspend(id)
    Session.delete(doomed)
    Hook.register("custom:mine", function() print("called") end)
    local mine = Event.subscribe("mine.*")
    Event.publish("mine.one", {n = 1})
    print(Event.receive(mine, 5000).data.n, type(Config.get()))
    return {id, Session.get(id).status}"""

    def body(talk: Talk) -> None:
        first = talk.script(code, session="script")["result"]
        assert first[1] == "suspended"
        [before] = talk.session("list", status="suspended")["sessions"]
        published = talk.ask("event", {"action": "stats"})["events_processed"]
        artifacts = talk.artifact("query")["artifacts"]
        [step] = talk.session("replay", session="script")["steps"]
        assert (step["status"], step["differences"], step["asked_otherwise"]) == ("same", [], [])
        assert sorted(talk.names()) == ["made", "script"]
        assert talk.session("list", status="suspended")["sessions"] == [before]
        assert talk.artifact("query")["artifacts"] == artifacts
        assert talk.ask("event", {"action": "stats"})["events_processed"] == published

    talking(home, body, **RECORDING)


def test_a_replay_of_a_script_that_asks_for_more_says_so_and_does_it_not(home: Path, tmp_path: Path) -> None:
    code = "if io.open('more.txt') then Session.create{name = 'more'} end return 1"

    def body(talk: Talk) -> None:
        talk.script(code, session="script", cwd=str(tmp_path))
        (tmp_path / "more.txt").touch()
        [step] = talk.session("replay", session="script")["steps"]
        assert step["status"] == "failed"
        [told] = step["asked_otherwise"]
        assert (told["path"], told["description"]) == ("session create", "was not asked when it was recorded")
        assert talk.names() == ["script"]

    talking(home, body, **RECORDING)


def test_artifacts_are_kept_once_and_go_with_the_last_who_has_them(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"\x00\xffbytes")
    code = """
    local one, two = Session.create{name = "one"}, Session.create{name = "two"}
    local long = string.rep("text ", 4000)
    local a = Artifact.store(one, "agent_output", "a.md", long, {tags = {"t"}, description = "d", mine = 1})
    local b = Artifact.store(two, "custom", "b.txt", long)
    local again = Artifact.store(one, "agent_output", "a.md", "short")
    local file = Artifact.store_file(one, "file.bin", "user_input")
    local bytes = Artifact.store(one, "user_input", "bytes", {104, 105})
    Session.set_current(one)
    local listed = Artifact.list("")
    Session.set_current(nil)
    local got = Artifact.get(one, a)
    Artifact.delete(one, a)
    local left = Artifact.get(two, b).content == long
    return {
      same = a.content_hash == b.content_hash, got = got.metadata, whole = got.content == long, names = listed,
      file = Artifact.get(one, file).content == "\\0\\255bytes", bytes = Artifact.get(one, bytes.sequence).content,
      left = left, by_hash = Artifact.get(one, again.content_hash).metadata.version,
      found = #Artifact.query{name_pattern = "*.txt"}, large = #Artifact.query{min_size = 10000},
      empty = select(2, pcall(Artifact.store, one, "", "n", "c")),
      wrong = select(2, pcall(Artifact.store, one, "t", "n", {1, 999})),
      none = select(2, pcall(Artifact.list)),
      gone = select(2, pcall(Artifact.get, one, a)),
    }"""
    found = value(home, code, cwd=str(tmp_path))
    assert found["same"] is True
    got = found["got"]
    assert (got["name"], got["artifact_type"], got["mime_type"]) == ("a.md", "agent_output", "text/markdown")
    assert (got["tags"], got["description"], got["custom"], got["version"]) == (["t"], "d", {"mine": 1}, 1)
    assert (got["size"], got["is_compressed"]) == (20000, True)
    assert got["stored_size"] < 2000
    assert found["whole"] is found["file"] is found["left"] is True
    assert [one["name"] for one in found["names"]] == ["a.md", "a.md", "file.bin", "bytes"]
    assert found["bytes"] == "hi"
    assert found["by_hash"] == 2
    assert (found["found"], found["large"]) == (1, 1)
    assert found["empty"] == "Artifact type cannot be empty"
    assert found["wrong"] == "Content must be string or byte array"
    assert found["none"] == "No current session set"
    assert found["gone"].startswith("Session error: session 'one' has no artifact 1")


def test_hooks_see_what_becomes_of_a_session_and_may_say_no(home: Path) -> None:
    code = """
    local seen = {}
    for _, point in ipairs{"SessionStart", "SessionSave", "SessionCheckpoint", "SessionRestore"} do
      Hook.register(point, function(context) seen[#seen + 1] = point .. " " .. context.data.name end)
    end
    Hook.register("SessionEnd", function(context) return "not yet" end)
    local id = Session.create{name = "s"}
    Session.save(id) Session.suspend(id) Session.resume(id)
    local ok, why = pcall(Session.complete, id)
    return {seen = seen, ok = ok, why = why, status = Session.get(id).status}"""
    found = value(home, code)
    assert found["seen"] == ["SessionStart s", "SessionSave s", "SessionCheckpoint s", "SessionRestore s"]
    assert found["ok"] is False
    assert "not yet" in found["why"]
    assert found["status"] == "active"


def test_without_sessions_there_are_no_such_globals_and_the_error_says_why(home: Path) -> None:
    def body(talk: Talk) -> None:
        assert talk.script("return {Session == nil, Artifact == nil}")["result"] == [True, True]
        with pytest.raises(ScriptError, match="Session") as raised:
            talk.script("Session.create()")
        assert raised.value.hint == "Session needs runtime.sessions.enabled = true: llmspell -p sessions …"

    talking(home, body)
