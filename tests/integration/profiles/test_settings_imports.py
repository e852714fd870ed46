"""What a start imports to read its configuration: tables that the configuration doesn't mention cost nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ALWAYS = {
    "aliases",
    "checks",
    "environment",
    "expansion",
    "home",
    "loader",
    "nested",
    "local_backends",
    "origins",
    "problems",
    "profiles",
    "provenance",
    "provider_tables",
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
def test_a_start_imports_no_table_that_it_does_not_mention(profile: str | None) -> None:
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
def test_a_table_that_the_configuration_does_not_mention_is_imported_when_it_is_read(read: str, table: str) -> None:
    assert imported(None, read) == ALWAYS | {table}


def test_finding_the_home_directory_needs_no_pydantic() -> None:
    code = "import sys, llmspell_profiles.loading.home, llmspell_profiles.problems; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0


@pytest.mark.parametrize(("variable", "loads"), [("set", False), ("", True)])
def test_the_keyring_library_is_loaded_only_where_nothing_else_has_a_key(
    variable: str, loads: bool, home: Path, tmp_path: Path
) -> None:
    probe = """
import os, sys
from pathlib import Path
from llmspell_profiles.credentials.key_store import KeyStore
from llmspell_profiles.loading.loader import load_settings
from llmspell_profiles.credentials.secrets import find_api_key
loaded = load_settings(env=os.environ, cwd=Path.cwd())
found = find_api_key("openai", loaded.settings.providers.tables["openai"], os.environ, KeyStore(loaded.home))
print("keyring" in sys.modules, found and found.value)
"""
    (tmp_path / "llmspell.toml").write_text("[providers.openai]\napi_key_env = 'THE_KEY'\n")
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        check=True,
        env={
            "LLMSPELL_HOME": str(home),
            "THE_KEY": variable,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        },
        cwd=tmp_path,
    )
    assert done.stdout.split() == [str(loads), variable or "None"]
