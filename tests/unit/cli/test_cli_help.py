"""Help, unknown words and the spellings of the original."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from llmspell_cli.commands.model.pull import HELP
from llmspell_cli.other_words import INSTEAD
from llmspell_cli.root import PROFILES_HELP
from llmspell_protocol.errors import LlmspellError
from tests.support.command_line import call
from tests.support.command_tree import command_at, every_command, leaf_commands, parsed, words_of_example

PATHS = every_command()
LEAVES = leaf_commands()


def _id(path: tuple[str, ...]) -> str:
    return " ".join(path) or "llmspell"


@pytest.mark.parametrize("path", PATHS, ids=_id)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help_on_stdout_that_fits_a_narrow_terminal(
    path: tuple[str, ...], option: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    done = call(capsys, *path, option)
    assert done.status == 0
    assert done.err == ""
    assert done.out.startswith(f"Usage: {' '.join(['llmspell', *path])}")
    fixed = set((PROFILES_HELP + HELP).splitlines())
    assert [line for line in done.out.splitlines() if len(line) > 60 and line not in fixed] == []


def examples_of(path: tuple[str, ...]) -> list[str]:
    """The command lines of a command's examples, as its help shows them at a wide terminal."""
    examples: list[tuple[str, str]] = list(getattr(command_at(path), "examples", ()))
    if examples:
        return [line for line, _ in examples]
    block = HELP.partition("EXAMPLES:\n")[2].partition("\n\n")[0] if path == ("model", "pull") else ""
    return [line.partition("#")[0].strip() for line in block.splitlines()]


@pytest.mark.parametrize("path", PATHS, ids=_id)
def test_every_command_shows_examples_in_its_help(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = examples_of(path)
    assert lines, f"give `llmspell {' '.join(path)}` examples=((line, remark), …)"
    shown = call(capsys, *path, "--help").out
    assert "\n\nEXAMPLES:\n    " in shown
    assert all(f"\n    {line}" in shown for line in lines)


@pytest.mark.parametrize("path", PATHS, ids=_id)
def test_every_example_is_a_command_line_that_parses_and_shows_its_command(path: tuple[str, ...]) -> None:
    found = [parsed(words_of_example(line)) for line in examples_of(path)]
    assert any(other[: len(path)] == path for other in found), f"no example of {path} in {found}"


@pytest.mark.parametrize("line", ["llmspell model list --bakend x", "llmspell modle", "llmspell run", "echo hi"])
def test_an_example_that_does_not_parse_would_be_noticed(line: str) -> None:
    with pytest.raises((click.ClickException, LlmspellError, ValueError)):
        parsed(words_of_example(line))


def test_the_block_on_profiles_is_printed_word_for_word(capsys: pytest.CaptureFixture[str]) -> None:
    expected = """Use --profile (-p) to load builtin configurations:
  -p minimal     - Tools only, no LLM providers
  -p development - Verbose logging, debugging enabled
  -p ollama      - Ollama local LLM backend
  -p candle      - Candle local LLM backend
  -p rag-dev     - RAG development settings
  -p rag-prod    - RAG production settings
  -p rag-perf    - RAG performance settings
  -p providers   - OpenAI/Anthropic provider setup
  -p state       - State persistence with memory backend
  -p sessions    - Sessions + state + hooks + events
"""
    assert call(capsys, "--help").out.endswith("\n" + expected)


def test_the_help_of_pull_is_printed_word_for_word(capsys: pytest.CaptureFixture[str]) -> None:
    expected = """
Download a model from the specified backend.

Model specifications follow the format: model:variant@backend
- model: Base model name (e.g., llama3.1, mistral, phi3)
- variant: Model variant/size (e.g., 8b, 7b, 13b)
- backend: Backend to use (ollama or candle)

EXAMPLES:
    llmspell model available                   # List models from backend libraries
    llmspell model pull llama3.1:8b@ollama     # Download Llama 3.1 8B via Ollama
    llmspell model pull mistral:7b@candle      # Download Mistral 7B via Candle
    llmspell model pull phi3@ollama --force    # Force re-download

Browse models online:
  Ollama:  https://ollama.com/library
  Candle:  https://huggingface.co/models?pipeline_tag=text-generation

"""
    assert expected in call(capsys, "model", "pull", "--help").out


@pytest.mark.parametrize("path", [path for path in PATHS if path not in LEAVES], ids=_id)
def test_a_group_without_a_command_shows_its_help_on_stderr(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, *path)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Usage: llmspell")
    told = call(capsys, *path, "--json")
    assert (told.status, told.error["code"]) == (2, "invalid_request")
    assert told.error["hint"] == f"{' '.join(['llmspell', *path])} --help"


def test_a_misspelt_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "modle")
    assert (done.status, done.err) == (2, "Error: unknown command 'modle'\nHint: did you mean 'model'?\n")
    done = call(capsys, "model", "pul")
    assert (done.status, done.err) == (2, "Error: unknown command 'model pul'\nHint: did you mean 'pull'?\n")
    done = call(capsys, "state", "delet")  # Near another word for it.
    assert (done.status, done.err) == (2, "Error: unknown command 'state delet'\nHint: did you mean 'clear'?\n")


def test_setting_state_from_the_command_line_is_answered_with_what_sets_it(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "state", "set", "theme", "dark")
    assert done.status == 2
    error, hint = done.err.splitlines()
    assert error == "Error: unknown command 'state set'"
    assert """llmspell exec 'State.set("KEY", "VALUE")'""" in hint


@pytest.mark.parametrize("name", INSTEAD)
def test_commands_of_the_original_say_what_to_use_instead(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, name, "--anything", "x")
    assert done.status == 2
    assert done.err.startswith(f"Error: '{name}' is not part of llmspell\nHint: ")


@pytest.mark.parametrize("name", ["bench"])
def test_commands_that_do_not_exist_yet_are_unknown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, name).err.startswith(f"Error: unknown command '{name}'")


@pytest.mark.parametrize(
    "command",
    [("run", "--rag-profile", "x", "a.lua"), ("exec", "--rag-profile", "x", "1"), ("repl", "--rag-profile", "x")],
)
def test_rag_profile_was_replaced(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, *command)
    assert done.status == 2
    assert done.err == ("Error: --rag-profile was replaced by --profile\nHint: llmspell -p rag-prod run script.lua\n")


@pytest.mark.parametrize("words", [("--version",), ("-V",), ("model", "pull", "--version")], ids=" ".join)
def test_version_is_one_line(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    done = call(capsys, *words)
    assert (done.status, done.out) == (0, f"llmspell {version('llmspell')}\n")


def test_the_guide_shows_command_lines_that_parse() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "guide" / "command-line.md"
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("llmspell ")]
    lines.remove("llmspell [GLOBAL OPTIONS] COMMAND [SUBCOMMAND] [OPTIONS] [ARGUMENTS] [-- SCRIPT ARGUMENTS]")
    assert lines
    assert all(parsed(words_of_example(line)) for line in lines)
