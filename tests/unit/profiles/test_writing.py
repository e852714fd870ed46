"""One key of a configuration file is set or taken out: comments stay, and nothing wrong is ever written."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from llmspell_profiles.writing import Written, set_key, set_keys, unset_key
from llmspell_protocol.errors import ConfigError, InvalidRequest, NotFound


def put(cwd: Path, key: str, value: str, config: str | None = None, **env: str) -> Written:
    return set_key(key, value, env=environment(cwd, env), cwd=cwd, config=Path(config) if config else None)


def take(cwd: Path, key: str, **env: str) -> Written:
    return unset_key(key, env=environment(cwd, env), cwd=cwd)


def environment(cwd: Path, env: dict[str, str]) -> dict[str, str]:
    return {"HOME": str(cwd / "home"), **env}


def own_file(cwd: Path) -> Path:
    path = cwd / "home" / ".llmspell" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


TEXT = """\
# mine
extends = "candle" # over candle

[kernel] # sockets
port = 9600 # a port
"""


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [
        ("kernel.port", "9700", TEXT.replace("9600", "9700")),
        ("kernel.max_clients", "3", TEXT + "max_clients = 3\n"),
        ("models.keep_alive", "1h", TEXT + '\n[models]\nkeep_alive = "1h"\n'),
    ],
)
def test_comments_and_everything_else_stay(tmp_path: Path, key: str, value: str, written: str) -> None:
    own_file(tmp_path).write_text(TEXT)
    put(tmp_path, key, value)
    assert own_file(tmp_path).read_text() == written


@pytest.mark.parametrize(
    ("key", "typed", "value"),
    [
        ("kernel.port", "9600", 9600),
        ("kernel.log_rotate_size", "64 MiB", "64 MiB"),
        ("models.keep_alive", "5m", "5m"),
        ("models.keep_alive", "-1", -1),
        ("models.memory_budget_bytes", "auto", "auto"),
        ("models.pin", "a, b@candle", ["a", "b@candle"]),
        ("models.pin", '["a"]', ["a"]),
        ("providers.ollama.enabled", "false", False),
        ("providers.ollama.enabled", "off", False),
        ("providers.candle.default_model", "42", "42"),
        ("providers.candle.default_model", "'qwen3:0.6b'", "qwen3:0.6b"),
        ("providers.candle.context_size", "8k", 8192),
        ("providers.candle.temperature", "0", 0),
        ("providers.default_provider", "ollama", "ollama"),
        ("providers.ollama.options.num_gpu", "1", 1),
        ("providers.ollama.options.deep.name", "x", "x"),
        ("extends", "candle", "candle"),
    ],
)
def test_what_is_typed_becomes_what_the_key_takes(tmp_path: Path, key: str, typed: str, value: Any) -> None:
    done = put(tmp_path, key, typed)
    assert (done.file, done.value, done.created, done.shadowed_by) == (own_file(tmp_path), value, True, None)
    found: Any = tomllib.loads(own_file(tmp_path).read_text())
    for name in key.split("."):
        found = found[name]
    assert found == value


def test_a_key_outside_all_tables_stands_before_them(tmp_path: Path) -> None:
    own_file(tmp_path).write_text("[kernel]\nport = 9600\n")
    put(tmp_path, "extends", "ollama")
    assert tomllib.loads(own_file(tmp_path).read_text()) == {"extends": "ollama", "kernel": {"port": 9600}}


@pytest.mark.parametrize(
    ("key", "value", "message", "hint"),
    [
        ("kernel.prot", "1", "There is no key kernel.prot", "did you mean kernel.port?"),
        ("providers.box.type", "openai", "There is no key", "did you mean providers.box.provider_type?"),
        ("kernel", "1", "kernel is a table, not a key", "its keys: host, port"),
        ("kernel.port.x", "1", "There is no key kernel.port.x", None),
        ("", "1", "There is no key ", None),
        ("providers.candle.contxt_size", "1", "There is no key", "did you mean providers.candle.context_size?"),
        (
            "kernel.port",
            "70000",
            "kernel.port: 70000 is out of range (0 to 65531); nothing was written",
            None,
        ),
        ("models.keep_alive", "banana", 'got "banana"; nothing was written', None),
        ("kernel.port", "soon", "kernel.port: expected an integer", None),
        ("kernel.port", "1\nhost = 'x'", "kernel.port: expected an integer", None),
        (
            "providers.box.base_url",
            "http://localhost:1/v1",
            "providers.box.provider_type: is required; openai for a server of your own",
            "llmspell config set providers.box.provider_type openai providers.box.base_url http://localhost:1/v1",
        ),
        ("providers.default_provider", "mistral", "'mistral' is not configured", None),
    ],
)
def test_what_is_wrong_is_not_written(tmp_path: Path, key: str, value: str, message: str, hint: str | None) -> None:
    with pytest.raises((NotFound, ConfigError)) as caught:
        put(tmp_path, key, value)
    assert message in caught.value.message
    assert hint is None or (caught.value.hint or "").startswith(hint)
    assert caught.value.message.startswith((key, "There is no key", "providers.box.provider_type"))
    assert list(own_file(tmp_path).parent.iterdir()) == []


def test_several_keys_are_written_together_or_not_at_all(tmp_path: Path) -> None:
    values = {"providers.box.base_url": "http://localhost:1/v1", "providers.box.provider_type": "openai"}
    done = set_keys(values, env=environment(tmp_path, {}), cwd=tmp_path)
    assert [each.key for each in done] == list(values)
    before = own_file(tmp_path).read_text()
    with pytest.raises(ConfigError, match=r"kernel\.port: expected an integer"):
        set_keys({"models.keep_alive": "1h", "kernel.port": "soon"}, env=environment(tmp_path, {}), cwd=tmp_path)
    assert own_file(tmp_path).read_text() == before


TWO_MISTAKES = "[kernel]\nport = 70000\n\n[models]\nkeep_alive = 'banana'\n"


def test_of_two_mistakes_one_is_mended_and_the_other_is_told(tmp_path: Path) -> None:
    own_file(tmp_path).write_text(TWO_MISTAKES)
    with pytest.raises(ConfigError, match=r"kernel\.port: 70001 is out of range"):
        put(tmp_path, "kernel.port", "70001")
    with pytest.raises(ConfigError, match=r"config\.toml:2 kernel\.port: 70000"):
        put(tmp_path, "kernel.max_clients", "3")
    assert own_file(tmp_path).read_text() == TWO_MISTAKES
    (left,) = put(tmp_path, "kernel.port", "9600").still_wrong
    assert "config.toml:5 models.keep_alive: expected a duration" in left
    assert take(tmp_path, "models.keep_alive").still_wrong == ()
    assert tomllib.loads(own_file(tmp_path).read_text()) == {"kernel": {"port": 9600}, "models": {}}


def test_a_mistake_that_hides_others_can_be_mended(tmp_path: Path) -> None:
    own_file(tmp_path).write_text("extends = 'candel'\n[kernel]\nport = 70000\n")
    (left,) = put(tmp_path, "extends", "candle").still_wrong
    assert "kernel.port: 70000 is out of range" in left


def test_a_key_that_there_is_not_can_not_be_taken_out(tmp_path: Path) -> None:
    own_file(tmp_path).write_text(TEXT)
    with pytest.raises(NotFound) as caught:
        take(tmp_path, "kernel.prot")
    assert (caught.value.message, caught.value.hint) == ("There is no key kernel.prot", "did you mean kernel.port?")
    with pytest.raises(NotFound, match=r"There is no key models\.default") as caught:
        take(tmp_path, "models.default")
    assert caught.value.hint == "llmspell model default shows or sets the default model"


def test_a_file_that_is_wrong_elsewhere_stays_as_it_is_until_that_is_mended(tmp_path: Path) -> None:
    own_file(tmp_path).write_text("[kernel]\nprot = 1\n")
    with pytest.raises(ConfigError, match=r"kernel\.prot: unknown key"):
        put(tmp_path, "kernel.port", "9600")
    assert own_file(tmp_path).read_text() == "[kernel]\nprot = 1\n"
    assert take(tmp_path, "kernel.prot").before == 1
    put(tmp_path, "kernel.port", "9600")
    assert tomllib.loads(own_file(tmp_path).read_text()) == {"kernel": {"port": 9600}}


def test_a_key_that_is_taken_out_leaves_the_rest(tmp_path: Path) -> None:
    own_file(tmp_path).write_text(TEXT)
    done = take(tmp_path, "kernel.port")
    assert (done.before, done.value) == (9600, None)
    assert own_file(tmp_path).read_text() == TEXT.replace("port = 9600 # a port\n", "")
    with pytest.raises(NotFound, match=r"kernel\.port is not set in "):
        take(tmp_path, "kernel.port")
    assert take(tmp_path, "kernel").key == "kernel"
    assert "kernel" not in tomllib.loads(own_file(tmp_path).read_text())


def test_another_spelling_in_the_file_is_the_one_that_is_changed(tmp_path: Path) -> None:
    own_file(tmp_path).write_text("[providers.candle]\nmodel = 'a'\n")
    put(tmp_path, "providers.candle.default_model", "b")
    assert own_file(tmp_path).read_text() == '[providers.candle]\nmodel = "b"\n'
    take(tmp_path, "providers.candle.default_model")
    assert own_file(tmp_path).read_text() == "[providers.candle]\n"


def test_mode_line_ends_and_byte_order_mark_stay_and_a_new_file_is_the_owners_alone(tmp_path: Path) -> None:
    path = own_file(tmp_path)
    put(tmp_path, "kernel.port", "1")
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"\xef\xbb\xbf[kernel]\r\nport = 1\r\n")
    path.chmod(0o644)
    put(tmp_path, "kernel.port", "2")
    assert path.read_bytes() == b"\xef\xbb\xbf[kernel]\r\nport = 2\r\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in path.parent.iterdir()] == ["config.toml"]


def test_what_a_link_leads_to_is_written(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "llmspell.toml"
    real.parent.mkdir()
    real.write_text("")
    own_file(tmp_path).symlink_to(real)
    put(tmp_path, "kernel.port", "1")
    assert own_file(tmp_path).is_symlink()
    assert tomllib.loads(real.read_text()) == {"kernel": {"port": 1}}


def test_the_file_that_is_written_is_the_named_one_else_the_users_own(tmp_path: Path) -> None:
    assert put(tmp_path, "kernel.port", "1", "mine.toml").file == tmp_path / "mine.toml"
    by_variable = put(tmp_path, "kernel.port", "1", LLMSPELL_CONFIG="other.toml")
    assert by_variable.file == tmp_path / "other.toml"
    xdg = tmp_path / "home" / ".config" / "llmspell" / "config.toml"
    xdg.parent.mkdir(parents=True)
    xdg.write_text("")
    # A file in LLMSPELL_HOME would hide this one.
    assert put(tmp_path, "kernel.port", "1").file == xdg


def test_what_counts_in_place_of_the_value_is_named(tmp_path: Path) -> None:
    assert put(tmp_path, "kernel.port", "1", LLMSPELL_KERNEL__PORT="2").shadowed_by == "LLMSPELL_KERNEL__PORT"
    (tmp_path / "llmspell.toml").write_text("[kernel]\n")
    assert put(tmp_path, "kernel.port", "1").shadowed_by is None
    (tmp_path / "llmspell.toml").write_text("[kernel]\nport = 2\n")
    assert put(tmp_path, "kernel.port", "1").shadowed_by == "./llmspell.toml"
    assert put(tmp_path, "kernel.port", "1", "llmspell.toml").shadowed_by is None


def test_keys_without_effect_are_written_and_marked(tmp_path: Path) -> None:
    assert put(tmp_path, "rag.backup.enable_auto_backup", "true").idle
    assert not put(tmp_path, "kernel.port", "1").idle


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    own_file(tmp_path).write_text("")
    own_file(tmp_path).parent.chmod(0o500)
    with pytest.raises(ConfigError, match=r"can't write .*permission denied"):
        put(tmp_path, "kernel.port", "1")


def test_a_directory_or_a_circle_of_links_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for name in ("d", "a", "d/x/../../d"):
        with pytest.raises((ConfigError, InvalidRequest), match="can't write "):
            put(tmp_path, "kernel.port", "1", name)
