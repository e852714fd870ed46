"""`repl`: Ctrl-C, Ctrl-Z, signals, and a terminal that goes away."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_line import COMMAND, AtTerminal, Running
from tests.support.kernels import KernelProcess
from tests.support.repl import leave, say


def test_ctrl_c_drops_the_line_and_never_ends_the_session(repl: Callable[..., AtTerminal]) -> None:
    terminal = repl()
    terminal.type("error('never run')")
    terminal.wait_for("never run')")
    terminal.type("\x03")
    terminal.wait_for("> ")
    terminal.type("for i = 1, 2 do\r")
    terminal.wait_for("... ")
    terminal.type("\x03")
    terminal.wait_for("> ")
    say(terminal, ("6 * 7", "\r\n42\r\n"))
    leave(terminal)
    assert "In[" not in terminal.said


def test_ctrl_c_interrupts_what_runs_and_the_variables_stay(repl: Callable[..., AtTerminal]) -> None:
    terminal = repl()
    say(terminal, ("kept = 'still here'", "\r\n"))
    terminal.type("print('go') while true do end\r")
    terminal.wait_for("go\r\n")
    terminal.type("\x03")
    terminal.wait_for("Interrupted\r\n")
    terminal.wait_for("> ")
    say(terminal, ("kept", '"still here"'))
    leave(terminal)


def test_a_script_that_has_to_be_killed_takes_its_variables_along(repl: Callable[..., AtTerminal]) -> None:
    terminal = repl()
    terminal.type("print('go') return ('a'):rep(3000):find('.-.-.-.-.-b')\r")
    terminal.wait_for("go\r\n")
    terminal.type("\x03")
    terminal.wait_for("variables are gone")
    terminal.wait_for("> ")
    say(terminal, ("1 + 1", "\r\n2\r\n"))
    leave(terminal)


def test_an_enter_and_a_ctrl_c_typed_in_one_go_interrupt_the_code(repl: Callable[..., AtTerminal]) -> None:
    """The editor may have read the Ctrl-C together with the line that it is meant for."""
    terminal = repl()
    terminal.type("while true do end\r\x03")
    terminal.wait_for("Interrupted\r\n")
    terminal.wait_for("> ")
    leave(terminal)


def test_an_interrupt_leaves_another_clients_cell_alone(home: Path) -> None:
    process = KernelProcess()
    try:
        with process.client() as notebook:
            content = {"code": "print(io.read()) return 'mine'", "allow_stdin": True}
            asked: list[str] = []
            terminal = AtTerminal(["--connect", str(process.started["connection_file"]), "repl"])
            terminal.wait_for("> ")

            def answer(prompt: str, password: bool) -> str:
                # The cell runs now, and the input of the repl waits behind it.
                terminal.type("print('after')\r")
                terminal.wait_for("print('after')")
                terminal.wait_for("\r\n")
                terminal.type("\x03")
                terminal.wait_for("Interrupted")
                asked.append(prompt)
                return "unharmed"

            notebook.subscribe()
            pending = notebook.request("execute_request", content, output=True, on_input=answer)
            shown = [event.content for event in pending if getattr(event, "msg_type", "") == "stream"]
            assert pending.result(60).content["status"] == "ok"
            assert [one["text"] for one in shown] == ["unharmed\n"]
            assert asked == [""]
        terminal.wait_for("> ")
        leave(terminal)
        assert "\nafter" not in terminal.said
    finally:
        process.stop()


def test_ctrl_c_ends_a_repl_that_reads_a_pipe(target: list[str]) -> None:
    running = Running(*target, "repl", stdin="print('go')\nwhile true do end\nprint('never')\n")
    running.wait_for("go")
    # Printed before the loop begins; the request that runs it may not have been sent, which makes no difference.
    running.interrupt()
    done = running.done()
    assert (done.status, done.out, done.err) == (130, "go\n", "Cancelled\n")


def test_ctrl_z_stops_the_session_and_fg_goes_on_with_it(home: Path) -> None:
    shell = AtTerminal(["--norc", "-i"], program=("bash",), env={"PS1": "shell: "})
    shell.wait_for("shell: ")
    shell.type(f"{shlex.join(COMMAND)} repl\r")
    shell.wait_for("> ")
    say(shell, ("x = 20 + 1", "\r\n"))
    shell.type("\x1a")
    shell.wait_for("Stopped")
    shell.wait_for("shell: ")
    shell.type("stty -a | grep -ow -e '-*icanon'; fg\r")
    shell.wait_for("\ricanon\r\n")
    shell.wait_for("> ")
    say(shell, ("x * 2", "42\r\n"))
    shell.type("\x04")
    shell.wait_for("shell: ")
    shell.type("exit\r")
    assert shell.end() == 0


def test_a_kernel_that_does_not_answer_holds_up_neither_tab_nor_ctrl_c(home: Path) -> None:
    process = KernelProcess()
    try:
        terminal = AtTerminal(["--connect", str(process.started["connection_file"]), "repl"])
        terminal.wait_for("> ")
        process.signal(signal.SIGSTOP)
        terminal.type("stri\t")
        terminal.wait_for("stri")
        terminal.type("ng\r")
        terminal.wait_for("> string\r")
        terminal.type("\x03")
        terminal.wait_for("Interrupted; the kernel has not confirmed it")
        terminal.wait_for("> ")
        process.signal(signal.SIGCONT)
        say(terminal, ("6 * 7", "42\r\n"))
        leave(terminal)
    finally:
        process.signal(signal.SIGCONT)
        process.stop()


def test_a_signal_that_ends_it_leaves_the_terminal_as_it_was(repl: Callable[..., AtTerminal]) -> None:
    import termios

    terminal = repl()
    assert not termios.tcgetattr(terminal.master)[3] & termios.ICANON
    terminal.process.send_signal(signal.SIGTERM)
    terminal.process.wait(60)
    assert termios.tcgetattr(terminal.master)[3] & termios.ICANON
    # With a kernel of its own it ends in order and says so; with another's the signal ends it: the same for a shell.
    assert terminal.end() in (128 + signal.SIGTERM, -signal.SIGTERM)


def test_a_terminal_that_is_gone_ends_the_session(repl: Callable[..., AtTerminal]) -> None:
    terminal = repl()
    terminal.hang_up()
    terminal.process.wait(60)


def test_a_sigint_from_elsewhere_is_a_ctrl_c(repl: Callable[..., AtTerminal]) -> None:
    terminal = repl()
    terminal.type("dropped")
    terminal.wait_for("dropped")
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("> ")
    say(terminal, ("6 * 7", "\r\n42\r\n"))
    leave(terminal)


@pytest.mark.parametrize("ctrl_c_after", ["Name? ", "Name? half"])
def test_ctrl_c_ends_a_script_that_reads_at_a_terminal(target: list[str], tmp_path: Path, ctrl_c_after: str) -> None:
    (tmp_path / "ask.lua").write_text("io.write('Name? ') print('hello ' .. io.read())\n")
    answered = AtTerminal([*target, "run", "ask.lua"])
    answered.wait_for("Name? ")
    answered.type("Ann\r")
    answered.wait_for("hello Ann")
    assert answered.end() == 0
    interrupted = AtTerminal([*target, "run", "ask.lua"])
    interrupted.wait_for("Name? ")
    interrupted.type(ctrl_c_after.removeprefix("Name? "))
    interrupted.wait_for(ctrl_c_after.removeprefix("Name? "))
    interrupted.type("\x03")
    interrupted.wait_for("Cancelled")
    assert interrupted.end() == 130
