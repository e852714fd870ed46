"""Names and messages that others have chosen, at a terminal: no command lets them steer it or begin a line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.command_cases import CASES, asks_for_json, one_of_each, undo, words_of
from tests.support.command_line import AtTerminal
from tests.support.kernels import KernelProcess
from tests.support.model_server import ModelServer, answering, failing
from tests.support.odd_streams import run

EVIL = "\x1b]0;owned\x07\x9b31m\x1b[2J\u202e\u2028"
"""Sets a title, colours, clears the screen, turns the direction, and breaks a line where no `\\n` is."""
STEERING = ("\x1b]", "\x07", "\x9b", "\x1b[2J", "\u202e", "\u2028")
POISON = f"""
from llmspell_protocol import wire
KEPT = {{"status", "code", "phase", "execution_state", "version", "protocol_version", "protocol", "id", "role"}}
def poisoned(value, key=""):
    if isinstance(value, str):
        return value if key in KEPT or key.endswith("_at") else value + {EVIL!r}
    if isinstance(value, dict):
        return {{name: poisoned(one, name) for name, one in value.items()}}
    if isinstance(value, list):
        return [poisoned(one, key) for one in value]
    return value
whole = wire.Wire.unpack
def unpack(self, frames):
    message = whole(self, frames)
    message.content = poisoned(message.content)
    return message
wire.Wire.unpack = unpack
from llmspell_cli.main import main
main()
"""
"""The command line, to which every text that a kernel answers is hostile."""
FILES_OF_OTHERS = (
    *(["keys", "list"], ["config", "validate"], ["config", "show"]),
    *(["doctor", "--offline"], ["model", "list"]),
)
SCRIPTS = ("run", "exec", "repl", "kernel connect", "debug")
"""What scripts print passes as it is; the last ones ask for more."""


def steered(text: str) -> list[str]:
    """What of EVIL stands in a text; the line editor and the bars have sequences of their own."""
    return [sign for sign in STEERING if sign in text]


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in one_of_each()
        if CASES[name].where != "local" and not asks_for_json(CASES[name]) and not name.startswith(SCRIPTS)
    ],
)
def test_what_a_kernel_answers_steers_no_terminal(name: str, case_directory: Path, case_kernel: KernelProcess) -> None:
    words = [
        "--connect",
        str(case_kernel.started["connection_file"]),
        "--no-color",
        *words_of(CASES[name], case_directory),
    ]
    for output in ("text", "pretty", "json"):
        terminal = AtTerminal(
            [*words, *(["--output", output] if "--format" not in words else [])],
            columns=200,
            program=[sys.executable, "-c", POISON],
        )
        terminal.end()
        undo(CASES[name], case_directory)
        assert steered(terminal.text) == [], terminal.text
        assert "Traceback" not in terminal.text


@pytest.fixture
def server(home: Path) -> ModelServer:
    """A server whose models have hostile names."""
    names = {"data": [{"id": f"m{EVIL}\nsecond owned row"}, {"id": "n"}]}
    return ModelServer(failing(400, {"message": f"no{EVIL}\nnow\tthis"}), listing=answering(names))


def test_a_server_s_names_and_errors_steer_no_terminal(home: Path, server: ModelServer) -> None:
    with server:
        table = f'[providers."box"]\nprovider_type = "openai"\nbase_url = "{server.base_url}"\napi_key = "sk-a"\n'
        Path("llmspell.toml").write_text(table)
        for words in (
            ["model", "list"],
            ["model", "list", "-v", "--output", "pretty"],
            ["model", "status"],
            ["chat", "n@box", "--message", "x"],
            ["chat", f"box/m{EVIL}", "--message", "x"],
            ["model", "info", f"m{EVIL}@box"],
        ):
            terminal = AtTerminal([*words, "--no-color"], columns=250)
            terminal.end()
            assert steered(terminal.text) == [], terminal.text
            assert not [line for line in terminal.text.split("\n") if line.startswith("second owned row")]


def test_names_in_files_of_others_steer_no_terminal(home: Path) -> None:
    (home / "keys.json").write_text(json.dumps({"keys": {f"evil{EVIL}\nrow": "sk-a"}, "in_keyring": []}))
    (home / "keys.json").chmod(0o600)
    Path("llmspell.toml").write_text('"evil\\u001b]0;x\\u0007\\nrow" = 1\n[providers."b\\u001b[2J"]\nx = 1\n')
    for words in (
        ["keys", "list"],
        ["config", "validate"],
        ["config", "show"],
        ["doctor", "--offline"],
        ["model", "list"],
    ):
        terminal = AtTerminal([*words, "--no-color"], columns=250)
        terminal.end()
        assert steered(terminal.text) == [], (words, terminal.text)
        assert not [line for line in terminal.text.split("\n") if line.startswith("row")]


def test_words_of_the_command_line_come_back_without_controls(home: Path) -> None:
    for words in (
        [f"x{EVIL}"],
        ["run", f"x{EVIL}.lua"],
        ["model", "list", f"--x{EVIL}"],
        ["--connect", f"{EVIL}", "model", "list"],
    ):
        terminal = AtTerminal([*words, "--no-color"] if words[0] != f"x{EVIL}" else words, env={"NO_COLOR": "1"})
        assert terminal.end() != 0
        assert steered(terminal.text) == [], terminal.text


def test_a_model_s_words_are_shown_and_obeyed_by_no_terminal(home: Path) -> None:
    terminal = AtTerminal(["chat", "mock/a", "--message", f"a{EVIL}b"], env={"NO_COLOR": "1"})
    assert terminal.end() == 0
    assert "[mock/a] a\\x1b]0;owned\\x07" in terminal.text
    assert steered(terminal.text) == []
    # A pipe gets what it says.
    assert run(["chat", "mock/a", "--message", f"a{EVIL}b"]).out == f"[mock/a] a{EVIL}b\n"


def test_a_script_s_colours_reach_the_terminal(home: Path) -> None:
    terminal = AtTerminal(["exec", "io.write('\\27[32mgreen\\27[0m')"])
    terminal.end()
    assert "\x1b[32mgreen\x1b[0m" in terminal.text
