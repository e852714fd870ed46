"""Global options: where they may stand, what they mean together, and where the environment counts."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from llmspell_cli.commands.chat import chat
from llmspell_cli.invocation import Collected, asks_for_json
from llmspell_cli.root import root
from llmspell_cli.terminal.input_text import file_text
from llmspell_protocol.errors import InvalidRequest
from tests.support.command_line import call
from tests.support.command_tree import command_at, every_command


@pytest.mark.parametrize(
    "words",
    [
        ("--json", "config", "list-profiles", "--detailed"),
        ("config", "--json", "list-profiles", "--detailed"),
        ("config", "list-profiles", "--json", "--detailed"),
        ("config", "list-profiles", "--detailed", "--output", "json"),
        ("--output=json", "config", "list-profiles", "--detailed"),
        ("--json", "config", "list-profiles", "--detailed", "--output", "json"),
    ],
    ids=" ".join,
)
def test_a_global_option_may_stand_before_inside_and_behind_the_command(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, *words)
    assert done.status == 0
    assert set(done.document) == {"profiles", "count"}


def test_one_option_with_two_values_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "--connect", "a", "model", "status", "--kernel", "b")
    assert done.status == 2
    assert done.err == "Error: --connect a and --kernel b can't both be meant\n"


def test_the_same_value_twice_is_one() -> None:
    said = Collected([], {})
    said.say("connect", "a", "--connect")
    said.say("connect", "a", "--kernel")
    assert said.options().connect == "a"


def test_every_option_that_names_a_file_knows_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    paths = 0
    for where in every_command():
        command = command_at(where)
        for param in command.params:
            if isinstance(param, click.Option) and param.metavar in ("FILE", "DIR", "PATH"):
                context = click.Context(command)
                assert param.type_cast_value(context, ["~/x"] if param.multiple else "~/x") in (
                    "/home/me/x",
                    ("/home/me/x",),
                ), (where, param.opts)
                with pytest.raises(InvalidRequest, match="there is no user 'no-such-user'"):
                    param.type.convert("~no-such-user/x", param, context)
                paths += 1
    assert paths > 20


def test_the_configuration_that_the_environment_names_knows_the_home_directory() -> None:
    assert Collected([], {"LLMSPELL_CONFIG": "~/x.toml", "HOME": "/home/me"}).options().config == "/home/me/x.toml"


def test_a_text_in_a_file_of_the_home_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "system.txt").write_text("be short")
    assert file_text("~/system.txt") == "be short"


def test_profile_and_config_together_are_refused_with_the_long_name(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "-p", "candle", "model", "list", "-c", "custom.toml")
    assert done.status == 2
    assert done.err == (
        'Error: Cannot use both --profile and --config\nHint: put extends = "candle" at the top of custom.toml\n'
    )


def test_a_profile_on_the_command_line_beats_the_configuration_of_the_environment() -> None:
    said = Collected([], {"LLMSPELL_CONFIG": "x.toml"})
    assert said.options().config == "x.toml"
    said.say("profile", "candle", "-p")
    assert said.options().config is None


def test_the_environment_gives_target_level_and_colour() -> None:
    options = Collected([], {"LLMSPELL_CONNECT": "k1", "RUST_LOG": "DEBUG", "NO_COLOR": "1"}).options()
    assert (options.connect, options.connect_named, options.trace, options.color) == ("k1", False, "debug", False)


@pytest.mark.parametrize(
    ("words", "variable", "connect", "unnamed"),
    [
        ((), "", None, "setting"),
        ((), "k1", "k1", "setting"),
        ((), "auto", None, "auto"),
        ((), "embedded", None, "embedded"),
        (("--connect", "auto"), "embedded", "auto", "setting"),
        (("--connect", "embedded"), "k1", None, "embedded"),
        (("--embedded",), "k1", None, "embedded"),
        (("-p", "candle"), "k1", None, "embedded"),
        (("-c", "x.toml"), "k1", None, "embedded"),
        (("-p", "candle", "--connect", "k2"), "k1", "k2", "setting"),
    ],
)
def test_the_kernel_is_named_by_the_first_of_option_configuration_and_variable(
    words: tuple[str, ...], variable: str, connect: str | None, unnamed: str
) -> None:
    said = Collected([], {"LLMSPELL_CONNECT": variable})
    with root.make_context("llmspell", [*words, "version"], obj=said):
        options = said.options()
    assert (options.connect, options.unnamed) == (connect, unnamed)


def test_a_kernel_and_none_can_not_both_be_meant(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "--embedded", "model", "list", "--connect", "k1")
    assert (done.status, done.err) == (2, "Error: --embedded and --connect k1 can't both be meant\n")


def test_a_filter_in_rust_log_is_no_level() -> None:
    assert Collected([], {"RUST_LOG": "llmspell=debug,info"}).options().trace is None


@pytest.mark.parametrize("command", [("kernel", "start"), ("jupyter", "install"), ("jupyter", "remove")], ids=" ".join)
def test_commands_of_this_machine_refuse_a_target_on_the_command_line(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, *command, "--connect", "auto")
    assert done.status == 2
    assert done.err == f"Error: '{' '.join(command)}' works on this machine only\nHint: drop --connect\n"


def test_a_value_of_another_option_is_never_taken_for_a_global_one() -> None:
    said = Collected([], {})
    with chat.make_context("chat", ["--message", "--json", "--system", "-p"], obj=said) as ctx:
        assert (ctx.params["message"], ctx.params["system"]) == ("--json", "-p")
    assert (said.options().output, said.options().profile) == ("text", None)


@pytest.mark.parametrize(
    ("words", "json"),
    [
        (["modle", "--json"], True),
        (["modle", "--output", "json"], True),
        (["modle", "--", "--json"], False),
        (["modle"], False),
    ],
)
def test_an_error_in_the_words_themselves_comes_in_the_format_that_they_ask_for(words: list[str], json: bool) -> None:
    assert asks_for_json(words) is json


def test_an_unknown_output_format_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "--output", "yaml", "version")
    assert done.status == 2
    assert "'yaml' is not one of 'text', 'json', 'pretty'" in done.err


@pytest.mark.parametrize("path", every_command(), ids=" ".join)
def test_every_command_takes_every_global_option(path: tuple[str, ...]) -> None:
    words = {word for parameter in command_at(path).params for word in parameter.opts}
    assert words >= {
        "-c",
        "-p",
        "--config",
        "--profile",
        "--connect",
        "--trace",
        "--output",
        "--json",
        "--no-color",
        "-V",
    }


def test_a_conflict_is_the_protocols_own_error() -> None:
    said = Collected([], {})
    said.say("output", "json", "--output")
    with pytest.raises(InvalidRequest):
        said.say("output", "text", "--output")
