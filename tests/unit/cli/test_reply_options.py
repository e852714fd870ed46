"""Options of a reply, schemas and code blocks as people write them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from llmspell_cli.chat.code_blocks import code_blocks
from llmspell_cli.chat.conversation import SAMPLING, USUAL, Conversation
from llmspell_cli.chat.reply_options import image_file, reply_schema, set_options
from llmspell_cli.chat.reply_schema import read_schema
from llmspell_cli.commands.chat import chat
from llmspell_protocol.errors import InvalidRequest, LlmspellError, NotFound
from llmspell_protocol.models import SamplingOptions
from tests.support.settings import settings_from


def sampling(*named: tuple[str, str], **flags: Any) -> dict[str, Any]:
    """The options of a conversation with these words."""
    conversation = Conversation(None)
    set_options(conversation, named, flags, SAMPLING)
    return conversation.sampling


def test_options_are_set_by_name_and_by_their_own_flags() -> None:
    assert sampling(("temperature", "0"), ("max-tokens", "20"), ("stop", "a"), ("stop", "b"), top_k=5, stop=("c",)) == {
        "temperature": 0.0,
        "max_tokens": 20,
        "top_k": 5,
        "stop": ["c", "a", "b"],
    }


@pytest.mark.parametrize(
    ("named", "flags", "said"),
    [
        ([("temperature", "9")], {}, "^-o temperature must be from 0 to 2, got 9"),
        ([("temperature", "hot")], {}, "^-o temperature is a number, not 'hot'"),
        ([("temperature", " ")], {}, "^-o temperature has no value"),
        ([], {"temperature": 9.0}, "^--temperature must be from 0 to 2, got 9"),
        ([], {"top_p": 2.0}, "^--top-p must be from 0 to 1, got 2"),
        ([("temprature", "1")], {}, "^-o: unknown option 'temprature'"),
        ([("temperature=1", "hi")], {}, "^-o temperature=1: name and value are two words"),
        ([("seed", "1"), ("seed", "2")], {}, "^-o seed 1 and -o seed 2 can't both be meant"),
        ([("seed", "2")], {"seed": 1}, "^--seed 1 and -o seed 2 can't both be meant"),
        ([("stop", "")], {}, "^stop: an empty text"),
    ],
)
def test_errors_speak_the_words_of_the_command_line(
    named: list[tuple[str, str]], flags: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        sampling(*named, **flags)


def test_every_option_of_a_reply_can_be_set_by_name() -> None:
    assert set(SAMPLING) == {one.name for one in fields(SamplingOptions)} - {"num_ctx"} | ({"num_ctx"} & set(SAMPLING))


def test_help_names_the_ranges_and_defaults_that_hold(tmp_path: Path) -> None:
    table = settings_from("[providers.candle]\n", tmp_path).providers.enabled["candle"]
    ranges = {one.name: one.metadata["range"] for one in fields(SamplingOptions) if "range" in one.metadata}
    helps = {param.name: param.help or "" for param in chat.params if isinstance(param, click.Option)}
    for name in ("temperature", "top_p", "min_p", "repeat_penalty", "num_beams"):
        low, high = ranges[name]
        assert f"{low:g} to {high:g}" in helps[name], name
    for name in ("temperature", "top_p", "top_k", "repeat_penalty"):
        assert f"({getattr(table, name):g})" in helps[name], name
        assert USUAL[name] == f"{getattr(table, name):g}"


@pytest.mark.parametrize(
    ("written", "properties"),
    [
        ("name, age int", {"name": {"type": "string"}, "age": {"type": "integer"}}),
        ("score float,ok bool , id", {
            "score": {"type": "number"}, "ok": {"type": "boolean"}, "id": {"type": "string"},
        }),
        ("name: the dog's name, age int: in years", {
            "name": {"type": "string", "description": "the dog's name"},
            "age": {"type": "integer", "description": "in years"},
        }),
        ("\nname: family name, then first name\nage int\n", {
            "name": {"type": "string", "description": "family name, then first name"},
            "age": {"type": "integer"},
        }),
    ],
)  # fmt: skip
def test_the_short_form_of_a_schema(written: str, properties: dict[str, Any]) -> None:
    assert read_schema(written) == {"type": "object", "properties": properties, "required": list(properties)}


def test_a_schema_is_json_too_or_a_file_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_schema(' {"type": "string"}') == {"type": "string"}
    (tmp_path / "my schema, new").write_text('{"type": "null"}')
    assert read_schema("my schema, new") == {"type": "null"}


def test_types_have_the_names_of_json_schema_too() -> None:
    assert read_schema("a string, b integer, c number, d boolean") == read_schema("a str, b int, c float, d bool")


def test_one_word_that_is_no_file_may_have_been_a_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFound) as caught:
        read_schema("name")
    assert str(caught.value.hint).startswith("a field alone: 'name str'")
    assert read_schema("name str") == read_schema("name,")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("nosuch", "file not found: nosuch"),
        ("no such.json", "file not found: no such.json"),
        ('{"type": ', "--schema: line 1 column"),
        ("name, age intger", "--schema: 'intger' is not a type .age."),
        ("name, first name str", "--schema: 'first name str' is more than a name and a type"),
        ("a, : b", "--schema: ': b' has no name"),
        ("a, a int", "--schema: 'a' is there twice"),
        (" , ", "--schema has no fields"),
    ],
)
def test_a_schema_that_is_none_says_where(
    written: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LlmspellError, match=said) as caught:
        read_schema(written)
    assert caught.value.hint or "--schema" in said


def test_the_format_json_is_any_object_and_a_schema_says_more() -> None:
    assert reply_schema(None, None) is None
    assert reply_schema(None, "text") is None
    assert reply_schema(None, "json") == {"type": "object"}
    assert reply_schema("a int", "json") == reply_schema("a int", None)
    with pytest.raises(InvalidRequest, match="--format text"):
        reply_schema("a int", "text")


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("no block", []),
        ("Look:\n```python\nprint(1)\n\nprint(2)\n```\nand\n```\nx\n```", ["print(1)\n\nprint(2)\n", "x\n"]),
        ("````md\n```\ninner\n```\n````\n", ["```\ninner\n```\n"]),
        ("~~~\n```\n~~~\n", ["```\n"]),
        ("  ```sh\r\nls\r\n  ```\r\n", ["ls\r\n"]),
        ("```\n```", [""]),
        ("```js\ncut off", ["cut off"]),
        ("`` ```not a fence``` ``", []),
    ],
)
def test_code_blocks_are_those_of_markdown(text: str, blocks: list[str]) -> None:
    assert code_blocks(text) == blocks


def test_an_image_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    assert image_file(str(tmp_path / "x.png")) == "iVBORw0KGgpyZXN0"
    (tmp_path / "x.txt").write_text("text")
    for name, said in (
        ("x.txt", "is not a PNG, JPEG, WebP or GIF image"),
        ("nosuch", "file not found"),
        ("", "can't read"),
    ):
        with pytest.raises(LlmspellError, match=said):
            image_file(str(tmp_path / name))
