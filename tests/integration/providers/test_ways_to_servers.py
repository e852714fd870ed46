"""The way to a server: proxies, redirects, keys, certificates, connections that were closed meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import BackendUnavailable, Busy, ConfigError, LlmspellError
from llmspell_providers.base import Provider
from tests.support.raw_http import Plan, RawAsked, RawServer, http
from tests.support.server_kinds import (
    SAID,
    SECRET,
    SERVER_KINDS,
    ServerKind,
    answering_posts,
    chat_with,
    whole_reply,
    with_provider,
)

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
FAR = "http://models.example"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def _both(provider: Provider) -> tuple[Any, Any, Any]:
    return await provider.health(), await _listed(provider), await chat_with(provider)


async def _listed(provider: Provider) -> Any:
    try:
        return await provider.list_models()
    except LlmspellError as error:
        return error


@pytest.mark.parametrize("kind", SERVER_KINDS)
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *[
            (name, value)
            for name in ("ALL_PROXY", "HTTP_PROXY", "http_proxy")
            for value in ("socks5://127.0.0.1:1", "foo://x")
        ],
        *[("all_proxy", value) for value in ("socks5h://x", "http://x:99999", "http://127.0.0.1:9", "?")],
        *[("OLLAMA_HOST", value) for value in (" 127.0.0.1 ", "127.0.0.1:99999", "nonsense://[")],
    ],
)
def test_a_server_of_this_machine_is_asked_whatever_the_environment_says(
    kind: ServerKind, variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(answering_posts((http(whole_reply(kind)),))) as server:
        monkeypatch.setenv(variable, value)
        health, listed, said = with_provider(kind, server.origin, tmp_path, _both, seconds=20)
    assert (health.ready, health.reason) == (True, None)
    assert len(listed) == 1
    assert said.message.content == SAID


@pytest.mark.parametrize("kind", SERVER_KINDS)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_a_server_elsewhere_is_asked_through_the_proxy_by_status_and_chat_alike(
    kind: ServerKind, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine that is busy may not answer within the second that a look has.
    for module in ("ollama.server", "remote.provider"):
        monkeypatch.setattr(f"llmspell_providers.{module}.PROBE_DEADLINE_S", 60.0)
    with RawServer(_proxied(kind)) as proxy:
        monkeypatch.setenv(variable, proxy.origin)
        health, listed, said = with_provider(kind, FAR, tmp_path, _both, seconds=90)
        assert (health.ready, len(listed), said.message.content) == (True, 1, SAID)
        assert {asked.path.startswith(FAR) for asked in proxy.asked} == {True}
        before = len(proxy.asked)
        monkeypatch.setenv("NO_PROXY", "models.example")
        health, listed, said = with_provider(kind, FAR, tmp_path, _both, seconds=20)
    assert not health.ready
    assert type(listed) is type(said) is BackendUnavailable
    assert len(proxy.asked) == before


def _proxied(kind: ServerKind) -> Any:
    plan = answering_posts((http(whole_reply(kind)),))
    return lambda asked: plan(RawAsked(asked.method, asked.path.removeprefix(FAR), asked.head, asked.body))


@pytest.mark.parametrize("kind", SERVER_KINDS)
@pytest.mark.parametrize("value", ["socks5://127.0.0.1:1080", "socks5h://127.0.0.1:1080", "foo://x", "http://x:99999"])
def test_a_proxy_that_cant_be_used_is_named_by_status_and_chat_alike(
    kind: ServerKind, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmspell_protocol.proxies.SOCKS_PACKAGE", "no_such_package_at_all")
    monkeypatch.setenv("ALL_PROXY", value)
    health, listed, said = with_provider(kind, FAR, tmp_path, _both, seconds=20)
    assert not health.ready
    assert "ALL_PROXY" in health.reason
    for error in (listed, said):
        assert type(error) is ConfigError
        assert "ALL_PROXY" in error.message
        assert ("pip install 'httpx[socks]'" in error.hint) == value.startswith("socks")


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_a_proxy_that_does_not_answer_is_named_beside_the_server(
    kind: ServerKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", "http://me:hidden@127.0.0.1:9")
    health, listed, said = with_provider(kind, FAR, tmp_path, _both, seconds=20)
    for text in (health.reason, listed.message, said.message):
        assert "http://127.0.0.1:9" in text
        assert "all_proxy" in text
        assert "hidden" not in text


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_certificates_that_cant_be_read_are_named(
    kind: ServerKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with RawServer(lambda asked: ()) as server:
        health, listed, said = with_provider(
            kind, server.origin.replace("http:", "https:"), tmp_path, _both, seconds=20
        )
    assert not health.ready
    assert "SSL_CERT_FILE" in health.reason
    assert "SSL_CERT_FILE" in listed.message
    assert "SSL_CERT_FILE" in said.message


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_https_at_a_server_that_speaks_http_is_said(kind: ServerKind, tmp_path: Path) -> None:
    with RawServer(lambda asked: (http(b"{}"), "close")) as server:
        health, listed, said = with_provider(
            kind, server.origin.replace("http:", "https:"), tmp_path, _both, seconds=20
        )
    assert not health.ready
    assert "TLS" in health.reason
    for error in (listed, said):
        assert type(error) is BackendUnavailable
        assert "does not speak TLS" in error.message


@pytest.mark.parametrize("kind", SERVER_KINDS)
@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
def test_no_request_goes_on_to_another_server_so_that_no_key_does(
    kind: ServerKind, status: str, tmp_path: Path
) -> None:
    with RawServer(lambda asked: (http(whole_reply(kind)),)) as other:
        with RawServer(lambda asked: (http(b"", f"Location: {other.origin}{asked.path}", status=status),)) as server:
            health, listed, said = with_provider(kind, server.origin, tmp_path, _both, seconds=20)
        assert other.asked == []
        where = other.origin
    assert where in health.reason
    for error in (listed, said):
        assert type(error) is BackendUnavailable
        assert where in error.message
        assert not error.retryable


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_a_redirect_inside_of_a_server_is_followed_with_all_that_was_sent(kind: ServerKind, tmp_path: Path) -> None:
    good = answering_posts((http(whole_reply(kind)),))

    def plan(asked: RawAsked) -> Plan:
        if asked.path.startswith("/moved"):
            return good(RawAsked(asked.method, asked.path.removeprefix("/moved"), asked.head, asked.body))
        return (http(b"", f"Location: /moved{asked.path}", status="307 Temporary Redirect"),)

    with RawServer(plan) as server:
        health, listed, said = with_provider(kind, server.origin, tmp_path, _both, seconds=20)
        assert (health.ready, len(listed), said.message.content) == (True, 1, SAID)
        posts = [asked for asked in server.asked if asked.method == "POST"]
    assert posts[0].body == posts[1].body != b""
    assert (SECRET in posts[1].head) == (kind != "ollama")


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(kind: ServerKind, tmp_path: Path) -> None:
    async def three_times(provider: Provider) -> list[Any]:
        return [await chat_with(provider) for _ in range(3)]

    with RawServer(answering_posts((http(whole_reply(kind)), "close"))) as server:
        came = with_provider(kind, server.origin, tmp_path, three_times, seconds=20)
    assert [one.message.content for one in came] == [SAID] * 3


@pytest.mark.parametrize("kind", SERVER_KINDS)
@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_kept_connection_that_is_closed_under_a_request_is_replaced_by_a_new_one(
    kind: ServerKind, end: Any, tmp_path: Path
) -> None:
    posts: list[RawAsked] = []

    def post(asked: RawAsked) -> Plan:
        posts.append(asked)
        return (end,) if len(posts) == 2 else (http(whole_reply(kind)),)

    async def twice(provider: Provider) -> list[Any]:
        return [await chat_with(provider) for _ in range(2)]

    with RawServer(answering_posts(post)) as server:
        came = with_provider(kind, server.origin, tmp_path, twice, seconds=20)
    assert [one.message.content for one in came] == [SAID] * 2
    assert len(posts) == 3


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_one_connection_serves_many_replies(kind: ServerKind, tmp_path: Path) -> None:
    async def three_times(provider: Provider) -> list[Any]:
        return [await chat_with(provider) for _ in range(3)]

    with RawServer(answering_posts((http(whole_reply(kind)),))) as server:
        came = with_provider(kind, server.origin, tmp_path, three_times, seconds=20)
        assert [one.message.content for one in came] == [SAID] * 3
        assert len(server.connected) - len([asked for asked in server.asked if asked.method == "GET"]) == 1


@pytest.mark.parametrize(
    ("asked_for", "waits"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("-5", 0.0),
        *[(text, None) for text in ("nan", "inf", "1e308", "9" * 400, "soon", "", "Mon, 99 Foo 2026 00:00:00 GMT")],
        *[(text, None) for text in ("Fri, 31 Dec 9999 23:59:59 GMT", "1" * 20)],
        *[(text, 0.0) for text in ("Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 +2359")],
    ],
)
def test_a_time_to_come_back_that_is_none_is_none(asked_for: str, waits: float | None, tmp_path: Path) -> None:
    answer = http(b'{"error": {"message": "slow down"}}', f"Retry-After: {asked_for}", status="429 T")
    with RawServer(answering_posts((answer,))) as server:
        came = with_provider("openai", server.origin, tmp_path, chat_with, seconds=20)
    assert type(came) is Busy
    assert came.details["retry_after_s"] == waits
    assert json.dumps(came.to_content(), allow_nan=False)


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_a_name_and_a_password_in_the_address_are_sent_by_status_and_chat_alike(
    kind: ServerKind, tmp_path: Path
) -> None:
    with RawServer(answering_posts((http(whole_reply(kind)),))) as server:
        origin = server.origin.replace("http://", "http://me:se%40cret@")
        health, listed, said = with_provider(kind, origin, tmp_path, _both, seconds=20)
        assert (health.ready, len(listed), said.message.content) == (True, 1, SAID)
        assert all("authorization: basic bwu6c2vay3jlda==" in asked.head.lower() for asked in server.asked)
    assert "se%40cret" not in health.base_url


def test_an_endless_list_of_pages_is_given_up(tmp_path: Path) -> None:
    page = json.dumps({"data": [{"id": "m"}], "has_more": True, "last_id": "m"}).encode()
    with RawServer(
        lambda asked: (http(page.replace(b'"last_id": "m"', b'"last_id": "%d"' % len(server.asked))),)
    ) as server:
        listed = with_provider("anthropic", server.origin, tmp_path, _listed, seconds=20)
        assert len(listed) == len(server.asked) == 16
