"""What the commands run on: a repl with a kernel within or elsewhere, and a machine without the developer's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmspell_protocol.vendors import KEY_VARIABLES
from tests.support.command_line import AtTerminal
from tests.support.kernels import KernelProcess


@pytest.fixture(params=["embedded", "connected"])
def target(request: pytest.FixtureRequest, home: Path) -> Iterator[list[str]]:
    """The words that choose the mode."""
    if request.param == "embedded":
        yield []
        return
    process = KernelProcess()
    yield ["--connect", str(process.started["connection_file"])]
    process.stop()


@pytest.fixture
def repl(target: list[str]) -> Callable[..., AtTerminal]:
    """A repl at a terminal, at its first prompt."""

    def start(*words: str, columns: int = 80, env: dict[str, str] | None = None) -> AtTerminal:
        terminal = AtTerminal([*target, "repl", *words], columns=columns, env=env)
        terminal.wait_for("LLMSpell REPL - lua engine\r\n")
        terminal.wait_for("Type .help for commands, .exit or Ctrl+D to quit\r\n\r\n")
        terminal.wait_for("> ")
        return terminal

    return start


@pytest.fixture
def quiet_machine(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Ollama, no keyring, no key, no kernelspec and no configuration of the developer's."""
    for variable in (*KEY_VARIABLES.values(), "BRAVE_API_KEY", "SERPAPI_API_KEY", "SERPERDEV_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(user / ".config"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
