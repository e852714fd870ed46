"""The settings in force as plain data and as TOML: complete, readable again, and without secrets."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from llmspell_profiles.loading.loader import LoadedSettings, load_settings
from llmspell_profiles.loading.profiles import PROFILE_NAMES
from llmspell_profiles.schema.schema_keys import all_keys, provider_class
from llmspell_profiles.showing.shown import plain_settings, shown_section
from llmspell_profiles.showing.toml_text import toml_text
from llmspell_protocol.errors import NotFound


def load(cwd: Path, toml: str | None = None, profile: str | None = None, **env: str) -> LoadedSettings:
    if toml is not None:
        (cwd / "llmspell.toml").write_text(toml)
    return load_settings(profile=profile, env={"HOME": str(cwd / "home"), **env}, cwd=cwd)


def value_in(config: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        config = config[name]
    return config


def test_every_key_of_the_schema_is_there(tmp_path: Path) -> None:
    loaded = load(tmp_path, "[providers.candle]\n[providers.ollama]\n[providers.openai]\nrate_limit = {}\n")
    config = plain_settings(loaded)
    for key in all_keys({name: provider_class(name) for name in ("candle", "ollama", "openai")}):
        if "rate_limit" not in key.path or key.path[1] == "openai":
            value_in(config, key.path)  # no KeyError


def test_the_rag_section_has_the_58_keys_of_old_configurations_and_three_more(tmp_path: Path) -> None:
    assert len(shown_section(load(tmp_path), "rag").sources) == 58 + 3


@pytest.mark.parametrize("profile", PROFILE_NAMES)
def test_what_is_shown_can_be_read_again_as_the_same_settings(tmp_path: Path, profile: str) -> None:
    loaded = load(tmp_path, profile=profile, LLMSPELL_MODELS__KEEP_ALIVE="300ms")
    text = toml_text(plain_settings(loaded), (), "heading", {})
    assert text.startswith("# heading\n")
    again = load(tmp_path, text)
    assert again.settings.as_data() == loaded.settings.as_data() | {"extends": profile}


SECRETS = """
[providers.openai]
api_key = "hidden-1"
base_url = "https://me:hidden-2@example.org/v1"
[providers.openai.options]
auth_token = "hidden-3"
client_secret = ["hidden-4"]
nested = {password = "hidden-5", other = "shown-1"}
token = {value = "hidden-13", of = {it = "hidden-14"}}
credential = "hidden-15"
[tools.email]
smtp_password = "hidden-6"
[tools.academic]
citation_api_key = "hidden-7"
[tools.search]
api_key = "hidden-8"
[tools.http_request.default_headers]
Authorization = "hidden-9"
X-Api-Key = "hidden-10"
Accept = "shown-2"
[tools.mine]
a_key = "hidden-11"
plain = "shown-3"
[events.export]
webhook = "https://example.org/hook?of=shown-4&api_key=hidden-16&Token=hidden-17#shown-5"
"""


def test_no_secret_is_shown_and_everything_else_is(tmp_path: Path) -> None:
    loaded = load(tmp_path, SECRETS, LLMSPELL_PROVIDERS__OPENAI__OPTIONS__SESSION_TOKEN="hidden-12")
    shown = shown_section(loaded)
    text = json.dumps(shown)
    assert "hidden" not in text
    assert [f"shown-{number}" in text for number in range(1, 6)] == [True] * 5
    openai = shown.config["providers"]["openai"]
    assert (openai["api_key"], openai["options"]["auth_token"], openai["options"]["client_secret"]) == (
        "***",
        "***",
        "***",
    )
    assert openai["base_url"] == "https://me:***@example.org/v1"
    assert "hidden" not in toml_text(shown.config, (), "x", shown.sources)


def test_a_secret_that_is_not_set_is_shown_as_such(tmp_path: Path) -> None:
    assert shown_section(load(tmp_path, "[providers.openai]"), "providers.openai.api_key").config is None


def test_each_value_tells_where_it_comes_from(tmp_path: Path) -> None:
    toml = 'extends = "ollama"\n[runtime]\nscript_timeout_seconds = 9\n'
    toml += '[providers.ollama]\nmodel = "a"\noptions.top_k = 3\n'
    (tmp_path / "llmspell.toml").write_text(toml)
    env = {"HOME": str(tmp_path), "LLMSPELL_KERNEL__PORT": "1", "LLMSPELL_MAX_MEMORY_BYTES": "1MB"}
    env["LLMSPELL_TOOLS__HTTP_REQUEST__DEFAULT_HEADERS"] = '{"A": "b"}'
    loaded = load_settings(env=env, cwd=tmp_path, flags={"kernel.max_clients": 3})
    sources = shown_section(loaded).sources
    expected = {
        "extends": "llmspell.toml:1",
        "runtime.script_timeout_seconds": "llmspell.toml:3",
        "providers.ollama.default_model": "llmspell.toml:5",
        "providers.ollama.top_k": "llmspell.toml:6",
        "providers.ollama.auto_start": "profile ollama",
        "runtime.log_level": "profile ollama",
        "kernel.port": "LLMSPELL_KERNEL__PORT",
        "runtime.security.max_memory_bytes": "LLMSPELL_MAX_MEMORY_BYTES",
        "tools.http_request.default_headers.A": "LLMSPELL_TOOLS__HTTP_REQUEST__DEFAULT_HEADERS",
        "kernel.max_clients": "command line",
        "kernel.host": "default",
    }
    assert {key: sources[key] for key in expected} == expected


def test_a_section_may_be_a_table_a_key_or_a_provider_with_dots(tmp_path: Path) -> None:
    loaded = load(tmp_path, '[providers."my.server"]\nprovider_type = "openai"\n')
    assert shown_section(loaded, "kernel.port").config == 9555
    assert shown_section(loaded, "rag.vector_storage.hnsw").path == ("rag", "vector_storage", "hnsw")
    assert shown_section(loaded, "providers.my.server.provider_type").config == "openai"


@pytest.mark.parametrize(
    ("section", "available"), [("x", "engines"), ("rag.x", "rag.vector_storage"), ("kernel.port.x", None)]
)
def test_an_unknown_section_names_those_that_exist(tmp_path: Path, section: str, available: str | None) -> None:
    with pytest.raises(NotFound) as caught:
        shown_section(load(tmp_path), section)
    assert caught.value.details["section"] == section
    assert (available in caught.value.details["available"]) if available else caught.value.details["available"] == []


def test_toml_has_a_comment_for_what_is_unset_and_behind_values_where_they_come_from() -> None:
    text = toml_text({"a": {"b": None, "c": 1, "d": {"e": {}}}}, ("top",), "heading", {"top.a.c": "default"})
    assert text == "# heading\n\n[top.a]\n# b is not set\nc = 1 # default\n\n[top.a.d]\ne = {}\n"
    assert tomllib.loads(text) == {"top": {"a": {"c": 1, "d": {"e": {}}}}}
