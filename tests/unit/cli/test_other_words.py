"""Words and options that fingers know from Ollama and llm."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_cli.other_words import ALIASES, INSTEAD, INSTEAD_BELOW, is_model_to_run
from llmspell_cli.root import COMMANDS
from tests.support.command_line import call
from tests.support.command_tree import leaf_commands, parsed

KEEPING = "llmspell model load MODEL --keep-alive 1h; for all models: llmspell config set models.keep_alive 1h"


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("pull smollm2:135m --force", "model pull"),
        ("list -v", "model list"),
        ("ls", "model list"),
        ("ps", "model ps"),
        ("show smollm2", "model info"),
        ("rm smollm2 --yes", "model remove"),
        ("stop smollm2", "model unload"),
        ("serve --port 0", "kernel start"),
        ("models", "model list"),
        ("models --json", "model list"),
        ("models info x", "model info"),
        ("model rm x", "model remove"),
        ("model show x", "model info"),
        ("kernel ls", "kernel status"),
        ("keys set openai", "keys add"),
        ("prompt -m x hello", "chat"),
        ("--json run smollm2:135m hello", "chat"),
        ("run hf.co/org/repo hello", "chat"),
        ("run ./x.gguf hi", "chat"),
        ("run x.GGUF", "chat"),
        ("load x --pin", "model load"),
        ("unload --all", "model unload"),
        ("import x.gguf --list", "model import"),
        ("search qwen", "model search"),
        ("available --fits", "model available"),
        ("tools list", "tool list"),
        ("tool run calculator", "tool invoke"),
        ("tool show calculator", "tool info"),
        ("run script.lua", "run"),
        ("run dir/script", "run"),
    ],
)
def test_a_word_of_others_is_the_command_with_all_its_options(words: str, command: str) -> None:
    assert parsed(words.split()) == tuple(command.split())


def test_an_alias_stands_for_a_command_and_hides_none() -> None:
    assert set(ALIASES.values()) - {("keys",), ("tool",), ("session",)} <= set(leaf_commands())
    assert not set(ALIASES) & set(COMMANDS)
    assert not set(INSTEAD) & (set(COMMANDS) | set(ALIASES))
    assert not set(INSTEAD_BELOW) & {" ".join(path) for path in leaf_commands()}


def test_a_file_is_a_script_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_model_to_run("a:b")
    (tmp_path / "a:b").touch()
    assert not is_model_to_run("a:b")
    assert not is_model_to_run("nosuch:x.lua")


def test_a_missing_script_that_may_be_a_model_is_told_how_to_talk_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "run", "tinyllama", "hi", "there you")
    assert done.err.splitlines() == [
        "Error: Script file not found: tinyllama",
        "Hint: if it is a model: llmspell chat -m tinyllama hi 'there you'",
    ]
    assert call(capsys, "run", "nosuch.lua").err == "Error: Script file not found: nosuch.lua\n"


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        ("help", "Usage: llmspell [OPTIONS]"),
        ("help chat", "Usage: llmspell chat "),
        ("help model pull", "Usage: llmspell model pull "),
        ("help pull", "Usage: llmspell model pull "),
        ("help model", "Usage: llmspell model "),
    ],
)
def test_help_is_a_command_too(words: str, usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, *words.split())
    assert (done.status, done.out.startswith(usage)) == (0, True)


def test_aliases_stand_in_no_list(capsys: pytest.CaptureFixture[str]) -> None:
    shown = call(capsys, "--help").out
    assert not any(f"\n  {word} " in shown for word in (*ALIASES, *INSTEAD, "models", "help"))


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("chat --attachment x", "did you mean '--image'?"),
        ("chat -a x", "did you mean '--image'?"),
        ("chat --modle x", "did you mean '--model'?"),
        ("chat --verbose", "did you mean '--stats'?"),
        ("chat --keepalive 5m", KEEPING),
        ("run smollm2:135m --keep-alive 5m", KEEPING),
        ("show ./x.gguf", "llmspell model import ./x.gguf, and then the name that this gives the model"),
        ("verify x", "llmspell model verify"),
        ("model load --keepalive 5m x", "did you mean '--keep-alive'?"),
        ("exec --model x 1", "llmspell exec --help"),
        ("model list --bakend x", "did you mean '--backend'?"),
        ("-m x hello", "llmspell chat -m …"),
        ("chat --think=false", "--think or --no-think"),
        ("chat -o temperature", "llmspell chat -o temperature 0 PROMPT"),
        ("config get models.keep_alive", "llmspell config show KEY"),
        ("jupyter uninstall", "llmspell jupyter remove"),
        ("jupyter instal", "did you mean 'install'?"),
        ("create x", INSTEAD["create"]),
        ("born.lua", "llmspell run born.lua"),
        ("born.lua --name x", "llmspell run born.lua"),
        ("smollm2:135m hello", "llmspell chat smollm2:135m"),
        ("hello", "llmspell --help lists the commands; to ask it: llmspell chat hello"),
        ("why?", "to ask it: llmspell chat 'why?'"),
    ],
)
def test_a_wrong_word_gets_a_right_hint_or_none(words: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, *words.split())
    assert (done.status, done.err.splitlines()[1]) == (2, f"Hint: {hint}")


def test_a_question_at_the_top_level_is_told_where_to_ask_it(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "What is 2+2?")
    assert done.err.splitlines()[1] == "Hint: to ask it: llmspell chat 'What is 2+2?'"
