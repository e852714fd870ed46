"""Bytes that are no text, in every place where they can come in: as U+FFFD, or an error that names the place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.support.command_cases import CASES, command_of, words_of
from tests.support.command_line import COMMAND, AtTerminal, llmspell
from tests.support.command_tree import command_at, leaf_commands
from tests.support.odd_streams import run

LATIN = "caf\udce9"
"""`café` in Latin-1, as Python hands on the bytes of a command line."""
BASES = {command_of(one): one for name, one in reversed(CASES.items()) if "json" not in name}


def parameters(path: tuple[str, ...]) -> Iterator[click.Parameter]:
    """The command's parameters that take a text, the global ones too."""
    for param in command_at(path).params:
        is_flag = isinstance(param, click.Option) and (param.is_flag or param.count)
        if not is_flag and param.type.name == "text":
            yield param


IN_ONE_PROCESS = """
import json, os, sys, traceback
from llmspell_protocol.standard_streams import have_standard_streams
have_standard_streams()
from llmspell_cli.root import run
for words in json.loads(os.environ["WORDS"]):
    try:
        run(words)
    except Exception:
        traceback.print_exc()
    except SystemExit:
        pass
sys.stderr.flush()
os._exit(0)
"""


@pytest.mark.parametrize("path", [path for path in leaf_commands() if path in BASES], ids=" ".join)
def test_a_word_that_is_no_text_is_borne(
    path: tuple[str, ...], case_directory: Path, request: pytest.FixtureRequest
) -> None:
    case = BASES[path]
    if case.where == "kernel":
        request.getfixturevalue("case_kernel")
    usual = words_of(case, case_directory)
    lines = []
    for param in parameters(path):
        if isinstance(param, click.Argument):
            at = usual.index(path[-1]) + 1
            lines.append([*usual[:at], LATIN, *[word for word in usual[at:] if word.startswith("-")]])
        else:
            lines.append([*usual, param.opts[-1], LATIN])
    done = run([], env={"WORDS": json.dumps(lines)}, command=(sys.executable, "-c", IN_ONE_PROCESS))
    for word in ("defect", "internal error", "Traceback"):
        assert word not in done.err, done.err
    if path == ("kernel", "start"):
        llmspell("kernel", "stop", "--all")


TEXTS = {
    "code": (["exec", f"print('{LATIN}')"], "", "caf\ufffd\n"),
    "arguments of a script": (["run", "args.lua", "--", LATIN], "", "caf\ufffd\n"),
    "a script's file": (["run", f"{LATIN}.lua"], "", "here\n"),
    "a message": (["chat", "mock/a", "--message", LATIN], "", "[mock/a] caf\ufffd\n"),
    "a text to embed": (["embed", "--model", "mock/a", LATIN], "", None),
    "a file of texts": (["embed", "--model", "mock/a", "--file", f"{LATIN}.txt"], "", None),
    "a variable of a script's": (["exec", "return os.getenv('MODEL')"], "", "caf\ufffd\n"),
    "input of a script's": (["exec", "print(io.read())"], f"{LATIN}\n", "caf\ufffd\n"),
    "input of a repl's": (["repl"], f"print('{LATIN}')\n", "caf\ufffd\n"),
    "input of a script's in a repl": (["repl"], f"print(io.read())\n{LATIN}\n", "caf\ufffd\n"),
}


@pytest.mark.parametrize("locale", ["C.UTF-8", "strict UTF-8"])
@pytest.mark.parametrize("what", TEXTS)
def test_what_is_no_text_arrives_as_a_replacement(what: str, locale: str, target: list[str], tmp_path: Path) -> None:
    (tmp_path / "args.lua").write_text("print(ARGS[1])")
    (tmp_path / f"{LATIN}.lua").write_text("print('here')")
    (tmp_path / f"{LATIN}.txt").write_text("one\n")
    words, stdin, out = TEXTS[what]
    # What a locale like en_US.UTF-8 makes of the streams: Python is lenient in the C locales alone.
    encoding = {"PYTHONIOENCODING": "utf-8:strict"} if locale != "C.UTF-8" else {}
    done = subprocess.run(
        [*COMMAND, *target, *words],
        input=os.fsencode(stdin),
        capture_output=True,
        env={**os.environ, **encoding, "LC_ALL": "C.UTF-8", "MODEL": LATIN},
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert out is None or done.stdout.decode() == out


@pytest.mark.parametrize(
    "words", [["exec", "return 1"], ["model", "list"], ["config", "show", "models"], ["kernel", "status"]]
)
def test_a_directory_whose_name_is_no_text_can_be_worked_in(
    words: list[str], target: list[str], tmp_path: Path
) -> None:
    place = tmp_path / LATIN
    place.mkdir()
    (place / "llmspell.toml").write_text("[runtime]\n")
    done = subprocess.run([*COMMAND, *target, *words], capture_output=True, cwd=place, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_files_named_by_options_may_have_names_that_are_no_text(home: Path, tmp_path: Path) -> None:
    (tmp_path / f"{LATIN}.toml").write_text("[runtime]\n")
    assert llmspell("-c", f"{LATIN}.toml", "model", "list").status == 0
    assert llmspell("repl", "--history", f"{LATIN}.history", stdin="print(1)\n").out == "1\n"
    assert run(["repl"], stdin=f"x = 1\n.save {LATIN}.json\n").status == 0


def test_a_home_whose_name_is_no_text_is_refused_with_what_to_set(home: Path, tmp_path: Path) -> None:
    for words in (["chat", "mock/a", "--message", "x"], ["kernel", "start", "--transport", "ipc"], ["doctor"]):
        done = llmspell(*words, env={"LLMSPELL_HOME": str(tmp_path / LATIN)})
        assert (done.status, "which is not UTF-8 text\nHint: set HOME or LLMSPELL_HOME" in done.err) == (2, True)
    assert not (tmp_path / LATIN).exists()


@pytest.mark.parametrize("command", ["repl", "chat"])
def test_a_byte_that_is_no_text_can_be_typed(command: str, home: Path) -> None:
    words, prompt = (["repl"], "quit\r\n\r\n") if command == "repl" else (["chat", "mock/a"], "leave\r\n")
    terminal = AtTerminal(words)
    terminal.wait_for(prompt)
    terminal.wait_for("> ")
    os.write(terminal.master, b"x = 'caf\xe9' print('do' .. 'ne')\r")
    terminal.wait_for("done\r\n" if command == "repl" else "[mock/a] ")
    terminal.wait_for("> ")
    terminal.type("\x04")
    assert terminal.end() == 0
    assert "defect" not in terminal.said
    if command == "repl":
        assert json.loads((home / "repl_history").read_text()) == "x = 'caf\ufffd' print('do' .. 'ne')"
