"""Numbers of the settings: finite, of 64 bits, within what the engines take; in keys that nobody knows too."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_profiles.schema.schema_keys import Key
from tests.support.settings import error_of, load
from tests.unit.profiles.test_settings_ranges import KEYS

WHOLE = [key for key in KEYS if key.field.annotation in (int, int | None) and not key.idle]
FRACTIONS = [key for key in KEYS if key.field.annotation in (float, float | None)]
MANY_DIGITS = ("1" + "0" * 30, "-1" + "0" * 30, "9" * 400)


@pytest.mark.parametrize("key", [*WHOLE, *FRACTIONS], ids=lambda key: key.name)
def test_a_number_of_more_than_64_bits_is_refused_by_name(tmp_path: Path, key: Key) -> None:
    for digits in MANY_DIGITS:
        error = error_of(tmp_path, f"{key.name} = {digits}")
        assert any(each.message.startswith(f"llmspell.toml:1 {key.name}: ") for each in error.together), error.message


@pytest.mark.parametrize("key", FRACTIONS, ids=lambda key: key.name)
@pytest.mark.parametrize("written", ["nan", "inf", "-inf"])
def test_what_is_no_finite_number_is_refused_by_name(tmp_path: Path, key: Key, written: str) -> None:
    error = error_of(tmp_path, f"{key.name} = {written}")
    assert any(f"{key.name}: expected a " in each.message for each in error.together)


@pytest.mark.parametrize("written", [*MANY_DIGITS, "nan", "inf", "[1, {deep = nan}]", "1979-05-27", "{at = 07:32:00}"])
@pytest.mark.parametrize("provider", ["openai", "candle", "ollama"])
def test_keys_that_are_handed_on_have_values_that_can_be_sent(tmp_path: Path, provider: str, written: str) -> None:
    assert (
        f"llmspell.toml:1 providers.{provider}.own"
        in error_of(tmp_path, f"providers.{provider}.options.own = {written}").message
    )


def test_keys_that_are_handed_on_keep_their_values(tmp_path: Path) -> None:
    loaded = load(tmp_path, 'providers.openai.options.own = [1, 2.5, "x", true, {a = [9223372036854775807]}]')
    assert loaded.settings.providers.tables["openai"].options["own"] == [1, 2.5, "x", True, {"a": [2**63 - 1]}]


@pytest.mark.parametrize("key", ["models.memory_budget_bytes", "kernel.log_rotate_size"])
@pytest.mark.parametrize("written", [*MANY_DIGITS, f'"{"9" * 400} gb"', '"99999999999 gib"'])
def test_a_size_of_more_than_64_bits_is_refused_by_name(tmp_path: Path, key: str, written: str) -> None:
    assert error_of(tmp_path, f"{key} = {written}").message.startswith(f"llmspell.toml:1 {key}: ")


@pytest.mark.parametrize("written", [*MANY_DIGITS, "nan", "inf", f'"{"9" * 400}s"', '"nan"', '"99999999999h"', "true"])
def test_a_keep_alive_that_no_clock_can_count_is_refused_by_name(tmp_path: Path, written: str) -> None:
    error = error_of(tmp_path, f"models.keep_alive = {written}")
    assert error.message.startswith("llmspell.toml:1 models.keep_alive: "), error.message


def test_never_may_be_written_as_a_text_too(tmp_path: Path) -> None:
    assert load(tmp_path, 'models.keep_alive = "-1"').settings.models.keep_alive == -1


@pytest.mark.parametrize("variable", ["LLMSPELL_PROVIDERS__OPENAI__TEMPERATURE", "LLMSPELL_PROVIDERS__OPENAI__TOP_K"])
@pytest.mark.parametrize("written", ["nan", "inf", "1e999", "9" * 400, "9" * 6000, "1_0"])
def test_a_variable_s_text_is_no_number_either(tmp_path: Path, variable: str, written: str) -> None:
    assert error_of(tmp_path, "[providers.openai]", **{variable: written}).details["variable"] == variable


@pytest.mark.parametrize("provider", ["openai", "candle", "ollama"])
@pytest.mark.parametrize("written", ['[""]', '["x", ""]'])
def test_an_empty_stop_string_is_refused(tmp_path: Path, provider: str, written: str) -> None:
    error = error_of(tmp_path, f"providers.{provider}.stop = {written}")
    assert "an empty string would end every reply before its first word" in error.message
