"""How long and how much of sessions is kept, whose they are, and what is told of what could not be."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.identity import Key
from llmspell_kernel.services.sessions import writing
from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import InvalidRequest, SessionNotFound, StorageDamaged
from tests.support.kernels import KernelProcess
from tests.support.session_talks import RECORDING, Talk, talking, talking_by_key


def aged(home: Path, name: str, seconds: float) -> None:
    """Moves a session's last use into the past."""
    connection = sqlite3.connect(home / "sessions.db")
    with connection:
        connection.execute(
            "UPDATE sessions SET last_activity = ?, status = 'completed' WHERE name = ?", (time.time() - seconds, name)
        )
    connection.close()


def test_of_too_many_sessions_the_longest_unused_end(home: Path) -> None:
    def body(talk: Talk) -> None:
        for name in ("a", "b", "c"):
            talk.chat("hello", session=name)
            talk.session("complete", session=name)
        assert talk.names() == ["c", "b", "a"]
        talk.chat("again", session="a")
        talk.session("complete", session="a")
        talk.chat("hello", session="d")
        assert talk.names() == ["d", "a", "c"]

    talking(home, body, runtime__sessions__max_sessions=3)


def test_active_sessions_are_not_ended_for_room(home: Path) -> None:
    def body(talk: Talk) -> None:
        for name in ("a", "b", "c"):
            talk.chat("hello", session=name)
        assert talk.names() == ["c", "b", "a"]

    talking(home, body, runtime__sessions__max_sessions=1)


def test_sessions_end_when_they_are_older_than_they_may_be(home: Path) -> None:
    def body(talk: Talk) -> None:
        talk.chat("hello", session="old")
        talk.chat("hello", session="young")
        assert talk.names() == ["young", "old"]
        aged(home, "old", 1000)
        aged(home, "young", 10)
        talk.chat("hello", session="new")
        assert talk.names() == ["new", "young"]

    talking(home, body, runtime__sessions__max_age_seconds=500)


def test_sessions_end_when_all_of_them_are_larger_than_they_may_be(home: Path) -> None:
    def body(talk: Talk) -> None:
        talk.session("create", name="large")
        talk.artifact("store", session="large", type="t", name="n", content="x" * 300_000)
        talk.session("complete", session="large")
        talk.chat("hello", session="small")
        talk.session("complete", session="small")
        talk.session("create", name="next")
        assert talk.names() == ["next", "small"]

    # Compressed it would be small.
    limits: dict[str, Any] = {"runtime__sessions__artifact_compression_threshold": 1_000_000}
    talking(home, body, runtime__sessions__max_bytes=200_000, **limits, **RECORDING)


def test_what_one_key_keeps_ends_no_session_of_another(home: Path) -> None:
    def as_owner(talk: Talk) -> None:
        talk.chat("hello", session="mine")
        talk.session("complete", session="mine")

    def as_guest(talk: Talk) -> None:
        for name in ("a", "b", "c"):
            talk.session("create", name=name)
            talk.artifact("store", session=name, type="t", name="n", content=name * 300_000)
            talk.session("complete", session=name)
        # Their own count.
        assert talk.names() == ["c"]

    def is_there(talk: Talk) -> None:
        assert talk.names() == ["mine"]

    limits: dict[str, Any] = {
        "runtime__sessions__artifact_compression_threshold": 1_000_000,
        "runtime__sessions__max_bytes": 200_000,
        "runtime__sessions__max_sessions": 2,
    }
    keys = (Key("guest", b"the guest's"),)
    talking_by_key(home, (None, as_owner), ("guest", as_guest), (None, is_there), keys=keys, **limits, **RECORDING)


def test_a_session_that_rests_is_suspended_when_it_is_looked_at(home: Path) -> None:
    def body(talk: Talk) -> None:
        talk.chat("hello", session="notes")
        assert talk.names() == ["notes"]
        connection = sqlite3.connect(home / "sessions.db")
        with connection:
            connection.execute("UPDATE sessions SET last_activity = last_activity - 100")
        connection.close()
        assert talk.session("show", session="notes")["session"]["status"] == "suspended"
        talk.chat("hello", session="notes")
        assert talk.session("show", session="notes")["session"]["status"] == "active"

    talking(home, body, runtime__sessions__session_timeout_seconds=60)


def test_a_session_has_no_more_artifacts_than_it_may_have(home: Path) -> None:
    def body(talk: Talk) -> None:
        talk.session("create", name="s")
        for number in range(2):
            talk.artifact("store", session="s", type="t", name="n", content=str(number))
        with pytest.raises(InvalidRequest, match="'s' has 2 artifacts, and no more are kept") as raised:
            talk.artifact("store", session="s", type="t", name="n", content="2")
        assert "max_artifacts_per_session" in str(raised.value.hint)

    talking(home, body, **RECORDING, runtime__sessions__max_artifacts_per_session=2)


def test_contents_are_compressed_from_the_threshold_on(home: Path) -> None:
    def body(talk: Talk) -> None:
        talk.session("create", name="s")
        for size in (100, 101):
            talk.artifact("store", session="s", type="t", name=str(size), content="x" * size)
        found = talk.artifact("query", session="s")["artifacts"]
        assert [one["is_compressed"] for one in found] == [False, True]
        assert talk.artifact("get", session="s", sequence=2)["content"] == "x" * 101

    talking(home, body, **RECORDING, runtime__sessions__artifact_compression_threshold=100)


def test_the_contents_of_a_deleted_session_are_gone(home: Path) -> None:
    def body(talk: Talk) -> None:
        talk.session("create", name="one")
        talk.session("create", name="two")
        for session in ("one", "two"):
            talk.artifact("store", session=session, type="t", name="n", content="shared")
        talk.artifact("store", session="one", type="t", name="n", content="its own")
        talk.session("delete", session="one")
        assert talk.artifact("query")["count"] == 1

    talking(home, body, **RECORDING)
    connection = sqlite3.connect(home / "sessions.db")
    assert [data for (data,) in connection.execute("SELECT data FROM contents")] == [b"shared"]
    connection.close()


@pytest.mark.parametrize("everything", [False, True])
def test_a_client_whose_session_was_deleted_is_recorded_in_a_new_one(home: Path, everything: bool) -> None:
    def body(talk: Talk) -> None:
        talk.chat("one")
        [before] = talk.session("list")["sessions"]
        talk.session("delete", **({"all": True} if everything else {"session": before["id"]}))
        talk.chat("two")
        talk.chat("three")
        [after] = talk.session("list")["sessions"]
        assert (after["name"], after["steps"]) == ("two", 2)
        assert after["id"] != before["id"]

    talking(home, body, **RECORDING)


def test_whether_a_content_is_new_and_what_its_end_frees_says_nothing_of_another_key(home: Path) -> None:
    def stored(talk: Talk) -> None:
        talk.session("create", name="s")
        fields = {"session": "s", "type": "t", "name": "n", "content": "x" * 100}
        assert [talk.artifact("store", **fields)["is_new"] for _ in range(2)] == [True, False]

    def deleted(talk: Talk) -> None:
        assert [talk.artifact("delete", session="s", sequence=at)["freed_bytes"] for at in (1, 2)] == [0, 100]

    keys = (Key("guest", b"the guest's"),)
    talking_by_key(
        home, *((None, stored), ("guest", stored), ("guest", deleted), (None, deleted)), keys=keys, **RECORDING
    )


def test_a_client_whose_session_was_ended_for_room_goes_on_being_recorded(home: Path) -> None:
    def body(talk: Talk) -> None:
        talk.chat("one")
        talk.session("complete", session="one")
        talk.session("create", name="other")
        assert talk.names() == ["other"]
        talk.chat("two")
        assert [step["asked"] for step in talk.steps("one")] == ["two"]

    talking(home, body, **RECORDING, runtime__sessions__max_sessions=1)


def test_what_was_never_answered_is_not_asked_in_an_exact_replay(home: Path) -> None:
    def chat(talk: Talk) -> None:
        talk.chat("hello", session="s")

    def look(talk: Talk) -> None:
        [step] = talk.session("replay", session="s")["steps"]
        assert (step["status"], step["served"]) == ("failed", 0)
        assert step["asked_otherwise"] == [{"path": "1", "description": "had no answer when it was recorded"}]

    talking(home, chat)
    connection = sqlite3.connect(home / "sessions.db")
    with connection:
        connection.execute("UPDATE steps SET reply = NULL")
    connection.close()
    talking(home, look)


def test_clients_with_another_key_have_sessions_of_their_own(home: Path) -> None:
    import asyncio

    from tests.support.kernel_in_process import kernel_in_process

    key = Key("guest", b"the guest's")

    def as_owner(info: object) -> str:
        with Client(info) as client:  # type: ignore[arg-type]
            talk = Talk(client.connect(20))
            talk.chat("a secret plan", session="notes")
            return str(talk.session("list")["sessions"][0]["id"])

    def as_guest(info: object, id: str) -> None:
        with Client(info._replace(key="the guest's"), key_id="guest") as client:  # type: ignore[attr-defined]
            talk = Talk(client.connect(20))
            assert talk.names() == []
            assert talk.session("search", query="secret")["matches"] == []
            assert talk.artifact("query")["artifacts"] == []
            for action in ("show", "conversation", "complete", "delete", "replay"):
                with pytest.raises(SessionNotFound):
                    talk.session(action, session=id)
            talk.chat("hello", session="notes")
            assert talk.names() == ["notes"]
            assert talk.session("delete", all=True)["deleted"] != [id]

    async def main() -> None:
        async with kernel_in_process(home, keys=[key]) as kernel:
            id = await asyncio.to_thread(as_owner, kernel.info)
            await asyncio.to_thread(as_guest, kernel.info, id)

    asyncio.run(main())
    connection = sqlite3.connect(home / "sessions.db")
    assert [row[0] for row in connection.execute("SELECT key_id FROM sessions")] == ["conn"]
    connection.close()


def test_what_came_too_fast_is_counted_in_its_session(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MOST_WAITING", 2)

    def body(talk: Talk) -> None:
        talk.script("for i = 1, 50 do Tool.exists('calculator') end", session="busy")
        session = talk.session("show", session="busy")["session"]
        assert session["dropped"] > 0
        assert session["steps"] == 1

    talking(home, body)


def test_a_session_survives_a_kernel_and_a_damaged_file_stops_no_request(home: Path) -> None:
    def chat(talk: Talk) -> None:
        talk.chat("hello", session="notes")

    talking(home, chat)
    talking(home, lambda talk: talk.names() == ["notes"] or pytest.fail("it is gone"))
    (home / "sessions.db").write_bytes(b"no database" * 1000)

    def goes_on(talk: Talk) -> None:
        assert talk.chat("hello", session="notes")["message"]["content"] == "[mock/a] hello"

    talking(home, goes_on)


@pytest.mark.parametrize("damage", [b"\x28\xb5\x2f\xfdno", b"{", b"[]", b'{"content": 5, "options": {}}', b"\xff"])
def test_a_damaged_step_is_told_and_left_out(home: Path, damage: bytes) -> None:
    def chat(talk: Talk) -> None:
        talk.chat("one", session="s")
        talk.chat("two", session="s")

    def look(talk: Talk) -> None:
        one, two = talk.steps("s")
        assert (one["status"], one["asked"]) == ("ok", "one")
        assert (two["status"], two["error"]) == ("error", "what was recorded of this step can't be read")
        found = talk.session("conversation", session="s")
        assert (found["messages"][0]["content"], found["left_out"]) == ("one", ["2"])
        replayed = talk.session("replay", session="s")["steps"]
        assert [step["status"] for step in replayed] == ["recorded", "failed"]

    talking(home, chat)
    connection = sqlite3.connect(home / "sessions.db")
    with connection:
        connection.execute("UPDATE steps SET request = ? WHERE number = 2", (damage,))
    connection.close()
    talking(home, look)


def test_a_damaged_artifact_is_told(home: Path) -> None:
    def store(talk: Talk) -> None:
        talk.session("create", name="s")
        talk.artifact("store", session="s", type="t", name="n", content="x" * 20_000)

    def look(talk: Talk) -> None:
        with pytest.raises(StorageDamaged, match="artifact 1 of session 's' is damaged"):
            talk.artifact("get", session="s", sequence=1)
        assert talk.artifact("query", session="s")["count"] == 1

    talking(home, store, **RECORDING)
    connection = sqlite3.connect(home / "sessions.db")
    with connection:
        connection.execute("UPDATE contents SET data = ?", (b"\x28\xb5\x2f\xfdno",))
    connection.close()
    talking(home, look, **RECORDING)


def test_sessions_are_kept_where_the_setting_says(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "mine.db"

    def body(talk: Talk) -> None:
        talk.chat("hello", session="notes")
        assert talk.session("show", session="notes")["session"]["place"] == str(path)

    talking(home, body, runtime__sessions__path=str(path))
    assert path.exists()
    assert path.stat().st_mode & 0o077 == 0
    assert not (home / "sessions.db").exists()


def test_what_a_killed_kernel_had_recorded_is_there(home: Path) -> None:
    kernel = KernelProcess()
    with kernel.client() as client:
        talk = Talk(client)
        talk.chat("hello", session="notes")
        options = {"llmspell": {"isolated": True, "session": "notes", "name": "endless.lua"}}
        endless = client.request("execute_request", {"code": "print('on') while true do end"}, metadata=options)
        next(iter(endless))
        assert [step["status"] for step in talk.steps("notes")] == ["ok", "running"]
        kernel.signal(signal.SIGKILL)
        kernel.wait()
    after = KernelProcess()
    with after.client() as client:
        talk = Talk(client)
        assert [step["details"] for step in talk.steps("notes")] == ["mock/a", "endless.lua"]
        talk.chat("again", session="notes")
        assert talk.session("show", session="notes")["session"]["steps"] == 3
    after.stop()


def test_a_replay_ends_when_its_time_is_over(home: Path, tmp_path: Path) -> None:
    def body(talk: Talk) -> None:
        talk.script("while io.open('on.txt') do end return 1", session="s", cwd=str(tmp_path))
        (tmp_path / "on.txt").touch()
        reply = talk.session("replay", session="s", timeout_seconds=0.5)
        [step] = reply["steps"]
        assert (reply["outcome"], step["status"]) == ("failed", "failed")
        assert "timed out after" in step["error"]

    talking(home, body)


def test_a_replay_grants_nothing_that_was_granted_then(home: Path, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere" / "secret.txt"
    secret.parent.mkdir()
    secret.write_text("hidden")
    place = tmp_path / "here"
    place.mkdir()

    def body(talk: Talk) -> None:
        code = f"local file = assert(io.open('{secret}')) return file:read('a')"
        allow = {"read": [str(secret.parent)]}
        assert talk.script(code, session="s", cwd=str(place), allow=allow)["result"] == "hidden"
        [step] = talk.session("replay", session="s")["steps"]
        assert step["status"] == "failed"
        assert "Permission denied" in step["error"] or "not allowed" in step["error"]

    talking(home, body)
