"""`llmspell state`: what scripts keep, shown, removed, and carried to a file and back; in both modes."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.support.command_line import AtTerminal, Done, llmspell

SCRIPT = """
State.set("theme", "dark")
State.set("visits", 3)
State.set("half", 2.0)
State.set("mixed", {"a", "b", x = {}, list = JSON.array(), none = JSON.null})
State.set("bytes", "\\255")
State.set("nothing", JSON.null)
State.save("user:1", "name", "Ada")
State.save("session:9", "n", 1)
State.agent_set("bob", "mood", "good")
"""


@pytest.fixture(autouse=True)
def sqlite(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State in the home's file, which is returned."""
    monkeypatch.setenv("LLMSPELL_STATE_BACKEND", "sqlite")
    return home / "state.db"


def fine(done: Done) -> str:
    assert (done.status, done.err) == (0, "")
    return done.out


def test_what_a_script_keeps_is_shown_by_the_next_command(target: list[str]) -> None:
    fine(llmspell(*target, "exec", SCRIPT))
    assert fine(llmspell(*target, "state", "show")) == (
        "State keys (6 total):\n"
        '  bytes = {"$type": "bytes", "base64": "/w=="}\n'
        "  half = 2.0\n"
        '  mixed = {"1": "a", "2": "b", "list": [], "none": null, "x": {}}\n'
        "  nothing = null\n"
        '  theme = "dark"\n'
        "  visits = 3\n"
    )
    assert fine(llmspell(*target, "state", "show", "theme")) == 'Key: theme\nValue: "dark"\n'
    assert fine(llmspell(*target, "state", "show", "--key", "name", "--scope", "user:1")) == 'Key: name\nValue: "Ada"\n'
    shown = llmspell(*target, "state", "show", "mood", "--scope", "agent:bob", "--json").document
    assert {"key": "mood", "value": "good", "scope": "agent:bob"}.items() <= shown.items()


@pytest.mark.parametrize(
    ("scope", "lines"),
    [
        ("session", ["session:9:n = 1"]),
        ("component", ['agent:bob:mood = "good"']),
        ("user:1", ['name = "Ada"']),
        ("workflow", []),
    ],
)
def test_a_scope_is_one_or_all_of_a_kind(scope: str, lines: list[str]) -> None:
    fine(llmspell("exec", SCRIPT))
    out = fine(llmspell("state", "show", "--scope", scope)).splitlines()
    shown = [f"State keys ({len(lines)} total):", *(f"  {line}" for line in lines)]
    assert out == (shown if lines else ["No state keys found"])


@pytest.mark.parametrize("written", ["json", "toml"])
def test_what_is_exported_comes_back_exactly(target: list[str], tmp_path: Path, written: str) -> None:
    fine(llmspell(*target, "exec", SCRIPT))
    file = tmp_path / "state.out"
    said = fine(llmspell(*target, "state", "export", "--scope", "all", "--format", written, str(file)))
    assert said == f"✓ Exported state to {file}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    fine(llmspell(*target, "state", "clear", "--scope", "all", "--yes"))
    fine(llmspell(*target, "exec", "State.set('other', 1) State.save('user:2', 'k', 1)"))
    assert fine(llmspell(*target, "state", "import", "--scope", "all", str(file))) == (
        f"✓ Imported state from {file}\n  (replaced existing state)\n"
    )
    check = """
        local m = State.get("mixed")
        assert(#m == 2 and m.x and next(m.x) == nil and JSON.stringify(m.list) == "[]" and m.none == JSON.null)
        assert(State.get("bytes") == "\\255" and State.get("nothing") == JSON.null)
        assert(math.type(State.get("visits")) == "integer" and math.type(State.get("half")) == "float")
        return table.concat(State.list_scopes(), " ") .. " " .. table.concat(State.keys(), " ")
    """
    assert fine(llmspell(*target, "exec", check)) == (
        "agent:bob global session:9 user:1 bytes half mixed nothing theme visits\n"
    )


def test_an_export_goes_to_standard_output_alone_and_an_import_comes_from_standard_input() -> None:
    fine(llmspell("exec", "State.set('a', {1, 2.5, 'x'})"))
    done = llmspell("state", "export")
    assert json.loads(done.out) == {"a": [1, 2.5, "x"]}
    assert done.err == "✓ Exported state\n"
    done = llmspell("state", "import", "--merge", "-", stdin='{"b": {"c": null}, "a": 1}')
    assert fine(done) == "✓ Imported state from standard input\n  (merged with existing state)\n"
    assert llmspell("state", "show", "--json").document["state"] == {"a": 1, "b": {"c": None}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "..": 2}', "Invalid state key"),
        ('{"a": 1, "b": {"$type": "cat"}}', "the value of state key 'b' can't be kept"),
        ("a = 1\nb = [{c = 1979-05-27}]", "'b.c' is a date, which state can't keep"),
        ("", "standard input is empty; nothing was changed"),
        (" \n", "standard input is empty; nothing was changed"),
        ('{"global": {"a": 1}, "user:ada": {}}', "has entries by scope (global, user:ada)"),
        ("[", "standard input is neither a JSON object nor TOML"),
        ('{"a": ', "line 1 column 7"),
    ],
)
def test_an_import_that_cannot_be_kept_changes_nothing(text: str, message: str) -> None:
    fine(llmspell("exec", "State.set('old', 1)"))
    done = llmspell("state", "import", stdin=text)
    assert done.status == 2
    assert message in done.err
    assert llmspell("state", "show", "--json").document["state"] == {"old": 1}


def test_clearing_asks_and_a_missing_key_is_an_error(target: list[str]) -> None:
    fine(llmspell(*target, "exec", SCRIPT))
    assert fine(llmspell(*target, "state", "clear", "theme")) == "✓ Cleared state key: theme\n"
    done = llmspell(*target, "state", "clear", "theme")
    assert (done.status, done.err.splitlines()[0]) == (3, "Error: Key 'theme' not found")
    done = llmspell(*target, "state", "show", "theme")
    assert (done.status, done.err.splitlines()[0]) == (3, "Error: Key 'theme' not found")
    asked = fine(llmspell(*target, "state", "clear", stdin="n\n"))
    assert asked == "Clear all state keys in scope 'global'? [y/N]: Cancelled\n"
    asked = fine(llmspell(*target, "state", "clear", stdin="y\n"))
    assert asked == "Clear all state keys in scope 'global'? [y/N]: ✓ Cleared all state keys\n"
    assert llmspell(*target, "state", "show", "--scope", "all", "--json").document["count"] == 3
    cleared = llmspell(*target, "state", "clear", "--scope", "all", "--yes", "--json").document
    assert {"status": "success", "cleared": 3, "scope": "all"}.items() <= cleared.items()


def test_clearing_a_scope_that_has_nothing_says_so() -> None:
    assert fine(llmspell("state", "clear", "--scope", "glob", "--yes")) == "No state keys found in scope 'glob'\n"


@pytest.mark.parametrize("words", [("show", "a", "--scope", "session"), ("clear", "a", "--scope", "all")])
def test_a_key_of_several_scopes_is_refused(words: tuple[str, ...]) -> None:
    done = llmspell("state", *words)
    assert (done.status, "is a key of one" in done.err) == (2, True)


def test_an_import_of_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    done = llmspell("state", "import", "x.json")
    assert (done.status, done.err.splitlines()[0]) == (3, "Error: Import file does not exist: x.json")


def test_state_in_memory_says_that_commands_keep_nothing_and_how_to_keep_it(
    monkeypatch: pytest.MonkeyPatch, sqlite: Path
) -> None:
    monkeypatch.delenv("LLMSPELL_STATE_BACKEND")
    fine(llmspell("exec", "State.set('a', 1)"))
    done = llmspell("state", "show")
    assert (done.status, done.out) == (0, "No state keys found\n")
    assert done.err == (
        "Warning: state is kept in memory, which ends with the kernel, or with a command that has its own; to keep it: "
        "llmspell config set runtime.state_persistence.backend_type sqlite\n"
    )
    done = llmspell("config", "set", "runtime.state_persistence.backend_type", "sqlite")
    assert done.status == 0
    fine(llmspell("exec", "State.set('a', 1)"))
    assert fine(llmspell("state", "show")) == "State keys (1 total):\n  a = 1\n"
    assert sqlite.exists()


def test_state_that_is_switched_off_is_an_error_that_says_how_to_switch_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSPELL_STATE_ENABLED", "false")
    for words, status in ((("state", "show"), 2), (("exec", "State.get('a')"), 1)):
        done = llmspell(*words)
        assert done.status == status
        assert "state is switched off" in done.err
        assert "Hint: set runtime.state_persistence.enabled = true" in done.err


def test_a_database_of_a_later_version_is_refused_with_both_versions(sqlite: Path) -> None:
    import sqlite3

    fine(llmspell("exec", "State.set('a', 1)"))
    connection = sqlite3.connect(sqlite)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    done = llmspell("state", "show", "--json")
    assert done.status == 1
    assert done.error["code"] == "storage_version"
    assert done.error["details"]["version"] == 7
    assert done.error["details"]["known"] == 1
    found = llmspell("doctor", "--offline", "--json").document
    (told,) = [one for one in found["checks"] if one["name"] == "databases"]
    assert (told["status"], "has version 7, and this llmspell knows 1" in told["message"]) == ("fail", True)


def test_a_long_value_is_cut_at_a_terminal_and_whole_in_a_pipe(target: list[str]) -> None:
    fine(llmspell(*target, "exec", "State.save('user:1', 'long', ('x'):rep(20000)) State.save('user:1', 'short', 'y')"))
    words = [*target, "state", "show", "--scope", "user:1"]
    for more, head in ((["long"], "Value: "), ([], "  long = ")):
        terminal = AtTerminal([*words, *more], columns=200)
        assert terminal.end() == 0
        shown = terminal.text.replace("\r\n", "\n")
        assert f'{head}"{"x" * 999}…\n' in shown
        assert "(20,002 bytes in all: llmspell state show long --scope user:1 | less)\n" in shown
        assert f'{head}"{"x" * 20000}"\n' in fine(llmspell(*words, *more))
    assert '  short = "y"' in shown
