"""Environment variables: the short names, and what they may hold."""

from pathlib import Path
from typing import Any

import pytest

from llmspell_profiles.loading.aliases import ALIASES, SEVERAL
from llmspell_profiles.loading.environment import ollama_url
from llmspell_profiles.loading.loader import load_settings
from llmspell_profiles.schema.schema_keys import Key, find, rule_name, value_at
from tests.support.settings import load

SHORT_NAMES: list[tuple[str, str, str, Any]] = [
    ("LLMSPELL_DEFAULT_ENGINE", "js", "default_engine", "javascript"),
    ("LLMSPELL_ALLOW_FILE_ACCESS", "yes", "runtime.security.allow_file_access", True),
    ("LLMSPELL_ALLOW_NETWORK_ACCESS", "off", "runtime.security.allow_network_access", False),
    ("LLMSPELL_ALLOW_PROCESS_SPAWN", "1", "runtime.security.allow_process_spawn", True),
    ("LLMSPELL_MAX_MEMORY_BYTES", "64 MiB", "runtime.security.max_memory_bytes", 64 * 2**20),
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


LISTED = """
DEFAULT_ENGINE default_engine
MAX_CONCURRENT_SCRIPTS runtime.max_concurrent_scripts
SCRIPT_TIMEOUT_SECONDS runtime.script_timeout_seconds
ALLOW_FILE_ACCESS runtime.security.allow_file_access
ALLOW_NETWORK_ACCESS runtime.security.allow_network_access
ALLOW_PROCESS_SPAWN runtime.security.allow_process_spawn
MAX_MEMORY_BYTES runtime.security.max_memory_bytes
MAX_EXECUTION_TIME_MS runtime.security.max_execution_time_ms
STATE_ENABLED runtime.state_persistence.enabled
STATE_BACKEND runtime.state_persistence.backend_type
STATE_PATH runtime.state_persistence.path
STATE_MIGRATION_ENABLED runtime.state_persistence.migration_enabled
STATE_BACKUP_ENABLED runtime.state_persistence.backup_enabled
STATE_BACKUP_ON_MIGRATION runtime.state_persistence.backup_on_migration
STATE_BACKUP_DIR runtime.state_persistence.backup.backup_dir
STATE_MAX_SIZE_BYTES runtime.state_persistence.max_state_size_bytes
SESSIONS_ENABLED runtime.sessions.enabled
SESSIONS_BACKEND runtime.sessions.storage_backend
SESSIONS_MAX runtime.sessions.max_sessions
SESSIONS_MAX_ARTIFACTS runtime.sessions.max_artifacts_per_session
SESSIONS_TIMEOUT_SECONDS runtime.sessions.session_timeout_seconds
HOOKS_ENABLED hooks.enabled
HOOKS_RATE_LIMIT hooks.rate_limit_per_minute
RAG_ENABLED rag.enabled
EVENTS_ENABLED events.enabled
EVENTS_BUFFER_SIZE events.buffer_size
EVENTS_MAX_EVENTS_PER_SECOND events.max_events_per_second
EVENTS_EMIT_TIMING_EVENTS events.emit_timing_events
EVENTS_EMIT_STATE_EVENTS events.emit_state_events
EVENTS_EMIT_DEBUG_EVENTS events.emit_debug_events
EVENTS_FILTERING_INCLUDE_TYPES events.filtering.include_types
EVENTS_FILTERING_EXCLUDE_TYPES events.filtering.exclude_types
EVENTS_FILTERING_INCLUDE_COMPONENTS events.filtering.include_components
EVENTS_FILTERING_EXCLUDE_COMPONENTS events.filtering.exclude_components
EVENTS_EXPORT_STDOUT events.export.stdout
EVENTS_EXPORT_FILE events.export.file
EVENTS_EXPORT_WEBHOOK events.export.webhook
EVENTS_EXPORT_PRETTY_JSON events.export.pretty_json
DEBUG debug.enabled
DEBUG_LEVEL debug.level
DEBUG_PERFORMANCE debug.performance.enabled
TOOLS_ENABLED tools.enabled
TOOLS_RATE_LIMIT tools.rate_limit_per_minute
TOOLS_FILE_OPS_ENABLED tools.file_operations.enabled
TOOLS_MAX_FILE_SIZE tools.file_operations.max_file_size
TOOLS_ALLOWED_PATHS tools.file_operations.allowed_paths
TOOLS_NETWORK_TIMEOUT tools.network.timeout_seconds
TOOLS_NETWORK_MAX_RETRIES tools.network.max_retries
TOOLS_NETWORK_VERIFY_SSL tools.network.verify_ssl
TOOLS_WEB_USER_AGENT tools.web_tools.user_agent
TOOLS_WEB_MAX_REDIRECTS tools.web_tools.max_redirects
TOOLS_WEB_SCRAPING_DELAY tools.web_tools.scraping_delay_ms
TOOLS_WEB_ALLOWED_DOMAINS tools.web_tools.allowed_domains
TOOLS_WEB_BLOCKED_DOMAINS tools.web_tools.blocked_domains
TOOLS_MEDIA_MAX_SIZE tools.media.max_file_size
TOOLS_MEDIA_PROCESSING_TIMEOUT tools.media.processing_timeout_seconds
TOOLS_MEDIA_IMAGE_MAX_DIMENSIONS tools.media.image_max_dimensions
TOOLS_DB_CONNECTION_TIMEOUT tools.database.connection_timeout_seconds
TOOLS_DB_MAX_CONNECTIONS tools.database.max_connections
TOOLS_DB_ALLOWED_HOSTS tools.database.allowed_hosts
TOOLS_EMAIL_SMTP_HOST tools.email.smtp_host
TOOLS_EMAIL_SMTP_PORT tools.email.smtp_port
TOOLS_EMAIL_FROM_ADDRESS tools.email.from_address
TOOLS_EMAIL_RATE_LIMIT tools.email.rate_limit_per_minute
TOOLS_SYSTEM_ALLOW_PROCESS_EXEC tools.system.allow_process_execution
TOOLS_SYSTEM_ALLOWED_COMMANDS tools.system.allowed_commands
TOOLS_SYSTEM_MAX_OUTPUT_SIZE tools.system.max_output_size
TOOLS_DATA_MAX_CSV_SIZE tools.data.max_csv_size
TOOLS_DATA_MAX_JSON_DEPTH tools.data.max_json_depth
TOOLS_ACADEMIC_CITATION_API_KEY tools.academic.citation_api_key
TOOLS_ACADEMIC_MAX_REFERENCES tools.academic.max_references
TOOLS_DOC_MAX_PDF_SIZE tools.document.max_pdf_size
TOOLS_DOC_EXTRACT_IMAGES tools.document.extract_images
TOOLS_SEARCH_ENGINE tools.search.default_engine
TOOLS_SEARCH_MAX_RESULTS tools.search.max_results
TOOLS_SEARCH_API_KEY tools.search.api_key
"""
PAIRS = [(f"LLMSPELL_{name}", key) for name, key in (line.split() for line in LISTED.strip().splitlines())]

UNLIKE_THE_DEFAULT = {
    "default_engine": "javascript",
    "runtime.state_persistence.backend_type": "sqlite",
    "runtime.sessions.storage_backend": "sqlite",
    "events.export.webhook": "https://example.org/",
    "debug.level": "trace",
    "tools.media.image_max_dimensions": "640x480",
    "tools.search.default_engine": "bing",
}


def some_text(name: str) -> tuple[str, Any]:
    """A text for a key and the value that it stands for, which is not the default."""
    key = find(tuple(name.split(".")), {})
    assert isinstance(key, Key)
    if name in UNLIKE_THE_DEFAULT:
        return UNLIKE_THE_DEFAULT[name], UNLIKE_THE_DEFAULT[name]
    if bool in key.kinds:
        return str(not key.field.default), not key.field.default
    if tuple in key.kinds:
        return "a,b", ("a", "b")
    if int in key.kinds:
        return "77", 77
    return ("/srv/x", Path("/srv/x")) if Path in key.kinds else ("text", "text")


@pytest.mark.parametrize(("variable", "key"), PAIRS)
def test_a_short_name_sets_the_key_of_the_name_by_the_rule(tmp_path: Path, variable: str, key: str) -> None:
    text, value = some_text(key)
    path = tuple(key.split("."))
    assert value_at(load(tmp_path, None).settings, path) != value
    loaded = load(tmp_path, None, **{variable: text})
    assert value_at(loaded.settings, path) == value
    assert loaded.settings == load(tmp_path, None, **{rule_name(path): text}).settings


def test_no_short_name_is_untested() -> None:
    assert {variable: tuple(key.split(".")) for variable, key in PAIRS[1:]} == ALIASES
    assert set(SEVERAL) == {"LLMSPELL_DEBUG_OUTPUT", "LLMSPELL_DEBUG_MODULES"}


@pytest.mark.parametrize(
    ("text", "stdout", "colored", "file"),
    [
        ("stdout", True, False, None),
        ("stdout,colored", True, True, None),
        ("file:/srv/debug.log", False, False, Path("/srv/debug.log")),
        ("colored, stdout , file:/srv/debug.log", True, True, Path("/srv/debug.log")),
        ("", True, True, None),
    ],
)
def test_debug_output_names_all_that_is_on(
    tmp_path: Path, text: str, stdout: bool, colored: bool, file: Path | None
) -> None:
    output = load(tmp_path, None, LLMSPELL_DEBUG_OUTPUT=text).settings.debug.output
    assert (output.stdout, output.colored, output.file.path) == (stdout, colored, file)


def test_debug_modules_are_let_in_and_kept_out(tmp_path: Path) -> None:
    filters = load(tmp_path, None, LLMSPELL_DEBUG_MODULES="+agents.*,-agents.noisy, tools").settings.debug
    assert filters.module_filters.enabled == ("agents.*", "tools")
    assert filters.module_filters.disabled == ("agents.noisy",)


def test_the_rules_name_wins_over_one_that_sets_several_keys(tmp_path: Path) -> None:
    loaded = load(tmp_path, None, LLMSPELL_DEBUG_OUTPUT="stdout", LLMSPELL_DEBUG__OUTPUT__COLORED="yes")
    assert loaded.settings.debug.output.colored is True
    assert (
        "LLMSPELL_DEBUG_OUTPUT is ignored, LLMSPELL_DEBUG__OUTPUT__COLORED sets debug.output.colored to another value"
        in loaded.warnings
    )


def test_two_names_that_say_the_same_in_other_words_draw_no_warning(tmp_path: Path) -> None:
    env = {"LLMSPELL_ALLOW_FILE_ACCESS": "1", "LLMSPELL_RUNTIME__SECURITY__ALLOW_FILE_ACCESS": "true"}
    assert load(tmp_path, None, **env).warnings == ()


@pytest.mark.parametrize("name", ["rag-development", "rag-dev", "rag-prod", "rag-perf"])
@pytest.mark.parametrize("variable", ["LLMSPELL_RAG_ENABLED", "LLMSPELL_RAG__ENABLED"])
def test_rag_can_be_switched_off_over_a_rag_profile(tmp_path: Path, name: str, variable: str) -> None:
    env = {"HOME": str(tmp_path)}
    assert load_settings(profile=name, env=env, cwd=tmp_path).settings.rag.enabled
    loaded = load_settings(profile=name, env=env | {variable: "false"}, cwd=tmp_path)
    assert not loaded.settings.rag.enabled
    assert loaded.settings.rag.embedding.timeout_seconds != 30


def test_variables_beat_profiles_and_files_that_extend_them(tmp_path: Path) -> None:
    toml = "extends = 'ollama'\n[providers.ollama]\nbase_url = 'http://file:1'"
    ollama = load(tmp_path, toml, OLLAMA_HOST="variable:2").settings.providers.tables["ollama"]
    assert ollama.base_url == "http://variable:2"
    env = {"HOME": str(tmp_path), "CANDLE_DEVICE": "cpu", "OLLAMA_HOST": "variable:2"}
    candle = load_settings(profile="candle", env=env, cwd=tmp_path).settings
    assert value_at(candle, ("providers", "candle", "device")) == "cpu"
    assert "ollama" not in candle.providers.tables


@pytest.mark.parametrize("variable", ["LLMSPELL_RUNTIME__HOOKS__MAX_HOOKS", "LLMSPELL_HOOKS__MAX_HOOKS"])
def test_hooks_are_reached_by_both_names_of_their_table(tmp_path: Path, variable: str) -> None:
    assert load(tmp_path, None, **{variable: "7"}).settings.hooks.max_hooks == 7


def test_a_plugins_table_is_reached_by_variables_where_the_file_has_it(tmp_path: Path) -> None:
    toml = "[tools.my-tool]\nlevel = 1\n[engines.ruby]\nstrict = false"
    env = {"LLMSPELL_TOOLS__MY_TOOL__LEVEL": "2", "LLMSPELL_ENGINES__RUBY__STRICT": "true"}
    loaded = load(tmp_path, toml, **env)
    assert value_at(loaded.settings, ("tools", "my-tool", "level")) == 2
    assert value_at(loaded.settings, ("engines", "ruby", "strict")) is True
    assert (
        "LLMSPELL_TOOLS__OTHER__LEVEL is not a setting"
        in load(tmp_path, toml, LLMSPELL_TOOLS__OTHER__LEVEL="2").warnings
    )


def test_maps_are_json_objects(tmp_path: Path) -> None:
    loaded = load(tmp_path, None, LLMSPELL_DEBUG__MODULE_FILTERS__LEVELS='{"agents": "TRACE"}')
    assert loaded.settings.debug.module_filters.levels == {"agents": "trace"}


@pytest.mark.parametrize(
    "variable",
    [f"LLMSPELL_{name}" for name in ("CONNECT", "ENGINE", "KEY", "MOCK_PAUSE", "MOCK_REPLY", "API_KEY_BRAVE")],
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
        return set(load(tmp_path, "", **env).settings.providers.tables) - {"candle", "ollama"}

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
        LLMSPELL_PROVIDERS__OLLAMA__OPTIONS__ACCESS_TOKEN="123",
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


@pytest.mark.parametrize(
    ("text", "value"),
    [*((word, True) for word in ("true", "1", "YES", "on")), *((word, False) for word in ("False", "0", "no", "Off"))],
)
def test_booleans_have_four_pairs_of_words(tmp_path: Path, text: str, value: bool) -> None:
    toml = f"hooks.enabled = {'false' if value else 'true'}"
    assert load(tmp_path, toml, LLMSPELL_HOOKS_ENABLED=text).settings.hooks.enabled is value
