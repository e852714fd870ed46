"""Which machines a pull reaches: by a redirect never its own network, and for some callers public addresses alone."""

from __future__ import annotations

import socket

import pytest

from llmspell_providers.pulls.sources.destinations import check_request, public_only
from llmspell_providers.pulls.sources.remote import SourceFailed

PRIVATE = [
    *("127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "::", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    *("224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "ff02::1", "64:ff9b::a9fe:a9fe"),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", [*PRIVATE, "2130706433", "0x7f.1", "127.1", "localhost"])
def test_an_address_of_this_machine_s_network_is_not_connected_to_for_who_may_not(address: str) -> None:
    with public_only(), pytest.raises(SourceFailed) as caught:
        socket.getaddrinfo(address, 80, type=socket.SOCK_STREAM)
    assert caught.value.kind is not None
    assert caught.value.kind.code == "forbidden"


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is(address: str) -> None:
    with public_only():
        assert socket.getaddrinfo(address, 443, type=socket.SOCK_STREAM)


def test_a_proxy_of_the_environment_may_be_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://10.1.2.3:3128")
    with public_only():
        assert socket.getaddrinfo("10.1.2.3", 3128, type=socket.SOCK_STREAM)
        with pytest.raises(SourceFailed):
            socket.getaddrinfo("10.1.2.4", 3128, type=socket.SOCK_STREAM)


def test_afterwards_the_process_looks_names_up_as_before() -> None:
    before = socket.getaddrinfo
    with public_only():
        assert socket.getaddrinfo is not before
    assert socket.getaddrinfo is before


@pytest.mark.parametrize("host", [*PRIVATE, "localhost", "api.localhost", "printer.local", "db.internal", "LOCALHOST."])
def test_a_redirect_from_elsewhere_into_this_machine_s_network_is_refused(host: str) -> None:
    with pytest.raises(SourceFailed, match="refused"):
        check_request("https", host, "example.com")
    check_request("https", host, "127.0.0.1")


@pytest.mark.parametrize("host", [*PUBLIC, "example.com", "cdn.example.com"])
def test_a_redirect_to_another_public_host_is_followed_by_https(host: str) -> None:
    check_request("https", host, "example.com")
    with pytest.raises(SourceFailed, match="plain http"):
        check_request("http", host, "example.com")
