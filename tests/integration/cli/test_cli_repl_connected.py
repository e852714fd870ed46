"""`kernel connect`: the repl on a kernel that runs already, that is not there, or that dies."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

from tests.support.command_line import AtTerminal, llmspell
from tests.support.kernels import KernelProcess
from tests.support.repl import leave, say


def test_connect_opens_the_repl_on_a_running_kernel(kernel: KernelProcess, home: Path) -> None:
    info = kernel.info
    for words in (["kernel", "connect"], ["kernel", "connect", str(info.id)], ["repl", "--connect", info.address]):
        terminal = AtTerminal(words)
        terminal.wait_for("LLMSpell REPL - lua engine\r\n")
        terminal.wait_for(f"Connected to {info.id} ({info.address})\r\n")
        terminal.wait_for("> ")
        say(terminal, ("shared = (shared or 0) + 1", "\r\n"))
        leave(terminal)
    done = llmspell("kernel", "connect", stdin="shared\n")
    assert (done.status, done.out) == (0, "3\n")


def test_connect_without_a_target_takes_the_last_one_of_several(home: Path) -> None:
    kernels = [KernelProcess(["--id", name]) for name in ("first", "second")]
    try:
        several = llmspell("kernel", "connect", stdin="1\n")
        assert (several.status, several.err.splitlines()[0]) == (2, "Error: several kernels are running: first, second")
        assert llmspell("kernel", "connect", "second", stdin="here = 'second'\n").status == 0
        assert llmspell("kernel", "connect", stdin="here\n").out == '"second"\n'
        assert stat.S_IMODE((home / "run" / "last-connected").stat().st_mode) == 0o600
    finally:
        for process in kernels:
            process.stop()


def test_a_kernel_that_is_not_there_is_refused_and_waited_for_no_longer(home: Path) -> None:
    none = llmspell("kernel", "connect", stdin="1\n")
    assert (none.status, none.err.splitlines()[0]) == (4, "Error: no kernel is running")
    gone = llmspell("kernel", "connect", "llmspell://127.0.0.1:1?key=k", stdin="1\n")
    assert gone.status == 4
    assert "127.0.0.1:1" in gone.err
    assert "refused" in gone.err


def test_a_kernel_that_dies_in_mid_session_is_told_with_status_4(home: Path) -> None:
    process = KernelProcess()
    terminal = AtTerminal(["--connect", str(process.started["connection_file"]), "repl"])
    terminal.wait_for("> ")
    terminal.type("print('go') while true do end\r")
    terminal.wait_for("go\r\n")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    terminal.wait_for("Error: ")
    terminal.wait_for("the connection broke")
    assert terminal.end() == 4


def test_a_kernel_that_died_at_the_prompt_is_told_at_the_next_input(home: Path) -> None:
    process = KernelProcess()
    terminal = AtTerminal(["--connect", str(process.started["connection_file"]), "repl"])
    terminal.wait_for("> ")
    process.stop()
    terminal.type("1\r")
    terminal.wait_for("Error: ")
    assert terminal.end() == 4
