"""The tables of MCP servers: what may stand in them, what is shown of them, and what they lack on a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_profiles.checking.validation import check
from llmspell_profiles.credentials.key_store import KeyStore
from llmspell_profiles.showing.shown import shown_section
from tests.support.settings import error_of, load

SERVERS = """
[mcp.servers.time]
command = "sh"
args = ["-c", "true"]
env = { TOKEN = { secret = "clock" }, LOG = "info", ZONE = { variable = "ZONE" } }
deny = ["get_*"]

[mcp.servers.far]
enabled = false
url = "https://tools.example/mcp"
headers = { Authorization = { secret = "far", prefix = "Bearer " } }
security_level = "privileged"
"""


def test_servers_are_read_with_references_as_they_are_written(tmp_path: Path) -> None:
    servers = load(tmp_path, SERVERS).settings.mcp.servers
    assert [*servers.others] == ["time", "far"]
    assert [*servers.enabled] == ["time"]
    time = servers.enabled["time"]
    assert time.env == {"TOKEN": {"secret": "clock"}, "LOG": "info", "ZONE": {"variable": "ZONE"}}
    assert (time.timeout_seconds, time.start_timeout_seconds, time.security_level) == (60, 30, "restricted")
    assert (time.allow, time.deny) == (("*",), ("get_*",))
    assert servers.secrets == {"clock", "far"}
    assert load(tmp_path, "").settings.mcp.servers.enabled == {}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[mcp.servers.a]", "mcp.servers.a.command: is required, or url for a server that speaks HTTP"),
        ('[mcp.servers.a]\ncommand = "x"\nurl = "http://x"', "mcp.servers.a.url: has a command already"),
        ('[mcp.servers.a]\ncommand = " "', "mcp.servers.a.command: is empty"),
        ('[mcp.servers.a]\nurl = "ftp://x"', "expected an http or https URL"),
        ('[mcp.servers.a]\nurl = "http://x"\nargs = ["y"]', "args: means nothing for a server with url"),
        ('[mcp.servers.a]\ncommand = "x"\nheaders = { A = "b" }', "headers: means nothing for a server with command"),
        ('[mcp.servers."a b"]\ncommand = "x"', "a server's name has letters, digits, _ and -"),
        ('[mcp.servers."../a"]\ncommand = "x"', "a server's name has letters, digits, _ and -"),
        ('[mcp.servers.a]\ncommand = "x"\ntimeout_seconds = 0', "must be at least 1"),
        ('[mcp.servers.a]\ncommand = "x"\ntimout_seconds = 5', "did you mean mcp.servers.a.timeout_seconds?"),
        ('[mcp.servers.a]\ncommand = "x"\nsecurity_level = "hot"', "'hot' is not one of safe, restricted, privileged"),
        ('[mcp.servers.a]\ncommand = "x"\nenv = { A = 3 }', 'expected a string, { secret = "NAME" }'),
        ('[mcp.servers.a]\ncommand = "x"\nenv = { A = { secret = "a", variable = "B" } }', "expected a string"),
        ('[mcp.servers.a]\ncommand = "x"\nenv = { A = { secret = "../b" } }', "its secret is no name"),
        ('[mcp.servers.a]\ncommand = "x"\nenv = { "A-B" = "c" }', "is not the name of a variable"),
        ('[mcp.servers.a]\nurl = "http://x"\nheaders = { "A B" = "c" }', "is not the name of a header"),
        ('[mcp.servers.a]\nurl = "http://x"\nheaders = { A = "c\\nD: e" }', "a header has printable ASCII characters"),
        ('[mcp.servers]\na = "x"', "mcp.servers.a: unknown key"),
    ],
)
def test_what_is_wrong_with_a_server_is_said_at_its_key(tmp_path: Path, table: str, said: str) -> None:
    error = error_of(tmp_path, table)
    assert said in f"{error.message}; {error.hint}"
    assert "llmspell.toml:" in error.message


def test_references_are_shown_and_literal_secrets_are_not(tmp_path: Path) -> None:
    literal = SERVERS + '[mcp.servers.plain]\ncommand = "sh"\nenv = { API_TOKEN = "sesame", LOG = "info" }\n'
    shown = shown_section(load(tmp_path, literal), "mcp.servers").config
    assert shown["time"]["env"]["TOKEN"] == {"secret": "clock"}
    assert shown["far"]["headers"]["Authorization"] == {"secret": "far", "prefix": "Bearer "}
    assert shown["plain"]["env"] == {"API_TOKEN": "***", "LOG": "info"}


def test_a_check_tells_what_a_server_lacks_here(tmp_path: Path) -> None:
    (tmp_path / "llmspell.toml").write_text(
        SERVERS + '[mcp.servers.lost]\ncommand = "not-a-program"\ncwd = "/nosuch"\nenv = { API_KEY = "sesame" }\n'
    )
    env = {"HOME": str(tmp_path / "home"), "LLMSPELL_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    said = {f"{each.details.get('key')}: {each.text}; {each.hint}" for each in check(env=env, cwd=tmp_path).warnings}
    assert {
        "mcp.servers.time.env.TOKEN: no key 'clock' is stored; llmspell keys add clock",
        "mcp.servers.time.env.ZONE: the variable ZONE is not set; None",
        "mcp.servers.lost.command: there is no program 'not-a-program'; install it, or name its path",
        "mcp.servers.lost.cwd: /nosuch is no directory; None",
        "mcp.servers.lost.env.API_KEY: a secret stands in the file; llmspell keys add lost, and "
        '{ secret = "lost" } in its place',
    } <= said
    assert not any("far" in each for each in said)  # it is switched off

    KeyStore(tmp_path).add("clock", "tick", "file")
    warnings = check(env={**env, "ZONE": "UTC"}, cwd=tmp_path).warnings
    assert not any("mcp.servers.time" in str(each.details["key"]) for each in warnings if "key" in each.details)
