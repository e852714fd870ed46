"""What users are told about settings that are doubtful or without effect, word for word."""

from pathlib import Path

import pytest

from tests.support.settings import error_of, load


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            "default_engine = 'lua'\n[runtime]\nenabled true",
            "llmspell.toml:3:9 is not valid TOML: expected '=' after a key",
        ),
        ("[models]\npin = [1,", "llmspell.toml:2:10 is not valid TOML: invalid value"),
        ("[kernel]\n[kernel]", "llmspell.toml:2:8 is not valid TOML: cannot declare [kernel] twice"),
        (
            "[engines.lua]\n[engines.lua]",
            "llmspell.toml:2:13 is not valid TOML: cannot declare [engines.lua] twice",
        ),
    ],
)
def test_text_that_is_not_toml_is_named_with_line_and_column(tmp_path: Path, toml: str, message: str) -> None:
    assert error_of(tmp_path, toml).message == message


def test_a_variable_that_sets_several_keys_without_effect_is_named_once(tmp_path: Path) -> None:
    loaded = load(tmp_path, LLMSPELL_DEBUG_MODULES="+a,-b", LLMSPELL_DEBUG_OUTPUT="file:/tmp/x")
    assert sorted(loaded.warnings) == [
        "LLMSPELL_DEBUG_MODULES: accepted, has no effect",
        "LLMSPELL_DEBUG_OUTPUT: accepted, has no effect",
    ]


@pytest.mark.parametrize(
    ("toml", "place", "hint"),
    [
        (
            "\n\n[engines.lua]\nstdlib_level = 'All'",
            "4 engines.lua.stdlib_level",
            "did you mean engines.lua.stdlib?",
        ),
        ("[kernal]\nport = 1", "1 kernal", "did you mean kernel?"),
        ("[quux]\nenabled = true", "1 quux", None),
        ("[tools]\nenabeld = true", "2 tools.enabeld", "did you mean tools.enabled?"),
        (
            "[tools.web_search]\nmax_result = 3",
            "2 tools.web_search.max_result",
            "did you mean tools.web_search.max_results?",
        ),
        ("[kernel]\nkeep_alive = 3", "2 kernel.keep_alive", "did you mean models.keep_alive?"),
        (
            "[providers]\ndefault_providr = 'x'",
            "2 providers.default_providr",
            "did you mean providers.default_provider?",
        ),
        ("[providers.candle]\ndevise = 'cpu'", "2 providers.candle.devise", "did you mean providers.candle.device?"),
        (
            "[providers.candle]\nnum_ctx = 8192",
            "2 providers.candle.num_ctx",
            "did you mean providers.candle.context_size?",
        ),
        ("[providers.ollama]\nnum_gp = 1", "2 providers.ollama.num_gp", "did you mean providers.ollama.num_gpu?"),
        (
            "[providers.openai]\nwings = 1",
            "2 providers.openai.wings",
            "an option of the server's own belongs into [providers.openai.options]",
        ),
        (
            "[providers.box]\ntype = 'openai'\nbase_url = 'http://localhost:1/v1'",
            "2 providers.box.type",
            "did you mean providers.box.provider_type?",
        ),
    ],
)
def test_a_key_that_there_is_not_ends_the_run_with_the_nearest_name(
    tmp_path: Path, toml: str, place: str, hint: str | None
) -> None:
    error = error_of(tmp_path, toml)
    assert (error.message, error.hint) == (f"llmspell.toml:{place}: unknown key", hint)


def test_foreign_options_go_below_options_whatever_they_are_called(tmp_path: Path) -> None:
    loaded = load(tmp_path, "[providers.openai.options]\nwings = 1\nconfig.depth = 2\n")
    assert loaded.settings.providers.tables["openai"].options == {"wings": 1, "config": {"depth": 2}}


WARNINGS = [
    ("[engines.ruby]\nstrict = true", {}, "llmspell.toml:1 engines.ruby: no such engine, has no effect"),
    (
        "[tools.web_serch]\nmax_results = 3",
        {},
        "llmspell.toml:1 tools.web_serch: no such tool, has no effect; did you mean tools.web_search?",
    ),
    (
        "[runtime.hooks]\nmax_hooks = 7\n[hooks]\nmax_hooks = 100",
        {},
        "llmspell.toml:2 runtime.hooks.max_hooks: ignored, hooks.max_hooks has another value",
    ),
    (
        None,
        {"LLMSPELL_RAG_ENABLE": "1"},
        "LLMSPELL_RAG_ENABLE is not a setting; did you mean LLMSPELL_RAG_ENABLED?",
    ),
    (
        "[providers.candle]\ndevice = 'cpu'\noptions.device = 'auto'",
        {},
        "llmspell.toml:3 providers.candle.options.device: ignored, providers.candle.device has another value",
    ),
    (
        "[engines.lua]\nsecurity_level = 'Unrestricted'\nenable_debug = false",
        {},
        "llmspell.toml:2 engines.lua.security_level: accepted, has no effect",
    ),
    (
        "[runtime]\nmax_concurrent_scripts = 500",
        {},
        "llmspell.toml:2 runtime.max_concurrent_scripts: 500 is unusually high (more than 100)",
    ),
    (
        None,
        {"LLMSPELL_ENGINES__LUA__MAX_MEMORY_BYTES": "2GB"},
        "LLMSPELL_ENGINES__LUA__MAX_MEMORY_BYTES: 2000000000 is unusually high (more than 1000000000)",
    ),
    (
        None,
        {"LLMSPELL_KERNEL__PROT": "1"},
        "LLMSPELL_KERNEL__PROT is not a setting; did you mean LLMSPELL_KERNEL__PORT?",
    ),
    (None, {"LLMSPELL_HOEM": "/x"}, "LLMSPELL_HOEM is not a setting; did you mean LLMSPELL_HOME?"),
    (None, {"LLMSPELL_ZZZZZZ": "1"}, "LLMSPELL_ZZZZZZ is not a setting"),
    (
        None,
        {"LLMSPELL_MAX_MEMORY_BYTES": "1", "LLMSPELL_RUNTIME__SECURITY__MAX_MEMORY_BYTES": "2"},
        "LLMSPELL_MAX_MEMORY_BYTES is ignored, LLMSPELL_RUNTIME__SECURITY__MAX_MEMORY_BYTES sets "
        "runtime.security.max_memory_bytes to another value",
    ),
]


@pytest.mark.parametrize(("toml", "env", "warning"), WARNINGS)
def test_a_doubtful_setting_draws_one_warning_and_the_run_goes_on(
    tmp_path: Path, toml: str | None, env: dict[str, str], warning: str
) -> None:
    assert load(tmp_path, toml, **env).warnings == (warning,)


def test_the_backends_own_options_draw_no_warning_and_are_kept(tmp_path: Path) -> None:
    loaded = load(tmp_path, "[providers.ollama]\nnum_ctx = 8192\nnum_thread = 4\npresence_penalty = 0.5\n")
    assert loaded.warnings == ()
    assert loaded.settings.providers.tables["ollama"].options == {
        "num_ctx": 8192,
        "num_thread": 4,
        "presence_penalty": 0.5,
    }
