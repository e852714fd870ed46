"""Models behind HTTP, against servers on loopback that answer rightly and wrongly: nothing hangs, nothing is silent."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from llmspell_protocol.errors import (
    BackendUnavailable,
    Busy,
    ConfigError,
    ContextLengthExceeded,
    Forbidden,
    InvalidRequest,
    LlmspellError,
    ModelError,
    ModelNotFound,
    SchemaViolation,
    Timeout,
    Unauthorized,
    Unsupported,
)
from llmspell_protocol.models import (
    ChatChunk,
    ChatMessage,
    ChatRequest,
    ChatResult,
    HealthStatus,
    LoadOptions,
    SamplingOptions,
    ToolCall,
)
from llmspell_providers.base import Provider
from llmspell_providers.http_probe import MAX_ANSWER_BYTES, ProbeFailed, get_json
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from tests.support.model_server import Act, ModelServer, answering, chunk, failing, said
from tests.support.settings import settings_from

KEY = "sk-this-must-never-be-shown"
QUICK = "retry = { initial_delay_ms = 1, max_delay_ms = 2 }\n"
SPEC = ModelSpec.parse("m@box")
T = TypeVar("T")


def using(
    home: Path, urls: list[str], scenario: Callable[[Provider], Awaitable[T]], extra: str = QUICK, key: str | None = KEY
) -> T:
    """What a scenario returns that is played with a provider of these servers."""
    table = f'[providers.box]\nprovider_type = "openai"\nbase_urls = {json.dumps(urls)}\n{extra}'

    async def play() -> T:
        registry = ProviderRegistry(
            settings_from(table, home), log_directory=home, environment={}, find_key=lambda name, table: key
        )
        try:
            async with asyncio.timeout(60):
                return await scenario(registry.get("box"))
        finally:
            await registry.close()

    return asyncio.run(play())


def request(text: str = "Hello?", **fields: Any) -> ChatRequest:
    return ChatRequest(**{"model": str(SPEC), "messages": (ChatMessage(role="user", content=text),), **fields})


async def chat(provider: Provider, asked: ChatRequest | None = None) -> tuple[list[ChatChunk], ChatResult]:
    chunks = [one async for one in provider.chat(asked or request(), client="me")]
    assert chunks[-1].result is not None
    return chunks[:-1], chunks[-1].result


def result_of(home: Path, server: ModelServer, asked: ChatRequest | None = None, extra: str = QUICK) -> ChatResult:
    return using(home, [server.base_url], lambda provider: chat(provider, asked), extra)[1]


def failure_of(
    home: Path, *acts: Act, extra: str = "max_retries = 0\n", asked: ChatRequest | None = None
) -> LlmspellError:
    with ModelServer(*acts) as server, pytest.raises(LlmspellError) as caught:
        result_of(home, server, asked, extra)
    shown = f"{caught.value.message} {caught.value.hint} {caught.value.details}"
    assert KEY not in shown
    return caught.value


def test_a_reply_streams_with_its_counts_and_its_key_in_the_header_alone(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    with ModelServer(said("Hel", "lo", usage=usage)) as server:
        chunks, result = using(tmp_path, [server.base_url], chat)
    assert [one.text for one in chunks] == ["Hel", "lo"]
    assert (result.message.content, result.finish_reason, result.model, result.backend) == ("Hello", "stop", "m", "box")
    assert (result.usage.prompt_tokens, result.usage.cached_tokens, result.usage.completion_tokens) == (9, 4, 2)
    assert result.timings.first_token_ms is not None
    assert server.posts[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.posts[0].path == "/v1/chat/completions"
    assert KEY not in json.dumps(server.posts[0].body)


def test_what_llama_cpp_s_server_measured_counts_before_our_own_clock(tmp_path: Path) -> None:
    measured = {"cache_n": 3, "prompt_ms": 12_345.5, "predicted_ms": 2_000.0}
    counted = {"prompt_tokens": 9, "completion_tokens": 4}
    reply = Act([chunk({"content": "Hi"}), chunk(finish="stop"), chunk(usage=counted, timings=measured)])
    with ModelServer(reply) as server:
        result = result_of(tmp_path, server)
    assert result.usage.cached_tokens == 3
    assert (result.timings.prefill_ms, result.timings.decode_ms) == (12_345.5, 2_000.0)
    assert result.timings.tokens_per_second == 2.0


def test_options_reach_the_server_under_its_names(tmp_path: Path) -> None:
    options = SamplingOptions(
        temperature=0.1, top_p=0.5, top_k=7, repeat_penalty=1.3, seed=4, max_tokens=11, stop=("end",)
    )
    with ModelServer(said("ok")) as server:
        result_of(tmp_path, server, request(options=options), QUICK + 'min_p = 0.2\nguided_choice = ["a"]\n')
    body = server.posts[0].body
    assert {name: body[name] for name in ("temperature", "top_p", "top_k", "min_p", "seed", "max_tokens", "stop")} == {
        "temperature": 0.1,
        "top_p": 0.5,
        "top_k": 7,
        "min_p": 0.2,
        "seed": 4,
        "max_tokens": 11,
        "stop": ["end"],
    }
    assert (body["repeat_penalty"], body["repetition_penalty"], body["guided_choice"]) == (1.3, 1.3, ["a"])
    assert body["stream_options"] == {"include_usage": True}


def test_an_option_of_ours_that_nobody_asked_for_is_not_sent(tmp_path: Path) -> None:
    with ModelServer(said("ok")) as server:
        result_of(tmp_path, server)
    assert {"top_k", "repeat_penalty", "repeat_last_n", "seed", "stop"} & server.posts[0].body.keys() == set()


def test_a_default_that_a_model_refuses_is_left_out_and_a_wish_is_not(tmp_path: Path) -> None:
    refusal = failing(400, {"error": {"message": "no", "param": "temperature", "code": "unsupported_value"}})
    with ModelServer(refusal, said("ok")) as server:
        assert result_of(tmp_path, server).message.content == "ok"
    assert [("temperature" in asked.body) for asked in server.posts] == [True, False]
    asked = request(options=SamplingOptions(temperature=0.3))
    assert isinstance(failure_of(tmp_path, refusal, said("ok"), asked=asked), InvalidRequest)


def test_a_vendor_gets_its_own_words_and_refuses_what_it_lacks(tmp_path: Path) -> None:
    def table(kind: str, url: str) -> str:
        return f'[providers.it]\nprovider_type = "{kind}"\nbase_url = "{url}"\napi_key = "k"\n'

    async def talk(kind: str, url: str, options: SamplingOptions, **fields: Any) -> None:
        settings = settings_from(table(kind, url), tmp_path)
        registry = ProviderRegistry(settings, log_directory=tmp_path, environment={})
        try:
            asked = request(model="m@it", options=options, **fields)
            await chat(registry.get("it"), asked)
        finally:
            await registry.close()

    with ModelServer(said("ok")) as server:
        asyncio.run(talk("mistral", server.base_url, SamplingOptions(seed=3)))
        body = server.posts[-1].body
        assert body["random_seed"] == 3
        assert {"seed", "stream_options"} & body.keys() == set()
        for kind in ("cohere", "perplexity"):
            asyncio.run(talk(kind, server.base_url, SamplingOptions()))
            assert "stream_options" not in server.posts[-1].body
        with pytest.raises(Unsupported, match="'top_k'"):
            asyncio.run(talk("mistral", server.base_url, SamplingOptions(top_k=3)))
        with pytest.raises(Unsupported, match="'raw'"):
            asyncio.run(talk("groq", server.base_url, SamplingOptions(), messages=(), prompt="x", raw=True))
        with pytest.raises(Unsupported, match="'tools'"):
            asyncio.run(talk("perplexity", server.base_url, SamplingOptions(), tools=({"name": "t"},)))


def test_tool_calls_are_put_together_from_their_pieces(tmp_path: Path) -> None:
    def call(**fields: Any) -> str:
        return chunk({"tool_calls": [fields]})

    pieces = Act(
        [
            call(index=0, id="a", type="function", function={"name": "add", "arguments": ""}),
            call(index=0, function={"arguments": '{"x": '}),
            call(index=1, id="b", type="function", function={"name": "now", "arguments": "{}"}),
            call(index=0, function={"arguments": "1}"}),
            chunk(finish="tool_calls"),
            "data: [DONE]\n\n",
        ]
    )
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    earlier = (
        ChatMessage(role="user", content="1 + 1?"),
        ChatMessage(role="assistant", tool_calls=(ToolCall(id="z", name="add", arguments={"x": 1}),)),
        ChatMessage(role="tool", content="2", tool_call_id="z", name="add"),
    )
    with ModelServer(pieces) as server:
        result = result_of(tmp_path, server, request(messages=earlier, tools=(tool,), tool_choice="add"))
    assert result.finish_reason == "tool_calls"
    assert [(one.id, one.name, one.arguments) for one in result.message.tool_calls] == [
        ("a", "add", {"x": 1}),
        ("b", "now", {}),
    ]
    body = server.posts[0].body
    assert body["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert body["messages"][1]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"x": 1}'}
    assert body["messages"][2] == {"role": "tool", "content": "2", "tool_call_id": "z"}


def test_what_a_model_thinks_is_told_apart_from_what_it_says(tmp_path: Path) -> None:
    thought = Act([chunk({"reasoning_content": "hm"}), chunk({"reasoning": "!"}), chunk({"content": "yes"}, "stop")])
    with ModelServer(thought) as server:
        message = result_of(tmp_path, server).message
    assert (message.reasoning, message.content) == ("hm!", "yes")


@pytest.mark.parametrize(
    ("finish", "tokens", "reason"),
    [("stop", 2, "stop"), ("length", 10, "length"), ("length", 4, "context_full"), ("eos", 3, "stop")],
)
def test_the_ends_of_a_reply_are_told_apart(tmp_path: Path, finish: str, tokens: int, reason: str) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": 1 + tokens}
    with ModelServer(said("x", finish=finish, usage=usage)) as server:
        result = result_of(tmp_path, server, request(options=SamplingOptions(max_tokens=10)))
    assert result.finish_reason == reason


def test_a_reply_that_a_content_filter_cut_is_an_error_with_what_had_come(tmp_path: Path) -> None:
    error = failure_of(tmp_path, said("half", finish="content_filter"))
    assert isinstance(error, ModelError)
    assert error.details["text"] == "half"


def test_a_schema_is_sent_and_the_reply_held_against_it(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    with ModelServer(said('{"n": 1}')) as server:
        assert result_of(tmp_path, server, request(schema=schema)).message.content == '{"n": 1}'
    assert server.posts[0].body["response_format"]["json_schema"]["schema"] == schema
    assert isinstance(failure_of(tmp_path, said('{"n": "one"}'), asked=request(schema=schema)), SchemaViolation)


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


REPLY = [chunk({"content": "a"}), chunk({"content": "b"}), chunk(finish="stop"), chunk(usage={"prompt_tokens": 1})]


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
        async with aclosing(provider.chat(request(), client="me")) as chunks:
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


def test_embeddings_come_in_the_order_of_the_texts_and_with_length_one(tmp_path: Path) -> None:
    rows = [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 4]}]
    answer = {"object": "list", "data": rows, "model": "m", "usage": {"prompt_tokens": 7, "total_tokens": 7}}
    with ModelServer(answering(answer)) as server:
        vectors = using(
            tmp_path,
            [server.base_url],
            lambda one: one.embed(SPEC, ["a", "b"], normalize=True, client="me"),
            QUICK + "truncate_prompt_tokens = 8\n",
        )
        body = server.posts[0].body
    assert (body["input"], body["truncate_prompt_tokens"]) == (["a", "b"], 8)
    assert struct.unpack("<4f", vectors.data) == pytest.approx((0.6, 0.8, 0, 1))
    assert (vectors.count, vectors.dimensions, vectors.usage.prompt_tokens) == (2, 2, 7)


@pytest.mark.parametrize("answer", [{}, [], {"data": [{"embedding": "?"}]}, {"data": [{"index": 0, "embedding": []}]}])
def test_an_answer_that_is_no_embedding_is_an_error(tmp_path: Path, answer: Any) -> None:
    with ModelServer(answering(answer)) as server, pytest.raises(BackendUnavailable):
        using(
            tmp_path,
            [server.base_url],
            lambda one: one.embed(SPEC, ["a"], normalize=True, client="me"),
            "max_retries = 0\n",
        )


def test_a_server_s_models_are_listed_and_described(tmp_path: Path) -> None:
    listing = answering({"object": "list", "data": [{"id": "m", "max_model_len": 4096}, {"id": "n"}]})

    async def look(provider: Provider) -> tuple[list[str], int | None, bool, bool]:
        info = await provider.info(SPEC)
        with pytest.raises(ModelNotFound) as caught:
            await provider.info(ModelSpec.parse("x@box"))
        assert caught.value.hint == "it has m, n"
        names = [model.id for model in await provider.list_models()]
        return names, info.context_length, await provider.has(SPEC), await provider.has(ModelSpec.parse("x@box"))

    with ModelServer(said("ok"), listing=listing) as server:
        assert using(tmp_path, [server.base_url], look) == (["m", "n"], 4096, True, False)


def test_names_in_a_list_are_those_that_a_request_takes(tmp_path: Path) -> None:
    # Gemini's interface lists them so.
    listing = answering({"object": "list", "data": [{"id": "models/gemini-pro"}]})
    with ModelServer(said("ok"), listing=listing) as server:
        models = using(tmp_path, [server.base_url], lambda provider: provider.list_models())
    assert [model.id for model in models] == ["gemini-pro"]


@pytest.mark.parametrize("status", [403, 404, 405, 429])
def test_a_server_that_keeps_its_list_to_itself_is_there(status: int, tmp_path: Path) -> None:
    with ModelServer(said("no"), listing=failing(status, {})) as server:
        health = using(tmp_path, [server.base_url], lambda provider: provider.health())
    assert (health.ready, health.available_models, health.reason) == (True, 0, None)


def test_health_never_asks_a_model(tmp_path: Path) -> None:
    with ModelServer(said("no")) as server:
        health = using(tmp_path, [server.base_url], lambda provider: provider.health())
    assert (health.ready, health.available_models, health.reason) == (True, 1, None)
    assert [asked.method for asked in server.asked] == ["GET"]
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_vendor_without_a_list_is_there_when_anything_answers_and_is_sent_no_key(tmp_path: Path) -> None:
    async def look(base_url: str) -> HealthStatus:
        registry = ProviderRegistry(
            settings_from(f'[providers.perplexity]\nbase_url = "{base_url}"\n', tmp_path),
            log_directory=tmp_path,
            environment={},
            find_key=lambda *_: KEY,
        )
        try:
            return await registry.get("perplexity").health()
        finally:
            await registry.close()

    with ModelServer(said("no"), listing=failing(404, {})) as server:
        health = asyncio.run(look(server.base_url))
    assert (health.ready, health.reason) == (True, None)
    assert KEY not in json.dumps(dict(server.asked[0].headers))


def test_a_long_list_is_read_to_its_end_whatever_pieces_it_comes_in() -> None:
    # More than a socket holds, so that it can't come in one piece; no length is told, as Go's servers do it.
    names = [f"{number:0128}" for number in range(20_000)]
    with ModelServer(said("no"), models=names) as server:
        answer = asyncio.run(get_json(server.base_url, "/models", deadline_s=30))
    assert [one["id"] for one in answer.content["data"]] == names


def test_a_list_without_an_end_is_given_up() -> None:
    endless = Act(("[" + " " * MAX_ANSWER_BYTES,), then="hang")
    with ModelServer(said("no"), listing=endless) as server, pytest.raises(ProbeFailed, match="more than any list"):
        asyncio.run(get_json(server.base_url, "/models", deadline_s=30))


@pytest.mark.parametrize(
    ("listing", "reason"),
    [
        (failing(401, {}), "the API key is not accepted"),
        (failing(500, {}), "it answers with status 500 to /models"),
        (Act(("<html>",), 200, {}), "it answers with something else than JSON to /models"),
        (answering({"hello": 1}), "something else than a model server answers there"),
        (Act((), then="hang"), "no answer within 1 s"),
    ],
)
def test_health_says_what_is_wrong(tmp_path: Path, listing: Act, reason: str) -> None:
    with ModelServer(said("no"), listing=listing) as server:
        health = using(tmp_path, [server.base_url], lambda provider: provider.health())
    assert (health.ready, health.reason) == (False, reason)


def test_a_vendor_without_a_key_is_no_credentials_and_says_how_to_store_one(tmp_path: Path) -> None:
    async def look(found: list[str]) -> tuple[str | None, ConfigError]:
        registry = ProviderRegistry(
            settings_from("[providers.groq]\n", tmp_path),
            log_directory=tmp_path,
            environment={},
            find_key=lambda name, table: None,
        )
        provider = registry.get("groq")
        with pytest.raises(ConfigError) as caught:
            await chat(provider, request(model="m@groq"))
        return (await provider.health()).reason, caught.value

    reason, error = asyncio.run(look([]))
    assert reason == "no credentials (GROQ_API_KEY is not set, no key stored)"
    assert "GROQ_API_KEY" in error.message
    assert error.hint == "llmspell keys add groq"


def test_a_key_of_openai_in_the_environment_never_reaches_another_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    with ModelServer(said("ok")) as server:
        using(tmp_path, [server.base_url], chat, key=None)
    headers = json.dumps(dict(server.posts[0].headers))
    assert KEY not in headers
    assert "org-mine" not in headers
    assert "authorization" not in server.posts[0].headers


def test_a_better_key_counts_at_the_next_request(tmp_path: Path) -> None:
    keys = ["old", "new"]
    refused = failing(401, {"error": {"message": "no"}})

    async def twice() -> None:
        table = f'[providers.box]\nprovider_type = "openai"\nbase_url = "{server.base_url}"\n'
        registry = ProviderRegistry(
            settings_from(table, tmp_path), log_directory=tmp_path, environment={}, find_key=lambda *_: keys.pop(0)
        )
        with pytest.raises(Unauthorized):
            await chat(registry.get("box"))
        await chat(registry.get("box"))
        await registry.close()

    with ModelServer(refused, said("ok")) as server:
        asyncio.run(twice())
    assert [asked.headers["authorization"] for asked in server.posts] == ["Bearer old", "Bearer new"]


def test_a_server_that_refuses_connections_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        using(tmp_path, ["http://user:secret@127.0.0.1:9/v1"], chat, "max_retries = 0\n")
    assert caught.value.message == "box: no answer from http://127.0.0.1:9/v1 (connection refused)"


def test_a_proxy_of_the_environment_is_used_but_never_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    async def both(provider: Provider) -> None:
        assert (await provider.health()).ready
        assert (await chat(provider))[1].message.content == "ok"

    with ModelServer(said("ok")) as proxy, ModelServer(said("ok")) as here:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url.removesuffix("/v1"))
        using(tmp_path, ["http://models.example/v1"], both)
        assert [asked.path for asked in proxy.asked] == [
            "http://models.example/v1/models",
            "http://models.example/v1/chat/completions",
        ]
        using(tmp_path, [here.base_url], both)
        assert len(proxy.asked) == len(here.asked) == 2


def test_what_needs_the_model_here_is_unsupported(tmp_path: Path) -> None:
    async def all_of_it(provider: Provider) -> None:
        for operation in (
            provider.remove(SPEC, force=False),
            provider.verify(SPEC),
            provider.load(SPEC, LoadOptions()),
            provider.unload(SPEC, force=False),
        ):
            with pytest.raises(Unsupported):
                await operation
        with pytest.raises(Unsupported):
            await anext(provider.pull(SPEC, force=False, quantization=None))

    using(tmp_path, ["http://127.0.0.1:9/v1"], all_of_it)


def test_a_package_that_is_missing_is_told_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(ConfigError) as caught:
        using(tmp_path, ["http://127.0.0.1:9/v1"], chat)
    assert caught.value.hint == "pip install 'llmspell[openai]'"


PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
JPEG = b"\xff\xd8\xff\xe0" + bytes(64)
WEBP = b"RIFF\x10\x00\x00\x00WEBPVP8 "
GIF = b"GIF89a" + bytes(16)


def test_images_go_as_addresses_that_hold_them_each_with_its_kind(tmp_path: Path) -> None:
    turns = (
        ChatMessage(role="user", content="What is this?", images=(PNG, JPEG)),
        ChatMessage(role="assistant", content="A cat."),
        ChatMessage(role="user", images=(WEBP, GIF)),
    )
    with ModelServer(said("Dogs.")) as server:
        result_of(tmp_path, server, request(messages=turns))
    first, second, third = (message["content"] for message in server.posts[0].body["messages"])
    assert first[0] == {"type": "text", "text": "What is this?"}
    assert second == "A cat."
    sent = [part["image_url"]["url"].partition(";base64,") for part in (*first[1:], *third)]
    kinds = [kind for kind, _, _ in sent]
    assert kinds == ["data:image/png", "data:image/jpeg", "data:image/webp", "data:image/gif"]
    assert [base64.b64decode(text) for _, _, text in sent] == [PNG, JPEG, WEBP, GIF]


def test_what_is_no_image_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    asked = request(messages=(ChatMessage(role="user", content="?", images=(b"%PDF-1.7",)),))
    with ModelServer(said("ok")) as server:
        with pytest.raises(InvalidRequest, match="no file that is known"):
            result_of(tmp_path, server, asked)
        assert server.posts == []


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (500, "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"),
        (400, "Invalid content type. image_url is only supported by certain models."),
        (400, "m is not a multimodal model"),
        (400, "At most 0 image(s) may be provided in one prompt."),
        (404, "this model does not support image input"),
    ],
)
def test_a_model_without_eyes_is_unsupported_whatever_the_server_calls_it(
    tmp_path: Path, status: int, message: str
) -> None:
    asked = request(messages=(ChatMessage(role="user", content="?", images=(PNG,)),))
    error = failure_of(tmp_path, failing(status, {"error": {"message": message}}), asked=asked)
    assert type(error) is Unsupported
    assert (error.details["operation"], error.details["model"]) == ("images", "m")
    assert message in error.message
