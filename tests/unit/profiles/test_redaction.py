"""Secrets are found by what they are, by their names and by their looks; what only looks similar stays."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_profiles.credentials.redaction import Redactor
from llmspell_profiles.credentials.secrets import is_secret_name

PLAIN = Redactor()


@pytest.mark.parametrize(
    "name",
    [
        *("api_key", "X-Api-Key", "Authorization", "OPENAI_API_KEY", "HF_TOKEN", "token", "Set-Cookie", "apiKey"),
        *("client_secret", "password", "smtp_password", "private-key", "auth_token", "access_key"),
    ],
)
def test_fields_of_these_names_are_hidden(name: str) -> None:
    assert is_secret_name(name)
    assert PLAIN.value({name: "anything"}) == {name: "***"}


@pytest.mark.parametrize(
    "name", ["key", "max_tokens", "prompt_tokens", "tokens", "tokenizer", "keywords", "author", "secretary"]
)
def test_fields_of_these_names_stay(name: str) -> None:
    assert PLAIN.value({name: "anything"}) == {name: "anything"}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("my key is sk-abcdefgh12345", "my key is ***"),
        ("ghp_abcdefghijkl and hf_abcdefghijkl", "*** and ***"),
        ("curl -H 'Authorization: Bearer abc.def-123'", "curl -H 'Authorization: Bearer ***'"),
        ("http://user:pass@host/x?api_key=1&b=2", "http://user:***@host/x?api_key=***&b=2"),
        ("local api_key = 'one two'", "local api_key = '***'"),
        ('{"password": "p"}', '{"password": "***"}'),
        ('{\\"token\\": \\"p q\\"}', '{\\"token\\": \\"***\\"}'),
        ("export OPENAI_API_KEY=abc", "export OPENAI_API_KEY=***"),
        ("log in with password=swordfish99 now", "log in with password=*** now"),
        ("tool --api-key clisecret777 --json", "tool --api-key *** --json"),
        ("tool --auth-token=abc123", "tool --auth-token=***"),
        ('{"--api-key", "clisecret777"}', '{"--api-key", "***"}'),
        ('{\\"--api-key\\", \\"clisecret777\\"}', '{\\"--api-key\\", \\"***\\"}'),
        ("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY----- after", "*** after"),
    ],
)
def test_texts_lose_what_looks_like_a_secret(text: str, kept: str) -> None:
    assert PLAIN.text(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "the task-force asked for a desk-lamp",
        "a password is asked for",
        "max_tokens = 40, token by token",
        "token=next(tokens) secret=config.secret2",
        "use --token to set one, or --password with a file",
        "https://example.com/a?b=c",
        "What is a bearer token?",
        "A basic understanding of bearer authentication.",
    ],
)
def test_texts_without_one_stay(text: str) -> None:
    assert PLAIN.text(text) == text


def test_a_long_text_is_searched_whole_and_takes_no_time_for_its_length() -> None:
    word = "x" * 3_000_000
    text = f"{word} sk-abcdefgh12345\n{'_' * 300_000}\n" + "line with password = 'p'\n" * 20_000
    kept = PLAIN.text(text)
    assert kept == f"{word} ***\n{'_' * 300_000}\n" + "line with password = '***'\n" * 20_000


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("sk-abcdefgh12345", "***"),
        ("Bearer abc.def-123", "Bearer ***"),
        ("api_key = 'one two three'", "api_key = '***'"),
        ("OPENAI_API_KEY=abc", "OPENAI_API_KEY=***"),
        ("http://user:password@host", "http://user:***@host"),
        ("http://host/x?api_key=secret&b=2", "http://host/x?api_key=***&b=2"),
        ("known to all", "***"),
    ],
)
@pytest.mark.parametrize("filler", ["word ", "::::", "line\n"])
def test_a_secret_is_hidden_wherever_it_stands_in_a_long_text(text: str, kept: str, filler: str) -> None:
    redactor = Redactor(["known to all"])
    blank = "\n" if filler == "line\n" else " "
    after = blank + filler * 10_000
    for at in range(128 * 1024 - len(text) - 1, 128 * 1024 + 2, 4):
        before = (filler * (at // len(filler) + 1))[: at - 1] + blank
        assert redactor.text(f"{before}{text}{after}") == f"{before}{kept}{after}", at


def test_a_secret_that_is_longer_than_a_piece_is_hidden_whole() -> None:
    long = "a1" * 200_000
    assert PLAIN.text(f"{'word ' * 20_000}sk-{long} end") == f"{'word ' * 20_000}*** end"


@pytest.mark.parametrize("text", ["?" * 2_000_000, "?key" * 500_000, "?" + "key" * 600_000, "://a:" * 400_000])
def test_a_long_text_without_a_blank_is_looked_at_once(text: str) -> None:
    assert PLAIN.text(f"http://x {text}") == f"http://x {text}"


def test_bytes_lose_secrets_too() -> None:
    redactor = Redactor(["grünes-geheimnis"])
    assert redactor.data(b"key sk-abcdefgh12345, gr\xc3\xbcnes-geheimnis") == b"key ***, ***"
    assert redactor.data(b"\xff\x00gr\xc3\xbcnes-geheimnis\xfe") == b"\xff\x00***\xfe"
    vector = bytes(range(256)) * 100
    assert redactor.data(vector) == vector


def test_known_values_are_hidden_wherever_they_stand() -> None:
    redactor = Redactor.of_environment(
        {"SERVICE_TOKEN": "env-value", "HOME": "/root", "X_CREDENTIALS": "/path/to/file", "A_KEY": "tiny"},
        ["file-value"],
    )
    assert redactor.value(["x env-value y", {"z": "file-value"}]) == ["x *** y", {"z": "***"}]
    assert redactor.text("/root /path/to/file tiny") == "/root /path/to/file tiny"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (["--api-key", "x", "--n", "1"], ["--api-key", "***", "--n", "1"]),
        (["--token=x", "b"], ["--token=***", "b"]),
        ([["X-Api-Key", "x"], ["Accept", "y"]], [["X-Api-Key", "***"], ["Accept", "y"]]),
        (
            {"auth": {"type": "api_key", "key": "x", "header": "X-K"}},
            {"auth": {"type": "api_key", "key": "***", "header": "X-K"}},
        ),
        ({"token": {"nested": "x"}, "n": 1, "none": None}, {"token": {"nested": "x"}, "n": 1, "none": None}),
    ],
)
def test_words_headers_and_tables_of_credentials(value: Any, kept: Any) -> None:
    assert PLAIN.value(value) == kept
