"""service-checker: every kind of check, alias and error, against real services."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import Forbidden, InvalidRequest, Unsupported
from tests.support.name_server import name_server
from tests.support.tool_calls import Called, call_tool
from tests.support.web_server import WebServer, own_certificate, web_server


def ask(target: str, kind: str, net: tuple[str, ...] = ("127.0.0.1",), servers: str = "", **more: Any) -> Called:
    tables: Mapping[str, Any] = {"service-checker": {"nameservers": [servers]}} if servers else {}
    return call_tool("service-checker", {"target": target, "check_type": kind, **more}, net=net, tables=tables)


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "tcp://127.0.0.1:{}", "127.0.0.1:{}/"])
def test_a_port_that_listens_is_available(web: WebServer, form: str) -> None:
    called = ask(form.format(web.port), "tcp")
    assert called.output is True
    assert called.result["status"] == "available"
    assert called.result["metadata"] == {"address": "127.0.0.1", "port": web.port}
    assert called.result["check_type"] == "tcp"
    assert called.result["timeout_seconds"] == 5
    assert called.result["response_time_ms"] > 0
    assert "error" not in called.result


def test_a_port_that_does_not_listen_is_a_result_and_no_error(closed_port: int) -> None:
    called = ask(f"127.0.0.1:{closed_port}", "TCP")
    assert called.output is False
    assert called.result["status"] == "unavailable"
    assert "connection refused" in called.result["error"]


@pytest.mark.parametrize(("status", "available"), [(200, True), (204, True), (302, True), (404, False), (503, False)])
def test_a_web_server_is_available_by_its_status(web: WebServer, status: int, available: bool) -> None:
    called = ask(web.page("/", "", status), "http")
    assert called.output is available
    assert called.result["metadata"]["status_code"] == status
    assert (called.result.get("error") is None) is available
    assert len(web.asked) == 1


def test_a_host_alone_is_asked_for_its_first_page(web: WebServer) -> None:
    web.page("/", "hello")
    called = call_tool(
        "service-checker", {"url": f"127.0.0.1:{web.port}", "type": "http", "timeout": 20}, net=["127.0.0.1"]
    )
    assert called.result["metadata"]["url"] == web.url()
    assert called.result["timeout_seconds"] == 20


def test_https_is_available_where_the_certificate_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = own_certificate(tmp_path / "own.pem", "127.0.0.1")
    with web_server(certificate=certificate) as server:
        server.page("/", "hello")
        wrong = ask(server.url(), "https")
        assert wrong.result["available"] is False
        assert "certificate" in wrong.result["error"]
        monkeypatch.setenv("SSL_CERT_FILE", os.fspath(certificate))
        assert ask(server.url(), "https").output is True


def test_what_does_not_answer_in_time_is_told(web: WebServer) -> None:
    web.pages["/"] = lambda request: request.until_gone(b"", pause_s=0.05)
    called = ask(web.url(), "http", timeout_seconds=0.2)
    assert called.result["status"] == "timeout"
    assert "timed out after 0.2s" in called.result["error"]


RECORDS = {
    "both.example": [("A", "192.0.2.7"), ("A", "192.0.2.8"), ("AAAA", "2001:db8::7")],
    "alias.example": [("CNAME", "both.example.")],
    "mail.example": [("MX", "10 mx.example.")],
}


def test_a_name_is_available_by_its_addresses() -> None:
    with name_server(RECORDS) as server:
        both = ask("Both.Example.", "dns", ("*",), server.address)
        assert both.output is True
        assert sorted(both.result["metadata"]["records"]["A"]) == ["192.0.2.7", "192.0.2.8"]
        assert both.result["metadata"]["records"]["AAAA"] == ["2001:db8::7"]
        assert len(both.result["metadata"]["addresses"]) == 3
        alias = ask("alias.example", "dns", ("example",), server.address)
        assert alias.result["metadata"]["canonical_name"] == "both.example"


def test_a_name_without_addresses_is_not_available() -> None:
    with name_server(RECORDS) as server:
        assert ask("gone.example", "dns", ("*",), server.address).result["error"] == "there is no name gone.example"
        assert ask("mail.example", "dns", ("*",), server.address).result["error"] == "mail.example has no address"
    with name_server(RECORDS, silent=True) as server:
        called = ask("both.example", "dns", ("*",), server.address, timeout_seconds=0.3)
        assert called.result["status"] == "timeout"


@pytest.mark.parametrize(
    ("target", "kind"),
    [("127.0.0.2:80", "tcp"), ("http://127.0.0.2/", "http"), ("https://127.0.0.2/", "https"), ("a.example", "dns")],
)
def test_a_host_that_is_not_allowed_is_refused(target: str, kind: str) -> None:
    with pytest.raises(Forbidden, match="Host blocked"):
        ask(target, kind)


@pytest.mark.parametrize(
    ("target", "kind", "why"),
    [
        ("127.0.0.1", "tcp", "is not host:port"),
        ("::1:80", "tcp", "is not host:port"),
        ("127.0.0.1:99999", "tcp", "not a port"),
        ("https://127.0.0.1/", "http", "begins with http://"),
        ("ftp://127.0.0.1/", "http", "begins with http://"),
        ("a b", "dns", "not the name"),
        ("127.0.0.1:80", "udp", "Unknown check_type: udp"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(target: str, kind: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        ask(target, kind)


def test_missing_parameters_are_named() -> None:
    with pytest.raises(InvalidRequest, match="Missing required parameter 'check_type'"):
        call_tool("service-checker", {"target": "127.0.0.1:80"}, net=["127.0.0.1"])
    with pytest.raises(InvalidRequest, match="Missing required parameter 'target'"):
        call_tool("service-checker", {"check_type": "tcp"}, net=["127.0.0.1"])


def test_without_its_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dns.resolver", None)
    with pytest.raises(Unsupported, match="need the package dnspython") as caught:
        ask("a.example", "dns", ("*",))
    assert "[tools]" in (caught.value.hint or "")
