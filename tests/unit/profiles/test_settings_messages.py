"""What users are told about a configuration that is wrong, word for word."""

from pathlib import Path

import pytest

from llmspell_profiles.loading.loader import load_settings
from llmspell_protocol.errors import ConfigError, InvalidRequest, ProfileNotFound
from tests.support.settings import error_of, load

LISTS_ALL = "'llmspell config validate' lists every problem"
AVAILABLE = (
    "minimal, development, ollama, candle, rag-development, rag-production, rag-performance, providers, state, sessions"
)

IN_FILES = [
    (
        "\n\n[runtime]\n\n\n\n\n\nmax_concurrent_scripts = 'ten'",
        'llmspell.toml:9 runtime.max_concurrent_scripts: expected an integer, got the string "ten"',
        LISTS_ALL,
    ),
    (
        "[runtime]\nscript_timeout_seconds = 0",
        "llmspell.toml:2 runtime.script_timeout_seconds: must be at least 1, got 0",
        None,
    ),
    (
        "[engines.lua]\n\nstdlib = 'Full'",
        "llmspell.toml:3 engines.lua.stdlib: 'Full' is not one of None, Basic, Standard, All",
        None,
    ),
    ("[kernel]\nport = 70000", "llmspell.toml:2 kernel.port: 70000 is out of range (0 to 65531)", None),
    (
        "[providers]\ndefault_provider = 'mistrall'\n[providers.ollama]\n[providers.mistral]",
        "llmspell.toml:2 providers.default_provider: 'mistrall' is not configured; configured: candle, mistral, ollama",
        None,
    ),
    (
        "[providers]\ndefault_provider = 'ollama'\n[providers.ollama]\nenabled = false",
        "llmspell.toml:2 providers.default_provider: 'ollama' is not configured; configured: candle",
        None,
    ),
    (
        "\n[providers.providers.openai]\nprovider_type = 'openai'",
        "llmspell.toml:2 providers.providers.openai: write [providers.openai]",
        None,
    ),
    (
        "[providers.openai]\napi_key = 12345",
        "llmspell.toml:2 providers.openai.api_key: expected a string, got an integer",
        LISTS_ALL,
    ),
    (
        "[providers.mine]\nbase_url = 'http://localhost:8000'",
        "llmspell.toml:1 providers.mine.provider_type: is required; openai for a server of your own that speaks "
        "OpenAI's protocol, or one of anthropic, cohere, groq, perplexity, together, gemini, mistral, replicate, "
        "fireworks, ollama, candle",
        None,
    ),
    (
        "[providers.candel]\nmax_tokens = 5",
        "llmspell.toml:1 providers.candel.provider_type: is required; did you mean [providers.candle]?",
        None,
    ),
    (
        "[providers.candle]\ndevice = 'tpu'",
        "llmspell.toml:2 providers.candle.device: 'tpu' is not one of auto, cpu, cuda, cuda:N, metal",
        None,
    ),
    (
        "[providers.candle]\ndefault_quantization = 'small'",
        "llmspell.toml:2 providers.candle.default_quantization: 'SMALL' is not a GGUF quantization "
        "(such as Q4_K_M, Q8_0 or F16)",
        None,
    ),
    (
        "[providers.openai]\nretry.max_delay_ms = 5",
        "llmspell.toml:2 providers.openai.retry.max_delay_ms: must be at least initial_delay_ms (1000), got 5",
        None,
    ),
    (
        "[providers.candle]\n[providers.candle.options]\n\ndevice = 'tpu'",
        "llmspell.toml:4 providers.candle.device: 'tpu' is not one of auto, cpu, cuda, cuda:N, metal",
        None,
    ),
    (
        "[providers.candle]\n\nmodel = 3",
        "llmspell.toml:3 providers.candle.default_model: expected a string, got the integer 3",
        LISTS_ALL,
    ),
    (
        "[providers.openai]\nbase_url = 'localhost:8000'",
        'llmspell.toml:2 providers.openai.base_url: expected an http or https URL, got the string "localhost:8000"',
        LISTS_ALL,
    ),
    (
        "[models]\nmemory_budget_bytes = 'plenty'\n",
        'llmspell.toml:2 models.memory_budget_bytes: expected auto or a size, got the string "plenty"',
        LISTS_ALL,
    ),
    (
        "[models]\nstream_window_ms = 400\n",
        "llmspell.toml:2 models.stream_window_ms: 400 is out of range (0 to 200, or auto)",
        None,
    ),
    (
        "[providers.openai]\ntemperature = nan",
        "llmspell.toml:2 providers.openai.temperature: expected a finite number, got the number nan",
        LISTS_ALL,
    ),
    (
        "[providers.openai]\ntemperature = 2.5",
        "llmspell.toml:2 providers.openai.temperature: 2.5 is out of range (0 to 2)",
        None,
    ),
    (
        "[providers.candle]\nrepeat_penalty = 0",
        "llmspell.toml:2 providers.candle.repeat_penalty: must be greater than 0, got 0",
        None,
    ),
    (
        "[models]\npin = [\n  'a',\n  3,\n]",
        "llmspell.toml:2 models.pin[1]: expected a string, got the integer 3",
        LISTS_ALL,
    ),
    ("kernel = 3", "llmspell.toml:1 kernel: expected a table, got the integer 3", LISTS_ALL),
    (
        "[kernel]\nhost = '0.0.0.0'",
        "llmspell.toml:2 kernel.host: '0.0.0.0' is not a loopback address; it needs kernel.security.allow_remote",
        None,
    ),
    (
        "[kernel.security]\nallow_remote = true\ncurve = 'off'",
        'kernel.security.curve: "off" is not allowed with allow_remote',
        None,
    ),
    (
        "[rag.vector_storage.hnsw]\nm = 400",
        "llmspell.toml:2 rag.vector_storage.hnsw.m: 400 is out of range (2 to 100)",
        None,
    ),
    (
        "[rag.vector_storage.hnsw]\nm = 64\nef_construction = 50",
        "llmspell.toml:3 rag.vector_storage.hnsw.ef_construction: must be at least m (64), got 50",
        None,
    ),
    (
        "[rag.chunking]\nchunk_size = 50\noverlap = 5",
        "llmspell.toml:2 rag.chunking.chunk_size: 50 is out of range (100 to 2048, min_chunk_size to max_chunk_size)",
        None,
    ),
    (
        "[rag.chunking]\noverlap = 512",
        "llmspell.toml:2 rag.chunking.overlap: must be less than chunk_size (512), got 512",
        None,
    ),
    (
        "[rag.chunking]\nmin_chunk_size = 600\nmax_chunk_size = 500",
        "llmspell.toml:3 rag.chunking.max_chunk_size: must be at least min_chunk_size (600), got 500",
        None,
    ),
    (
        "[events.filtering]\ninclude_types = ['agent.*', 'tool.*']\nexclude_types = ['tool.*']",
        "llmspell.toml:3 events.filtering.exclude_types: 'tool.*' is in include_types too",
        None,
    ),
    (
        "[events.filtering]\nexclude_components = ['*']",
        "llmspell.toml:2 events.filtering.exclude_components: '*' is in include_components too",
        None,
    ),
    (
        "[events.export]\nfile = ''",
        'llmspell.toml:2 events.export.file: expected a path, got the string ""',
        LISTS_ALL,
    ),
    (
        "[runtime.state_persistence]\nbackend_type = 'redis'",
        "llmspell.toml:2 runtime.state_persistence.backend_type: 'redis' is not supported; use memory or sqlite",
        None,
    ),
    *(
        (
            f"[runtime.{table}]\n{key} = '{name}'",
            f"llmspell.toml:2 runtime.{table}.{key}: '{name}' is not supported; use memory or sqlite",
            None,
        )
        for table, key in (("state_persistence", "backend_type"), ("sessions", "storage_backend"))
        for name in ("sled", "RocksDB", "file")
    ),
    (
        "[tools.file_operations]\nallowed_paths = []",
        'llmspell.toml:2 tools.file_operations.allowed_paths: needs at least one entry; "*" stands for all',
        None,
    ),
    (
        "[tools.media]\nimage_max_dimensions = '4K'",
        'llmspell.toml:2 tools.media.image_max_dimensions: expected width and height, such as "4096x4096", '
        'got the string "4K"',
        LISTS_ALL,
    ),
    (
        "[tools.http_request.default_headers]\nAccept = 3",
        "llmspell.toml:2 tools.http_request.default_headers.Accept: expected a string, got the integer 3",
        LISTS_ALL,
    ),
    (
        "[debug.module_filters]\nlevels = {agents = 'loud'}",
        "llmspell.toml:2 debug.module_filters.levels.agents: 'loud' is not one of off, error, warn, info, debug, trace",
        None,
    ),
    (
        "[tools.email]\nsmtp_password = 12345",
        "llmspell.toml:2 tools.email.smtp_password: expected a string, got an integer",
        LISTS_ALL,
    ),
    ("tools = 3", "llmspell.toml:1 tools: expected a table, got the integer 3", LISTS_ALL),
    ("default_engine = 'ruby'", "llmspell.toml:1 default_engine: 'ruby' is not one of lua, javascript", None),
    (
        "extends = 'olama'",
        f"llmspell.toml:1 extends: Builtin profile 'olama' not found.\nAvailable: {AVAILABLE}",
        "did you mean 'ollama'?",
    ),
    (
        "[providers.candle]\nname = 'x'\nmodel_directory = '${MODEL_DIR}/models'",
        "llmspell.toml:3 providers.candle.model_directory: environment variable MODEL_DIR is not set",
        "write ${MODEL_DIR:-fallback} to give a default",
    ),
]


WITH_SECRETS = [
    ("providers.openai.api_key_env = 'sk-hidden'", "expected the name of an environment variable, got a string"),
    (
        "events.export.webhook = 'ftp://me:hidden@host?key=hidden'",
        'expected an http or https URL, got the string "ftp://me:***@host?key=***"',
    ),
    ("tools.http_request.default_headers = 'Authorization: hidden'", "expected a table, got a string"),
]


@pytest.mark.parametrize(("toml", "message"), WITH_SECRETS)
def test_a_secret_that_stands_in_a_wrong_place_is_not_repeated(tmp_path: Path, toml: str, message: str) -> None:
    key, _, value = toml.partition(" = ")
    assert error_of(tmp_path, toml).message == f"llmspell.toml:1 {key}: {message}"
    assert "hidden" not in error_of(tmp_path, f"{toml}\n[providers.openai]").message
    variable = "LLMSPELL_" + key.upper().replace(".", "__")
    said = error_of(tmp_path, "[providers.openai]", **{variable: value.strip("'")}).message
    assert said.startswith(f"{variable}: expected ")
    assert "hidden" not in said


@pytest.mark.parametrize(("toml", "message", "hint"), IN_FILES)
def test_a_mistake_in_a_file_is_named_with_line_and_key(
    tmp_path: Path, toml: str, message: str, hint: str | None
) -> None:
    error = error_of(tmp_path, toml)
    assert error.message == message
    assert error.hint == hint


def test_details_name_file_line_column_and_key(tmp_path: Path) -> None:
    error = error_of(tmp_path, "[runtime]\n  script_timeout_seconds = 0")
    assert error.details == {"file": "llmspell.toml", "line": 2, "column": 3, "key": "runtime.script_timeout_seconds"}


def test_of_several_mistakes_the_one_on_the_first_line_is_reported(tmp_path: Path) -> None:
    error = error_of(tmp_path, "[models]\nmax_queue = 0\n[kernel]\nport = -1\n[engines.lua]\nstdlib = 'x'")
    assert error.message == "llmspell.toml:2 models.max_queue: must be at least 1, got 0"
    assert error.hint == LISTS_ALL
    assert [each.details["line"] for each in error.together] == [2, 4, 6]
    assert [each.hint for each in error.together] == [None, None, None]


def test_a_file_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "llmspell.toml").write_bytes(b"# ok\n# caf\xe9\n")
    assert error_of(tmp_path).message == "llmspell.toml:2 is not UTF-8 text"


def test_a_missing_file_is_named_as_the_user_named_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^configuration file not found: custom\.toml$"):
        load_settings(config=Path("custom.toml"), env={}, cwd=tmp_path)
    assert error_of(tmp_path, LLMSPELL_CONFIG="gone.toml").message == "configuration file not found: gone.toml"


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "custom.toml").mkdir()
    with pytest.raises(ConfigError, match=r"^cannot read configuration file custom\.toml: is a directory$"):
        load_settings(config=Path("custom.toml"), env={}, cwd=tmp_path)


def test_an_unknown_profile_lists_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(ProfileNotFound) as caught:
        load(tmp_path, profile="unknown")
    assert caught.value.message == f"Builtin profile 'unknown' not found.\nAvailable: {AVAILABLE}"


def test_a_profile_and_a_file_together_are_a_conflict_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        load_settings(profile="candle", config=Path("custom.toml"), env={}, cwd=tmp_path)
    assert caught.value.message == "Cannot use both --profile and --config"
    assert caught.value.hint == 'put extends = "candle" at the top of custom.toml'


IN_VARIABLES = [
    ("LLMSPELL_KERNEL__PORT", "70000", "LLMSPELL_KERNEL__PORT: 70000 is out of range (0 to 65531)"),
    ("LLMSPELL_KERNEL__PORT", "high", "LLMSPELL_KERNEL__PORT: expected an integer, got 'high'"),
    (
        "LLMSPELL_ALLOW_FILE_ACCESS",
        "maybe",
        "LLMSPELL_ALLOW_FILE_ACCESS: expected true or false, got 'maybe' (sets runtime.security.allow_file_access)",
    ),
    (
        "LLMSPELL_CANDLE_TIMEOUT",
        "0",
        "LLMSPELL_CANDLE_TIMEOUT: must be at least 1, got 0 (sets providers.candle.timeout_seconds)",
    ),
    (
        "CANDLE_DEVICE",
        "gpu",
        "CANDLE_DEVICE: 'gpu' is not one of auto, cpu, cuda, cuda:N, metal (sets providers.candle.device)",
    ),
    (
        "LLMSPELL_MODELS__KEEP_ALIVE",
        "soon",
        'LLMSPELL_MODELS__KEEP_ALIVE: expected a duration (seconds, or a string such as "90s", "5m", "1h30m"; '
        "-1 for never), got 'soon'",
    ),
    ("LLMSPELL_MODELS__PIN", "[1", "LLMSPELL_MODELS__PIN: expected a list, got '[1'"),
    ("LLMSPELL_RAG_ENABLED", "maybe", "LLMSPELL_RAG_ENABLED: expected true or false, got 'maybe' (sets rag.enabled)"),
    (
        "LLMSPELL_TOOLS__HTTP_REQUEST__DEFAULT_HEADERS",
        "Accept",
        "LLMSPELL_TOOLS__HTTP_REQUEST__DEFAULT_HEADERS: expected a table, got a string",
    ),
    (
        "LLMSPELL_DEBUG_OUTPUT",
        "stdout,printer",
        "LLMSPELL_DEBUG_OUTPUT: expected stdout, colored or file:PATH, got 'printer' (sets debug.output)",
    ),
    ("LLMSPELL_EXTENDS", "candle", "LLMSPELL_EXTENDS: extends can only be set in a configuration file"),
]


@pytest.mark.parametrize(("variable", "value", "message"), IN_VARIABLES)
def test_a_mistake_in_a_variable_is_named_with_the_variable(
    tmp_path: Path, variable: str, value: str, message: str
) -> None:
    error = error_of(tmp_path, **{variable: value})
    assert error.message == message
    assert error.details["variable"] == variable
    assert error.hint is None or variable == "LLMSPELL_EXTENDS"


def test_the_value_of_a_secret_is_in_no_message_and_no_repr(tmp_path: Path) -> None:
    error = error_of(tmp_path, "[providers.openai]\nretry.max_retries = -1\napi_key = [1234567]")
    assert "1234567" not in str(error)
    loaded = load(tmp_path, "[providers.openai]\napi_key = 'sk-1234567'")
    assert "1234567" not in repr(loaded)
