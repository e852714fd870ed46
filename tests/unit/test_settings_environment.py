"""Environment variables: the short names, what they may hold, and where API keys are found."""

from pathlib import Path
from typing import Any

import pytest

from llmspell_profiles.environment import ALIASES, ollama_url
from llmspell_profiles.keys import value_at
from llmspell_profiles.loader import LoadedSettings, load_settings
from llmspell_profiles.secrets import find_api_key, is_secret


def load(cwd: Path, toml: str | None, **env: str) -> LoadedSettings:
    if toml is not None:
        (cwd / "llmspell.toml").write_text(toml)
    return load_settings(env={"HOME": str(cwd / "home"), **env}, cwd=cwd)


SHORT_NAMES: list[tuple[str, str, str, Any]] = [
    ("LLMSPELL_DEFAULT_ENGINE", "js", "default_engine", "javascript"),
    ("LLMSPELL_MAX_CONCURRENT_SCRIPTS", "3", "runtime.max_concurrent_scripts", 3),
    ("LLMSPELL_SCRIPT_TIMEOUT_SECONDS", "3", "runtime.script_timeout_seconds", 3),
    ("LLMSPELL_ALLOW_FILE_ACCESS", "yes", "runtime.security.allow_file_access", True),
    ("LLMSPELL_ALLOW_NETWORK_ACCESS", "off", "runtime.security.allow_network_access", False),
    ("LLMSPELL_ALLOW_PROCESS_SPAWN", "1", "runtime.security.allow_process_spawn", True),
    ("LLMSPELL_MAX_MEMORY_BYTES", "64 MiB", "runtime.security.max_memory_bytes", 64 * 2**20),
    ("LLMSPELL_MAX_EXECUTION_TIME_MS", "3", "runtime.security.max_execution_time_ms", 3),
    ("LLMSPELL_PROVIDER_OPENAI_API_KEY", "123", "providers.openai.api_key", "123"),
    ("LLMSPELL_PROVIDER_OPENAI_BASE_URL", "http://a/v1", "providers.openai.base_url", "http://a/v1"),
    ("LLMSPELL_PROVIDER_OPENAI_MODEL", "m", "providers.openai.default_model", "m"),
    ("LLMSPELL_PROVIDER_OPENAI_TIMEOUT", "3", "providers.openai.timeout_seconds", 3),
    ("LLMSPELL_PROVIDER_OPENAI_MAX_RETRIES", "1", "providers.openai.max_retries", 1),
    ("LLMSPELL_OPENAI_API_KEY", "123", "providers.openai.api_key", "123"),
    ("LLMSPELL_OPENAI_ENDPOINT", "http://a/v1", "providers.openai.base_url", "http://a/v1"),
    ("LLMSPELL_OPENAI_MODEL", "m", "providers.openai.default_model", "m"),
    ("LLMSPELL_OPENAI_TIMEOUT", "3", "providers.openai.timeout_seconds", 3),
    ("LLMSPELL_OPENAI_MAX_RETRIES", "1", "providers.openai.max_retries", 1),
    ("LLMSPELL_OPENAI_PROVIDER_TYPE", "groq", "providers.openai.provider_type", "groq"),
    ("LLMSPELL_API_KEY_OPENAI", "123", "providers.openai.api_key", "123"),
    ("LLMSPELL_MY_SERVER_MODEL", "m", "providers.my-server.default_model", "m"),
    ("LLMSPELL_PROVIDERS__MY_SERVER__TEMPERATURE", "1", "providers.my-server.temperature", 1.0),
    ("LLMSPELL_PROVIDERS__MY_SERVER__MODEL", "m", "providers.my-server.default_model", "m"),
    ("OLLAMA_HOST", "box:9", "providers.ollama.base_url", "http://box:9"),
    ("CANDLE_DEVICE", "cpu", "providers.candle.device", "cpu"),
]

TABLES = "[providers.openai]\n[providers.ollama]\n[providers.candle]\n[providers.my-server]\nprovider_type = 'openai'"


@pytest.mark.parametrize(("variable", "text", "key", "value"), SHORT_NAMES)
def test_a_short_name_reaches_its_key(tmp_path: Path, variable: str, text: str, key: str, value: Any) -> None:
    loaded = load(tmp_path, TABLES, **{variable: text})
    assert value_at(loaded.settings, tuple(key.split("."))) == value
    assert [warning for warning in loaded.warnings if "has no effect" not in warning] == []


def test_no_short_name_is_untested() -> None:
    assert set(ALIASES) <= {variable for variable, *_ in SHORT_NAMES}


@pytest.mark.parametrize(
    "variable", ["LLMSPELL_CONNECT", "LLMSPELL_ENGINE", "LLMSPELL_KEY", "LLMSPELL_MOCK_REPLY", "LLMSPELL_API_KEY_BRAVE"]
)
def test_variables_of_ours_that_are_no_settings_draw_no_warning(tmp_path: Path, variable: str) -> None:
    assert load(tmp_path, None, **{variable: "x"}).warnings == ()


def test_the_rules_name_wins_over_a_short_one(tmp_path: Path) -> None:
    names = ["LLMSPELL_PROVIDERS__OPENAI__DEFAULT_MODEL", "LLMSPELL_PROVIDER_OPENAI_MODEL", "LLMSPELL_OPENAI_MODEL"]
    env = {name: str(strength) for strength, name in enumerate(names)}
    for strength, name in enumerate(names):
        assert load(tmp_path, TABLES, **env).settings.providers.tables["openai"].default_model == str(strength)
        del env[name]


def test_differing_api_keys_are_not_quoted_in_the_warning(tmp_path: Path) -> None:
    loaded = load(tmp_path, TABLES, LLMSPELL_OPENAI_API_KEY="sk-1", LLMSPELL_API_KEY_OPENAI="sk-2")
    assert len(loaded.warnings) == 1
    assert "sk-" not in loaded.warnings[0]


def test_an_empty_value_counts_as_unset_except_for_lists(tmp_path: Path) -> None:
    toml = "kernel.port = 1\nmodels.pin = ['a']"
    loaded = load(tmp_path, toml, LLMSPELL_KERNEL__PORT="", LLMSPELL_MODELS__PIN="")
    assert (loaded.settings.kernel.port, loaded.settings.models.pin) == (1, ())


@pytest.mark.parametrize("text", ["a,b", " a , b,", '["a", "b"]'])
def test_lists_are_separated_by_commas_or_are_json(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, None, LLMSPELL_MODELS__PIN=text).settings.models.pin == ("a", "b")


def test_a_key_alone_creates_no_provider_but_a_model_or_a_type_does(tmp_path: Path) -> None:
    def names(**env: str) -> set[str]:
        return set(load(tmp_path, "", **env).settings.providers.tables)

    assert names(LLMSPELL_OPENAI_API_KEY="sk", LLMSPELL_OPENAI_TIMEOUT="3", OLLAMA_HOST="box") == set()
    assert names(LLMSPELL_OPENAI_API_KEY="sk", LLMSPELL_OPENAI_MODEL="m") == {"openai"}
    assert names(LLMSPELL_PROVIDERS__MINE__PROVIDER_TYPE="openai") == {"mine"}


def test_a_backends_own_options_can_be_set_by_variable(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        TABLES,
        LLMSPELL_PROVIDERS__OLLAMA__NUM_CTX="8192",
        LLMSPELL_PROVIDERS__OLLAMA__OPTIONS__MIROSTAT_TAU="0.5",
        LLMSPELL_PROVIDERS__OLLAMA__USE_MMAP="true",
        LLMSPELL_PROVIDERS__OLLAMA__ACCESS_TOKEN="123",
    )
    options = {"num_ctx": 8192, "mirostat_tau": 0.5, "use_mmap": True, "access_token": "123"}
    assert loaded.settings.providers.tables["ollama"].options == options
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("box", "http://box:11434"),
        ("box:9", "http://box:9"),
        (":9", "http://127.0.0.1:9"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:9", "http://127.0.0.1:9"),
        ("http://box", "http://box:80"),
        ("https://box/ollama/", "https://box:443/ollama"),
        ("https://box:9", "https://box:9"),
        ("[::1]", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
    ],
)
def test_ollama_host_is_read_as_ollama_reads_it(host: str, url: str) -> None:
    assert ollama_url(host) == url


def test_an_api_key_is_taken_from_the_strongest_place(tmp_path: Path) -> None:
    toml = "[providers.my-groq]\nprovider_type = 'groq'\napi_key_env = 'MY_KEY'\napi_key = 'in file'"
    provider = load(tmp_path, toml).settings.providers.tables["my-groq"]
    names = [
        "LLMSPELL_PROVIDERS__MY_GROQ__API_KEY",
        "LLMSPELL_PROVIDER_MY_GROQ_API_KEY",
        "LLMSPELL_MY_GROQ_API_KEY",
        "LLMSPELL_API_KEY_MY_GROQ",
        "MY_KEY",
        "GROQ_API_KEY",
    ]
    env = dict.fromkeys(names, "in variable")
    for name in names:
        found = find_api_key("my-groq", provider, env)
        assert found is not None
        assert (found.value, found.variable) == ("in variable", name)
        assert "in variable" not in repr(found)
        env[name] = ""
    found = find_api_key("my-groq", provider, env)
    assert found is not None
    assert (found.value, found.variable) == ("in file", None)


def test_without_a_key_there_is_none(tmp_path: Path) -> None:
    provider = load(tmp_path, "[providers.openai]").settings.providers.tables["openai"]
    assert find_api_key("openai", provider, {}) is None


@pytest.mark.parametrize(
    ("key", "known", "secret"),
    [
        ("api_key", True, True),
        ("citation_api_key", True, True),
        ("smtp_password", True, True),
        ("api_key_env", True, False),
        ("max_tokens", True, False),
        ("access_token", False, True),
        ("Client_Secret", False, True),
        ("num_ctx", False, False),
    ],
)
def test_which_settings_are_secret(key: str, known: bool, secret: bool) -> None:
    assert is_secret(key, known=known) is secret
