"""What pages, names and servers try in order to have a tool reach this machine, or to take its memory and its time.

The servers are real and on this machine. Names are resolved by a function that a test gives, since no test may ask the
network; what it says is all that differs from a call of a tool.
"""

from __future__ import annotations

import gzip
import os
import socket
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import Forbidden, InvalidRequest, Timeout
from llmspell_protocol.tools.permissions import Permissions
from llmspell_tools.limits.network import Network
from llmspell_tools.limits.web import Retry
from llmspell_tools.outcome import ToolFailure
from tests.support.name_server import name_server
from tests.support.web_server import Answering, WebServer, own_certificate, web_server

PUBLIC = "93.184.215.14"
Tables = Mapping[str, Mapping[str, Any]]
DEFAULT_BLOCKED = ("localhost", "127.0.0.1", "0.0.0.0")


class Names:
    """Names and the addresses that each look-up gives, the last one for all that follow."""

    def __init__(self, **names: Sequence[Sequence[str]]) -> None:
        self._names = {name.replace("_", "."): list(answers) for name, answers in names.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self._names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self._names[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def network(
    net: Sequence[str] = ("*",), blocked: Sequence[str] = (), names: Names | None = None, tables: Tables | None = None
) -> Network:
    return Network(Permissions(net=tuple(net), blocked=tuple(blocked)), tables or {}, resolver=names or Names())


def refused(caught: pytest.ExceptionInfo[Forbidden], name: str) -> None:
    assert caught.value.details["permission"] == "net"
    assert caught.value.details["name"] == name
    assert caught.value.message.startswith(f"Host blocked: {name}")
    assert "allow" in (caught.value.hint or "")


NOT_PUBLIC = [
    *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("192.0.0.8", "192.0.2.1", "198.18.0.1", "192.88.99.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fec0::1", "fd00::1", "ff02::1", "100::1", "2001:db8::1", "3fff::1"),
    # IPv4 inside of IPv6: mapped, compatible, NAT64 of both kinds, 6to4, Teredo
    *("::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001:0:1::1"),
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused_and_allowed_where_it_is_named(address: str) -> None:
    with pytest.raises(Forbidden) as caught:
        network().demand(address, 80)
    assert caught.value.details["permission"] == "net"
    with pytest.raises(Forbidden) as caught:
        network(names=Names(evil_example=[[address]])).demand("evil.example", 80)
    assert "evil.example has this address" in caught.value.message
    assert network(["*", address]).demand(address, 80)
    assert network(["*", address], names=Names(evil_example=[[address]])).demand("evil.example", 80) == [address]


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_a_public_address_is_reached(address: str) -> None:
    assert len(network().demand(address, 443)) == 1
    assert network(names=Names(a_example=[[address]])).demand("a.example", 443) == [address]


@pytest.mark.parametrize(
    "host",
    [
        *("2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "127.000.000.001"),
        *("[::1]", "::1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "①②⑦.⓪.⓪.①", "127。0。0。1", "１２７.0.0.1", "0"),
    ],
)
def test_another_way_to_write_this_machine_s_address_is_the_same_address(host: str) -> None:
    for given in (network(), network(["*", "10.0.0.1"]), network(blocked=DEFAULT_BLOCKED)):
        with pytest.raises(Forbidden, match="Host blocked"):
            given.demand(host, 80)
        url_host = f"[{host}]" if host == "::1" else host
        with pytest.raises((Forbidden, InvalidRequest)):
            given.web().request("GET", f"http://{url_host}/")


@pytest.mark.parametrize("host", ["localhost", "localhost.", "LOCALHOST", "api.localhost", "ⓛocalhost"])
def test_this_machine_s_name_is_refused_in_every_spelling(host: str) -> None:
    names = Names(localhost=[["127.0.0.1"]], api_localhost=[["::1"]])
    with pytest.raises(Forbidden, match="Host blocked"):
        network(names=names).demand(host, 80)
    with pytest.raises(Forbidden, match="Host blocked"):
        network(["*", "127.0.0.1"], blocked=["localhost"], names=names).demand(host, 80)
    assert network(["localhost", "api.localhost"], names=names).demand(host, 80)


def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    names = Names(evil_example=[[PUBLIC, "10.0.0.1"]])
    with pytest.raises(Forbidden, match=r"Host blocked: 10\.0\.0\.1: evil\.example has this address"):
        network(names=names).demand("evil.example", 80)


def test_a_domain_s_hosts_may_be_in_a_network_that_is_named() -> None:
    names = Names(wiki_corp_example=[["10.1.2.3"]], evil_corp_example=[["192.168.0.1"]])
    given = network(["corp.example", "10.0.0.0/8"], names=names)
    assert given.demand("wiki.corp.example", 80) == ["10.1.2.3"]
    with pytest.raises(Forbidden, match=r"192\.168\.0\.1"):
        given.demand("evil.corp.example", 80)
    with pytest.raises(Forbidden, match="blocked hosts"):
        network(blocked=["8.0.0.0/8"]).demand("8.8.8.8", 80)


def test_an_alias_of_a_private_name_is_refused() -> None:
    records = {
        "innocent.example": [("CNAME", "also.example.")],
        "also.example": [("CNAME", "inside.example.")],
        "inside.example": [("A", "10.1.2.3")],
        "cdn.example": [("CNAME", "outside.example.")],
        "outside.example": [("A", PUBLIC)],
    }
    with name_server(records) as server:
        given = Network(Permissions(net=("*",)), {}, resolver=server.addresses)
        with pytest.raises(Forbidden, match=r"Host blocked: 10\.1\.2\.3: innocent\.example has this address"):
            given.demand("innocent.example", 80)
        assert given.demand("cdn.example", 80) == [PUBLIC]


def test_a_blocked_host_is_refused_although_everything_is_allowed_and_by_its_address_too() -> None:
    names = Names(a_example=[[PUBLIC]], api_a_example=[[PUBLIC]], b_example=[[PUBLIC]])
    for host in ("a.example", "A.Example.", "api.a.example"):
        with pytest.raises(Forbidden) as caught:
            network(blocked=["a.example"], names=names).demand(host, 80)
        assert caught.value.details["setting"] == "tools.http_request.blocked_hosts"
    with pytest.raises(Forbidden, match="blocked"):
        network(blocked=[PUBLIC], names=names).demand("b.example", 80)
    assert network(blocked=["a.example"], names=names).demand("b.example", 80) == [PUBLIC]
    named = network(["*", "api.a.example"], blocked=["a.example"], names=names)
    assert named.demand("api.a.example", 80) == [PUBLIC]


def test_a_grant_for_one_port_is_for_no_other(web: WebServer) -> None:
    web.page("/", "hello")
    given = network([f"127.0.0.1:{web.port}"])
    assert given.web().request("GET", web.url()).content == b"hello"
    with pytest.raises(Forbidden):
        given.demand("127.0.0.1", web.port + 1 if web.port < 65_535 else 1)


@pytest.mark.parametrize("port", [0, -1, 65_536, 10**9])
def test_what_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(InvalidRequest, match="port"):
        network().demand("127.0.0.1", port)


def test_a_name_that_changes_its_address_is_connected_to_where_it_was_checked(web: WebServer) -> None:
    """Public at the first look-up and this machine at the next: every look-up is checked, and what it gave is used."""
    web.page("/", "secret")
    given = network(names=Names(rebind_example=[[PUBLIC], ["127.0.0.1"]]))
    assert given.demand("rebind.example", web.port) == [PUBLIC]
    with pytest.raises(Forbidden) as caught:
        given.web().request("GET", web.url(host="rebind.example"))
    refused(caught, "127.0.0.1")
    assert web.asked == []


def test_what_is_connected_to_is_one_of_the_addresses_that_were_checked(web: WebServer) -> None:
    """The name means the server here only in what the check was given; the system knows no such name."""
    web.page("/", "hello")
    names = Names(inside_example=[["127.0.0.1"]])
    answer = network(["inside.example"], names=names).web().request("GET", web.url(host="inside.example"))
    assert answer.content == b"hello"
    assert web.asked[0].headers["host"] == f"inside.example:{web.port}"
    assert names.asked == ["inside.example"]  # What connects uses what it has itself looked up and checked.


def test_an_ipv6_address_is_reached_where_it_is_named() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    with web_server("::1") as server:
        server.page("/", "hello")
        assert network(["::1"]).web().request("GET", server.url()).content == b"hello"
        assert server.asked[0].headers["host"] == f"[::1]:{server.port}"
        with pytest.raises(Forbidden):
            network(["*", "127.0.0.1"]).web().request("GET", server.url())


def test_the_next_address_is_tried_where_one_can_t_be_connected_to(web: WebServer) -> None:
    web.page("/", "hello")
    names = Names(two_example=[["127.0.0.2", "127.0.0.1"]])
    answer = network(["two.example"], names=names).web().request("GET", web.url(host="two.example"))
    assert answer.content == b"hello"


@pytest.mark.parametrize("target", ["http://127.0.0.2:{port}/secret", "http://[::1]:{port}/secret", "//0x7f000002/x"])
def test_a_redirect_into_this_machine_s_network_is_refused(web: WebServer, target: str) -> None:
    names = Names(outside_example=[["127.0.0.1"]])
    given = network(["*", "127.0.0.1"], names=names)
    web.pages["/"] = lambda request: request.redirect(target.format(port=web.port))
    with pytest.raises(Forbidden, match="Host blocked"):
        given.web().request("GET", web.url(host="outside.example"))
    assert [asked.target for asked in web.asked] == ["/"]


def test_a_redirect_to_a_name_that_has_a_private_address_is_refused(web: WebServer) -> None:
    web.pages["/"] = lambda request: request.redirect("http://metadata.example/latest/")
    names = Names(metadata_example=[["169.254.169.254"]])
    with pytest.raises(Forbidden, match=r"metadata\.example"):
        network(["*", "127.0.0.1"], names=names).web().request("GET", web.url())


@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1:6379/_x", "data:text/plain,x", "http://[::1"],
)
def test_a_redirect_to_something_else_than_the_web_is_not_followed(web: WebServer, target: str) -> None:
    web.pages["/"] = lambda request: request.redirect(target)
    with pytest.raises(ToolFailure, match=r"redirects to .*, which is not followed"):
        network(["127.0.0.1"]).web().request("GET", web.url())


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "FILE:///etc/passwd", "ftp://example.com/", "gopher://127.0.0.1:25/_HELO", "ws://a/"),
        *("javascript:alert(1)", "unix:/run/docker.sock", "http+unix://x/", "data:,x", "jar:http://a!/", "dict://a:1/"),
    ],
)
def test_only_the_web_is_fetched(url: str) -> None:
    with pytest.raises(InvalidRequest, match="http and https"):
        network(["*"]).web().request("GET", url)


@pytest.mark.parametrize(
    "url",
    [
        *("http://good.example@127.0.0.1/", "http://good.example:80@127.0.0.1/", "http://good.example%40127.0.0.1/"),
        *("http://good.example\\@127.0.0.1/", "http://127.0.0.1\\.good.example/", "http://good.example\t@127.0.0.1/"),
        *("http://127.0.0.1:80:80/", "http://127.0.0.1:-1/", "http://127.0.0.1:99999/", "http://127.0.0.1:8 0/"),
        *("http://[::1/", "http://::1/", "http://[fe80::1%25lo]/", "http://[::1]good.example/", "http:///x", "//a/"),
        *("http://a..example/", "http://exa mple.com/", "http://\r\nHost: evil/", "http://127.0.0.1:８０/", "", "x"),
    ],
)
def test_urls_that_readers_read_differently_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        network(["*", "127.0.0.1", "::1"]).web().request("GET", url)


def test_redirects_end(web: WebServer) -> None:
    web.pages["/loop"] = lambda request: request.redirect("/loop")
    web.pages["/a"] = lambda request: request.redirect("/b")
    web.pages["/b"] = lambda request: request.redirect("c")
    web.page("/c", "there")
    given = network(["127.0.0.1"], tables={"http_request": {"max_redirects": 2}})
    answer = given.web().request("GET", web.url("/a"))
    assert (answer.content, answer.url) == (b"there", web.url("/c"))
    assert answer.redirects == (web.url("/a"), web.url("/b"))
    with pytest.raises(ToolFailure, match="more than 2 times"):
        given.web().request("GET", web.url("/loop"))
    assert sum(asked.target == "/loop" for asked in web.asked) == 3
    unfollowed = (
        network(["127.0.0.1"], tables={"http_request": {"max_redirects": 0}}).web().request("GET", web.url("/a"))
    )
    assert (unfollowed.status, unfollowed.header("location")) == (302, "/b")


SECRETS = {"Authorization": "Bearer s3cret", "Cookie": "session=s3cret", "X-Api-Key": "s3cret", "Accept": "text/plain"}


def test_credentials_are_not_sent_to_another_host_after_a_redirect(web: WebServer) -> None:
    web.page("/there", "ok")
    with web_server() as other:
        other.page("/there", "ok")
        web.pages["/away"] = lambda request: request.redirect(other.url("/there"))
        web.pages["/here"] = lambda request: request.redirect("/there")
        given = network(["127.0.0.1"]).web()
        given.request("GET", web.url("/away"), headers=SECRETS)
        assert not any("s3cret" in value for value in other.asked[0].headers.values())
        assert other.asked[0].headers["accept"] == "text/plain"
        given.request("GET", web.url("/here"), headers=SECRETS)
        assert web.asked[-1].headers["authorization"] == "Bearer s3cret"


def test_a_redirect_changes_the_method_as_the_standard_says(web: WebServer) -> None:
    web.page("/there", "ok")
    for status in (301, 302, 303, 307, 308):
        web.pages["/go"] = lambda request, status=status: request.redirect("/there", status)  # type: ignore[misc]
        network(["127.0.0.1"]).web().request("POST", web.url("/go"), body=b"x", headers={"Content-Type": "a/b"})
        last = web.asked[-1]
        kept = status in (307, 308)
        assert (last.method, last.body) == (("POST", b"x") if kept else ("GET", b""))
        assert ("content-type" in last.headers) is kept


def test_the_environment_s_proxies_and_passwords_are_not_used(
    web: WebServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    web.page("/", "hello")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    network(["127.0.0.1"]).web().request("GET", web.url())
    assert "authorization" not in web.asked[0].headers


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection"])
def test_headers_that_make_a_request_another_one_are_refused(web: WebServer, name: str) -> None:
    with pytest.raises(InvalidRequest, match="can't be given"):
        network(["127.0.0.1"]).web().request("GET", web.url(), headers={name: "x"})


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X\r\nY": "a"}, {"X": "a\0"}, {"": "a"}, {"X Y": "a"}])
def test_a_header_can_t_hold_another_one(web: WebServer, headers: Mapping[str, str]) -> None:
    web.page("/", "ok")
    with pytest.raises(InvalidRequest):
        network(["127.0.0.1"]).web().request("GET", web.url(), headers=headers)
    assert web.asked == []


SMALL: Tables = {"http_request": {"max_request_size": 100_000}, "network": {"max_retries": 0}}


def test_an_endless_body_is_given_up_at_the_limit(web: WebServer) -> None:
    def endless(request: Answering) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        request.until_gone(b"x" * 4096)

    web.pages["/"] = endless
    with pytest.raises(Forbidden, match=r"more than 100,000 bytes") as caught:
        network(["127.0.0.1"], tables=SMALL).web().request("GET", web.url())
    assert caught.value.details["setting"] == "tools.http_request.max_request_size"


def test_endless_chunks_are_given_up_at_the_limit(web: WebServer) -> None:
    def endless(request: Answering) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        request.until_gone(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    web.pages["/"] = endless
    with pytest.raises(Forbidden, match="more than"):
        network(["127.0.0.1"], tables=SMALL).web().request("GET", web.url())


def test_a_body_that_is_announced_too_large_is_not_read(web: WebServer) -> None:
    web.pages["/"] = lambda request: request.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n")
    with pytest.raises(Forbidden, match="more than 100,000"):
        network(["127.0.0.1"], tables=SMALL).web().request("GET", web.url())


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_small_body_that_unpacks_to_a_large_one_is_given_up_at_the_limit(web: WebServer, layers: int) -> None:
    bomb = bytes(50_000_000)
    for _ in range(layers):
        bomb = gzip.compress(bomb, 9)
    assert len(bomb) < 100_000
    web.page("/", bomb, headers={"Content-Encoding": ", ".join(["gzip"] * layers)})
    with pytest.raises(Forbidden, match="more than 100,000"):
        network(["127.0.0.1"], tables=SMALL).web().request("GET", web.url())


def test_a_packed_body_of_a_right_size_is_unpacked(web: WebServer) -> None:
    web.page("/gzip", gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"})
    web.page("/deflate", zlib.compress(b"hello"), headers={"Content-Encoding": "deflate"})
    web.page("/broken", b"hello", headers={"Content-Encoding": "gzip"})
    given = network(["127.0.0.1"], tables=SMALL).web()
    assert given.request("GET", web.url("/gzip")).content == b"hello"
    assert given.request("GET", web.url("/deflate")).content == b"hello"
    with pytest.raises(ToolFailure, match="encoding"):
        given.request("GET", web.url("/broken"))


def test_a_request_that_is_too_large_is_not_sent(web: WebServer) -> None:
    with pytest.raises(Forbidden, match="100,001 bytes"):
        network(["127.0.0.1"], tables=SMALL).web().request("POST", web.url(), body=b"x" * 100_001)
    assert web.asked == []


def test_headers_without_an_end_are_given_up(web: WebServer) -> None:
    def headers(request: Answering) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        request.until_gone(b"X-Long: " + b"x" * 1000 + b"\r\n")

    web.pages["/"] = headers
    with pytest.raises(ToolFailure, match="broke"):
        network(["127.0.0.1"], tables=SMALL).web().request("GET", web.url())


def test_a_body_that_drips_ends_with_the_time(web: WebServer) -> None:
    """Each byte comes in time; all of them together don't."""

    def drip(request: Answering) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        request.until_gone(b"x", pause_s=0.02)

    web.pages["/"] = drip
    with pytest.raises(Timeout, match=r"timed out after 0\.5s"):
        network(["127.0.0.1"]).web().request("GET", web.url(), time_s=0.5)


def test_a_server_that_says_nothing_ends_with_the_time_of_the_settings(web: WebServer) -> None:
    web.pages["/"] = lambda request: request.until_gone(b"", pause_s=0.05)
    given = network(["127.0.0.1"], tables={"http_request": {"timeout_seconds": 0.3}})
    with pytest.raises(Timeout, match=r"timed out after 0\.3s") as caught:
        given.web().request("GET", web.url(), time_s=60)
    assert caught.value.details["setting"] == "tools.http_request.timeout_seconds"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
    ],
)
def test_an_answer_that_lies_about_itself_is_none(web: WebServer, answer: bytes) -> None:
    web.pages["/"] = lambda request: request.raw(answer)
    with pytest.raises(ToolFailure, match=r"127\.0\.0\.1.* broke"):
        network(["127.0.0.1"], tables=SMALL).web().request("GET", web.url())


def test_what_comes_after_the_announced_length_is_no_part_of_the_answer(web: WebServer) -> None:
    web.pages["/"] = lambda request: request.raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"
    )
    assert network(["127.0.0.1"], tables=SMALL).web().request("GET", web.url()).content == b"hello"


def test_a_request_is_made_again_where_that_is_safe(web: WebServer) -> None:
    given = network(["127.0.0.1"], tables={"network": {"max_retries": 3}}).web()
    quick = Retry(attempts=3, initial_s=0.001, longest_s=0.001)
    left = [503, 429]
    web.pages["/"] = lambda request: request.answer("", left.pop() if left else 200, {"Retry-After": "3"})
    assert (answer := given.request("GET", web.url(), retry=quick)).status == 200
    assert answer.attempts == 3
    web.page("/busy", "", 503)
    assert given.request("POST", web.url("/busy"), retry=quick).attempts == 1
    every = Retry(attempts=2, initial_s=0.001, longest_s=0.001, every_method=True)
    assert given.request("POST", web.url("/busy"), retry=every).attempts == 2


def test_a_refused_connection_is_told_with_its_place_and_attempts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    quick = Retry(attempts=2, initial_s=0.001)
    with pytest.raises(ToolFailure, match=rf"can't connect to 127\.0\.0\.1:{port}: connection refused \(2 attempts\)"):
        network(["127.0.0.1"]).web().request("POST", f"http://127.0.0.1:{port}/", retry=quick)


def test_a_name_that_does_not_exist_is_told() -> None:
    with pytest.raises(ToolFailure, match=r"gone\.example can't be found"):
        network().web().request("GET", "http://gone.example/")


@contextmanager
def _trusted(monkeypatch: pytest.MonkeyPatch, path: Path) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", os.fspath(path))
        yield


def test_a_certificate_is_checked_against_the_name_and_not_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = own_certificate(tmp_path / "own.pem", "right.example")
    names = Names(right_example=[["127.0.0.1"]], wrong_example=[["127.0.0.1"]])
    given = network(["right.example", "wrong.example"], names=names).web()
    with web_server(certificate=certificate) as server:
        server.page("/", "hello")
        with pytest.raises(ToolFailure, match="certificate"):
            given.request("GET", server.url(host="right.example"))
        with _trusted(monkeypatch, certificate):
            assert given.request("GET", server.url(host="right.example")).content == b"hello"
            with pytest.raises(ToolFailure, match="certificate"):
                given.request("GET", server.url(host="wrong.example"))
        unchecked = network(["wrong.example"], names=names, tables={"network": {"verify_ssl": False}}).web()
        assert unchecked.request("GET", server.url(host="wrong.example")).content == b"hello"


def test_domains_of_a_tool_s_own_settings_hold_besides(web: WebServer) -> None:
    web.page("/", "hello")
    names = Names(a_example=[["127.0.0.1"]], b_example=[["127.0.0.1"]])
    for table, setting in (
        ({"allowed_domains": ["a.example"]}, "allowed_domains"),
        ({"allowed_domains": "*", "blocked_domains": "b.example, c.example"}, "blocked_domains"),
    ):
        given = network(["a.example", "b.example"], names=names, tables={"web_tools": table}).web(
            "web_tools", domains_of="web_tools"
        )
        assert given.request("GET", web.url(host="a.example")).content == b"hello"
        with pytest.raises(Forbidden) as caught:
            given.request("GET", web.url(host="b.example"))
        assert caught.value.details["setting"] == f"tools.web_tools.{setting}"
        assert "permission" not in caught.value.details  # A grant would not help.


def test_settings_say_how_requests_introduce_themselves(web: WebServer) -> None:
    web.page("/", "hello")
    tables: Tables = {
        "http_request": {"default_headers": {"User-Agent": "general/1", "X-Team": "blue"}},
        "web_tools": {"user_agent": "scraper/2"},
    }
    given = network(["127.0.0.1"], tables=tables)
    given.web().request("GET", web.url())
    given.web("web_tools").request("GET", web.url())
    given.web().request("GET", web.url(), headers={"user-agent": "mine/3"})
    assert [asked.headers["user-agent"] for asked in web.asked] == ["general/1", "scraper/2", "mine/3"]
    assert all(asked.headers["x-team"] == "blue" for asked in web.asked)


def test_connect_reaches_checked_addresses_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        accepted: list[str] = []

        def accept() -> None:
            connection, _ = listening.accept()
            accepted.append(connection.getsockname()[0])
            connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        network(["inside.example"], names=Names(inside_example=[["127.0.0.1"]])).connect(
            "inside.example", port, 5
        ).close()
        thread.join()
        assert accepted == ["127.0.0.1"]
    with pytest.raises(Forbidden):
        network().connect("127.0.0.1", port, 5)
    with pytest.raises(ToolFailure, match="can't connect to"):
        network(["127.0.0.1"]).connect("127.0.0.1", port, 5)
