"""Models behind HTTP, against servers on loopback: what is sent, and what comes of what they answer."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import (
    BackendUnavailable,
    ConfigError,
    InvalidRequest,
    ModelError,
    SchemaViolation,
    Unsupported,
)
from llmspell_protocol.extras import install_command
from llmspell_protocol.models import (
    SAMPLING,
    ChatMessage,
    LoadOptions,
    SamplingOptions,
    ToolCall,
)
from llmspell_providers.base import Provider
from llmspell_providers.registry import ProviderRegistry
from tests.support.model_server import Act, ModelServer, answering, chunk, failing, said
from tests.support.remote_asking import KEY, QUICK, SPEC, chat, failure_of, request, result_of, using
from tests.support.settings import settings_from

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
JPEG = b"\xff\xd8\xff\xe0" + bytes(64)
WEBP = b"RIFF\x10\x00\x00\x00WEBPVP8 "
GIF = b"GIF89a" + bytes(16)


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


def test_an_option_that_nobody_set_is_not_sent(tmp_path: Path) -> None:
    with ModelServer(said("ok")) as server:
        result_of(tmp_path, server)
    assert {*SAMPLING, "max_completion_tokens"} & server.posts[0].body.keys() == set()


def test_an_option_of_the_settings_that_a_model_refuses_is_left_out_and_a_wish_is_not(tmp_path: Path) -> None:
    refusal = failing(400, {"error": {"message": "no", "param": "temperature", "code": "unsupported_value"}})
    with ModelServer(refusal, said("ok")) as server:
        assert result_of(tmp_path, server, extra=QUICK + "temperature = 0.7\n").message.content == "ok"
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
        tools = (tool, {"name": "now"})
        result = result_of(tmp_path, server, request(messages=earlier, tools=tools, tool_choice="required"))
    assert result.finish_reason == "tool_calls"
    assert [(one.id, one.name, one.arguments) for one in result.message.tool_calls] == [
        ("a", "add", {"x": 1}),
        ("b", "now", {}),
    ]
    body = server.posts[0].body
    assert body["tool_choice"] == "required"
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


def test_scores_come_in_the_order_of_the_texts(tmp_path: Path) -> None:
    rows = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": -3.5}]
    with ModelServer(answering({"model": "m", "results": rows, "usage": {"total_tokens": 9}})) as server:
        found = using(tmp_path, [server.base_url], lambda one: one.rerank(SPEC, "why?", ["a", "b"], client="me"))
    asked = server.posts[0]
    assert asked.path == "/v1/rerank"
    assert asked.body == {"model": "m", "query": "why?", "documents": ["a", "b"], "top_n": 2}
    assert (list(found.scores), found.usage.prompt_tokens) == ([-3.5, 0.9], 9)


@pytest.mark.parametrize(
    "answer",
    [{}, [], {"results": [{"index": 0}, {"index": 0}]}, {"results": [{"index": 0, "relevance_score": "high"}]}],
)
def test_an_answer_that_has_no_scores_is_an_error(tmp_path: Path, answer: Any) -> None:
    with ModelServer(answering(answer)) as server, pytest.raises(BackendUnavailable):
        using(tmp_path, [server.base_url], lambda one: one.rerank(SPEC, "q", ["a"], client="me"), "max_retries = 0\n")


def test_tokens_of_many_texts_are_not_counted(tmp_path: Path) -> None:
    with pytest.raises(Unsupported) as caught:
        using(tmp_path, ["http://127.0.0.1:9/v1"], lambda one: one.count_tokens(SPEC, ["a", "b"]))
    assert caught.value.details["operation"] == "tokenize"


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
    assert caught.value.hint == install_command("openai")


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
        with pytest.raises(InvalidRequest, match="of no known format"):
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
