"""`llmspell config import-mcp`: what is written, what is kept in the key store, and what is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmspell_profiles.credentials.key_store import KeyStore
from tests.support.command_line import AtTerminal, llmspell

SECRET = "ghp_notToBeSeen123456"
THEIRS = {
    "mcpServers": {
        "time": {"command": "sh", "args": ["-c", "true"]},
        "github": {"command": "sh", "env": {"GITHUB_TOKEN": SECRET, "LOG": "info"}},
        "far": {"url": "https://tools.example/mcp", "headers": {"X-Key": "${input:far-key}"}, "autoApprove": ["x"]},
    }
}
OURS = "# mine\n[kernel]\nport = 0 # any\n"
WRITTEN = (
    OURS
    + """
[mcp.servers.time]
command = "sh"
args = ["-c", "true"]

[mcp.servers.github]
command = "sh"
env = {GITHUB_TOKEN = {secret = "mcp-github-github-token"}, LOG = "info"}

[mcp.servers.far]
url = "https://tools.example/mcp"
headers = {X-Key = {secret = "mcp-far-far-key"}}
"""
)


@pytest.fixture
def theirs(tmp_path: Path) -> str:
    """Another client's file."""
    path = tmp_path / "claude_desktop_config.json"
    path.write_text(json.dumps(THEIRS))
    return str(path)


@pytest.fixture
def ours(home: Path) -> Path:
    """The user's own configuration."""
    path = home / "config.toml"
    path.write_text(OURS)
    return path


def test_servers_are_written_beside_what_is_there_and_secrets_into_the_key_store(
    home: Path, theirs: str, ours: Path
) -> None:
    done = llmspell("config", "import-mcp", theirs, "--store-secrets")
    assert done.status == 0, done.err
    assert ours.read_text() == WRITTEN
    assert "✓ mcp.servers.github (sh) in" in done.out
    assert "autoApprove is left out; tools.approval says which calls are asked about" in done.err
    assert "the file has no value for mcp-far-far-key" in done.err
    assert "llmspell keys add mcp-far-far-key" in done.err
    stored = KeyStore(home).get("mcp-github-github-token")
    assert stored is not None
    assert stored.value == SECRET
    shown = llmspell("config", "show", "mcp")
    for text in (done.out, done.err, shown.out, ours.read_text()):
        assert SECRET not in text
    assert (
        "not a provider that llmspell knows" not in llmspell("keys", "add", "mcp-far-far-key", "--stdin", stdin="k").err
    )
    assert llmspell("config", "validate", "--offline").status == 0

    again = llmspell("config", "import-mcp", theirs, "--store-secrets")
    assert again.status == 2
    assert "there is mcp.servers.time already" in again.err
    assert "llmspell config unset mcp.servers.time" in again.err


def test_a_dry_run_writes_nothing_and_shows_no_secret(home: Path, theirs: str, ours: Path) -> None:
    done = llmspell("config", "import-mcp", theirs, "--dry-run")
    assert done.status == 0
    assert "[mcp.servers.github.env]" in done.out
    assert "# mcp-github-github-token would be kept in the key store" in done.out
    assert SECRET not in done.out + done.err
    document = json.loads(llmspell("config", "import-mcp", theirs, "--dry-run", "--json").out)
    assert document["servers"]["github"]["env"]["GITHUB_TOKEN"] == {"secret": "mcp-github-github-token"}
    assert document["stored"] == ["mcp-github-github-token"]
    assert ours.read_text() == OURS
    assert KeyStore(home).get("mcp-github-github-token") is None


def test_secrets_are_refused_where_nobody_can_be_asked(theirs: str, ours: Path) -> None:
    done = llmspell("config", "import-mcp", theirs)
    assert done.status == 2
    assert "has secrets, which belong into the key store (mcp-github-github-token); nothing was written" in done.err
    assert f"llmspell config import-mcp {theirs} --store-secrets" in done.err
    assert ours.read_text() == OURS
    one = llmspell("config", "import-mcp", theirs, "--only", "time")
    assert one.status == 0
    assert "mcp.servers.github" not in ours.read_text()


@pytest.mark.parametrize(("typed", "is_written"), [("y\n", True), ("n\n", False)])
def test_at_a_terminal_it_asks(theirs: str, ours: Path, typed: str, is_written: bool) -> None:
    command = AtTerminal(["config", "import-mcp", theirs])
    command.wait_for("Keep its secrets in the key store (mcp-github-github-token)? [y/N]: ")
    command.type(typed)
    command.wait_for("mcp-github-github-token in" if is_written else "Cancelled")
    command.end()
    assert ("mcp.servers" in ours.read_text()) == is_written


def test_what_a_table_cannot_say_is_refused_whole(tmp_path: Path, ours: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"servers": {"a": {"command": "sh"}, "b": {"type": "sse", "url": "https://b.example"}}}))
    done = llmspell("config", "import-mcp", str(path))
    assert done.status == 2
    assert "b: the transport sse can't be spoken; streamable HTTP can; nothing was written" in done.err
    assert f"llmspell config import-mcp {path} --only a" in done.err
    assert ours.read_text() == OURS
    for text, said in (("[]", "holds no JSON object"), ("{}", "has neither mcpServers nor servers"), ("{", "line 1")):
        path.write_text(text)
        assert said in llmspell("config", "import-mcp", str(path)).err
    path.write_text('{"servers": {}}')
    assert "has no servers" in llmspell("config", "import-mcp", str(path)).err
    assert "has no server 'z'; it has: none" in llmspell("config", "import-mcp", str(path), "--only", "z").err
