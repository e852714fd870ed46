"""Hosts and URLs: one spelling for each, and lists of hosts that are allowed."""

from __future__ import annotations

from ipaddress import IPv4Address
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.limits.addresses import web_address
from llmspell_tools.limits.hosts import HostList, host_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("ＥＸＡＭＰＬＥ。com", "example.com"),
        ("a_b.example", "a_b.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0x7f.0.0.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0177.0.0.01", "127.0.0.1"),
        ("①②⑦.⓪.⓪.①", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("[::1]", "::1"),
        ("::FFFF:127.0.0.1", "127.0.0.1"),
        ("0:0:0:0:0:ffff:7f00:1", "127.0.0.1"),
        ("1.example", "1.example"),
    ],
)
def test_a_host_has_one_spelling(text: str, name: str) -> None:
    assert host_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", "a..b", "example.com..", "a b", "a/b", "a@b", "a:b", "a\\b", "a\nb", "a\0b", "-a", "a-", "*"),
        *("1.2.3.4.5", "256.1.1.1", "1.2.3.0x", "example.1", "[::1", "[::1%lo]", "fe80::1%1", "::1::", "a" * 64),
        *(".".join(["abcdefgh"] * 30), "☃" * 300, "\u200b", "xn--\u0000"),
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"not the name or the address of a host|zone"):
        host_name(text)


@pytest.mark.parametrize(
    ("entry", "host", "is_meant", "is_named"),
    [
        ("example.com", "example.com", True, True),
        ("example.com", "api.example.com", True, False),
        ("Example.com.", "example.com", True, True),
        ("*.example.com", "api.example.com", True, False),
        (".example.com", "api.example.com", True, False),
        ("example.com", "notexample.com", False, False),
        ("example.com", "example.com.evil.org", False, False),
        ("*", "example.com", True, False),
        ("127.0.0.1", "127.0.0.1", True, True),
        ("0.0.1", "127.0.0.1", False, False),
        ("::1", "::1", True, True),
        ("[::1]:443", "::1", True, True),
        ("example.com:443", "example.com", True, True),
        ("example.com:80", "example.com", False, False),
        ("10.0.0.0/8", "10.1.2.3", True, True),
        ("10.0.0.0/8", "11.1.2.3", False, False),
        ("10.0.0.0/8", "::a01:203", False, False),
        ("fd00::/8", "fd12::1", True, True),
        ("10.0.0.0/8", "example.com", False, False),
    ],
)
def test_a_list_has_hosts_and_what_is_below_them(entry: str, host: str, is_meant: bool, is_named: bool) -> None:
    hosts = HostList([entry])
    assert (hosts.has(host, 443), hosts.names(host, 443)) == (is_meant, is_named)


def test_a_list_may_be_one_text() -> None:
    assert HostList("example.com, example.org").has("example.org", 80)
    assert not HostList("").has("example.org", 80)


@pytest.mark.parametrize("entry", ["a b", "http://a.example", "10.0.0.1/8", "10.0.0.0/64", "a.example/x", "**"])
def test_an_entry_that_is_none_is_told(entry: str) -> None:
    with pytest.raises(InvalidRequest, match="a list of allowed or blocked hosts is wrong"):
        HostList(["example.com", entry])


FORMS = {
    "dotted": lambda ip: str(IPv4Address(ip)),
    "decimal": str,
    "hex": hex,
    "octal": lambda ip: f"0{ip:o}",
    "two parts": lambda ip: f"{ip >> 24}.{ip & 0xFFFFFF}",
    "three parts": lambda ip: f"{ip >> 24:#x}.{ip >> 16 & 255}.{ip & 0xFFFF:#x}",
    "octal parts": lambda ip: ".".join(f"0{ip >> shift & 255:o}" for shift in (24, 16, 8, 0)),
    "mapped": lambda ip: f"[::ffff:{IPv4Address(ip)}]",
    "full width": lambda ip: str(IPv4Address(ip)).translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)}),
}


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(FORMS)))
def test_every_form_of_an_ipv4_address_is_that_address(ip: int, form: str) -> None:
    assert host_name(FORMS[form](ip)) == str(IPv4Address(ip))


@given(st.text(st.characters(codec="utf-8"), max_size=40) | st.text("0123456789abcdefx.:[]-%", max_size=30))
def test_a_host_s_spelling_is_its_own(text: str) -> None:
    try:
        name = host_name(text)
    except InvalidRequest:
        return
    assert host_name(name) == name
    assert name.isascii()


PIECES = ("http", "https", "file", ":", "//", "/", "\\", "@", "a.example", "127.0.0.1", "[::1]", "80", "?", "#", "%40")


@given(st.lists(st.sampled_from([*PIECES, " ", "\t", "ü", "x=1", "..", "%", "&"]), max_size=12).map("".join))
def test_a_url_that_is_taken_is_read_as_every_reader_reads_it(text: str) -> None:
    try:
        address = web_address(text)
    except InvalidRequest:
        return
    assert web_address(address.url) == address
    assert urlsplit(address.url).hostname == address.host
    library = httpx2.URL(address.url)
    assert library.raw_host.decode() == address.host
    assert (library.port or {"http": 80, "https": 443}[address.scheme]) == address.port
    assert library.userinfo == b""
