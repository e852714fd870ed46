"""What a run says about a configuration that is wrong: the first problem, on stderr, word for word."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.command_line import llmspell

LISTS_ALL = "Hint: 'llmspell config validate' lists every problem\n"
AVAILABLE = (
    "Available: minimal, development, ollama, candle, rag-development, rag-production, rag-performance, "
    "providers, state, sessions\n"
)
TEN_LINES = "\n" * 7


class Wrong(NamedTuple):
    """A configuration and what a run makes of it: stderr, exit status, and options before the command."""

    toml: str | None
    said: str
    status: int = 2
    env: tuple[str, str] | None = None
    options: tuple[str, ...] = ()


WRONG = {
    "unknown key": Wrong(
        "# one\n\n[engines.lua]\nstdlib_level = 'All'",
        "Error: llmspell.toml:4 engines.lua.stdlib_level: unknown key\nHint: did you mean engines.lua.stdlib?\n",
    ),
    "wrong type": Wrong(
        "[runtime]\n" + TEN_LINES + "max_concurrent_scripts = 'ten'",
        'Error: llmspell.toml:9 runtime.max_concurrent_scripts: expected an integer, got the string "ten"\n'
        + LISTS_ALL,
    ),
    "out of range": Wrong(
        "[runtime]\n" + TEN_LINES + "\n\nscript_timeout_seconds = 0",
        "Error: llmspell.toml:11 runtime.script_timeout_seconds: must be at least 1, got 0\n",
    ),
    "bad word": Wrong(
        "[engines.lua]\n\nstdlib = 'Full'",
        "Error: llmspell.toml:3 engines.lua.stdlib: 'Full' is not one of None, Basic, Standard, All\n",
    ),
    "not TOML": Wrong(
        "[runtime]" + "\n" * 11 + "enabled true",
        "Error: llmspell.toml:12:9 is not valid TOML: expected '=' after a key\n",
    ),
    "missing file": Wrong(None, "Error: configuration file not found: custom.toml\n", options=("-c", "custom.toml")),
    "undefined variable": Wrong(
        "[providers.candle]\n\n\n\n\n\nmodel_directory = '${MODEL_DIR}/models'",
        "Error: llmspell.toml:7 providers.candle.model_directory: environment variable MODEL_DIR is not set\n"
        "Hint: write ${MODEL_DIR:-fallback} to give a default\n",
    ),
    "variable of a wrong type": Wrong(
        None,
        "Error: LLMSPELL_RAG_ENABLED: expected true or false, got 'maybe' (sets rag.enabled)\n",
        env=("LLMSPELL_RAG_ENABLED", "maybe"),
    ),
    "variable out of range": Wrong(
        None,
        "Error: LLMSPELL_KERNEL__PORT: 70000 is out of range (0 to 65531)\n",
        env=("LLMSPELL_KERNEL__PORT", "70000"),
    ),
    "unknown variable": Wrong(
        None,
        "Warning: LLMSPELL_RAG_ENABLE is not a setting; did you mean LLMSPELL_RAG_ENABLED?\n",
        0,
        env=("LLMSPELL_RAG_ENABLE", "true"),
    ),
    "unknown profile": Wrong(
        None,
        "Error: Builtin profile 'unknown' not found.\n" + AVAILABLE + "Hint: llmspell config list-profiles\n",
        3,
        options=("-p", "unknown"),
    ),
    "unknown profile to extend": Wrong(
        "extends = 'olama'",
        "Error: llmspell.toml:1 extends: Builtin profile 'olama' not found.\n"
        + AVAILABLE
        + "Hint: did you mean 'ollama'?\n",
    ),
    "profile beside a file": Wrong(
        None,
        "Error: Cannot use both --profile and --config\n"
        'Hint: put extends = "rag-development" at the top of custom.toml\n',
        options=("-p", "rag-dev", "-c", "custom.toml"),
    ),
    "remote without encryption": Wrong(
        "[kernel.security]\nallow_remote = true\ncurve = 'off'",
        'Error: kernel.security.curve: "off" is not allowed with allow_remote\n',
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.usefixtures("home")
def test_a_run_stops_at_the_first_error_and_goes_on_after_a_warning(tmp_path: Path, wrong: Wrong) -> None:
    if wrong.toml is not None:
        (tmp_path / "llmspell.toml").write_text(wrong.toml)
    env = dict([wrong.env]) if wrong.env else {}
    done = llmspell(*wrong.options, "exec", "print('ran')", env=env)
    assert (done.status, done.err) == (wrong.status, wrong.said)
    assert done.out == ("ran\n" if wrong.status == 0 else "")


@pytest.mark.parametrize("wrong", [WRONG["wrong type"], WRONG["variable out of range"]], ids=["file", "variable"])
@pytest.mark.usefixtures("home")
def test_a_kernel_does_not_start_with_it_either(tmp_path: Path, wrong: Wrong) -> None:
    if wrong.toml is not None:
        (tmp_path / "llmspell.toml").write_text(wrong.toml)
    done = llmspell("kernel", "start", env=dict([wrong.env]) if wrong.env else {})
    assert (done.status, done.err) == (2, wrong.said)


@pytest.mark.usefixtures("home")
def test_the_error_in_json_has_its_parts(tmp_path: Path) -> None:
    (tmp_path / "llmspell.toml").write_text("[runtime]\n  max_concurrent_scripts = 'ten'")
    error = llmspell("--json", "exec", "return 1").error
    assert error == {
        "code": "config_error",
        "message": 'llmspell.toml:2 runtime.max_concurrent_scripts: expected an integer, got the string "ten"',
        "hint": "'llmspell config validate' lists every problem",
        "details": {"file": "llmspell.toml", "line": 2, "column": 3, "key": "runtime.max_concurrent_scripts"},
    }
