"""Replies that are HTTP as it should be and odd inside: lines, events and fields. The text whole, or a typed error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import BackendUnavailable, LlmspellError, ModelError
from tests.support.odd_values import ODD, leaves, with_value
from tests.support.raw_http import RawServer, http
from tests.support.server_kinds import (
    EVENTS,
    SAID,
    SERVER_KINDS,
    ServerKind,
    answering_posts,
    chat_with,
    stream,
    whole_reply,
    with_provider,
)

Expected = str | type[LlmspellError]
SSE_KINDS: tuple[ServerKind, ...] = ("openai", "anthropic")
LONE, PAIR = "\\ud83d", ("\\ud83d", "\\ude00")


def _came(kind: ServerKind, body: bytes, home: Path) -> Any:
    with RawServer(answering_posts((http(body, "Content-Type: text/event-stream"),))) as server:
        return with_provider(kind, server.origin, home, chat_with, seconds=20)


def _check(came: Any, expected: Expected) -> None:
    if isinstance(expected, str):
        assert not isinstance(came, LlmspellError), came
        assert came.message.content == expected
    else:
        assert type(came) is expected, came


def _saying(body: bytes, text: str) -> bytes:
    """The reply with other text (as JSON writes it) in place of "Hello"."""
    return body.replace(b'"Hello"', b'"' + text.encode() + b'"')


TEXTS: dict[str, tuple[str, str]] = {
    "a next line": ("a\u0085b", "a\u0085b there"),
    "a line separator": ("a\u2028b", "a\u2028b there"),
    "a paragraph separator": ("a\u2029b", "a\u2029b there"),
    "all that Python splits at": (
        "a\u000b\u000c\u001c\u001d\u001e b".translate({c: f"\\u{c:04x}" for c in range(32)}),
        "a\u000b\u000c\u001c\u001d\u001e b there",
    ),
    "a line end and a return": ("a\\r\\nb", "a\r\nb there"),
    "half of a pair": (LONE, "\ufffd there"),
    "the wrong half of a pair": ("\\ude00", "\ufffd there"),
    "a whole pair": ("".join(PAIR), "\U0001f600 there"),
    "a null character": ("a\\u0000b", "a\x00b there"),
    "a byte order mark inside": ("\ufeffa", "\ufeffa there"),
}


@pytest.mark.parametrize("kind", SERVER_KINDS)
@pytest.mark.parametrize("text", TEXTS)
def test_whatever_characters_a_reply_has_it_comes_whole(kind: ServerKind, text: str, tmp_path: Path) -> None:
    written, shown = TEXTS[text]
    _check(_came(kind, _saying(whole_reply(kind), written), tmp_path), shown)


BYTES: dict[str, tuple[Callable[[bytes], bytes], Expected]] = {
    "lines that end with \\r\\n": (lambda body: body.replace(b"\n", b"\r\n"), SAID),
    "a byte order mark before it": (lambda body: b"\xef\xbb\xbf" + body, SAID),
    "empty lines around it": (lambda body: b"\n\n" + body + b"\n\n\n", SAID),
    "no end of the last line": (lambda body: body.rstrip(b"\n"), SAID),
    "a byte that is not UTF-8": (lambda body: body.replace(b"Hello", b"Hel\xfflo"), "Hel\ufffdlo there"),
    "half a character": (lambda body: body.replace(b"Hello", b"Hello\xe2\x82"), "Hello\ufffd there"),
    "Latin-1": (lambda body: body.replace(b"Hello", b"caf\xe9"), "caf\ufffd there"),
    "JSON that breaks off": (
        lambda body: body[: body.rindex(b"}")] if b"[DONE]" not in body else body[:90],
        BackendUnavailable,
    ),
    "half of it": (lambda body: body[: len(body) // 2], BackendUnavailable),
    "the first quarter": (lambda body: body[: len(body) // 4], BackendUnavailable),
    "something between that is not JSON": (lambda body: body.replace(b'{"', b'{oops"', 1), BackendUnavailable),
    "a number of 5,000 digits": (lambda body: body.replace(b'"Hello"', b"9" * 5000), BackendUnavailable),
    "100,000 brackets": (lambda body: body.replace(b'"Hello"', b"[" * 100_000), BackendUnavailable),
    "not a number": (lambda body: body.replace(b'"Hello"', b"NaN"), BackendUnavailable),
    "a line of 17 MiB": (lambda body: body.replace(b"Hello", b"a" * (17 << 20)), BackendUnavailable),
}


@pytest.mark.parametrize("kind", SERVER_KINDS)
@pytest.mark.parametrize("change", BYTES)
def test_odd_bytes_in_a_stream(kind: ServerKind, change: str, tmp_path: Path) -> None:
    changed, expected = BYTES[change]
    _check(_came(kind, changed(whole_reply(kind)), tmp_path), expected)


EVENT_BYTES: dict[str, tuple[Callable[[bytes], bytes], Expected]] = {
    "lines that end with \\r": (lambda body: body.replace(b"\n", b"\r"), SAID),
    "no blank after data:": (lambda body: body.replace(b"data: ", b"data:"), SAID),
    "comments between": (lambda body: body.replace(b"\n\n", b"\n\n: keep-alive\n\n"), SAID),
    "comments inside": (lambda body: body.replace(b"data: ", b": x\ndata: "), SAID),
    "ids and times to come back": (lambda body: body.replace(b"data: ", b"id: 7\nretry: 1\ndata: "), SAID),
    "no blank line between events": (lambda body: body.replace(b"\n\n", b"\n"), SAID),
    "three blank lines between events": (lambda body: body.replace(b"\n\n", b"\n\n\n\n"), SAID),
    "an event over several lines": (lambda body: body.replace(b', "', b',\ndata: "'), SAID),
    "events of no name that anyone knows": (lambda body: b"event: x\ndata: {}\n\n" + body, SAID),
    "null events": (lambda body: body.replace(b"\n\n", b"\n\ndata: null\n\n", 2), SAID),
    "an error without an event": (
        lambda body: body[: body.index(b"\n\n") + 2] + b'{"error": {"message": "oops", "type": "server_error"}}\n',
        BackendUnavailable,
    ),
    "an error that is a text": (lambda body: b'data: {"error": "no such luck"}\n\n', LlmspellError),
    "an error that is the whole body": (
        lambda body: b'{"error": {"message": "boom", "type": "server_error"}}',
        BackendUnavailable,
    ),
    "an error on several lines": (
        lambda body: json.dumps({"error": {"message": "boom", "type": "api_error"}}, indent=2).encode(),
        BackendUnavailable,
    ),
    "17 MiB in many lines of data": (
        lambda body: (b"data: " + b" " * 1000 + b"\n") * 17_500 + body,
        BackendUnavailable,
    ),
}


@pytest.mark.parametrize("kind", SSE_KINDS)
@pytest.mark.parametrize("change", EVENT_BYTES)
def test_odd_events_in_a_stream(kind: ServerKind, change: str, tmp_path: Path) -> None:
    changed, expected = EVENT_BYTES[change]
    came = _came(kind, changed(whole_reply(kind)), tmp_path)
    if expected is LlmspellError:
        assert isinstance(came, LlmspellError)
        assert came.code != "internal"
        assert "no such luck" in came.message
    else:
        _check(came, expected)


def test_an_error_of_ollama_after_its_first_line_has_its_words(tmp_path: Path) -> None:
    body = whole_reply("ollama").split(b"\n")[0] + b'\n{"error": "the sky fell"}\n'
    came = _came("ollama", body, tmp_path)
    assert type(came) is ModelError
    assert "the sky fell" in came.message


@pytest.mark.parametrize("kind", SERVER_KINDS)
@pytest.mark.parametrize("odd", ODD)
def test_any_value_in_any_field_is_the_reply_or_a_typed_error(kind: ServerKind, odd: str, tmp_path: Path) -> None:
    events = EVENTS[kind]
    bodies = [
        stream(kind, [*events[:at], with_value(event, path, ODD[odd]), *events[at + 1 :]])
        for at, event in enumerate(events)
        for path in leaves(event)
    ]
    left = iter(bodies)

    async def all_of_them(provider: Any) -> list[Any]:
        return [await chat_with(provider) for _ in bodies]

    with RawServer(answering_posts(lambda asked: (http(next(left)),))) as server:
        origin = server.origin
        came = with_provider(kind, server.origin, tmp_path, all_of_them, seconds=60)
    for one, body in zip(came, bodies, strict=True):
        if isinstance(one, LlmspellError):
            assert type(one) is BackendUnavailable, (one, body)
            assert origin in one.message
        else:
            assert one.message.content in (
                SAID,
                "Hello",
                " there",
                "",
                "odd there",
                "Helloodd",
                "Hello thereodd",
                "oddHello there",
                "odd",
            ), body
    if odd == "null":
        assert sum(isinstance(one, LlmspellError) for one in came) <= 4
