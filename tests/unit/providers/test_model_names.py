"""Names of models on the disk: any script, no longer than told, and nothing that a file system takes for something."""

from __future__ import annotations

import random

import pytest

from llmspell_protocol.errors import InvalidRequest, LlmspellError
from llmspell_providers.library.catalog import Catalog
from llmspell_providers.library.names import (
    LONGEST_SEGMENT_BYTES,
    folded,
    normalized,
    segment,
    short_segment,
    spec_name,
    unsegment,
)
from llmspell_providers.spec import ModelSpec

NAMES = [
    *("模型" * 11 + "甲", "日本語", "модель", "दस्तावेज़", "🦙" * 50, "ﷺ", "e\u0301" * 10, "ß", "İstanbul", "\u202eevil"),
    *("con", "CON", "nul.gguf", "com1", "LPT9.txt", "aux ", "prn", "x.", "x ", "x..", "...", " ", ".", "..", ".hidden"),
    *("a/b", "a\\b", "a\0b", "a\nb", "%2e", "%", "100%", "a:b", "a*b?", '"<>|', "~", "-rf", "--", "$(x)", "`x`"),
    *("x" * 200, "\u00a0", "\u200b", "\ufeff", "\ue000"),
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_becomes_one_safe_segment_and_comes_back(name: str) -> None:
    found = segment(name)

    assert unsegment(found) == normalized(name)
    assert len(found.encode()) <= LONGEST_SEGMENT_BYTES
    assert "/" not in found
    assert found.isprintable()
    assert not found.startswith(".")
    assert not found.endswith((".", " "))
    assert found.partition(".")[0].rstrip().upper() not in ("CON", "NUL", "AUX", "PRN", "COM1", "LPT9")
    assert short_segment(name) == found


def test_different_names_have_different_segments() -> None:
    plain = {normalized(name) for name in NAMES}

    assert len({segment(name) for name in plain}) == len(plain)


@pytest.mark.parametrize(("letter", "most"), [("x", 200), ("é", 100), ("模", 66), ("🦙", 50), ("/", 66)])
def test_a_name_is_as_long_as_its_bytes(letter: str, most: int) -> None:
    assert len(segment(letter * most).encode()) <= 200
    with pytest.raises(InvalidRequest, match="of at most 200") as caught:
        segment(letter * (most + 1))
    assert caught.value.details["limit"] == 200
    short = short_segment(letter * (most + 1))
    assert len(short.encode()) <= 200
    assert short != short_segment(letter * (most + 2))


def test_a_name_without_letters_or_with_half_of_one_is_refused() -> None:
    for name in ("", "\ud800", "caf\udce9"):
        with pytest.raises(InvalidRequest):
            segment(name)
    with pytest.raises(InvalidRequest):
        short_segment("\udce9")


def test_random_names_come_back() -> None:
    chance = random.Random(7)
    for _ in range(2000):
        name = "".join(chr(chance.choice((chance.randrange(1, 0x250), chance.randrange(0xD7FF)))) for _ in range(12))
        assert unsegment(segment(name)) == normalized(name)


@pytest.mark.parametrize(
    ("one", "other"), [("TinyLlama", "tinyllama"), ("caf\u00e9", "cafe\u0301"), ("STRASSE", "straße"), ("Ａ", "Ａ")]
)
def test_spellings_of_one_name_are_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("file:///x/my%20model.gguf", "my-model"),
        ("file:///x/模型.gguf", "模型"),
        ("file:///x/a#b?c.gguf", "a#b?c"),
        ("https://h/a%2Fb.gguf?token=1#x", "a-b"),
        ("FILE:///x/a.gguf@candle", "a"),
        ("Https://h/a.gguf", "a"),
    ],
)
def test_an_address_names_a_model_as_people_read_it(address: str, name: str) -> None:
    assert spec_name(ModelSpec.parse(address)) == name


@pytest.mark.parametrize(
    "text",
    [
        *("/x/a.gguf", "/a.gguf", "/x", "./a.gguf", "../a.gguf", "~/a.gguf", "/x/a.gguf@candle", "./a@ollama"),
        *("file:/x/a.gguf", "file:a.gguf", "file:/x/a.gguf@candle"),
    ],
)
def test_a_path_is_told_about_the_address_of_a_file(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is a path") as caught:
        ModelSpec.parse(text)
    assert "file://" in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["a.gguf", "models/a.GGUF", "a.safetensors", "C:\\x\\a.gguf"])
def test_a_name_that_only_files_have_is_told_about_the_address_where_nothing_has_it(text: str) -> None:
    spec = ModelSpec.parse(text)

    error = Catalog.load().unknown(spec)

    assert error.code == "invalid_request"
    assert "file://" in (error.hint or "")


def test_a_server_s_model_may_be_called_like_a_path() -> None:
    assert ModelSpec.parse("/models/7B/ggml.gguf@mine").name == "/models/7B/ggml.gguf"
    assert ModelSpec.parse("azureml://registries/x@github").backend == "github"


@pytest.mark.parametrize(
    "text",
    [
        *("http://", "https:///x.gguf", "https://h:99999/x.gguf", "https://h:abc/x.gguf", "https://[::1/x.gguf"),
        *("https://h:0/x.gguf", "file://a.gguf", "file://host/a.gguf", "file://~/a.gguf", "file:///", "file://"),
        *("ftp://h/x.gguf", "s3://b/x.gguf", "a\nb", "a\x1b[2J", "a\0b", "x" * 10_000, "caf\udce9", "https://h/%00"),
    ],
)
def test_what_is_no_name_and_no_address_is_refused_shortly_and_in_words(text: str) -> None:
    with pytest.raises(LlmspellError) as caught:
        ModelSpec.parse(text)
    assert caught.value.code == "invalid_request"
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("text", "opens"),
    [
        *((text, None) for text in ("tinyllama", "org/model", "hf.co/a/b:Q4", "hf://a/b/c.gguf", "mock/a")),
        *((text, None) for text in ("hf.co/a/b@ollama", "llama3.2:1b@ollama", "my.org/model@ollama")),
        *((text, None) for text in ("https://huggingface.co/a/b", "openai/gpt-4.1")),
        *((text, "files") for text in ("file:///x/a.gguf", " FILE:///x/a.gguf@candle")),
        *((text, "public") for text in ("http://127.0.0.1:1/a", "https://h/a@ollama", "pypi://a==1/b", "HTTPS://h/a")),
        *((text, "private") for text in ("127.0.0.1:80/a/b@ollama", "localhost/a/b@ollama", "evil.org/a/b:x@ollama")),
        *((text, "private") for text in ("h:1/a/b/c", "[::1]:80/a/b@ollama", "HF.CO/a/b@ollama")),
    ],
)
def test_what_a_pull_of_a_name_opens_is_known_from_the_name(text: str, opens: str | None) -> None:
    assert ModelSpec.parse(text).opens == opens
