"""Which proxy stands before a server, by the variables that people set."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from llmspell_protocol.addresses import parse_address
from llmspell_protocol.errors import ConfigError
from llmspell_protocol.proxies import check_proxies, proxy_for

PROXY = "http://proxy:3128"
FAR, SECURE = "http://models.example:8000/v1", "https://models.example/v1"


def _found(url: str, **variables: str) -> str | None:
    proxy = proxy_for(parse_address(url), variables)
    return None if proxy is None else f"{proxy.variable} {proxy.url}"


@pytest.mark.parametrize(
    ("url", "variables", "found"),
    [
        (FAR, {}, None),
        (FAR, {"http_proxy": PROXY}, "http_proxy http://proxy:3128"),
        (FAR, {"HTTP_PROXY": PROXY}, "HTTP_PROXY http://proxy:3128"),
        (FAR, {"HTTPS_PROXY": PROXY}, None),
        (SECURE, {"HTTPS_PROXY": PROXY}, "HTTPS_PROXY http://proxy:3128"),
        (SECURE, {"all_proxy": PROXY}, "all_proxy http://proxy:3128"),
        (FAR, {"ALL_PROXY": PROXY}, "ALL_PROXY http://proxy:3128"),
        (FAR, {"ALL_PROXY": "http://other", "http_proxy": PROXY}, "http_proxy http://proxy:3128"),
        (FAR, {"HTTP_PROXY": "http://other", "http_proxy": PROXY}, "http_proxy http://proxy:3128"),
        (FAR, {"HTTP_PROXY": PROXY, "http_proxy": ""}, None),
        (FAR, {"HTTP_PROXY": "  "}, None),
        (FAR, {"HTTP_PROXY": " proxy:3128 "}, "HTTP_PROXY http://proxy:3128"),
        (FAR, {"HTTP_PROXY": "http://me:secret@proxy:3128/"}, "HTTP_PROXY http://proxy:3128"),
        (FAR, {"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, None),
        ("http://127.0.0.1:1", {"ALL_PROXY": PROXY}, None),
        ("http://localhost", {"http_proxy": "nonsense://"}, None),
        ("http://[::1]:5", {"http_proxy": PROXY}, None),
    ],
)
def test_the_proxy_is_the_one_that_the_variables_name(
    url: str, variables: Mapping[str, str], found: str | None
) -> None:
    assert _found(url, **variables) == found


@pytest.mark.parametrize(
    ("no_proxy", "exempt"),
    [
        *[(text, True) for text in ("*", "example", "models.example", ".example", "*.example", "MODELS.Example.")],
        *[
            (text, True)
            for text in ("a, models.example ,b", "a models.example", "models.example:8000", "http://example")
        ],
        *[
            (text, False)
            for text in ("", "other", "odels.example", "models.example:1", "example.models", "https://example")
        ],
        *[(text, False) for text in ("x.models.example", "10.0.0.0/8", ",,", "[", ":8000")],
    ],
)
def test_hosts_that_no_proxy_names_are_asked_directly(no_proxy: str, exempt: bool) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        assert (_found(FAR, http_proxy=PROXY, **{name: no_proxy}) is None) == exempt


@pytest.mark.parametrize(
    ("url", "no_proxy", "exempt"),
    [
        ("http://10.1.2.3", "10.0.0.0/8", True),
        ("http://11.1.2.3", "10.0.0.0/8", False),
        ("http://10.1.2.3:9", "10.1.2.3", True),
        ("http://10.1.2.3:9", "10.1.2.3:9", True),
        ("http://[fd00::1]:9", "fd00::/8", True),
        ("http://[fd00::1]:9", "fd00:0::1", True),
        ("http://[fd00::1]:9", "[fd00::1]", True),
        ("http://[fd00::1]:9", "[fd00::1]:9", True),
        ("http://[fd00::1]:9", "[fd00::1]:8", False),
        ("http://10.1.2.3", "10.0.0.0/99", False),
    ],
)
def test_networks_and_addresses_may_be_named_too(url: str, no_proxy: str, exempt: bool) -> None:
    assert (_found(url, http_proxy=PROXY, no_proxy=no_proxy) is None) == exempt


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value", ["foo://x", "http://", "http://x:abc", "http://x:99999", "://x", "http://[::1", "a b", "socks4://x"]
)
def test_a_value_that_is_no_proxy_is_named_by_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _found(FAR, **{variable: value})
    assert variable in caught.value.message
    assert caught.value.details["variable"] == variable


@pytest.mark.parametrize("kind", ["socks5", "socks5h", "SOCKS5"])
def test_a_socks_proxy_says_which_package_it_needs(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        _found(FAR, ALL_PROXY=f"{kind}://127.0.0.1:1080")
    assert "ALL_PROXY" in caught.value.message
    assert "pip install 'httpx[socks]'" in (caught.value.hint or "")


def test_a_socks_proxy_is_used_where_its_package_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert _found(FAR, ALL_PROXY="socks5h://127.0.0.1") == "ALL_PROXY socks5h://127.0.0.1"


def test_the_secret_of_a_proxy_is_for_the_proxy_alone() -> None:
    proxy = proxy_for(parse_address(FAR), {"HTTP_PROXY": "http://me:se%40cret@proxy"})
    assert proxy is not None
    assert proxy.login == ("me", "se@cret")


def test_all_proxies_of_the_environment_can_be_looked_at_at_once() -> None:
    check_proxies({"HTTP_PROXY": PROXY, "NO_PROXY": "*"})
    with pytest.raises(ConfigError, match="ALL_PROXY"):
        check_proxies({"http_proxy": PROXY, "ALL_PROXY": "foo://x"})
