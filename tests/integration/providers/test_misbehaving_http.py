"""Servers that break HTTP itself, in every way that was thought of: a typed error or the reply, never a hang."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from llmspell_protocol.errors import BackendUnavailable, Busy, Internal, InvalidRequest, LlmspellError, Timeout
from llmspell_protocol.models import HealthStatus, LocalModel
from llmspell_providers.base import Provider
from tests.support.raw_http import Plan, RawAsked, RawServer, http
from tests.support.server_kinds import (
    LISTS,
    SAID,
    SECRET,
    SERVER_KINDS,
    ServerKind,
    answering_posts,
    chat_with,
    whole_reply,
    with_provider,
)

SSE = "Content-Type: text/event-stream"
Expected = str | type[LlmspellError]
Way = Callable[[bytes], Plan]
"""What is sent for a request, made from the body of a good reply."""


def _chunked(body: bytes, size: int = 7) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"


def _head(*fields: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]).encode()


def _bomb() -> bytes:
    return gzip.compress(b" " * (64 << 20), 1)


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
WAYS: dict[str, tuple[Way, Expected]] = {
    "a good one": (lambda body: (http(body, SSE),), SAID),
    "chunks of seven bytes": (lambda body: (_head("Transfer-Encoding: chunked"), _chunked(body)), SAID),
    "chunks with extensions": (
        lambda body: (_head("Transfer-Encoding: chunked"), _chunked(body).replace(b"7\r\n", b"7;a=b\r\n", 1)),
        SAID,
    ),
    "no length, ended by the connection": (lambda body: (_head(SSE), body, "close"), SAID),
    "early hints before it": (lambda body: (HINTS, http(body, SSE)), SAID),
    "go on, twice, before it": (lambda body: (b"HTTP/1.1 100 Continue\r\n\r\n" * 2, http(body, SSE)), SAID),
    "lines of the head that end with \\n": (lambda body: (http(body, SSE).replace(b"\r\n", b"\n", 3),), SAID),
    "compressed though nobody asked": (lambda body: (http(gzip.compress(body), "Content-Encoding: gzip"),), SAID),
    "compressed with deflate": (lambda body: (http(zlib.compress(body), "Content-Encoding: deflate"),), SAID),
    "compressed as identity": (lambda body: (http(body, "Content-Encoding: identity"),), SAID),
    "a status without a reason": (lambda body: (http(body, SSE, status="200"),), SAID),
    "byte by byte": (lambda body: tuple(bytes([one]) for one in http(body, SSE)), SAID),
    "a head that never ends": (lambda body: (b"HTTP/1.1 200 OK\r\nX-A: ", "drip"), Timeout),
    "a head of a megabyte": (
        lambda body: (b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * (1 << 20), "close"),
        BackendUnavailable,
    ),
    "a body that never ends": (lambda body: (_head(SSE), "drip"), Timeout),
    "silence": (lambda body: ("hang",), Timeout),
    "no status line": (lambda body: (b"hello\r\n\r\n" + body, "close"), BackendUnavailable),
    "the body alone": (lambda body: (body, "close"), BackendUnavailable),
    "an odd version": (lambda body: (http(body, SSE).replace(b"HTTP/1.1", b"HTTP/9.9"), "close"), SAID),
    "a status that is not a number": (lambda body: (http(body, status="OK"), "close"), BackendUnavailable),
    "status 101": (
        lambda body: (http(b"", "Upgrade: x", "Connection: upgrade", status="101 S"), "close"),
        BackendUnavailable,
    ),
    "status 199 without end": (lambda body: (b"HTTP/1.1 199 X\r\n\r\n" * 100, "close"), BackendUnavailable),
    "status 204": (lambda body: (http(b"", status="204 No Content"),), BackendUnavailable),
    "status 304": (lambda body: (http(b"", status="304 Not Modified"),), BackendUnavailable),
    "status 999": (lambda body: (http(b"{}", status="999 X"),), BackendUnavailable),
    "status 418": (lambda body: (http(b"teapot", status="418 T"),), InvalidRequest),
    "a redirect without an address": (lambda body: (http(b"", status="307 T"),), BackendUnavailable),
    "a redirect in circles": (lambda body: (http(b"", "Location: /around", status="307 T"),), BackendUnavailable),
    "a redirect that loses the body": (lambda body: (http(b"", "Location: /x", status="302 F"),), BackendUnavailable),
    "a redirect to no address": (lambda body: (http(b"", "Location: http://[", status="308 P"),), BackendUnavailable),
    "a redirect to a file": (
        lambda body: (http(b"", "Location: file:///etc/passwd", status="307 T"),),
        BackendUnavailable,
    ),
    "an empty body": (lambda body: (http(b"", SSE),), BackendUnavailable),
    "a login page": (
        lambda body: (http(b"<!doctype html><title>Log in</title>", "Content-Type: text/html"),),
        BackendUnavailable,
    ),
    "null": (lambda body: (http(b"null"),), BackendUnavailable),
    "a list": (lambda body: (http(b"[1, 2]\n"),), BackendUnavailable),
    "a number": (lambda body: (http(b"3\n"),), BackendUnavailable),
    "nothing at all": (lambda body: ("close",), BackendUnavailable),
    "a reset at once": (lambda body: ("reset",), BackendUnavailable),
    "a reset in the middle": (lambda body: (_head(SSE), body[:60], "reset"), BackendUnavailable),
    "a length that is too long": (
        lambda body: (_head(f"Content-Length: {len(body)}"), body[: len(body) // 2], "close"),
        BackendUnavailable,
    ),
    "a length that is too short": (lambda body: (_head("Content-Length: 50") + body, "close"), BackendUnavailable),
    "a length below zero": (lambda body: (_head("Content-Length: -1") + body, "close"), BackendUnavailable),
    "a length in other digits": (
        lambda body: (_head().replace(b"\r\n\r\n", b"\r\nContent-Length: \xb2\r\n\r\n") + body, "close"),
        BackendUnavailable,
    ),
    "two lengths": (lambda body: (_head("Content-Length: 5", "Content-Length: 6") + body, "close"), BackendUnavailable),
    "chunks that are none": (
        lambda body: (_head("Transfer-Encoding: chunked") + b"zz\r\n" + body, "close"),
        BackendUnavailable,
    ),
    "a chunk of any size": (
        lambda body: (_head("Transfer-Encoding: chunked") + b"f" * 30 + b"\r\n" + body, "close"),
        BackendUnavailable,
    ),
    "chunks that break off": (
        lambda body: (_head("Transfer-Encoding: chunked"), _chunked(body)[:60], "close"),
        BackendUnavailable,
    ),
    "an odd transfer": (lambda body: (_head("Transfer-Encoding: gzip, rot13") + body, "close"), BackendUnavailable),
    "a bomb": (lambda body: (http(_bomb(), "Content-Encoding: gzip"),), BackendUnavailable),
    "compressed as it is not": (lambda body: (http(body, "Content-Encoding: gzip"),), BackendUnavailable),
    "compressed twice": (
        lambda body: (http(gzip.compress(gzip.compress(body)), "Content-Encoding: gzip, gzip"),),
        BackendUnavailable,
    ),
    "compressed otherwise": (lambda body: (http(body, "Content-Encoding: br"),), BackendUnavailable),
    "a line without an end": (lambda body: (_head(SSE) + b"data: " + b"a" * (17 << 20), "hang"), BackendUnavailable),
    "an alert of TLS": (lambda body: (b"\x15\x03\x01\x00\x02\x02\x46", "close"), BackendUnavailable),
    "a header that is none": (lambda body: (_head("no colon here") + body, "close"), BackendUnavailable),
    "a header with a null": (lambda body: (_head("X-A: a\x00b") + body, "close"), BackendUnavailable),
    "503 with a page": (lambda body: (http(b"<html>maintenance</html>", status="503 S"),), Busy),
}


HARMLESS_FOR_LISTS = ("a list",)
"""What is no stream may be a list."""


@pytest.mark.parametrize("kind", SERVER_KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_a_chat_with_a_server_that_breaks_http_is_the_reply_or_a_typed_error(
    kind: ServerKind, way: str, tmp_path: Path
) -> None:
    make, expected = WAYS[way]
    with RawServer(answering_posts(make(whole_reply(kind)))) as server:
        came = with_provider(kind, server.origin, tmp_path, chat_with, seconds=1 if expected is Timeout else 20)
    if isinstance(expected, str):
        assert not isinstance(came, LlmspellError), came
        assert came.message.content == expected
    else:
        assert type(came) is expected, came


@pytest.mark.parametrize("kind", SERVER_KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_status_and_list_agree_about_a_server_that_breaks_http(kind: ServerKind, way: str, tmp_path: Path) -> None:
    make, expected = WAYS[way]

    async def look(provider: Provider) -> tuple[HealthStatus, list[LocalModel] | LlmspellError]:
        health = await provider.health()
        try:
            return health, await provider.list_models()
        except LlmspellError as error:
            return health, error

    def plan(asked: RawAsked) -> Plan:
        return make(json.dumps(LISTS.get(asked.path.partition("?")[0], {})).encode())

    with RawServer(plan) as server:
        health, listed = with_provider(kind, server.origin, tmp_path, look, seconds=1 if expected is Timeout else 20)
    assert type(listed) is not Internal
    assert SECRET not in f"{health} {listed}"
    if isinstance(expected, str):
        assert (health.ready, health.reason, health.available_models) == (True, None, 1)
        assert isinstance(listed, list)
        assert [one.id.removesuffix(":latest") for one in listed] == ["m"]
    elif way in HARMLESS_FOR_LISTS:
        assert health.ready == isinstance(listed, list)
    else:
        assert not health.ready
        assert health.reason
        assert isinstance(listed, LlmspellError)
