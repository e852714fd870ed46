"""Which words name a model, and what the message is."""

from __future__ import annotations

import pytest

from llmspell_cli.chat.model_families import FAMILIES, looks_like_a_model
from llmspell_cli.chat.prompt_words import Given, joined, likeness
from llmspell_protocol.errors import InvalidRequest
from llmspell_providers.library.catalog import Catalog


@pytest.mark.parametrize(
    "word",
    [
        "smollm2:135m",
        "smollm2@candle",
        "smollm2:135m@my-box",
        "openai/gpt-4o",
        "mock/a",
        "hf.co/org/repo:Q4_K_M",
        "hf://org/repo@v1/file.gguf",
        "https://example.org/x.gguf",
        "file:///x.gguf",
        "./x.gguf",
        "x.GGUF",
        "~/models/model.safetensors",
        "localhost:5000/org/model:7b",
    ],
)
def test_what_has_the_form_of_a_model_is_one(word: str) -> None:
    assert likeness(word) == "model"


@pytest.mark.parametrize(
    "word",
    [
        "What is 2+2?",
        "Why?",
        "Hello.",
        "Translate:",
        "12:30",
        "don't",
        "naïve",
        "你好",
        "me@example.org",
        "say: hi",
        "",
        "-",
        "a:b:c",
        "x@",
    ],
)
def test_what_no_model_can_be_called_is_a_text(word: str) -> None:
    assert likeness(word) == "text"


@pytest.mark.parametrize("word", ["hello", "tinyllama", "phi-2", "qwen2.5", "GPT_4", "42"])
def test_a_plain_word_may_be_either(word: str) -> None:
    assert likeness(word) == "unclear"


@pytest.mark.parametrize(
    "word",
    [
        *("qwen9", "llama7", "gpt-4o", "mistral-small", "phi-9", "Llama-3.1", "deepseek-r1", "deepseek-coder-v2"),
        *("o3-mini", "claude-sonnet-4-5", "gemini-2.5-flash", "gpt-oss", "qwen2.5-coder", "phi_3.5", "t5-small"),
    ],
)
def test_a_family_with_a_version_or_a_size_looks_like_a_model(word: str) -> None:
    assert looks_like_a_model(word)


@pytest.mark.parametrize(
    "word",
    ["hello", "tell", "llama", "gpt", "gpt-like", "claude", "philosophy", "mistrals", "yikes2", "2nd", "o"],
)
def test_other_words_do_not_look_like_one(word: str) -> None:
    assert not looks_like_a_model(word)


def test_every_family_of_the_catalog_is_known() -> None:
    names = {entry.id.rpartition("/")[2].partition(":")[0].lower() for entry in Catalog.load().entries}
    # `all` is a word.
    assert [name for name in names if not name.startswith((*FAMILIES, "all-minilm"))] == []


@pytest.mark.parametrize(
    ("words", "piped", "message"),
    [
        (["one", "two"], None, "one two"),
        (["Summarise this"], "the text", "Summarise this\n\nthe text"),
        ([], "the text", "the text"),
        (["Before:", "-", "and", "after"], "the text", "Before:\n\nthe text\n\nand after"),
        (["-", "What is that?"], "  the text", "  the text\n\nWhat is that?"),
        ([" "], None, ""),
    ],
)
def test_words_and_piped_input_are_one_message(words: list[str], piped: str | None, message: str) -> None:
    assert joined(words, piped) == message


@pytest.mark.parametrize(
    ("words", "piped", "said"),
    [(["a", "-"], None, "there is none"), (["-", "-"], "x", "read once only")],
)
def test_a_place_for_an_input_that_is_not_there_is_refused(words: list[str], piped: str | None, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        joined(words, piped)


def given(
    *words: str, model: str | None = None, message: str | None = None, piped: str | None = None, terminal: bool = True
) -> Given:
    """What a command line gives."""
    return Given(words, model, message, piped, at_terminal=terminal)


def test_a_conversation_has_a_model_at_most_and_a_terminal() -> None:
    assert given().may_be_interactive
    assert given("smollm2:135m").may_be_interactive
    assert given("tinyllama").may_be_interactive
    assert given(model="a").may_be_interactive
    assert not given("What is 2+2?").may_be_interactive
    assert not given("hello", model="a").may_be_interactive
    assert not given("smollm2:135m", "hi").may_be_interactive
    assert not given(message="hi").may_be_interactive
    assert not given(terminal=False).may_be_interactive


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (given(terminal=False), "there is no message"),
        (given("mock/a", terminal=False), "there is no message"),
        (given(model="mock/a", terminal=False), "there is no message"),
        (given(" "), "there is no message"),
        (given(message=" "), "there is no message"),
        (given("mock/a", "hi", message="hi"), "the prompt is there twice"),
        (given("hi", model="mock/a", message="hi"), "the prompt is there twice"),
    ],
)
def test_no_message_or_two_are_refused_before_a_kernel_is_asked(asked: Given, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        asked.demand_message()


def test_a_message_in_any_form_is_enough() -> None:
    for asked in (
        given("hi"),
        given("mock/a", "hi"),
        given("mock/a", piped="x"),
        given(piped="x"),
        given("mock/a", message="hi"),
        given(message="", piped="x"),
    ):
        asked.demand_message()
