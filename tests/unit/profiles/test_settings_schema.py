"""Every key of the schema: settable by file and by variable, with the types and ranges that it promises."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmspell_profiles.loading.loader import LoadedSettings, load_settings
from llmspell_profiles.schema.schema_keys import Key, all_keys, known_providers, rule_name, value_at
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.errors import ConfigError

# Values that differ from the default, for keys whose type doesn't suggest one.
VALUES: dict[str, Any] = {
    "tools.workers": 8,
    "tools.approval": "always",
    "tools.file_operations.max_depth": 20,
    "default_engine": "javascript",
    "engines.lua.stdlib": "Basic",
    "engines.lua.security_level": "Privileged",
    "runtime.log_level": "debug",
    "kernel.host": "::1",
    "kernel.transport": "ipc",
    "kernel.security.hmac": "always",
    "kernel.security.curve": "required",
    "models.keep_alive": 90,
    "providers.default_provider": "candle",
    "base_url": "http://127.0.0.1:8000",
    "base_urls": ["http://127.0.0.1:8000", "http://127.0.0.1:8001"],
    "default_backend": "candle",
    "device": "cuda:1",
    "engine": "llama-server",
    "default_quantization": "Q8_0",
    "model_directory": "/models",
    "speculation": "ngram",
    "server_path": "/bin/llama-server",
    "engines.javascript.security_level": "Privileged",
    "backend_type": "sqlite",
    "storage_backend": "sqlite",
    "compression_type": "lz4",
    "compression_level": 5,
    "runtime.state_persistence.path": "/srv/state.db",
    "runtime.sessions.path": "/srv/sessions.db",
    "events.export.file": "/srv/events.ndjson",
    "webhook": "https://example.org/events",
    "debug.level": "trace",
    "debug.output.format": "json",
    "debug.output.file.path": "/srv/debug.log",
    "debug.module_filters.levels": {"agents": "trace"},
    "hooks.builtin": ["metrics", "retry"],
    "hooks.logging.level": "debug",
    "hooks.cost_tracking.input_prices": {"gpt-*": 2.5},
    "hooks.cost_tracking.output_prices": {"gpt-*": 10.0},
    "tools.http_request.default_headers": {"Accept": "text/plain"},
    "image_max_dimensions": "640x480",
    "tools.search.default_engine": "bing",
    "rag.vector_storage.backend": "hnsw",
    "metric": "euclidean",
    "strategy": "sentence",
    "chunk_size": 256,
    "overlap": 32,
    "max_chunk_size": 4096,
    "schema_directory": "/srv/x",
    "backup_dir": "/srv/x",
    "persistence_path": "/srv/x",
    "quantization": "f16",
    "cli.autostart": "always",
    "debug_dump_path": "/srv/x",
    "audit_log_path": "/srv/x",
    "backup_path": "/srv/x",
    "max_delay_ms": 60_000,
    "max_retries": 5,
}

# The other cloud providers have the class of openai.
PROVIDERS = {name: known_providers()[name] for name in ("openai", "ollama", "candle")}
KEYS = [key for key in all_keys(PROVIDERS) if key.path != ("extends",)]


def example(key: Key) -> Any:
    if key.path[-1] == "provider_type":
        return key.path[1]
    for name in (key.name, key.path[-1]):
        if name in VALUES:
            return VALUES[name]
    if bool in key.kinds:
        return not key.field.default
    if tuple in key.kinds:
        return ["a", "b"]
    if float in key.kinds:
        return 0.5
    if int in key.kinds:
        return 64
    return "text"


def as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {json.dumps(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)


def as_text(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return ",".join(value) if isinstance(value, list) else str(value)


def load(cwd: Path, toml: str, **env: str) -> LoadedSettings:
    (cwd / "llmspell.toml").write_text(toml)
    return load_settings(env={"HOME": str(cwd), **env}, cwd=cwd)


def expected(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else Path(value) if str(value).startswith("/") else value


def warnings(key: Key, place: str) -> tuple[str, ...]:
    changes_nothing = not key.idle or example(key) == key.field.default
    return () if changes_nothing else (f"{place}: accepted, has no effect",)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_each_key_can_be_set_in_a_file(tmp_path: Path, key: Key) -> None:
    value = example(key)
    candle = "" if key.path[:2] == ("providers", "candle") else "[providers.candle]\n"
    loaded = load(tmp_path, f"{key.name} = {as_toml(value)}\n{candle}")
    assert value_at(loaded.settings, key.path) == expected(value)
    assert loaded.warnings == warnings(key, f"llmspell.toml:1 {key.name}")


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_each_key_can_be_set_by_its_variable(tmp_path: Path, key: Key) -> None:
    value = example(key)
    tables = {key.path[1] if key.path[0] == "providers" and len(key.path) > 2 else "candle", "candle"}
    toml = "".join(f"[providers.{name}]\n" for name in sorted(tables))
    loaded = load(tmp_path, toml, **{rule_name(key.path): as_text(value)})
    assert value_at(loaded.settings, key.path) == expected(value)
    assert loaded.warnings == warnings(key, rule_name(key.path))


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_each_key_says_what_it_means(key: Key) -> None:
    assert key.field.description


@pytest.mark.parametrize("key", [key for key in KEYS if int in key.kinds], ids=lambda key: key.name)
def test_no_number_of_something_may_be_negative(tmp_path: Path, key: Key) -> None:
    with pytest.raises(ConfigError, match=r"^llmspell\.toml:1 .*(must be at least|out of range)"):
        load(tmp_path, f"{key.name} = -1")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1024", 1024),
        ("'1 KB'", 1000),
        ("'1KiB'", 1024),
        ("'64 MiB'", 64 * 2**20),
        ("'1GB'", 10**9),
        ("'1.5 gib'", 3 * 2**29),
    ],
)
def test_sizes_are_bytes_or_strings_with_a_unit(tmp_path: Path, written: str, read: int) -> None:
    loaded = load(tmp_path, f"models.memory_budget_bytes = {written}\nkernel.log_rotate_size = {written}")
    assert loaded.settings.models.memory_budget_bytes == read
    assert loaded.settings.kernel.log_rotate_size == read


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90", 90), ("0", 0), ("-1", -1), ("'300ms'", 0.3), ("'90s'", 90), ("'5m'", 300), ("'1h30m'", 5400)],
)
def test_durations_are_seconds_or_strings_with_units(tmp_path: Path, written: str, seconds: float) -> None:
    assert load(tmp_path, f"models.keep_alive = {written}").settings.models.keep_alive == seconds


@pytest.mark.parametrize("written", ["'5 parsecs'", "''", "1.5", "true", "-2", "'5m 3'"])
def test_other_durations_are_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(ConfigError, match=r"^llmspell\.toml:1 models\.keep_alive: "):
        load(tmp_path, f"models.keep_alive = {written}")


def test_words_are_matched_without_regard_to_case_and_shown_canonically(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "default_engine = 'JS'\nengines.lua.stdlib = 'basic'\nruntime.log_level = 'WARN'\n"
        "models.memory_budget_bytes = 'AUTO'\n[providers.candle]\ndevice = 'CUDA:0'\nprovider_type = 'Candle'",
    ).settings
    assert (loaded.default_engine, loaded.engines.lua.stdlib, loaded.runtime.log_level) == (
        "javascript",
        "Basic",
        "warn",
    )
    assert loaded.models.memory_budget_bytes == "auto"
    candle = loaded.providers.tables["candle"]
    assert (candle.provider_type, value_at(loaded, ("providers", "candle", "device"))) == ("candle", "cuda:0")


def test_defaults_of_a_provider_depend_on_its_type(tmp_path: Path) -> None:
    toml = "[providers.openai]\n[providers.anthropic]\n[providers.ollama]\n[providers.candle]\n"
    tables = load(tmp_path, toml).settings.providers.tables
    limits = {name: (table.max_tokens, table.timeout_seconds) for name, table in tables.items()}
    assert limits == {"openai": (None, 60), "anthropic": (None, 60), "ollama": (None, 120), "candle": (None, 300)}


def test_the_default_provider_is_candle_else_the_only_enabled_one_else_a_local_one(tmp_path: Path) -> None:
    providers = load(tmp_path, "[providers.ollama]\n[providers.candle]\nenabled = false").settings.providers
    assert (providers.default, list(providers.enabled)) == ("ollama", ["ollama"])
    assert load(tmp_path, "[providers.ollama]\n[providers.candle]").settings.providers.default == "candle"
    no_candle = "[providers.openai]\n[providers.candle]\nenabled = false\n"
    assert load(tmp_path, no_candle).settings.providers.default == "ollama"
    only_far = f"{no_candle}[providers.ollama]\nenabled = false\n"
    assert load(tmp_path, only_far).settings.providers.default == "openai"
    assert load(tmp_path, f"{only_far}[providers.groq]\n").settings.providers.default is None


def test_the_shorthand_for_retries_wins(tmp_path: Path) -> None:
    tables = load(
        tmp_path, "[providers.openai]\nmax_retries = 1\nretry.max_retries = 7\n[providers.groq]\nretry.max_retries = 7"
    ).settings.providers.tables
    assert (tables["openai"].retries, tables["groq"].retries) == (1, 7)


def test_a_rate_limit_exists_only_with_its_table(tmp_path: Path) -> None:
    tables = load(tmp_path, "[providers.openai]\n[providers.groq.rate_limit]").settings.providers.tables
    assert tables["openai"].rate_limit is None
    assert tables["groq"].rate_limit is not None
    assert tables["groq"].rate_limit.requests_per_minute == 60


def test_provider_keys_may_stand_in_an_options_table(tmp_path: Path) -> None:
    loaded = load(tmp_path, "[providers.candle.options]\ndevice = 'cpu'\nmodel = 'tinyllama'")
    assert value_at(loaded.settings, ("providers", "candle", "device")) == "cpu"
    assert loaded.settings.providers.tables["candle"].default_model == "tinyllama"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().kernel.port = 1


def test_a_key_beside_the_options_table_wins(tmp_path: Path) -> None:
    loaded = load(tmp_path, "[providers.candle]\ndevice = 'cpu'\noptions.device = 'cuda'\noptions.cpu_threads = 2")
    assert value_at(loaded.settings, ("providers", "candle", "device")) == "cpu"
    assert value_at(loaded.settings, ("providers", "candle", "cpu_threads")) == 2
