"""Addresses of servers: what is taken for one can be connected to, and what is not says why."""

from __future__ import annotations

import random
from pathlib import Path

import httpx2
import pytest

from llmspell_profiles.loading.environment import ollama_url
from llmspell_protocol.addresses import BadAddress, parse_address
from tests.support.settings import error_of

GOOD = {
    "http://127.0.0.1:8000/v1": "http://127.0.0.1:8000/v1",
    "http://127.0.0.1:8000/v1/": "http://127.0.0.1:8000/v1",
    "HTTPS://Api.OpenAI.com/v1": "https://api.openai.com/v1",
    "https://example.org:443": "https://example.org",
    "http://[::1]:8000": "http://[::1]:8000",
    "http://[0:0::1]": "http://[::1]",
    "http://me:se%40cret@host/v1": "http://host/v1",
    "http://host:": "http://host",
    "http://host.": "http://host.",
    "http://model_box:1": "http://model_box:1",
    "http://bücher.example": "http://xn--bcher-kva.example",
    "http://host/ä/b": "http://host/%C3%A4/b",
    "http://host/v1?api=2#x": "http://host/v1",
    "http://host:65535": "http://host:65535",
}
BAD = (
    *("", "http", "http://", "http:///v1", "http://:80", "http://@", "http://me@", "ftp://host", "//host", "host:80"),
    *(
        "http://host:99999",
        "http://host:65536",
        "http://host:0",
        "http://host:-1",
        "http://host:abc",
        "http://host:8_0",
    ),
    *(
        "http://host:٨٠",
        "http://host:80:80",
        "http://host:1e3",
        "http://host:+80",
        "http://host: 80",
        "http://host:999999999",
    ),
    *(
        "http://[::1/v1",
        "http://::1/v1",
        "http://::1]",
        "http://[::1]]",
        "http://[]",
        "http://[host]",
        "http://[1.2.3.4]",
    ),
    *("http://[fe80::1%25eth0]", "http://[::1]x", "http://x[::1]", "http://[:::1]"),
    *(
        "http://ho st",
        " http://host",
        "http://host ",
        "http://host\n",
        "http://ho\0st",
        "http://host/a b",
        "http://host\t",
    ),
    *(
        "http://host\\@evil",
        "http://host/\x7f",
        "http://host\u2028",
        "http://host\x85",
        "http://\ud83d",
        "http://host/\u00a0",
    ),
    *("http://" + "a" * 64, "http://" + ".".join(["abc"] * 70), "http://a..b", "http://.a", "http://-a", "http://a-.b"),
    *(
        "http://1.2.3",
        "http://1.2.3.4.5",
        "http://256.1.1.1",
        "http://1.2.3.04",
        "http://12345",
        "http://a.1",
        "http://a%20b",
    ),
    *(
        "http://a,b",
        "http://*",
        "http://xn--x",
        "http://\u00ad",
        "http://" + "ü" * 64,
        "http://a\u3002\u3002b",
        "http://a!b",
    ),
)


@pytest.mark.parametrize("text", GOOD)
def test_an_address_is_taken_apart_and_shown_without_its_secrets(text: str) -> None:
    assert parse_address(text).url == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_what_no_server_can_be_meant_by_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        parse_address(text)


def test_a_name_and_a_password_are_what_a_request_carries() -> None:
    address = parse_address("http://me:se%40cret@host")
    assert (address.userinfo, address.authorization) == (b"me:se@cret", "Basic bWU6c2VAY3JldA==")
    assert parse_address("http://host").authorization is None


@pytest.mark.parametrize("url", ["http://127.9.9.9", "http://localhost:1", "http://[::1]", "https://LOCALHOST"])
def test_this_machine_is_near(url: str) -> None:
    assert parse_address(url).is_near
    assert not parse_address("http://example.org").is_near


def test_whatever_is_taken_for_an_address_the_client_and_the_resolver_can_write_down() -> None:
    pick = random.Random(7)
    parts = [
        "http://",
        "https://",
        "a",
        "b.c",
        ":",
        "80",
        "99999",
        "[",
        "]",
        "::1",
        "/",
        "v1",
        "@",
        "%",
        "%41",
        "xn--",
        "ü",
    ]
    parts += [
        ".",
        "-",
        "_",
        "?",
        "#",
        "\\",
        " ",
        "\x00",
        "1.2.3.4",
        "0",
        "a" * 63,
        "\u2028",
        "ß",
        "日本",
        "*",
        "~",
        "'",
    ]
    taken = 0
    for _ in range(20_000):
        text = pick.choice(parts[:2]) + "".join(pick.choices(parts, k=pick.randint(0, 6)))
        try:
            address = parse_address(text)
        except BadAddress:
            continue
        taken += 1
        url = httpx2.URL(address.url)
        assert (url.scheme, url.raw_host.decode(), url.port or address.port) == (
            address.scheme,
            address.host,
            address.port,
        ), text
        assert address.host.encode("idna") or ":" in address.host
        assert 0 < address.port < 65_536
        assert parse_address(address.url)._replace(userinfo=address.userinfo) == address, text
    assert taken > 500


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:abc/v1", " (its port has to be a number from 1 to 65535)"),
        ("http://127.0.0.1:99999", " (its port has to be a number from 1 to 65535)"),
        ("http://[::1/v1", " (the brackets around its host do not match)"),
        ("http://a..b", " (its host is not a name that can be looked up)"),
        ("http://h/v1?a=b", " without a query, since paths are appended to it"),
        ("localhost:8000", ""),
    ],
)
def test_settings_refuse_an_address_by_its_key_and_say_why(url: str, why: str, tmp_path: Path) -> None:
    said = f'expected an http or https URL{why}, got the string "{url}"'
    one = f'[providers.openai]\nbase_url = "{url}"\n'
    assert error_of(tmp_path, one).message == f"llmspell.toml:2 providers.openai.base_url: {said}"
    several = f'[providers.openai]\nbase_urls = ["http://good", "{url}"]\n'
    assert error_of(tmp_path, several).message == f"llmspell.toml:2 providers.openai.base_urls[1]: {said}"
    ollama = f'[providers.ollama]\nbase_url = "{url}"\n'
    assert error_of(tmp_path, ollama).message == f"llmspell.toml:2 providers.ollama.base_url: {said}"


@pytest.mark.parametrize(
    "variable", ["OLLAMA_HOST", "LLMSPELL_PROVIDERS__OLLAMA__BASE_URL", "LLMSPELL_OLLAMA_ENDPOINT"]
)
def test_a_wrong_address_in_a_variable_is_named_by_the_variable(variable: str, tmp_path: Path) -> None:
    said = error_of(tmp_path, "[providers.ollama]\n", **{variable: "http://127.0.0.1:99999"}).message
    assert said.startswith(f"{variable}: expected an http or https URL (its port has to be a number from 1 to 65535)")


HOSTS = {
    "127.0.0.1": "http://127.0.0.1:11434",
    " 127.0.0.1:1 ": "http://127.0.0.1:1",
    "'box'": "http://box:11434",
    '"http://box:7/"': "http://box:7",
    "0.0.0.0": "http://127.0.0.1:11434",
    "[::]:5": "http://127.0.0.1:5",
    "::1": "http://[::1]:11434",
    ":5": "http://127.0.0.1:5",
    "https://box/ollama": "https://box:443/ollama",
    "box:": "http://box:11434",
    "me:secret@box:8": "http://me:secret@box:8",
}


@pytest.mark.parametrize("host", HOSTS)
def test_ollama_host_is_read_as_ollama_reads_it(host: str) -> None:
    assert ollama_url(host) == HOSTS[host]
    parse_address(ollama_url(host))


@pytest.mark.parametrize("host", ["127.0.0.1:99999", "127.0.0.1:abc", "[::1", "a b", "ftp://box", "[::1]:x", "::1]"])
def test_a_wrong_ollama_host_stays_wrong_so_that_it_can_be_named(host: str) -> None:
    with pytest.raises(BadAddress):
        parse_address(ollama_url(host))
