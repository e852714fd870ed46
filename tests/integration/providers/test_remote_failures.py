"""Servers on loopback that answer wrongly, late, or not at all: nothing hangs, and nothing is silent."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import (
    BackendUnavailable,
    Busy,
    ContextLengthExceeded,
    Forbidden,
    InvalidRequest,
    LlmspellError,
    ModelNotFound,
    Timeout,
    Unauthorized,
    Unsupported,
)
from llmspell_providers.base import Provider
from tests.support.chat_turns import turn
from tests.support.model_server import Act, ModelServer, chunk, failing, said
from tests.support.remote_asking import KEY, QUICK, SPEC, chat, failure_of, request, result_of, using

REPLY = [chunk({"content": "a"}), chunk({"content": "b"}), chunk(finish="stop"), chunk(usage={"prompt_tokens": 1})]


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (failing(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}), Unauthorized),
        (failing(403, {"error": {"message": f"{KEY} may not"}}), Forbidden),
        (failing(429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}), Forbidden),
        (
            failing(404, {"error": {"message": "The model `m` does not exist", "code": "model_not_found"}}),
            ModelNotFound,
        ),
        (failing(404, {"detail": "Not Found"}), BackendUnavailable),
        (failing(400, {"error": {"message": "no such role", "type": "invalid_request_error"}}), InvalidRequest),
        (failing(422, {"message": {"detail": [{"type": "extra_forbidden"}]}}), InvalidRequest),
        (failing(500, {"error": {"message": f"oops {KEY}"}}), BackendUnavailable),
        (Act(("<html>bad gateway</html>",), 502, {"Content-Type": "text/html"}), BackendUnavailable),
        (failing(503, {"error": {"message": "loading"}}), Busy),
        (Act(("<html>hello</html>",), 200, {"Content-Type": "text/html"}), BackendUnavailable),
        (Act(("data: {no json\n\n",)), BackendUnavailable),
        (Act(("data: [1, 2]\n\n",)), BackendUnavailable),
        (Act(()), BackendUnavailable),
        (
            Act(("data: " + json.dumps({"error": {"message": "gone", "type": "server_error"}}) + "\n\n",)),
            BackendUnavailable,
        ),
        (Act((), then="cut"), BackendUnavailable),
    ],
)
def test_each_failure_has_its_own_error_and_never_shows_the_key(
    tmp_path: Path, act: Act, kind: type[LlmspellError]
) -> None:
    assert type(failure_of(tmp_path, act)) is kind


def test_a_server_without_embeddings_is_told_as_one(tmp_path: Path) -> None:
    with ModelServer(failing(404, {"detail": "Not Found"})) as server, pytest.raises(Unsupported) as caught:
        using(
            tmp_path,
            [server.base_url],
            lambda provider: provider.embed(SPEC, ["a"], normalize=True, client="me"),
            "max_retries = 0\n",
        )
    assert caught.value.message == "box can't do 'embed': the server has no /embeddings, or base_url lacks /v1"


@pytest.mark.parametrize(
    ("message", "counts"),
    [
        (
            "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens.",
            (5000, 4096),
        ),
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5012 tokens (5000 in the"
            " messages, 12 in the completion).",
            (5000, 4096),
        ),
        ("prompt is too long: 5000 tokens > 4096 maximum", (5000, 4096)),
        ("request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it", (5000, 4096)),
    ],
)
def test_a_prompt_that_is_too_long_is_told_with_both_numbers(
    tmp_path: Path, message: str, counts: tuple[int, int]
) -> None:
    error = failure_of(tmp_path, failing(400, {"error": {"message": message, "type": "invalid_request_error"}}))
    assert isinstance(error, ContextLengthExceeded)
    assert (error.details["prompt_tokens"], error.details["limit"]) == counts


def test_texts_too_long_for_llama_cpp_are_told_so_whatever_status_it_has_for_that(tmp_path: Path) -> None:
    message = "input (2002 tokens) is too large to process. increase the physical batch size (current batch size: 512)"
    body = {"error": {"code": 500, "message": message, "type": "server_error"}}
    with ModelServer(failing(500, body)) as server, pytest.raises(ContextLengthExceeded) as caught:
        using(tmp_path, [server.base_url], lambda one: one.embed(SPEC, ["a"], normalize=True, client="me"))
    assert (caught.value.details["prompt_tokens"], caught.value.details["limit"]) == (2002, 512)
    assert len(server.posts) == 1, "asking again changes nothing"


def test_a_server_without_scores_is_told_as_one(tmp_path: Path) -> None:
    with ModelServer(failing(404, {"detail": "Not Found"})) as server, pytest.raises(Unsupported) as caught:
        using(tmp_path, [server.base_url], lambda one: one.rerank(SPEC, "q", ["a"], client="me"), "max_retries = 0\n")
    assert caught.value.message == "box can't do 'rerank': the server has no /rerank, or base_url lacks /v1"


@pytest.mark.parametrize("cut_after", [0, 1, 2])
@pytest.mark.parametrize("how", ["cut", "end"])
def test_a_stream_that_breaks_before_its_end_is_an_error_wherever_it_breaks(
    tmp_path: Path, cut_after: int, how: Any
) -> None:
    error = failure_of(tmp_path, Act(REPLY[:cut_after], then=how))
    assert isinstance(error, BackendUnavailable)
    assert error.retryable


@pytest.mark.parametrize("pieces", [0, 1])
def test_a_server_that_goes_silent_is_a_timeout(tmp_path: Path, pieces: int) -> None:
    error = failure_of(tmp_path, Act(REPLY[:pieces], then="hang"), extra="timeout_seconds = 1\n")
    assert isinstance(error, Timeout)
    assert error.details["timeout_s"] == 1


def test_closing_a_reply_closes_the_stream_at_the_server(tmp_path: Path) -> None:
    async def leave_after_one(provider: Provider) -> bool:
        async with aclosing(turn(provider, request())) as chunks:
            assert (await anext(chunks)).text == "a"
        return await asyncio.to_thread(server.closed_by_client.wait, 10)

    with ModelServer(Act(REPLY[:1], then="hang")) as server:
        assert using(tmp_path, [server.base_url], leave_after_one)


def test_a_cancelled_request_closes_the_stream_before_its_first_piece_too(tmp_path: Path) -> None:
    async def cancel(provider: Provider) -> bool:
        task = asyncio.create_task(chat(provider))
        await asyncio.to_thread(server.held.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await asyncio.to_thread(server.closed_by_client.wait, 10)

    with ModelServer(Act((), then="hang")) as server:
        assert using(tmp_path, [server.base_url], cancel)


def test_failures_that_may_pass_are_repeated_as_often_as_the_settings_say(tmp_path: Path) -> None:
    busy = failing(503, {"error": {"message": "later"}})
    with ModelServer(busy, failing(500, {}), said("at last")) as server:
        assert result_of(tmp_path, server, extra=QUICK + "max_retries = 2\n").message.content == "at last"
    with ModelServer(busy) as server, pytest.raises(Busy):
        result_of(tmp_path, server, extra=QUICK + "max_retries = 2\n")
    assert len(server.posts) == 3


def test_a_request_that_is_wrong_is_not_repeated(tmp_path: Path) -> None:
    with ModelServer(failing(400, {"error": {"message": "no"}})) as server, pytest.raises(InvalidRequest):
        result_of(tmp_path, server)
    assert len(server.posts) == 1


def test_a_reply_that_broke_after_its_first_piece_is_not_begun_again(tmp_path: Path) -> None:
    with ModelServer(Act(REPLY[:1], then="cut"), said("again")) as server, pytest.raises(BackendUnavailable):
        result_of(tmp_path, server)
    assert len(server.posts) == 1


def test_the_server_s_retry_after_holds(tmp_path: Path) -> None:
    limited = failing(429, {"error": {"message": "slow down"}}, Retry_After="1")

    async def timed(provider: Provider) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await chat(provider)
        return loop.time() - began

    with ModelServer(said("warm"), limited, said("ok")) as server:

        async def after_warming(provider: Provider) -> float:
            await chat(provider)
            return await timed(provider)

        assert using(tmp_path, [server.base_url], after_warming) >= 1.0


def test_a_retry_after_beyond_the_deadline_is_busy_at_once(tmp_path: Path) -> None:
    limited = failing(429, {"error": {"message": "slow down"}}, Retry_After="3600")
    error = failure_of(tmp_path, limited, extra="max_retries = 3\n")
    assert isinstance(error, Busy)
    assert error.details["retry_after_s"] == 3600


def test_without_auto_retry_a_busy_server_is_an_error_at_once(tmp_path: Path) -> None:
    limited = failing(429, {"error": {"message": "slow down"}}, Retry_After="0")
    rate = QUICK + "rate_limit = { auto_retry = false }\n"
    assert isinstance(failure_of(tmp_path, limited, said("ok"), extra=rate), Busy)


def test_the_own_limit_is_kept_before_anything_is_sent(tmp_path: Path) -> None:
    rate = "rate_limit = { requests_per_minute = 2, auto_retry = false }\n"

    async def three(provider: Provider) -> Busy:
        await chat(provider)
        await chat(provider)
        with pytest.raises(Busy) as caught:
            await chat(provider)
        return caught.value

    with ModelServer(said("ok")) as server:
        error = using(tmp_path, [server.base_url], three, rate)
    assert len(server.posts) == 2
    assert 0 < error.details["retry_after_s"] <= 60


def test_the_limit_of_tokens_counts_what_the_server_counted(tmp_path: Path) -> None:
    rate = "max_tokens = 10\nrate_limit = { tokens_per_minute = 100, auto_retry = false }\n"
    usage = {"prompt_tokens": 90, "completion_tokens": 5, "total_tokens": 95}

    async def two(provider: Provider) -> None:
        await chat(provider)
        with pytest.raises(Busy):
            await chat(provider)

    with ModelServer(said("ok", usage=usage)) as server:
        using(tmp_path, [server.base_url], two, rate)
