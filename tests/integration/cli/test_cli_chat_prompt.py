"""A chat's prompt: what became of a message, a kernel that goes, history, Tab, typing ahead, a file that is there."""

from __future__ import annotations

import json
import os
import signal
import stat
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import AtTerminal
from tests.support.kernels import KernelProcess

LONG_REPLY = {"LLMSPELL_MOCK_REPLY": "word " * 24_000, "LLMSPELL_MOCK_PAUSE": "0.001"}


def talk(chat: AtTerminal, *exchange: tuple[str, str]) -> None:
    """Types lines at the prompt and waits for what each is answered with, and for the next prompt."""
    for line, answer in exchange:
        chat.type(f"{line}\r")
        chat.wait_for(answer)
        chat.wait_for("> ")


def leave(chat: AtTerminal) -> None:
    """Ends the conversation in order."""
    chat.type("\x04")
    assert chat.end() == 0


@pytest.fixture
def chat(home: Path) -> AtTerminal:
    """A conversation at its first prompt."""
    terminal = AtTerminal(["chat", "mock/a"], env={"NO_COLOR": "1"})
    terminal.wait_for("to leave\r\n")
    terminal.wait_for("> ")
    return terminal


def test_retry_answers_what_was_typed_last_after_a_cancel(home: Path) -> None:
    chat = AtTerminal(["chat", "mock/a", "--no-stream"], env={**LONG_REPLY, "NO_COLOR": "1"})
    chat.wait_for("> ")
    chat.type("first\r\x03")
    chat.wait_for("[cancelled]")
    chat.wait_for("> ")
    talk(chat, ("/save one.json", "saved to one.json"))
    chat.type("/retry\r\x03")
    chat.wait_for("[cancelled]")
    chat.wait_for("> ")
    talk(chat, ("/show", "messages: 1 (1 without a reply"), ("/undo", "Taken back: first"))
    leave(chat)
    assert json.loads(Path("one.json").read_text())["messages"] == [
        {"role": "user", "content": "first", "unanswered": True}
    ]


def test_retry_answers_what_was_typed_last_after_a_failure(home: Path) -> None:
    words = ["chat", "mock/a", "--no-stream", "--timeout", "0.1"]
    chat = AtTerminal(words, env={**LONG_REPLY, "NO_COLOR": "1"})
    chat.wait_for("> ")
    talk(
        chat,
        ("hello", "Error: "),
        ("/retry", "Error: "),
        ("/show", "messages: 1 (1 without a reply, which the model is not sent)"),
        ("/undo", "Taken back: hello"),
        ("/retry", "there is no message to answer again"),
    )
    leave(chat)


@pytest.fixture
def kernel(home: Path) -> Iterator[KernelProcess]:
    """A running kernel."""
    process = KernelProcess()
    yield process
    process.stop()


def test_a_kernel_that_goes_leaves_the_prompt_and_another_takes_over(kernel: KernelProcess, tmp_path: Path) -> None:
    target = str(kernel.started["connection_file"])
    chat = AtTerminal(["--connect", target, "chat", "mock/a"], env={"NO_COLOR": "1"})
    chat.wait_for("> ")
    talk(chat, ("hello", "[mock/a] hello"), ("/show", f"kernel: {kernel.started['id']}"))
    os.kill(kernel.started["pid"], signal.SIGKILL)
    kernel.process.wait(30)
    talk(
        chat,
        ("/save kept.json", "saved to kept.json"),
        ("more", "is gone; going on with one of this chat's own\r\n"),
        ("/show", "kernel: its own"),
        ("/retry", "[mock/a] more"),
        ("/show", "messages: 4"),
    )
    leave(chat)
    assert len(json.loads((tmp_path / "kept.json").read_text())["messages"]) == 2


def test_a_kernel_that_goes_in_the_middle_of_a_reply_is_told_and_the_reply_so_far_stays(home: Path) -> None:
    kernel = KernelProcess(env=LONG_REPLY)
    chat = AtTerminal(["--connect", str(kernel.started["connection_file"]), "chat", "mock/a"], env={"NO_COLOR": "1"})
    chat.wait_for("> ")
    chat.type("go\r")
    chat.wait_for("word word")
    os.kill(kernel.started["pid"], signal.SIGKILL)
    kernel.process.wait(30)
    chat.wait_for("Error: no kernel at")
    chat.wait_for("/retry connects again")
    chat.wait_for("> ")
    talk(chat, ("/show", "messages: 2"), ("/retry", "[mock/a] go"), ("/show", "messages: 2"))
    leave(chat)
    kernel.stop()


def test_the_same_kernel_is_connected_again_when_it_runs_again(home: Path) -> None:
    first = KernelProcess(["--id", "mine"])
    chat = AtTerminal(["--connect", "mine", "chat", "mock/a"], env={"NO_COLOR": "1"})
    chat.wait_for("> ")
    talk(chat, ("hello", "[mock/a] hello"))
    first.stop()
    again = KernelProcess(["--id", "mine"])
    talk(chat, ("more", "Connected to kernel mine again\r\n"), ("/show", "kernel: mine"), ("/show", "messages: 4"))
    leave(chat)
    again.stop()


def test_what_was_typed_comes_back_in_the_next_chat(chat: AtTerminal, home: Path) -> None:
    talk(chat, ("hello there", "[mock/a] hello there"))
    chat.type('"""two\r')
    chat.wait_for("... ")
    chat.type('lines"""\r')
    chat.wait_for("[mock/a] two\r\nlines")
    chat.wait_for("> ")
    leave(chat)
    file = Path(os.environ["LLMSPELL_HOME"]) / "chat_history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = AtTerminal(["chat", "mock/a"], env={"NO_COLOR": "1"})
    again.wait_for("> ")
    again.type("\x1b[A")
    again.wait_for('lines"""')
    again.type("\r")
    again.wait_for("[mock/a] two\r\nlines")
    again.wait_for("> ")
    talk(again, ("/history", "hello there"), ("/history clear", "History forgotten"))
    leave(again)
    assert file.read_text() == ""


def test_tab_completes_commands_options_models_and_files(chat: AtTerminal, tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text("be short\n")
    for typed, completed, rest, answer in (
        ("/sy", "/system", "be kind", "System prompt set"),
        ("/sh", "/show", "", "system: be kind"),
        ("/system @pro", "@prompt.txt", "", "System prompt set"),
        ("/sh", "/show", "", "system: be short"),
        ("/set temp", "temperature", "0.5", "temperature = 0.5"),
        ("/unset ", "temperature", "", "temperature is not set"),
        ("/lo", "/load", "nosuch.json", "file not found: nosuch.json"),
        ("/mar", "/markdown", "on", "Markdown is shown as it is meant"),
    ):
        chat.type(f"{typed}\t")
        chat.wait_for(completed.removeprefix(typed.rpartition(" ")[2]))
        chat.type(f"{rest}\r")
        chat.wait_for(answer)
        chat.wait_for("> ")
    leave(chat)


def test_tab_completes_models(home: Path, case_directory: Path) -> None:
    chat = AtTerminal(["chat", "mock/a"], env={"NO_COLOR": "1"})
    chat.wait_for("> ")
    chat.type("/model ti\t")
    chat.wait_for("ny")
    chat.type("\r")
    chat.wait_for("Chatting with tiny")
    chat.wait_for("> ")
    leave(chat)


def test_a_file_that_is_there_is_overwritten_when_that_was_said(chat: AtTerminal, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    talk(chat, ("hello", "[mock/a] hello"))
    chat.type("/save notes.txt\r")
    chat.wait_for("notes.txt exists. Overwrite it? [y/N]: ")
    chat.type("\r")
    chat.wait_for("Not saved")
    chat.wait_for("> ")
    assert file.read_text() == "mine"
    # Typed ahead, as from a paste.
    chat.type("/save notes.txt\rn\r")
    chat.wait_for("[y/N]: n\r\nNot saved")
    chat.wait_for("> ")
    chat.type("/save notes.txt\r")
    chat.wait_for("[y/N]: ")
    chat.type("y\r")
    chat.wait_for("saved to notes.txt")
    chat.wait_for("> ")
    # It is the conversation's own file now.
    talk(chat, ("/save", "saved to notes.txt"), ("/clear", "forgotten"), ("/load notes.txt", "(2 messages)"))
    (tmp_path / "other.txt").touch()
    talk(chat, ("/save! other.txt", "saved to other.txt"))
    leave(chat)
    assert file.read_text() == (tmp_path / "other.txt").read_text() != ""


def test_what_is_typed_while_a_reply_comes_waits_for_the_prompt_unseen(home: Path) -> None:
    chat = AtTerminal(["chat", "mock/a"], env={"LLMSPELL_MOCK_REPLY": "word " * 3_000, "NO_COLOR": "1"})
    chat.wait_for("> ")
    chat.type("go\r")
    chat.wait_for("word word")
    chat.type("/show\r")
    chat.wait_for("messages: 2")
    chat.wait_for("> ")
    leave(chat)
    reply = chat.said.rpartition("> go")[2].partition("> ")[0]
    assert set(reply.split()) == {"word"}


def echoes(terminal: AtTerminal) -> bool:
    """Whether the terminal shows what is typed."""
    return bool(termios.tcgetattr(terminal.master)[3] & termios.ECHO)


def test_a_terminal_echoes_again_after_sigterm_in_a_reply(home: Path) -> None:
    shell = AtTerminal(
        [], program=["bash", "--norc", "-c", 'trap : TERM; "$@"; echo ended $?; read _', "-", *_chat()], env=LONG_REPLY
    )
    shell.wait_for("> ")
    shell.type("go\r")
    shell.wait_for("word word")
    assert not echoes(shell)
    children = Path(f"/proc/{shell.process.pid}/task/{shell.process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)
    shell.wait_for("ended 143")
    assert echoes(shell)
    shell.type("\r")
    shell.end()


def _chat() -> list[str]:
    from tests.support.command_line import COMMAND

    return [*COMMAND, "chat", "mock/a"]


def test_ctrl_z_in_a_reply_gives_the_terminal_to_the_shell_and_fg_takes_it_back(home: Path) -> None:
    shell = AtTerminal([], program=["bash", "--norc", "-i"], env={**LONG_REPLY, "PS1": "shell$ "})
    shell.wait_for("shell$ ")
    words = " ".join(f"'{word}'" for word in _chat())
    shell.type(f"{words}\n")
    shell.wait_for("to leave")
    shell.wait_for("> ")
    shell.type("go\r")
    shell.wait_for("word word")
    shell.type("\x1a")
    shell.wait_for("Stopped")
    shell.wait_for("shell$ ")
    shell.type("stty -a | grep -o '.echo '\n")
    shell.wait_for(" echo")
    shell.wait_for("shell$ ")
    shell.type("fg\n")
    shell.wait_for("word word")
    assert not echoes(shell)
    shell.type("\x03")
    shell.wait_for("[cancelled]")
    shell.wait_for("> ")
    shell.type("\x1a")
    shell.wait_for("Stopped")
    shell.wait_for("shell$ ")
    shell.type("fg\n")
    shell.wait_for("> ")
    shell.type("/show\r")
    shell.wait_for("messages: 2")
    shell.wait_for("> ")
    shell.type("/exit\r")
    shell.wait_for("shell$ ")
    shell.type("exit\n")
    shell.end()


def test_images_and_thinking_are_asked_for_at_the_prompt(chat: AtTerminal, tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    talk(
        chat,
        ("/image nosuch.png", "file not found: nosuch.png"),
        ("/think maybe", "'maybe' is neither on nor off"),
        ("/think on", "mock/a@mock can't be told to think"),
        ("hello", "[mock/a] hello"),
        ("/think off", "The model answers at once"),
        ("hi", "it is left to the model again, /retry asks once more"),
        ("/retry", "[mock/a] hi"),
        ("/think", "The model thinks as it likes"),
        ("/image dot.png", "with your next message"),
        # This model can't see, whenever it is asked.
        ("look", "Error: "),
        ("/retry", "Error: "),
        ("/undo", "Taken back: look"),
        ("again", "[mock/a] again"),
    )
    leave(chat)


def test_words_of_ollama_do_the_same_at_the_prompt(chat: AtTerminal) -> None:
    talk(
        chat,
        ("/set parameter temperature 0", "temperature = 0"),
        ("/set system be short", "System prompt set"),
        ("/show info", "system: be short"),
        ("/set num_ctx 2048k", "num_ctx 2097152 is more than the 1048576 tokens"),
        ("/set num_ctx", "num_ctx is not set"),
        ("/set num_ctx 8k", "num_ctx = 8192"),
        ("/set nothink", "The model answers at once"),
        ("/think", "The model thinks as it likes"),
        ("/set verbose", "Numbers are shown after each reply"),
        ("hello", "cached)"),
        ("/set quiet", "Numbers are shown by /stats alone"),
        ("/load qwen3:4b", "Hint: if it is a model: /model qwen3:4b"),
        ("/load nosuch.json", "file not found: nosuch.json"),
    )
    leave(chat)
