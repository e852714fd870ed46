"""Which modules of the settings a start imports: tables that the configuration doesn't mention cost it nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llmspell_profiles.loading.loader import load_settings

ALWAYS = {
    "aliases",
    "checks",
    "durations",
    "environment",
    "errors",
    "expansion",
    "home",
    "loader",
    "origins",
    "profiles",
    "providers",
    "secrets",
    "schema_keys",
    "settings",
    "table",
    "toml_source",
    "values",
}

PROBE = """
import json, sys
from pathlib import Path
from llmspell_profiles.loading.loader import load_settings
profile, env = json.loads(sys.argv[1])
loaded = load_settings(profile=profile, env={"HOME": "/home/someone"} | env, cwd=Path("/"))
if sys.argv[2]:
    value = loaded.settings
    for name in sys.argv[2].split("."):
        value = getattr(value, name)
    assert value is not None
ours = [name for name in sys.modules if name.startswith("llmspell_profiles.")]
print(json.dumps([name.rpartition(".")[2] for name in ours if not hasattr(sys.modules[name], "__path__")]))
"""


def imported(profile: str | None = None, read: str = "", **env: str) -> set[str]:
    """The modules of ours that loading a configuration, and reading a key of it, imports."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps([profile, env]), read],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("profile", [None, "minimal", "ollama", "candle", "providers"])
def test_a_start_imports_no_table_that_nobody_mentions(profile: str | None) -> None:
    assert imported(profile) == ALWAYS
    assert imported(profile, LLMSPELL_HOME="/home/someone/spell", LLMSPELL_KERNEL__PORT="1") == ALWAYS


@pytest.mark.parametrize(
    ("profile", "tables"),
    [
        ("development", {"debug"}),
        ("state", {"state"}),
        ("sessions", {"state", "sessions", "hooks", "events"}),
        ("rag-dev", {"rag", "writable_paths"}),
    ],
)
def test_a_profile_imports_the_tables_that_it_has(profile: str, tables: set[str]) -> None:
    assert imported(profile) == ALWAYS | tables


@pytest.mark.parametrize(
    ("variable", "text", "table"),
    [
        ("LLMSPELL_RAG_ENABLED", "true", "rag"),
        ("LLMSPELL_TOOLS__ENABLED", "true", "tools"),
        ("LLMSPELL_EVENTS__FILTERING__INCLUDE_TYPES", "a", "events"),
        ("LLMSPELL_RUNTIME__HOOKS__ENABLED", "true", "hooks"),
        ("LLMSPELL_ENGINES__JAVASCRIPT__STRICT_MODE", "true", "javascript"),
        ("LLMSPELL_DEBUG", "true", "debug"),
        ("LLMSPELL_STATE_ENABLED", "true", "state"),
        ("LLMSPELL_SESSIONS_ENABLED", "true", "sessions"),
    ],
)
def test_a_variable_imports_the_table_that_it_is_about(variable: str, text: str, table: str) -> None:
    assert imported(None, **{variable: text}) == ALWAYS | {table}


@pytest.mark.parametrize(
    ("read", "table"),
    [
        ("rag.chunking.overlap", "rag"),
        ("tools.email.smtp_port", "tools"),
        ("events.filtering", "events"),
        ("hooks", "hooks"),
        ("debug.output", "debug"),
        ("engines.javascript.strict_mode", "javascript"),
        ("runtime.state_persistence.path", "state"),
        ("runtime.sessions.path", "sessions"),
    ],
)
def test_a_table_that_nobody_mentions_is_there_for_whoever_reads_it(read: str, table: str) -> None:
    assert imported(None, read) == ALWAYS | {table}


def test_defaults_that_are_read_late_know_where_llmspell_lives(tmp_path: Path) -> None:
    env = {"HOME": "/home/someone", "LLMSPELL_HOME": "/srv/spell"}
    settings = load_settings(env=env, cwd=tmp_path).settings
    assert settings.runtime.state_persistence.path == Path("/srv/spell/state.db")
    assert settings.runtime.state_persistence is settings.runtime.state_persistence
    assert settings.rag.debug.debug_dump_path == tmp_path / "debug" / "rag"
    assert settings.as_data()["runtime"]["sessions"]["path"] == Path("/srv/spell/sessions.db")
