"""Messages as they were meant: what stands in quotes is never a command, indentation stays, options can be unset."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_cli.chat.conversation import SAMPLING
from tests.support.command_line import AtTerminal, llmspell

QUOTED = {
    "a path": '"""/etc/hosts what is this"""',
    "a command": '"""/exit"""',
    "another end": '"""/bye now"""',
    "an option": '"""/set temperature hot"""',
    "blanks before": '  """ /clear"""',
}


@pytest.fixture
def chat(target: list[str]) -> AtTerminal:
    """A conversation at its first prompt."""
    terminal = AtTerminal([*target, "chat", "mock/a"], env={"NO_COLOR": "1"})
    terminal.wait_for("to leave\r\n")
    terminal.wait_for("> ")
    return terminal


def leave(chat: AtTerminal) -> None:
    """Ends the conversation in order."""
    chat.type("\x04")
    assert chat.end() == 0


def test_what_stands_in_quotes_is_never_a_command(chat: AtTerminal) -> None:
    for number, text in enumerate(QUOTED.values(), 1):
        chat.type(f"{text}\r")
        chat.wait_for(f"[mock/a] {text.strip().strip(chr(34))}")
        chat.wait_for("> ")
        chat.type("/show\r")
        chat.wait_for(f"messages: {2 * number}")
        chat.wait_for("> ")
    leave(chat)


def test_lines_of_a_quoted_message_may_begin_as_commands_do(chat: AtTerminal) -> None:
    chat.type('"""/api/chat returns null\r')
    chat.wait_for("... ")
    chat.type('/exit does nothing"""\r')
    chat.wait_for("[mock/a] /api/chat returns null\r\n/exit does nothing")
    chat.wait_for("> ")
    leave(chat)


def test_an_unknown_command_is_told_how_to_be_said(chat: AtTerminal) -> None:
    chat.type("/etc/hosts what is this\r")
    chat.wait_for('Hint: /help; to say it: """/etc/hosts what is this"""')
    chat.wait_for("> ")
    chat.type('"""/etc/hosts what is this"""\r')
    chat.wait_for("[mock/a] /etc/hosts what is this")
    chat.wait_for("> ")
    leave(chat)


def test_options_are_set_shown_and_unset(chat: AtTerminal) -> None:
    values = {name: "x" if kind is str else "1" for name, kind in SAMPLING.items()}
    for name, value in values.items():
        chat.type(f"/set {name} {value}\r")
        chat.wait_for(f"{name} = {value}")
        chat.wait_for("> ")
    for name, value in values.items():
        chat.type(f"/set {name}\r")
        chat.wait_for(f"{name} = {value}")
        chat.wait_for("> ")
        chat.type(f"/unset {name}\r")
        chat.wait_for(f"{name} is not set")
        chat.wait_for("> ")
    chat.type("/show\r")
    chat.wait_for("options: -")
    chat.wait_for("> ")
    chat.type("/set\r")
    for name in values:
        chat.wait_for(name)
    chat.wait_for("> ")
    leave(chat)


@pytest.mark.parametrize("text", ["    def f():\n        return 1", "\tone", "a\n\n  b"])
def test_piped_input_keeps_its_indentation(text: str, target: list[str], tmp_path: Path) -> None:
    done = llmspell(*target, "chat", "mock/a", "--json", "--no-stream", stdin=f"\n{text}\n")
    assert done.document["message"]["content"] == f"[mock/a] {text}"
    assert llmspell(*target, "chat", "mock/a", stdin=" \n\t\n").status == 2


def test_lines_of_texts_end_at_line_ends_alone(target: list[str], tmp_path: Path) -> None:
    odd = "one\u2028two\x85three\x0bfour\x1cfive\x0csix\rseven"
    done = llmspell(*target, "embed", "--model", "mock/a", "--json", stdin=f"{odd}\r\nlast\n")
    assert [one["text"] for one in done.document["embeddings"]] == [odd, "last"]
    (tmp_path / "t.jsonl").write_bytes(f'"{odd[:12]}"\r\n{{"text": "{odd[:12]}"}}\n'.encode())
    done = llmspell(*target, "embed", "--model", "mock/a", "--json", "--file", "t.jsonl")
    assert [one["text"] for one in done.document["embeddings"]] == [odd[:12]] * 2


def test_a_word_that_is_a_file_is_told(target: list[str], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("one\n")
    for word in ("notes.txt", "@notes.txt"):
        done = llmspell(*target, "chat", "-m", "mock/a", "Summarise", word)
        assert (done.out, done.err) == (
            f"[mock/a] Summarise {word}\n",
            "notes.txt is a file here: llmspell chat … < notes.txt sends what is in it\n",
        )
    assert llmspell(*target, "chat", "-m", "mock/a", "notes.txt", stdin="one\n").err == ""
    done = llmspell(*target, "embed", "-m", "mock/a", "notes.txt")
    assert (done.status, done.err) == (0, "notes.txt is a file here: --file notes.txt embeds its lines\n")
    done = llmspell(*target, "embed", "-m", "mock/a", "x", stdin="one\n")
    assert (done.status, done.err) == (0, "standard input is not read: the texts are those of the command line\n")


def test_an_empty_text_is_named_and_blank_lines_are_told(target: list[str], tmp_path: Path) -> None:
    done = llmspell(*target, "embed", "--model", "mock/a", "one", " ", "three")
    assert (done.status, done.err.split("\n")[0]) == (2, "Error: text 2 of 3 is empty")
    (tmp_path / "t.txt").write_text("one\n\n  \nfour\n")
    for words, stdin, place in (
        (["--file", "t.txt"], "", "t.txt"),
        ([], "one\n\n  \nfour\n", "standard input"),
    ):
        done = llmspell(*target, "embed", "--model", "mock/a", *words, stdin=stdin)
        assert (done.status, done.out.count("\n")) == (0, 2)
        assert done.err == f"{place}: 2 blank lines are skipped (lines 2, 3)\n"
    (tmp_path / "t.jsonl").write_text('"one"\n{"text": ""}\n')
    done = llmspell(*target, "embed", "--model", "mock/a", "--file", "t.jsonl")
    assert (done.status, done.err) == (2, "Error: t.jsonl:2: the text is empty\n")
