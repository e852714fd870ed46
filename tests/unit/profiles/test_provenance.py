"""What a start's settings would be made of, told without loading them."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_profiles.loading.provenance import cli_setting, digests, sets_nothing, special_file, variables_that_set
from llmspell_profiles.showing.template import starter


def test_the_file_of_this_directory_or_of_the_variable_is_special_and_the_user_s_own_is_not(tmp_path: Path) -> None:
    home = tmp_path / ".llmspell"
    home.mkdir()
    (home / "config.toml").write_text("")
    env = {"HOME": str(tmp_path)}
    assert special_file(env, str(tmp_path)) is None
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "llmspell.toml").write_text("[kernel]\nport = 1\n")
    assert special_file(env, str(tmp_path)) == str(tmp_path / "config" / "llmspell.toml")
    (tmp_path / "llmspell.toml").write_text("# nothing\n[kernel]\n# port = 1\n")
    (tmp_path / ".llmspell.toml").write_text("extends = 'candle'\n")
    assert special_file(env, str(tmp_path)) == str(tmp_path / ".llmspell.toml")
    assert special_file({**env, "LLMSPELL_CONFIG": "~/x.toml"}, "/") == str(tmp_path / "x.toml")


@pytest.mark.parametrize(
    ("text", "nothing"),
    [
        ("", True),
        ("\ufeff# a\r\n\r\n[kernel] # b\r\n", True),
        ("[providers.candle]\n[kernel.security]\n[models]\n", True),
        ("[providers.openai]\n", False),
        ("[providers.candle.rate_limit]\n", False),
        ("[kernel]\nport = 1\n", False),
        ("kernel = {}\n", False),
        ("[kernel\n", False),
        ("port\n", False),
    ],
)
def test_comments_and_empty_tables_set_nothing(text: str, nothing: bool) -> None:
    assert sets_nothing(text) is nothing


def test_what_init_writes_sets_nothing_unless_it_extends_a_profile() -> None:
    assert sets_nothing(starter(None))
    assert not sets_nothing(starter("candle"))


def test_variables_that_name_no_setting_of_a_kernel_do_not_count() -> None:
    env = {
        "LLMSPELL_HOME": "/h",
        "LLMSPELL_CONNECT": "k",
        "LLMSPELL_CLI__CONNECT": "k",
        "LLMSPELL_LOG": "info",
        "LLMSPELL_MODELS__KEEP_ALIVE": "1h",
        "OLLAMA_HOST": "box",
        "LLMSPELL_MODELS__PIN": "",
        "PATH": "/bin",
    }
    assert variables_that_set(env) == ["LLMSPELL_MODELS__KEEP_ALIVE", "OLLAMA_HOST"]


def test_digests_tell_values_apart_and_not_what_they_are() -> None:
    (one,) = digests({"LLMSPELL_API_KEY_OPENAI": "sk-secret"}, "key")
    (other,) = digests({"LLMSPELL_API_KEY_OPENAI": "sk-other"}, "key")
    (elsewhere,) = digests({"LLMSPELL_API_KEY_OPENAI": "sk-secret"}, "another key")
    assert len({one, other, elsewhere}) == 3
    assert "secret" not in one
    assert digests({"PATH": "/bin"}, "key") == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[cli]\nconnect = "k1"\n', "k1"),
        ('cli.connect = "k1"\n', "k1"),
        ("[kernel]\nport = 1\n", None),
        ("[cli]\nconnect = 5\n", None),
        ("cli = 5\n", None),
        ("[cli\n", None),
        ("# the cli\n", None),
    ],
)
def test_a_setting_of_the_command_line_is_read_as_it_is_written(tmp_path: Path, text: str, told: str | None) -> None:
    (tmp_path / "config.toml").write_text(text)
    env = {"LLMSPELL_HOME": str(tmp_path), "HOME": str(tmp_path)}
    assert cli_setting("connect", env, "/") == told
    assert cli_setting("connect", {**env, "LLMSPELL_CLI__CONNECT": "auto"}, "/") == "auto"
    assert cli_setting("autostart", env, "/") is None
