"""Choice of a server, limits and pauses of remote providers, on a clock of the test's own."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from llmspell_providers.http.backoff import pause_s, retry_after_s
from llmspell_providers.http.rate import RateWindow
from llmspell_providers.http.servers import REST_S, Server, Servers

A, B, C = "http://a/v1", "http://b/v1", "http://c/v1"


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_server_with_the_fewest_requests_is_chosen() -> None:
    servers = Servers([A, B, C], Clock())
    a, b, c = servers.all
    a.in_flight, b.in_flight, c.in_flight = 2, 1, 3
    assert servers.choose() is b
    assert servers.choose({b}) is a


def test_equal_servers_take_turns() -> None:
    servers = Servers([A, B], Clock())
    assert [servers.choose().shown for _ in range(4)] == [A, B, A, B]


def test_a_server_that_failed_rests_and_then_is_asked_again() -> None:
    clock = Clock()
    servers = Servers([A, B], clock)
    a, b = servers.all
    servers.failed(a)
    b.in_flight = 9
    assert servers.choose() is b
    clock.now += REST_S
    assert servers.choose() is a


def test_when_all_rest_one_is_asked_all_the_same_and_one_that_answers_rests_no_more() -> None:
    servers = Servers([A, B], Clock())
    a, b = servers.all
    servers.failed(a)
    servers.failed(b)
    assert servers.choose() is a
    servers.answered(b)
    assert [servers.choose() for _ in range(2)] == [b, b]


def test_an_address_is_shown_without_its_secrets() -> None:
    assert Server("https://me:secret@[::1]:8000/v1?key=x").shown == "https://[::1]:8000/v1"
    assert Server("https://api.openai.com/v1").shown == "https://api.openai.com/v1"


def test_no_minute_has_more_requests_than_the_limit() -> None:
    clock = Clock()
    window = RateWindow(2, None, clock)
    window.spend(0)
    clock.now += 20
    window.spend(0)
    assert window.wait_s(0) == 40
    clock.now += 40
    assert window.wait_s(0) == 0
    window.spend(0)
    assert window.wait_s(0) == 20


def test_no_minute_has_more_tokens_than_the_limit_but_one_too_large_goes_alone() -> None:
    clock = Clock()
    window = RateWindow(None, 100, clock)
    spent = window.spend(60)
    assert window.wait_s(40) == 0
    assert window.wait_s(41) == 60
    spent.tokens = 10
    assert window.wait_s(90) == 0
    assert window.wait_s(500) == 60
    clock.now += 60
    assert window.wait_s(500) == 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after": formatdate(0, usegmt=True)}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_the_server_s_wish_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


def test_pauses_grow_to_their_limit_with_jitter() -> None:
    def pauses(attempt: int) -> list[float]:
        return [pause_s(attempt, initial_ms=1000, longest_ms=3000, multiplier=2.0, asked_s=None) for _ in range(50)]

    for attempt, whole in ((0, 1.0), (1, 2.0), (2, 3.0), (9999, 3.0)):
        drawn = pauses(attempt)
        assert whole / 2 <= min(drawn) <= max(drawn) <= whole
        assert len(set(drawn)) > 1


def test_a_pause_is_never_shorter_than_the_server_asked_for() -> None:
    drawn = [pause_s(0, initial_ms=1, longest_ms=1, multiplier=1.0, asked_s=7.0) for _ in range(50)]
    assert 7.0 <= min(drawn) <= max(drawn) <= 7.7
