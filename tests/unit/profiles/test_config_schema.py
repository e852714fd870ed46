"""The schema as JSON Schema, as files with comments and as tables: complete, and in agreement with the loader."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jsonschema import Draft7Validator

from llmspell_profiles.checking.validation import check
from llmspell_profiles.loading.loader import LoadedSettings, load_settings
from llmspell_profiles.loading.profiles import PROFILE_NAMES, ZERO_CONFIGURATION, profile_path
from llmspell_profiles.schema.schema_keys import Key, all_keys, known_providers
from llmspell_profiles.showing.json_schema import json_schema
from llmspell_profiles.showing.markdown import tables
from llmspell_profiles.showing.template import full, starter
from llmspell_protocol.errors import ConfigError, NotFound

SCHEMA = json_schema()
FULL = full(idle=True)
TABLES = tables(idle=True)
KEYS = list(all_keys({name: known_providers()[name] for name in ("openai", "ollama", "candle")}))


def problems(toml: str) -> list[str]:
    return [error.message for error in Draft7Validator(SCHEMA).iter_errors(tomllib.loads(toml))]


def load(cwd: Path, toml: str | None = None, profile: str | None = None) -> LoadedSettings:
    if toml is not None:
        (cwd / "llmspell.toml").write_text(toml)
    return load_settings(profile=profile, env={"HOME": str(cwd / "home")}, cwd=cwd)


def uncommented(template: str) -> str:
    """The file with every value in force: `# ` before a value or a table goes, where there is a value."""
    text = re.sub(r"(?m)^# (?=\[|[\w-]+ = .)", "", template)
    assert text != template
    return text


def described(key: Key) -> dict[str, Any]:
    found: Any = SCHEMA
    for name in key.path:
        if "$ref" in found:
            found = SCHEMA["definitions"][found["$ref"].rpartition("/")[2]]
        found = found["properties"][name]
    return dict(found)


def test_it_is_json_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_each_key_has_its_description(key: Key) -> None:
    assert described(key)["description"].startswith(key.field.description or "?")


def test_words_ranges_defaults_and_no_effect_are_in_it() -> None:
    engines = SCHEMA["properties"]["engines"]["properties"]
    assert engines["lua"]["properties"]["stdlib"]["enum"] == ["None", "Basic", "Standard", "All"]
    kernel = SCHEMA["properties"]["kernel"]["properties"]
    assert (kernel["port"]["minimum"], kernel["port"]["maximum"], kernel["port"]["default"]) == (0, 65_531, 9555)
    candle = SCHEMA["properties"]["providers"]["properties"]["candle"]["properties"]
    assert candle["model_directory"]["default"] == "~/.llmspell/models/candle"
    assert candle["provider_type"]["enum"][-1] == "candle"
    assert SCHEMA["properties"]["rag"]["properties"]["backup"]["properties"]["backup_interval_hours"][
        "description"
    ].endswith("(no effect)")
    assert {"rag-dev", "rag-development"} <= set(SCHEMA["properties"]["extends"]["enum"])


@pytest.mark.parametrize("name", [*PROFILE_NAMES, ZERO_CONFIGURATION])
def test_every_profile_fits(name: str) -> None:
    assert problems(profile_path(name).read_text()) == []


SOUND = [
    'kernel.log_rotate_size = "64 MiB"',
    "kernel.log_rotate_size = 1024",
    'models.keep_alive = "1h30m"',
    "models.keep_alive = -1",
    'models.memory_budget_bytes = "auto"',
    'models.memory_budget_bytes = "2GB"',
    "models.stream_window_ms = 25",
    'tools.web_tools.allowed_domains = "a.org, b.org"',
    'tools.web_tools.allowed_domains = ["a.org"]',
    "tools.mine.anything = 1",
    "engines.python.anything = 1",
    "runtime.hooks.enabled = true",
    '[providers.mine]\nprovider_type = "candle"\ndevice = "cpu"\noptions.num_ctx = 3',
    '[providers.openai]\nmodel = "x"\noptions.temperature = 0',
    '[providers.ollama]\nprovider_type = "openai"\nbase_url = "http://localhost:1/v1"',
    'debug.module_filters.levels = {a = "debug"}',
    'extends = "rag-prod"',
]


@pytest.mark.parametrize("toml", SOUND)
def test_what_the_loader_takes_fits(tmp_path: Path, toml: str) -> None:
    load(tmp_path, toml)
    assert problems(toml) == []


WRONG = [
    "kernel.port = 70000",
    "kernel.port = true",
    'kernel.log_rotate_size = "64 bytes"',
    'models.keep_alive = "soon"',
    "models.stream_window_ms = 400",
    'engines.lua.stdlib = "Full"',
    'runtime.log_level = "loud"',
    'providers.openai.base_url = "localhost"',
    "providers.openai.temperature = 3",
    "providers.candle.repeat_penalty = 0",
    "models.pin = [1]",
    'debug.module_filters.levels = {a = "loud"}',
    'extends = "olama"',
    "[providers.mine]\nenabled = true",
]


@pytest.mark.parametrize("toml", WRONG)
def test_what_the_loader_refuses_does_not_fit(tmp_path: Path, toml: str) -> None:
    with pytest.raises(ConfigError):
        load(tmp_path, toml)
    assert problems(toml) != []


def test_an_unknown_key_does_not_fit() -> None:
    assert problems("[kernel]\nprot = 1") != []
    assert problems("[kernal]\nport = 1") != []


@pytest.mark.parametrize("section", ["kernel", "providers", "providers.candle", "providers.mine", "rag.vector_storage"])
def test_a_section_has_a_schema_of_its_own(section: str) -> None:
    Draft7Validator.check_schema(json_schema(section))
    assert json_schema(section)["type"] == "object"
    assert tables(section).startswith("## [")
    assert full(section)


def test_a_key_has_one_too() -> None:
    assert json_schema("kernel.port")["type"] == "integer"
    assert "port" in full("kernel.port")
    assert "max_clients" not in full("kernel.port")


@pytest.mark.parametrize("make", [json_schema, tables, full])
def test_an_unknown_section_names_those_that_exist(make: Any) -> None:
    with pytest.raises(NotFound, match=r"kernel\.prot") as caught:
        make("kernel.prot")
    assert caught.value.message.startswith("Unknown config section 'kernel.prot'. Available: kernel.host, kernel.port")


@pytest.mark.parametrize("profile", [None, *PROFILE_NAMES])
def test_a_file_to_start_from_changes_nothing_whole_or_uncommented(tmp_path: Path, profile: str | None) -> None:
    before = load(tmp_path, profile=profile).settings.with_values({"extends": None}).as_data()
    for text in (starter(profile), uncommented(starter(profile))):
        assert problems(text) == []
        again = load(tmp_path, text).settings.with_values({"extends": None}).as_data()
        for name in again["providers"].keys() - before["providers"].keys():
            del again["providers"][name]  # those that stood in comments
        assert again == before


@pytest.mark.parametrize("profile", [None, *PROFILE_NAMES])
def test_a_file_to_start_from_validates_cleanly(tmp_path: Path, profile: str | None) -> None:
    (tmp_path / "llmspell.toml").write_text(starter(profile))
    env = {"HOME": str(tmp_path / "home"), "OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}
    report = check(env=env, cwd=tmp_path)
    assert report.errors == ()
    assert [each.text for each in report.warnings if not _is_of_profile(each.text)] == []


def _is_of_profile(text: str) -> bool:
    return "can't be written on this machine" in text or text.startswith("accepted, has no effect: this version has no")


def test_a_file_with_every_key_is_valid_and_has_the_defaults(tmp_path: Path) -> None:
    assert problems(FULL) == []
    text = uncommented(FULL)
    assert problems(text) == []
    freely_named = {"providers": None, "mcp": None}
    settings = load(tmp_path, text).settings.with_values(freely_named).as_data()
    assert settings == load(tmp_path, "").settings.with_values(freely_named).as_data()


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_key_is_in_the_full_file_and_in_the_tables(key: Key) -> None:
    name = key.path[-1]
    assert re.search(rf"(?m)^# {name} =", FULL)
    assert f"| `{name}` |" in TABLES


def test_keys_that_nothing_reads_are_left_out_unless_asked_for() -> None:
    read = [key for key in KEYS if not key.idle]
    assert {key.path[0] for key in read} == {
        "extends",
        "cli",
        "engines",
        "providers",
        "runtime",
        "kernel",
        "models",
        "tools",
        "hooks",
        "events",
        "rag",
    }
    for text in (full(), tables()):
        assert "no effect)" not in text
        assert "[rag.backup" not in text
    for key in read:
        assert re.search(rf"(?m)^# {key.path[-1]} =", full())
        assert f"| `{key.path[-1]}` |" in tables()
    assert "backup_interval_hours" in tables("rag.backup")  # whoever names them gets them


def generator() -> ModuleType:
    path = Path(__file__).resolve().parents[3] / "profiles" / "generate_reference.py"
    spec = importlib.util.spec_from_file_location("generate_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_reference_is_up_to_date() -> None:
    assert list(generator().FILES.drift()) == []


def test_a_reference_that_differs_is_noticed(tmp_path: Path) -> None:
    files = generator().FILES
    assert list(files.drift(tmp_path)) == ["configuration.md is missing", "configuration.schema.json is missing"]
    files.write(tmp_path)
    assert list(files.drift(tmp_path)) == []
    (tmp_path / "configuration.md").write_text("x")
    assert list(files.drift(tmp_path)) == ["configuration.md is out of date"]
