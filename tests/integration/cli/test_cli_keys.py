"""`llmspell keys` as a process of its own: at a terminal, and with a keyring that outlives the process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import AtTerminal, llmspell
from tests.support.kernels import KernelProcess
from tests.support.model_server import ModelServer, said

KEY = "sk-not-to-be-seen-1234"


@pytest.fixture(autouse=True)
def _keyring(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyring in a file of the test, and no key in a variable."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring")


def test_a_key_typed_at_a_terminal_is_not_echoed_and_is_there_for_the_next_process() -> None:
    command = AtTerminal(["keys", "add", "openai"])
    command.wait_for("API key for openai: ")
    command.type(f"{KEY}\n")
    command.wait_for("✓ Stored API key for openai (system keyring)")
    assert command.end() == 0
    assert KEY not in command.text
    assert llmspell("keys", "list").out == "PROVIDER  SOURCE\nopenai    system keyring\n"


@pytest.mark.parametrize(("typed", "status"), [("\x03", 130), ("\x04", 1)], ids=["ctrl-c", "ctrl-d"])
def test_the_hidden_prompt_can_be_left(typed: str, status: int) -> None:
    command = AtTerminal(["keys", "add", "openai"])
    command.wait_for("API key for openai: ")
    command.type(typed)
    command.wait_for("\r\nCancelled\r\n")
    assert command.end() == status
    assert llmspell("keys", "list").out == "No API keys found\n"


def test_a_key_from_a_pipe_is_shown_nowhere(home: Path) -> None:
    done = llmspell("keys", "add", "openai", "--stdin", "--trace", "trace", stdin=KEY)
    assert done.status == 0
    listed = llmspell("keys", "list", "--json")
    assert KEY not in done.out + done.err + listed.out + listed.err
    assert not any(KEY in path.read_text() for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize("store", ["keyring", "file"])
def test_a_kernel_sends_the_stored_key_to_the_provider_embedded_and_connected(
    store: str, home: Path, tmp_path: Path
) -> None:
    assert llmspell("keys", "add", "box", "--stdin", "--store", store, stdin=KEY).status == 0
    with ModelServer(said("Hello")) as server:
        (tmp_path / "llmspell.toml").write_text(
            f"[providers.box]\nprovider_type = 'openai'\nbase_url = '{server.base_url}'\n"
        )
        kernel = KernelProcess()
        try:
            for target in ((), ("--connect", str(kernel.started["connection_file"]))):
                done = llmspell(*target, "chat", "box/m", "--message", "hi", "--trace", "trace")
                assert (done.status, "Hello" in done.out) == (0, True), done.err
                assert KEY not in done.out + done.err
        finally:
            kernel.stop()
    sent = [post.headers.get("authorization") for post in server.posts]
    assert sent == [f"Bearer {KEY}"] * 2


def test_plain_files_of_the_keyring_library_are_not_taken_for_a_keyring(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    done = llmspell("--json", "keys", "add", "openai", "--stdin", stdin=KEY)
    assert done.document["store"] == "file"
    assert "there is no system keyring" in done.err
