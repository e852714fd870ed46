"""`llmspell config init`, `validate`, `list-profiles` and `schema`: what they print, and their exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from llmspell_cli.root import PROFILES_HELP
from tests.support.command_line import Done, call

BROKEN = """
[engines.lua]

stdlib_level = "All"


[runtime]

max_concurrent_scripts = "ten"


[rag.vector_storage]

[rag.vector_storage.hnsw]
m = 400
ef_construction = 50



[providers]

default_provider = "mistrall"
[providers.mistral]
[providers.ollama]


[providers.providers.openai]
provider_type = "openai"
"""

BROKEN_SAID = """\
Configuration validation:
  File: broken.toml
  Status: ✗ Invalid

Errors:
  ✗ broken.toml:4  engines.lua.stdlib_level: unknown key; did you mean engines.lua.stdlib?
  ✗ broken.toml:9  runtime.max_concurrent_scripts: expected an integer, got the string "ten"
  ✗ broken.toml:15 rag.vector_storage.hnsw.m: 400 is out of range (2 to 100)
  ✗ broken.toml:16 rag.vector_storage.hnsw.ef_construction: must be at least m (400), got 50
  ✗ broken.toml:22 providers.default_provider: 'mistrall' is not configured; configured: candle, mistral, ollama
  ✗ broken.toml:27 providers.providers.openai: write [providers.openai]
"""

DOUBTFUL = 'extends = "ollama"\n' + 12 * "\n" + "[providers.openai]\n" + 15 * "\n"
DOUBTFUL += "[rag.backup]\nenable_auto_backup = true\n"

DOUBTFUL_SAID = """\
Configuration validation:
  File: ./llmspell.toml (extends ollama)
  Status: ✓ Valid

Warnings:
  ⚠ llmspell.toml:14 providers.openai: no credentials (OPENAI_API_KEY is not set, no key stored); \
llmspell keys add openai
  ⚠ llmspell.toml:31 rag.backup.enable_auto_backup: accepted, has no effect
"""

PROFILES_SAID = """\
Available Builtin Profiles:

Core:
  minimal - Tools only, no LLM providers
  development - Verbose logging, debugging enabled
Common Workflows:
  providers - OpenAI/Anthropic provider setup
  state - State persistence with memory backend
  sessions - Sessions + state + hooks + events
Local LLM:
  ollama - Ollama local LLM backend
  candle - Candle local LLM backend
RAG:
  rag-development (rag-dev) - RAG development settings
  rag-production (rag-prod) - RAG production settings
  rag-performance (rag-perf) - RAG performance settings

Usage: llmspell -p PROFILE_NAME run script.lua
"""


@pytest.fixture(autouse=True)
def _here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory, no keys of the developer's own, and no keyring."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


def test_every_error_of_a_broken_file_is_shown_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    Path("broken.toml").write_text(BROKEN)
    done = call(capsys, "config", "validate", "--file", "broken.toml")
    assert done == Done(2, BROKEN_SAID, "Error: Configuration validation failed: 6 errors\n")


def test_a_valid_file_may_have_warnings_and_strict_counts_them(capsys: pytest.CaptureFixture[str]) -> None:
    Path("llmspell.toml").write_text(DOUBTFUL)
    assert call(capsys, "config", "validate", "--offline") == Done(0, DOUBTFUL_SAID, "")
    error = "Error: Configuration validation failed: 2 warnings (--strict)\n"
    assert call(capsys, "config", "validate", "--offline", "--strict") == Done(2, DOUBTFUL_SAID, error)


def test_the_report_as_json_is_on_stdout_valid_or_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    Path("broken.toml").write_text(BROKEN)
    done = call(capsys, "config", "validate", "--file", "broken.toml", "--output", "json")
    assert (done.status, done.error["code"]) == (2, "config_error")
    document = done.document
    assert (document["valid"], document["path"], document["profile"]) == (False, str(Path.cwd() / "broken.toml"), None)
    assert document["warnings"] == []
    assert document["errors"][0] == {
        "key": "engines.lua.stdlib_level",
        "line": 4,
        "column": 1,
        "file": "broken.toml",
        "variable": None,
        "message": "unknown key",
        "hint": "did you mean engines.lua.stdlib?",
    }
    assert [error["line"] for error in document["errors"]] == [4, 9, 15, 16, 22, 27]
    Path("llmspell.toml").write_text('extends = "candle"\n')
    done = call(capsys, "config", "validate", "--json")
    expected = {
        "valid": True,
        "path": str(Path.cwd() / "llmspell.toml"),
        "profile": "candle",
        "errors": [],
        "warnings": [],
        "not_read": [],
    }
    assert (done.status, done.document, done.err) == (0, expected, "")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("config", "validate"), "File: none (defaults)"),
        (("-p", "candle", "config", "validate"), "Profile: candle"),
        (("-c", "other.toml", "config", "validate"), "File: other.toml"),
        (("config", "validate", "-f", "other.toml"), "File: other.toml"),
    ],
)
def test_what_is_checked_is_what_a_run_would_use(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], line: str
) -> None:
    Path("other.toml").write_text("kernel.port = 1\n")
    done = call(capsys, *words)
    assert done == Done(0, f"Configuration validation:\n  {line}\n  Status: ✓ Valid\n", "")


def test_a_variable_is_checked_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSPELL_RAG_ENABLED", "maybe")
    done = call(capsys, "config", "validate")
    assert done.status == 2
    assert "\n  ✗ LLMSPELL_RAG_ENABLED: expected true or false, got 'maybe' (sets rag.enabled)\n" in done.out


def test_broken_toml_shows_line_and_column(capsys: pytest.CaptureFixture[str]) -> None:
    Path("llmspell.toml").write_text(11 * "\n" + "enabled true\n")
    done = call(capsys, "config", "validate")
    assert done.status == 2
    assert "\n  ✗ llmspell.toml:12:9 is not valid TOML: expected '=' after a key\n" in done.out
    assert call(capsys, "config", "validate", "--json").document["errors"][0]["column"] == 9


def test_a_text_of_two_lines_stays_in_its_column(capsys: pytest.CaptureFixture[str]) -> None:
    Path("llmspell.toml").write_text('extends = "olama"\n')
    out = call(capsys, "config", "validate").out
    assert "\n  ✗ llmspell.toml:1 extends: Builtin profile 'olama' not found.\n    Available: minimal, " in out


def test_an_unknown_profile_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "-p", "unknown", "config", "validate")
    assert (done.status, done.out) == (3, "")
    assert done.err.startswith("Error: Builtin profile 'unknown' not found.\nAvailable: minimal, development, ollama")


def test_a_profile_and_a_file_cannot_both_be_meant(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "-p", "candle", "config", "validate", "--file", "x.toml")
    assert (done.status, done.err) == (2, "Error: Cannot use both --profile and --file\n")


def test_two_files_cannot_both_be_meant_but_a_named_one_goes_before_the_variables(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("x.toml").write_text("")
    done = call(capsys, "-c", "y.toml", "config", "validate", "--file", "x.toml")
    assert (done.status, done.err) == (2, "Error: two files are named: y.toml and x.toml\n")
    monkeypatch.setenv("LLMSPELL_CONFIG", "y.toml")
    done = call(capsys, "config", "validate", "--file", "x.toml")
    assert (done.status, done.out.splitlines()[1]) == (0, "  File: x.toml")


def test_init_writes_a_file_and_says_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "config", "init")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("✓ Created configuration file: llmspell.toml\n\nNext steps:\n  1. Edit llmspell.toml\n")
    assert Path("llmspell.toml").stat().st_mode & 0o777 == 0o600
    assert call(capsys, "config", "validate", "--strict").status == 0


def test_init_with_a_profile_extends_it(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "-p", "rag-dev", "config", "init", "--output", "config/mine.toml", "--json")
    assert (done.status, done.document) == (0, {"status": "created", "path": "config/mine.toml"})
    written = [line for line in Path("config/mine.toml").read_text().splitlines() if line and line[0] != "#"]
    assert written[0] == 'extends = "rag-development"'


@pytest.mark.parametrize("json_mode", [(), ("--json",)])
def test_init_overwrites_nothing_unless_told(capsys: pytest.CaptureFixture[str], json_mode: tuple[str, ...]) -> None:
    Path("llmspell.toml").write_text("# mine\n")
    done = call(capsys, *json_mode, "config", "init")
    text = "Configuration file already exists: llmspell.toml. Use --force to overwrite."
    assert (done.status, done.out) == (1, "")
    assert text in done.err
    hint = "llmspell config init --force, or llmspell config set KEY VALUE for one key"
    assert json_mode or done.err == f"Error: {text}\nHint: {hint}\n"
    assert Path("llmspell.toml").read_text() == "# mine\n"
    assert call(capsys, "config", "init", "--force").status == 0
    assert Path("llmspell.toml").read_text() != "# mine\n"


def test_init_writes_through_a_link(capsys: pytest.CaptureFixture[str]) -> None:
    Path("dotfiles").mkdir()
    Path("llmspell.toml").symlink_to("dotfiles/llmspell.toml")
    assert call(capsys, "config", "init", "--force").status == 0
    assert Path("llmspell.toml").is_symlink()
    assert Path("dotfiles/llmspell.toml").read_text().startswith("# llmspell configuration")


def test_init_with_an_unknown_profile_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "-p", "nope", "config", "init").status == 3
    assert not Path("llmspell.toml").exists()


def test_init_names_a_place_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    done = call(capsys, "config", "init", "-o", "file/llmspell.toml")
    assert (done.status, done.err) == (2, "Error: can't write file: file exists\n")
    Path("directory").mkdir()
    done = call(capsys, "config", "init", "-o", "directory", "--force")
    assert (done.status, done.err) == (2, "Error: can't write directory: is a directory\n")
    for here in (".", ""):
        done = call(capsys, "config", "init", "-o", here)
        assert (done.status, done.err) == (2, "Error: can't write .: is a directory\n")
    done = call(capsys, "config", "init", "-o", "/proc/llmspell.toml")
    assert (done.status, done.err) == (2, "Error: can't write /proc/llmspell.toml: no such file or directory\n")
    assert [path.name for path in Path().iterdir() if path.suffix == ".part"] == []


def test_the_profiles_are_listed_by_category(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "config", "list-profiles") == Done(0, PROFILES_SAID, "")


def test_details_of_profiles_have_use_cases_features_and_keys(capsys: pytest.CaptureFixture[str]) -> None:
    out = call(capsys, "config", "list-profiles", "--detailed").out
    candle = out[out.index("  candle - ") : out.index("Usage: ")]
    for part in (
        "Use cases:\n      - ",
        "Features:\n      - ",
        '      providers.candle.default_model = "smollm2:135m"',
    ):
        assert part in candle


def test_the_profiles_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    document = call(capsys, "config", "list-profiles", "--all", "--json").document
    assert document["count"] == len(document["profiles"]) == 10
    shown = call(capsys, "config", "list-profiles", "--json").document["profiles"]
    assert shown == [profile for profile in document["profiles"] if profile["has_effect"]]
    assert [profile["name"] for profile in shown] == [
        "minimal",
        "development",
        "ollama",
        "candle",
        "rag-development",
        "rag-production",
        "rag-performance",
        "providers",
        "state",
        "sessions",
    ]
    for profile in shown:
        assert list(profile) == ["name", "alias", "category", "description", "use_cases", "features", "has_effect"]
        assert profile["use_cases"]
        assert profile["features"]
        assert f"-p {profile['alias'] or profile['name']}" in PROFILES_HELP
        assert f"- {profile['description']}\n" in PROFILES_HELP


def test_the_schema_in_three_formats(capsys: pytest.CaptureFixture[str]) -> None:
    Draft7Validator.check_schema(json.loads(call(capsys, "config", "schema").out))
    assert call(capsys, "config", "schema", "kernel.port", "--json").document["maximum"] == 65_531
    assert call(capsys, "config", "schema", "kernel", "--format", "markdown").out.startswith("## [kernel]\n")
    assert "\n# port = 9555\n" in call(capsys, "config", "schema", "kernel", "--format", "toml").out


def test_the_schema_of_an_unknown_section(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "config", "schema", "nope")
    assert (done.status, done.out) == (3, "")
    assert done.err.startswith("Error: Unknown config section 'nope'. Available: default_engine, ")


@pytest.mark.parametrize("command", ["init", "validate", "list-profiles", "schema"])
def test_commands_about_files_refuse_a_connection_on_the_command_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    done = call(capsys, "--connect", "auto", "config", command)
    error = f"Error: 'config {command}' works on this machine only\nHint: drop --connect\n"
    assert done == Done(2, "", error)
    monkeypatch.setenv("LLMSPELL_CONNECT", "auto")
    assert call(capsys, "config", command).status == 0


def test_pairs_are_keys_with_values(capsys: pytest.CaptureFixture[str]) -> None:
    lacking = call(capsys, "config", "set", "kernel.port", "1", "kernel.max_clients")
    assert (lacking.status, lacking.err.splitlines()[0]) == (2, "Error: kernel.max_clients has no value")
    twice = call(capsys, "config", "set", "kernel.port", "1", "kernel.port", "2")
    assert (twice.status, twice.err) == (2, "Error: kernel.port is set twice\n")


def test_what_is_still_wrong_in_a_mended_file_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("two.toml").write_text("[kernel]\nport = 70000\nmax_clients = 'x'\n")
    done = call(capsys, "-c", "two.toml", "config", "set", "kernel.port", "9600")
    assert done.status == 0
    assert "Warning: still wrong: " in done.err
    assert "two.toml:3 kernel.max_clients: expected an integer" in done.err


def test_a_file_of_this_directory_and_the_users_own_are_told_apart(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = home / "config.toml"
    assert call(capsys, "config", "init").err == ""
    assert "  File: ./llmspell.toml\n" in call(capsys, "config", "validate", "--offline").out
    own.write_text("[kernel]\nport = 9700\n")
    warned = call(capsys, "config", "init", "--force").err
    assert warned.startswith("Warning: as soon as it sets something, ")
    assert " in place of ~/config.toml: " in warned
    assert call(capsys, "config", "show", "kernel.port").out.strip().endswith("9700")
    valid = call(capsys, "config", "validate", "--offline").out
    assert "  File: ~/config.toml\n  Not read: ./llmspell.toml (it sets nothing)\n" in valid
    assert call(capsys, "-p", "candle", "config", "init", "--force").err.startswith("Warning: /")
    valid = call(capsys, "config", "validate", "--offline").out
    assert "  Not read: ~/config.toml (the file above counts in its place)\n" in valid


def test_the_users_own_file_is_called_the_same_in_successes_and_errors(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert " in ~/config.toml\n" in call(capsys, "config", "set", "kernel.port", "1").out
    unset = call(capsys, "config", "unset", "kernel.max_clients").err
    assert unset.startswith("Error: kernel.max_clients is not set in ~/config.toml\n")
    (home / "config.toml").write_text("[kernel]\nprot = 1\n")
    assert call(capsys, "config", "set", "kernel.port", "1").err.startswith("Error: ~/config.toml:2 kernel.prot: ")
    assert "  ✗ ~/config.toml:2 kernel.prot: unknown key" in call(capsys, "config", "validate", "--offline").out
