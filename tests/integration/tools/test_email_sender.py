"""email-sender: every parameter, alias and error, with a real mail server."""

from __future__ import annotations

import asyncio
import email
import email.policy
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from llmspell_protocol.errors import ConfigError, Forbidden, InvalidRequest, Timeout, Unsupported
from tests.support.tool_calls import Called, call_tool
from tests.support.web_server import own_certificate


class Taking:
    """Keeps what comes; refuses addresses that begin with `bad` and subjects that say spam."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.encrypted: list[bool] = []

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address.startswith("bad"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        if b"Subject: spam" in (envelope.content or b""):
            return "554 not wanted"
        self.envelopes.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return "250 taken"

    def message(self) -> EmailMessage:
        """The only one that came."""
        (envelope,) = self.envelopes
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return message


@contextmanager
def mail_server(handler: Any, **options: Any) -> Iterator[int]:
    """A mail server on a port that the system chooses, for as long as the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(_started(handler, options), loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_closed(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _started(handler: Any, options: Mapping[str, Any]) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: SMTP(handler, **options), "127.0.0.1", 0)


async def _closed(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture
def taking() -> Taking:
    return Taking()


@pytest.fixture
def port(taking: Taking) -> Iterator[int]:
    with mail_server(taking) as port:
        yield port


MESSAGE = {"to": "a@example.com", "subject": "Hello", "body": "The text"}


def send(port: int, arguments: Mapping[str, Any], net: tuple[str, ...] = ("127.0.0.1",), **settings: Any) -> Called:
    tables = {
        "email": {
            "smtp_host": "127.0.0.1",
            "smtp_port": port,
            "from_address": "me@example.org",
            "enable_tls": False,
            **settings,
        }
    }
    return call_tool("email-sender", arguments, net=net, tables=tables)


def test_a_message_is_taken_by_the_mail_server(taking: Taking, port: int) -> None:
    called = send(port, {**MESSAGE, "subject": "Grüße", "body": "Ein Text\nmit ö", "provider": "SMTP"})
    assert called.result["status"] == "sent"
    assert called.result["provider"] == "smtp"
    assert called.result["to"] == ["a@example.com"]
    assert called.result["from"] == "me@example.org"
    assert called.output == called.result["message_id"] == taking.message()["Message-ID"]
    assert taking.message()["Subject"] == "Grüße"
    assert taking.message()["From"] == "me@example.org"
    assert taking.message()["To"] == "a@example.com"
    assert taking.message()["Date"]
    assert taking.message().get_content().splitlines() == ["Ein Text", "mit ö"]
    assert taking.message().get_content_type() == "text/plain"
    assert called.outcome is not None
    assert called.outcome.message == "sent to a@example.com"


@pytest.mark.parametrize("name", ["body", "text", "content", "message"])
def test_a_body_may_be_html(taking: Taking, port: int, name: str) -> None:
    send(port, {"to": ["a@example.com"], "subject": "x", name: "<b>bold</b>", "html": True})
    assert taking.message().get_content_type() == "text/html"
    assert taking.message().get_content().splitlines() == ["<b>bold</b>"]


@pytest.mark.parametrize("name", ["from", "sender"])
def test_all_addresses_are_served(taking: Taking, port: int, name: str) -> None:
    send(
        port,
        {
            **MESSAGE,
            name: "Me <other@example.org>",
            "to": "A <a@example.com>, b@example.com",
            "cc": ["c@example.com"],
            "bcc": "d@example.com",
            "reply_to": "answers@example.org",
        },
    )
    envelope = taking.envelopes[0]
    assert envelope.mail_from == "other@example.org"
    assert envelope.rcpt_tos == ["a@example.com", "b@example.com", "c@example.com", "d@example.com"]
    assert taking.message()["From"] == "Me <other@example.org>"
    assert taking.message()["Cc"] == "c@example.com"
    assert taking.message()["Reply-To"] == "answers@example.org"
    assert "d@example.com" not in taking.message().as_string()


def test_addresses_that_the_server_refuses_are_told(taking: Taking, port: int) -> None:
    called = send(port, {**MESSAGE, "to": "a@example.com, bad@example.com"})
    assert called.result["refused"] == {"bad@example.com": "550 no such mailbox"}
    assert taking.envelopes[0].rcpt_tos == ["a@example.com"]
    assert "no such mailbox" in send(port, {**MESSAGE, "to": "bad@example.com"}).said
    assert "refused the message: 554 not wanted" in send(port, {**MESSAGE, "subject": "spam"}).said


@pytest.mark.parametrize(
    "given",
    [
        {"subject": "x\r\nBcc: all@example.com"},
        {"from": "me@example.org\nBcc: all@example.com"},
        {"to": ["a@example.com\r\nRCPT TO:<b@example.com>"]},
        {"reply_to": "x\ny"},
    ],
)
def test_a_header_can_t_hold_another_one(taking: Taking, port: int, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=r"line end|not an address"):
        send(port, {**MESSAGE, **given})
    assert taking.envelopes == []


def test_a_text_can_t_end_the_message(taking: Taking, port: int) -> None:
    send(port, {**MESSAGE, "body": "one\r\n.\r\nMAIL FROM:<x@example.com>"})
    assert len(taking.envelopes) == 1
    assert "MAIL FROM:<x@example.com>" in taking.message().get_content()


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    certificate = own_certificate(tmp_path / "own.pem", "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(certificate))
    return context


def test_mail_is_encrypted_before_a_password_is_sent(taking: Taking, tls: ssl.SSLContext) -> None:
    given: list[LoginPassword] = []

    def login(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        given.append(data)
        return AuthResult(success=data.password == b"right", handled=False)

    with mail_server(taking, tls_context=tls, authenticator=login, auth_required=True) as port:
        send(port, MESSAGE, enable_tls=True, smtp_username="me", smtp_password="right")
        refused = send(port, MESSAGE, enable_tls=True, smtp_username="me", smtp_password="wrong")
    assert taking.encrypted == [True]
    assert given[0].login == b"me"
    assert "does not accept tools.email.smtp_username" in refused.said
    assert "wrong" not in refused.said


def test_a_server_that_can_t_encrypt_is_sent_nothing(taking: Taking, port: int) -> None:
    called = send(port, MESSAGE, enable_tls=True, smtp_username="me", smtp_password="s3cret")
    assert called.failure is not None
    assert called.failure.code == "unsupported"
    assert "STARTTLS" in called.said
    assert taking.envelopes == []


def test_a_certificate_of_no_known_authority_is_refused(
    taking: Taking, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with mail_server(taking, tls_context=tls) as port:
        assert "certificate" in send(port, MESSAGE, enable_tls=True).said
        tables: Mapping[str, Mapping[str, Any]] = {
            "email": {"smtp_host": "127.0.0.1", "smtp_port": port, "from_address": "me@example.org"},
            "network": {"verify_ssl": False},
        }
        assert call_tool("email-sender", MESSAGE, net=["127.0.0.1"], tables=tables).result["status"] == "sent"


def test_a_mail_server_that_is_not_there_or_not_allowed_is_told(port: int) -> None:
    with pytest.raises(Forbidden, match=r"Host blocked: 127\.0\.0\.1"):
        send(port, MESSAGE, net=("*",))
    with pytest.raises(ConfigError, match="no mail server is set") as caught:
        send(port, MESSAGE, smtp_host=None)
    assert caught.value.hint == "llmspell config set tools.email.smtp_host HOST"


def test_a_refused_connection_is_told(taking: Taking) -> None:
    with mail_server(taking) as port:
        pass
    assert f"can't connect to 127.0.0.1:{port}" in send(port, MESSAGE).said


@pytest.mark.parametrize(("provider", "why"), [("sendgrid", "smtp.sendgrid.net"), ("SES", "Amazon SES")])
def test_what_is_not_done_says_why(port: int, provider: str, why: str) -> None:
    with pytest.raises(Unsupported, match=why):
        send(port, {**MESSAGE, "provider": provider})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"provider": "pigeon"}, "Unknown provider: pigeon"),
        ({"to": "nowhere"}, "'nowhere' is not an address"),
        ({"to": []}, "Missing required parameter 'to'"),
        ({"to": None}, "Missing required parameter 'to'"),
        ({"subject": None}, "Missing required parameter 'subject'"),
        ({"body": None}, "Missing required parameter 'body'"),
        ({"to": [f"a{number}@example.com" for number in range(101)]}, "100 addresses at most"),
    ],
)
def test_a_message_that_makes_no_sense_is_refused(port: int, given: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        send(port, {**MESSAGE, **given})


def test_a_sender_has_to_be_known(port: int) -> None:
    with pytest.raises(InvalidRequest, match="Missing required parameter 'from'"):
        send(port, MESSAGE, from_address=None)


def test_a_mail_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {"smtp_host": "127.0.0.1", "smtp_port": silent.getsockname()[1], "from_address": "me@example.org"}
        tables: Mapping[str, Mapping[str, Any]] = {"email": settings, "network": {"timeout_seconds": 0.2}}
        with pytest.raises(Timeout, match="timed out"):
            call_tool("email-sender", MESSAGE, net=["127.0.0.1"], tables=tables)
