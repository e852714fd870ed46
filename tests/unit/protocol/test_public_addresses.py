"""Which addresses are public."""

from __future__ import annotations

import pytest

from llmspell_protocol.public_addresses import is_public


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.31.0.1", "192.168.0.1"),
        *("192.0.0.170", "192.0.2.1", "192.88.99.1", "198.18.0.1", "203.0.113.1", "224.0.0.251", "255.255.255.255"),
        *(
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
        ),
        *("::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:808:808::", "2001::1", "5f00::1", "100::1"),
        *("2606:4700:4700::1111%eth0", "::ffff:8.8.8.8%1"),
    ],
)
def test_special_addresses_are_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "192.1.2.3", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_all_others_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433", "[::1]"])
def test_what_is_no_address_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        is_public(text)
