"""The ranges and words of every key: what lies beyond is refused, what is unusually high is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from llmspell_profiles.loading.loader import LoadedSettings, load_settings
from llmspell_profiles.schema.schema_keys import Key, all_keys, known_providers, value_at
from llmspell_protocol.errors import ConfigError

PROVIDERS = {name: known_providers()[name] for name in ("openai", "ollama", "candle")}
KEYS = list(all_keys(PROVIDERS))


def load(cwd: Path, toml: str) -> LoadedSettings:
    (cwd / "llmspell.toml").write_text(toml)
    return load_settings(env={"HOME": str(cwd)}, cwd=cwd)


def refused() -> Iterator[tuple[str, float, str]]:
    for key in KEYS:
        limits = key.field.bounds
        both = f"({limits['ge']} to {limits['le']})" if {"ge", "le"} <= limits.keys() else ""
        if "ge" in limits:
            below = limits["ge"] - 1
            yield (
                key.name,
                below,
                f"{below} is out of range {both}" if both else f"must be at least {limits['ge']}, got {below}",
            )
        if "le" in limits:
            above = limits["le"] + 1
            yield key.name, above, f"{above} is out of range {both}"
        if "gt" in limits:
            yield key.name, limits["gt"], f"must be greater than {limits['gt']}, got {limits['gt']}"


@pytest.mark.parametrize(("name", "value", "message"), list(refused()))
def test_a_number_beyond_its_range_is_refused(tmp_path: Path, name: str, value: float, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"{name} = {value}")
    assert f"llmspell.toml:1 {name}: {message}" in [each.message for each in caught.value.together]


@pytest.mark.parametrize("key", [key for key in KEYS if key.high_limit is not None], ids=lambda key: key.name)
def test_a_number_that_is_unusually_high_is_accepted_with_a_warning(tmp_path: Path, key: Key) -> None:
    assert key.high_limit is not None
    loaded = load(tmp_path, f"{key.name} = {key.high_limit + 1}")
    assert value_at(loaded.settings, key.path) == key.high_limit + 1
    about = f"llmspell.toml:1 {key.name}: "
    if key.idle:
        assert loaded.warnings == (f"{about}accepted, has no effect",)
    else:
        assert loaded.warnings == (f"{about}{key.high_limit + 1} is unusually high (more than {key.high_limit})",)


@pytest.mark.parametrize("key", [key for key in KEYS if not key.idle and key.high_limit], ids=lambda key: key.name)
def test_the_highest_usual_number_draws_no_warning(tmp_path: Path, key: Key) -> None:
    assert load(tmp_path, f"{key.name} = {key.high_limit}").warnings == ()


def words(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(word for each in get_args(annotation) for word in words(each))


WORDS = {key.name: found for key in KEYS if dict not in key.kinds and (found := words(key.field.annotation))}


@pytest.mark.parametrize("name", [name for name in WORDS if not name.endswith("provider_type")])
def test_each_word_is_accepted_in_any_case_and_another_is_not(tmp_path: Path, name: str) -> None:
    path = tuple(name.split("."))
    for word in WORDS[name]:
        assert value_at(load(tmp_path, f"{name} = '{word.swapcase()}'").settings, path) == word
    with pytest.raises(ConfigError, match=rf"^llmspell\.toml:1 {name}: (expected auto or|'gibberish' is not one of) "):
        load(tmp_path, f"{name} = 'gibberish'")


@pytest.mark.parametrize(
    ("name", "written", "read"),
    [
        ("rag.vector_storage.hnsw.metric", "innerproduct", "inner_product"),
        ("default_engine", "JS", "javascript"),
        ("tools.web_tools.allowed_domains", "example.org, example.net", ("example.org", "example.net")),
        ("tools.web_tools.blocked_domains", "example.org", ("example.org",)),
        ("tools.database.allowed_hosts", "a,b", ("a", "b")),
        ("tools.system.allowed_commands", "ls, cat", ("ls", "cat")),
        ("tools.system.allowed_env_vars", "PATH,", ("PATH",)),
    ],
)
def test_other_spellings_are_understood(tmp_path: Path, name: str, written: str, read: object) -> None:
    assert value_at(load(tmp_path, f"{name} = {json.dumps(written)}").settings, tuple(name.split("."))) == read


def test_an_engine_with_a_table_of_its_own_may_be_the_default_one(tmp_path: Path) -> None:
    loaded = load(tmp_path, "default_engine = 'ruby'\n[engines.ruby]\nstrict = true")
    assert loaded.settings.default_engine == "ruby"
    assert loaded.settings.engines.names == ("lua", "javascript", "ruby")
    assert "llmspell.toml:2 engines.ruby: no such engine, has no effect" in loaded.warnings


def test_hooks_may_stand_below_runtime(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "[runtime]\nlog_level = 'info'\n[runtime.hooks]\nmax_hooks = 7\ncircuit_breaker_threshold = 0.5\n"
        "[hooks]\ntimeout_ms = 9",
    )
    assert (loaded.settings.hooks.max_hooks, loaded.settings.hooks.timeout_ms) == (7, 9)
    assert loaded.settings.runtime.log_level == "info"
    assert "llmspell.toml:5 hooks.circuit_breaker_threshold: accepted, has no effect" in loaded.warnings
    with pytest.raises(ConfigError, match=r"^llmspell\.toml:2 hooks\.max_hooks: must be at least 1, got 0$"):
        load(tmp_path, "[runtime.hooks]\nmax_hooks = 0")
