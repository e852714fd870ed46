"""Rows about state: 10,000 small values that a script keeps, beside SQLite itself with a transaction for each."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.kernel_process import MeasuredKernel
from benchmarks.result import Result, Wanted, compared
from benchmarks.stage import Stage

VALUES = 10_000
_SQLITE = {"LLMSPELL_STATE_BACKEND": "sqlite"}
_TOGETHER = f"""
local began, values = Utils.now_ms(), {{}}
for i = 1, {VALUES} do values["key_" .. i] = i end
State.set_many(values)
local ms = Utils.now_ms() - began
"""
_ONE_BY_ONE = f"""
local began = Utils.now_ms()
for i = 1, {VALUES} do State.set("key_" .. i, i) end
local ms = Utils.now_ms() - began
"""
_TABLE = "CREATE TABLE entries (key TEXT PRIMARY KEY, value TEXT NOT NULL, version INTEGER NOT NULL)"


def state_set(stage: Stage) -> Iterator[Result]:
    """A script of a running kernel and one of a command of its own: in one request, and in one for each value."""
    kernel = MeasuredKernel(stage.home, settings=_SQLITE)
    stage.callback(kernel.close)
    command, environment = stage.home.command("--embedded", "run"), {**stage.home.environment, **_SQLITE}

    def connected(code: str) -> float:
        reply = kernel.execute(f"State.clear() {code} return ms")
        assert reply["status"] == "ok", reply
        return float(reply["result"]) / 1000

    def embedded(code: str) -> float:
        script = stage.directory / "state.lua"
        script.write_text(f"State.clear() {code} print(JSON.stringify(ms))")
        done = subprocess.run([*command, str(script)], env=environment, capture_output=True, check=True)
        return float(json.loads(done.stdout)) / 1000

    for name, act, how, wanted in (
        (
            "state_set",
            partial(connected, _TOGETHER),
            "in one request to a running kernel",
            Wanted(bound=1.5, of="value"),
        ),
        ("state_set_embedded", partial(embedded, _TOGETHER), "in one request, embedded", Wanted(bound=1.5, of="value")),
        ("state_set_single", partial(connected, _ONE_BY_ONE), "each in a request and transaction of its own", None),
    ):
        yield compared(
            name,
            stage.referee.compare(act, partial(_directly, stage.directory)),
            what=f"{VALUES} small values of one script into SQLite, {how}",
            baseline_what="SQLite driven directly, a transaction each",
            unit="s",
            wanted=wanted,
        )


def _directly(directory: Path) -> float:
    file = directory / "direct.db"
    for path in (file, *(file.with_name(file.name + ending) for ending in ("-wal", "-shm"))):
        path.unlink(missing_ok=True)
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_TABLE)
        began = time.monotonic()
        for number in range(VALUES):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", (f"key_{number}", str(number), number)
            )
            connection.execute("COMMIT")
        return time.monotonic() - began
    finally:
        connection.close()
