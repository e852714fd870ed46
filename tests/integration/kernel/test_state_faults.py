"""State under faults: kernels that are killed in the middle of writes, a disk without room, several kernels at once."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import DiskFull, LlmspellError, StorageDamaged
from tests.support.command_line import llmspell
from tests.support.kernels import KernelProcess

WRITES = 1000
KILLS = 5


@pytest.fixture(autouse=True)
def sqlite(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State in the home's file, which is returned."""
    monkeypatch.setenv("LLMSPELL_STATE_BACKEND", "sqlite")
    return home / "state.db"


@contextlib.contextmanager
def kernel() -> Iterator[KernelProcess]:
    process = KernelProcess()
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.stop()


def ask(client: Client, action: str, **fields: Any) -> dict[str, Any]:
    return dict(client.request("state_request", {"action": action, **fields}).result(60.0).content)


def kept(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = {}
    after = None
    while True:
        reply = ask(client, "show", after=after)
        found |= {entry["key"]: entry["value"] for entry in reply["entries"]}
        after = reply["after"]
        if after is None:
            return found


def test_what_was_written_is_there_after_kills_and_nothing_else(sqlite: Path) -> None:
    """The kernel is killed in the middle of a stream of writes, again and again; what had no answer may be there."""
    chance = random.Random(7)
    answered: set[int] = set()
    asked = 0
    for kill in range(KILLS):
        with kernel() as process, process.client() as client:
            last = WRITES if kill == KILLS - 1 else asked + WRITES // KILLS
            pending = [
                (
                    number,
                    client.request("state_request", {"action": "set", "key": f"k{number}", "value": [number] * 50}),
                )
                for number in range(asked, last)
            ]
            dies_after = chance.randrange(len(pending))
            for at, (number, one) in enumerate(pending):
                if at == dies_after:
                    process.signal(signal.SIGKILL)
                try:
                    one.result(60.0)
                except LlmspellError:
                    continue
                answered.add(number)
            asked = last
            process.process.wait(60)
    assert answered
    with kernel() as process, process.client() as client:
        found = kept(client)
    numbers = {int(key[1:]) for key in found}
    assert answered <= numbers <= set(range(asked))
    assert all(value == [int(key[1:])] * 50 for key, value in found.items())
    assert llmspell("doctor", "--offline").out.count("✓ databases   state: sound\n") == 1


def test_a_batch_is_there_as_a_whole_or_not_at_all_when_the_kernel_is_killed(sqlite: Path) -> None:
    chance = random.Random(11)
    for attempt in range(4):
        with kernel() as process, process.client() as client:
            entries = [{"key": f"k{number}", "value": attempt} for number in range(2000)]
            pending = client.request("state_request", {"action": "set_many", "entries": entries})
            other = client.request("state_request", {"action": "get", "key": "k0"})
            if chance.random() < 0.5:
                other.result(60.0)
            process.signal(signal.SIGKILL)
            with contextlib.suppress(LlmspellError):
                pending.result(60.0)
            process.process.wait(60)
        with kernel() as process, process.client() as client:
            found = kept(client)
        assert len(found) in (0, 2000)
        assert len(set(found.values())) <= 1


def test_what_a_kernel_writes_after_a_command_has_come_and_gone_is_there_for_the_next(sqlite: Path) -> None:
    with kernel() as process, process.client() as client:
        ask(client, "set", key="a", value=1)
        for _ in range(4):  # each of the kernel's connections is opened
            assert kept(client) == {"a": 1}
        for value in (1, 2, 3):
            ask(client, "set", key="a", value=value)
            assert llmspell("--embedded", "state", "show", "a").out == f"Key: a\nValue: {value}\n"


def fill(file: Path) -> None:
    """Takes all room that is left on a file's disk."""
    with file.open("wb", buffering=0) as opened, contextlib.suppress(OSError):
        while True:
            opened.write(b"x" * 4096)


def test_a_full_disk_is_told_and_leaves_the_old_value(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSPELL_STATE_PATH", str(small_disk / "state.db"))
    with kernel() as process, process.client() as client:
        ask(client, "set", key="a", value="old")
        fill(small_disk / "filler")
        entries = [{"key": key, "value": key * 500_000} for key in ("a", "b")]
        for action, fields in (("set", entries[0]), ("set_many", {"entries": entries})):
            with pytest.raises(DiskFull) as told:
                ask(client, action, **fields)
            assert str(small_disk / "state.db") in told.value.message
            assert told.value.hint is not None
        assert kept(client) == {"a": "old"}
        (small_disk / "filler").unlink()
        ask(client, "set_many", entries=entries)
        assert kept(client) == {"a": "a" * 500_000, "b": "b" * 500_000}


def test_a_backup_for_which_there_is_no_room_leaves_nothing(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSPELL_STATE_BACKUP_DIR", str(small_disk / "backups"))
    with kernel() as process, process.client() as client:
        ask(client, "set", key="a", value="x" * 4_000_000)
        with pytest.raises(DiskFull):
            ask(client, "backup")
        assert list((small_disk / "backups").iterdir()) == []
        assert kept(client) == {"a": "x" * 4_000_000}


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_a_backup_says_how_it_is_compressed(monkeypatch: pytest.MonkeyPatch, compression: str) -> None:
    monkeypatch.setenv("LLMSPELL_RUNTIME__STATE_PERSISTENCE__BACKUP__COMPRESSION_TYPE", compression)
    with kernel() as process, process.client() as client:
        made = ask(client, "backup")["backup"]
        assert made["compression"] == compression
        assert ask(client, "backups")["backups"] == [made]


def test_two_kernels_and_commands_on_one_home_lose_no_change(sqlite: Path) -> None:
    script = "for i = 1, 100 do State.update('n', function(n) return (n or 0) + 1 end) end return State.get('n')"
    with kernel() as first, kernel() as second, first.client() as one, second.client() as two:
        running = [
            client.request("execute_request", {"code": script}, metadata={"llmspell": {"isolated": True}})
            for client in (one, two, one)
        ]
        embedded = llmspell("--embedded", "exec", script)
        assert embedded.status == 0, embedded.err
        for each in running:
            each.result(60.0)
        assert ask(one, "get", key="n") == ask(two, "get", key="n")
        assert ask(two, "get", key="n")["entry"]["value"] == 400
    assert llmspell("--embedded", "state", "show", "n").out == "Key: n\nValue: 400\n"


def test_reads_of_a_kernel_leave_the_locks_that_other_processes_go_by(sqlite: Path) -> None:
    """A process that reads has several connections to one file: nothing it does may drop the locks of the others."""
    script = "for i = 1, 60 do local key = 'embedded %d ' .. i State.set(key, i) assert(State.get(key) == i) end"
    with kernel() as running, running.client() as client:
        for turn in range(4):
            ask(client, "set", key=f"before {turn}", value=turn)
            ask(client, "get", key=f"before {turn}")
            done = llmspell("--embedded", "exec", script % turn)
            assert done.status == 0, done.err
            ask(client, "set", key=f"after {turn}", value=turn)
        assert len(kept(client)) == 4 * 62
    assert json.loads(llmspell("--embedded", "state", "show", "--json").out)["count"] == 4 * 62


def test_a_damaged_file_is_told_and_moved_aside_by_doctor_while_the_kernel_runs(sqlite: Path) -> None:
    with kernel() as process, process.client() as client:
        ask(client, "set", key="a", value=1)
        damaged = sqlite.with_name("other")
        damaged.write_bytes(b"no database" * 1000)
        for ending in ("-wal", "-shm"):
            sqlite.with_name(sqlite.name + ending).unlink()
        os.replace(damaged, sqlite)
        for _ in range(2):
            with pytest.raises(StorageDamaged) as told:
                ask(client, "set", key="b", value=2)
            assert "doctor --fix" in str(told.value.hint)
        assert sqlite.read_bytes() == b"no database" * 1000
        done = llmspell("doctor", "--offline", "--fix", "--yes", "--json")
        (fixed,) = [one for one in done.document["fixed"] if ".damaged-" in one]
        aside = Path(fixed.rpartition(" to ")[2])
        assert aside.read_bytes() == b"no database" * 1000
        ask(client, "set", key="b", value=2)
        assert kept(client) == {"b": 2}


def test_a_home_that_was_copied_is_whole(sqlite: Path, tmp_path: Path) -> None:
    """State of a kernel that was stopped is one file."""
    with kernel() as process, process.client() as client:
        ask(client, "set", key="a", value=1)
    shutil.copyfile(sqlite, tmp_path / "copy.db")
    done = llmspell("--embedded", "state", "show", "a", env={"LLMSPELL_STATE_PATH": str(tmp_path / "copy.db")})
    assert done.out == "Key: a\nValue: 1\n"
