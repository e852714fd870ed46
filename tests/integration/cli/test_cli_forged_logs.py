"""What a script or a client writes into a kernel's log stays one entry, in every way in which logs are read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import AtTerminal, Running, llmspell
from tests.support.kernels import KernelProcess
from tests.support.odd_streams import run
from tests.support.raw_sockets import raw_socket

FORGED = "2026-01-01T00:00:00.000Z [ERROR] a disk was deleted"
BREAKS = {
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "next line": "\x85",
    "vertical tab": "\x0b",
    "form feed": "\x0c",
    "file separator": "\x1c",
    "group separator": "\x1d",
    "record separator": "\x1e",
    "carriage return": "\r",
    "escape": "\x1b[2K\r",
    "line feed": "\n",
    "both": "\r\n",
}
CODE = "\n".join(f"Logger.warn({json.dumps(f'{name} hello{sign}{FORGED}')})" for name, sign in BREAKS.items())


@pytest.fixture(params=["text", "json"])
def written(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Iterator[KernelProcess]:
    """A kernel to whose log a script has written every kind of break."""
    process = KernelProcess(["--id", "forged", "--log-format", request.param])
    (tmp_path / "breaks.lua").write_text(re.sub(r"\\u([0-9a-f]{4})", r"\\u{\1}", CODE))
    try:
        done = llmspell("--connect", "forged", "run", "breaks.lua")
        assert done.status == 0, done.err
        yield process
    finally:
        process.stop()


def test_no_break_makes_an_entry(written: KernelProcess) -> None:
    assert llmspell("kernel", "logs", "forged", "--level", "error").out == ""
    told = llmspell("kernel", "logs", "forged", "--level", "warn", "--json")
    entries = [json.loads(line) for line in told.out.split("\n") if line]
    mine = [entry for entry in entries if " hello" in entry["message"]]
    assert [entry["message"].partition("] ")[2].partition(" hello")[0] for entry in mine] == list(BREAKS)
    assert {entry["level"] for entry in mine} == {"warn"}
    for entry, sign in zip(mine, BREAKS.values(), strict=True):
        whole = entry["message"] + ("\n" + entry["traceback"] if entry["traceback"] else "")
        assert FORGED in whole
        assert sign in whole or sign in ("\r\n", "\x1b[2K\r")
    text = run(["kernel", "logs", "forged", "--level", "warn"]).out
    assert [line for line in text.split("\n") if line.startswith("2026-01-01")] == []


def test_a_kernel_tells_its_log_by_lines_that_end_where_they_end(written: KernelProcess) -> None:
    with written.client() as client:
        lines = client.request("kernel_request", {"action": "logs", "lines": 1000}).result().content["lines"]
    assert not [line for line in lines if line.startswith("2026-01-01")]
    assert sum(" hello" in line for line in lines) == len(BREAKS)


def test_no_break_makes_an_entry_that_is_followed(written: KernelProcess) -> None:
    following = Running("kernel", "logs", "forged", "-f", "--json", "--level", "warn")
    following.wait_for("both hello")
    assert llmspell("--connect", "forged", "run", "breaks.lua").status == 0
    assert llmspell("--connect", "forged", "exec", "Logger.warn('the end')").status == 0
    following.wait_for("the end")
    following.interrupt()
    entries = [json.loads(line) for line in following.done().out.split("\n") if line]
    assert [entry for entry in entries if entry["level"] != "warn"] == []
    assert sum(" hello" in entry["message"] for entry in entries) == 2 * len(BREAKS)


def test_nothing_in_a_log_steers_a_terminal(written: KernelProcess) -> None:
    terminal = AtTerminal(["kernel", "logs", "forged"], columns=200)
    assert terminal.end() == 0
    assert not set(terminal.text) & {"\x1b", "\x85", "\x0b", "\x0c", "\x1c", "\u2028"}
    assert "\\x1b[2K\\x0d" in terminal.text or "\\u001b[2K\\r" in terminal.text


def test_a_client_s_id_makes_no_entry(home: Path) -> None:
    process = KernelProcess(["--id", "forged"])
    try:
        with raw_socket(process.info) as shell:
            message = shell.message("execute_request", {"code": "Logger.warn('mine')"})
            # An id is any text: a client of another make may send this one.
            message.header["msg_id"] = f"one\n{FORGED}"
            shell.send(message)
            shell.reply_to(message)
    finally:
        process.stop()
    assert llmspell("kernel", "logs", "forged", "--level", "error").out == ""
    (entry,) = llmspell("kernel", "logs", "forged", "--level", "warn", "--json").events
    assert (entry["message"].rpartition(" ")[2], entry["request_id"]) == ("mine", f"one\n{FORGED}")
