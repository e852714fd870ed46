"""Several servers of one provider, some of which die: the others answer, and the least busy one is asked first."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, aclosing
from pathlib import Path

import pytest

from llmspell_protocol.errors import BackendUnavailable, LlmspellError
from llmspell_providers.base import Provider
from tests.support.chat_turns import turn
from tests.support.model_server import Act, ModelServer, chunk, failing, said
from tests.support.remote_asking import QUICK, chat, request, using

ENDLESS = Act([chunk({"content": "…"})], then="hang")


def test_requests_are_spread_over_the_servers(tmp_path: Path) -> None:
    async def ten(provider: Provider) -> None:
        await asyncio.gather(*(chat(provider) for _ in range(10)))

    with ModelServer(said("a")) as one, ModelServer(said("b")) as two:
        using(tmp_path, [one.base_url, two.base_url], ten)
    assert len(one.posts) == len(two.posts) == 5


def test_the_least_busy_server_is_asked(tmp_path: Path) -> None:
    async def one_long_and_three_short(provider: Provider) -> list[str]:
        async with aclosing(turn(provider, request())) as long:
            await anext(long)
            return [(await chat(provider))[1].message.content for _ in range(3)]

    with ModelServer(ENDLESS) as busy, ModelServer(said("free")) as free:
        replies = using(tmp_path, [busy.base_url, free.base_url], one_long_and_three_short)
    assert replies == ["free"] * 3
    assert len(busy.posts) == 1


@pytest.mark.parametrize(
    "broken",
    [
        failing(500, {"error": {"message": "no"}}),
        failing(503, {"error": {"message": "loading"}}),
        failing(404, {"error": {"message": "The model `m` does not exist", "code": "model_not_found"}}),
        failing(404, {"detail": "Not Found"}),
        Act((), then="cut"),
        Act(("<html>",), 200, {}),
    ],
)
def test_what_one_server_can_t_do_another_does_at_once(tmp_path: Path, broken: Act) -> None:
    with ModelServer(broken) as bad, ModelServer(said("good")) as good:
        # Without any retry: going elsewhere is none.
        _, result = using(tmp_path, [bad.base_url, good.base_url], chat, "max_retries = 0\n")
        assert result.message.content == "good"
        assert len(bad.posts) == len(good.posts) == 1


def test_an_address_that_is_not_there_is_asked_for_once(tmp_path: Path) -> None:
    with ModelServer(failing(404, {"detail": "Not Found"})) as server:
        with pytest.raises(BackendUnavailable) as caught:
            using(tmp_path, [server.base_url], chat)
        assert (caught.value.details["status"], caught.value.retryable, len(server.posts)) == (404, False, 1)


@pytest.mark.parametrize("busy_first", [True, False])
def test_a_server_that_is_busy_is_asked_again_beside_one_with_a_wrong_address(tmp_path: Path, busy_first: bool) -> None:
    with (
        ModelServer(failing(503, {"error": {"message": "loading"}}), said("good")) as busy,
        ModelServer(failing(404, {"detail": "Not Found"})) as wrong,
    ):
        urls = [busy.base_url, wrong.base_url] if busy_first else [wrong.base_url, busy.base_url]
        assert using(tmp_path, urls, chat)[1].message.content == "good"


def test_servers_that_die_under_load_lose_no_request_that_had_not_begun(tmp_path: Path) -> None:
    async def load(provider: Provider) -> list[str]:
        replies: list[str] = []
        for asked in range(6):
            if asked == 2:
                await asyncio.to_thread(servers[0].die)
            if asked == 4:
                await asyncio.to_thread(servers[1].die)
            answers = await asyncio.gather(*(chat(provider) for _ in range(6)))
            replies += [result.message.content for _, result in answers]
        return replies

    with ExitStack() as stack:
        servers = [stack.enter_context(ModelServer(said(name))) for name in "abc"]
        replies = using(tmp_path, [server.base_url for server in servers], load)
    assert len(replies) == 36
    assert set(replies) == {"a", "b", "c"}
    assert set(replies[-12:]) == {"c"}


def test_a_server_that_comes_back_is_asked_again_when_the_others_fail(tmp_path: Path) -> None:
    async def scenario(provider: Provider) -> str:
        await chat(provider)
        await asyncio.to_thread(first.die)
        await chat(provider)
        await chat(provider)
        with ModelServer(said("back"), port=port):
            await asyncio.to_thread(second.die)
            return (await chat(provider))[1].message.content

    with ModelServer(said("first")) as first, ModelServer(said("second")) as second:
        port = int(first.base_url.rpartition(":")[2].partition("/")[0])
        assert using(tmp_path, [first.base_url, second.base_url], scenario) == "back"


def test_with_all_servers_dead_the_error_comes_after_the_retries_and_names_one(tmp_path: Path) -> None:
    with ModelServer(said("x")) as one, ModelServer(said("y")) as two:
        urls = [one.base_url, two.base_url]
    with pytest.raises(BackendUnavailable) as caught:
        using(tmp_path, urls, chat, QUICK)
    assert caught.value.details["base_url"] in urls


def test_a_stream_that_dies_in_the_middle_is_an_error_and_the_next_request_goes_elsewhere(tmp_path: Path) -> None:
    async def scenario(provider: Provider) -> str:
        with pytest.raises(LlmspellError):
            await chat(provider)
        return (await chat(provider))[1].message.content

    with ModelServer(Act([chunk({"content": "ha"})], then="cut")) as bad, ModelServer(said("good")) as good:
        assert using(tmp_path, [bad.base_url, good.base_url], scenario) == "good"
        assert len(bad.posts) == 1


def test_a_server_that_hung_is_not_asked_next(tmp_path: Path) -> None:
    async def scenario(provider: Provider) -> str:
        with pytest.raises(LlmspellError):
            await chat(provider)
        good.asked.clear()
        return "".join([(await chat(provider))[1].message.content for _ in range(2)])

    with ModelServer(Act((), then="hang")) as hung, ModelServer(said("good")) as good:
        urls = [hung.base_url, good.base_url]
        assert using(tmp_path, urls, scenario, "timeout_seconds = 1\n") == "goodgood"


def test_health_counts_the_servers_that_answer(tmp_path: Path) -> None:
    with ModelServer(said("x")) as one, ModelServer(said("y")) as two:
        two.die()
        health = using(tmp_path, [one.base_url, two.base_url], lambda provider: provider.health())
    assert health.ready
    assert health.reason == f"1 of 2 servers answer ({two.base_url}: connection refused)"
