"""Chats of every engine: streams, ends, seeds, caches, prompts, schemas, and replies side by side."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import pytest

from llmspell_protocol.errors import ContextLengthExceeded, Unsupported
from llmspell_protocol.models import ChatMessage, ChatRequest
from tests.conformance.engine_case import CONTEXT_SIZE, DEADLINE_S, Cases, Subject, ask, chunks_of, result_of
from tests.support.templates import WEATHER

CASES = Cases()


@CASES.case()
async def the_pieces_of_a_stream_are_the_reply(subject: Subject) -> None:
    chunks = await chunks_of(subject, ask("Name three animals."))
    result = chunks[-1].result
    assert result is not None
    assert [chunk for chunk in chunks[:-1] if chunk.result is not None] == []
    assert "".join(chunk.text for chunk in chunks) == result.message.content != ""
    assert sum(chunk.text != "" for chunk in chunks) > 1
    assert result.message.role == "assistant"
    assert result.timings.prefill_ms > 0
    assert result.timings.decode_ms > 0
    assert result.timings.tokens_per_second is not None


@CASES.case()
async def the_same_greedy_request_has_the_same_reply(subject: Subject) -> None:
    # The first request fills the cache, so that the two that are compared start alike.
    first, second, third = [await result_of(subject, ask("Tell me about the sea.")) for _ in range(3)]
    assert second.message.content == third.message.content
    assert first.finish_reason == second.finish_reason


@CASES.case()
async def a_seed_repeats_a_reply_and_another_seed_does_not(subject: Subject) -> None:
    def request(seed: int) -> ChatRequest:
        return ask("Invent a name.", options={"temperature": 1.5, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "seed": seed})

    await result_of(subject, request(1))
    one, again, other = [(await result_of(subject, request(seed))).message.content for seed in (7, 7, 8)]
    assert one == again
    assert one != other


@CASES.case()
async def max_tokens_ends_a_reply_with_length(subject: Subject) -> None:
    result = await result_of(subject, ask("Count to one hundred.", options={"max_tokens": 5}))
    assert result.finish_reason == "length"
    assert result.usage.completion_tokens == 5


@CASES.case()
async def the_model_may_stop_by_itself(subject: Subject) -> None:
    result = await result_of(subject, ask("Say hello.", options={"max_tokens": 200}))
    assert result.finish_reason == "stop"
    assert result.usage.completion_tokens < 200
    assert "<|im_end|>" not in result.message.content


@CASES.case()
async def a_stop_string_ends_a_reply_and_is_not_part_of_it(subject: Subject) -> None:
    whole = (await result_of(subject, ask("Tell me about the sea."))).message.content
    word = whole.split()[3]
    result = await result_of(subject, ask("Tell me about the sea.", options={"stop": [word]}))
    assert result.finish_reason == "stop"
    assert word not in result.message.content
    assert whole.startswith(result.message.content.rstrip())


@CASES.case()
async def a_reply_that_fills_the_context_says_so(subject: Subject) -> None:
    prompt = "one two three four five six seven eight nine ten " * 48
    result = await result_of(subject, ask("", prompt=prompt, raw=True, options={"max_tokens": None}))
    assert result.finish_reason == "context_full"
    assert result.usage.prompt_tokens + result.usage.completion_tokens >= CONTEXT_SIZE - 1


@CASES.case()
async def a_prompt_longer_than_the_context_is_refused_with_both_numbers(subject: Subject) -> None:
    with pytest.raises(ContextLengthExceeded) as caught:
        await chunks_of(subject, ask("a b c d e f g h " * 100))
    assert caught.value.details["prompt_tokens"] > CONTEXT_SIZE
    assert caught.value.details["limit"] == CONTEXT_SIZE


@CASES.case()
async def prefill_progress_grows_to_the_whole_prompt(subject: Subject) -> None:
    chunks = await chunks_of(subject, ask("progress " * 300, options={"max_tokens": 1}))
    seen = [chunk.prefill for chunk in chunks if chunk.prefill is not None]
    result = chunks[-1].result
    assert result is not None
    assert [one.processed for one in seen] == sorted(one.processed for one in seen)
    assert {one.total for one in seen} == {result.usage.prompt_tokens}
    assert len(seen) > 1
    assert seen[-1].processed >= result.usage.prompt_tokens - 1


@CASES.case("speculation")
async def a_reply_that_repeats_the_conversation_takes_what_is_drafted(subject: Subject) -> None:
    text = "The harbour was built in 1874 by an engineer from Leeds. It has two long piers and a lighthouse."
    turns = ["Tell me about the harbour.", text, "Say that again.", text, "Once more, please."]
    said = [ChatMessage(role="assistant" if at % 2 else "user", content=turn) for at, turn in enumerate(turns)]
    timings = (await result_of(subject, ask("", messages=said, options={"repeat_penalty": 1.0}))).timings
    assert timings.draft_tokens is not None
    assert timings.accepted_tokens is not None
    assert timings.draft_tokens >= timings.accepted_tokens > 0


@CASES.case("prefix_cache")
async def the_second_turn_of_a_conversation_reads_only_what_is_new(subject: Subject) -> None:
    first = [ChatMessage(role="user", content="My name is Ada and I build engines. Greet me.")]
    reply = await result_of(subject, ask("", messages=first))
    second = [*first, reply.message, ChatMessage(role="user", content="And now in French.")]
    result = await result_of(subject, ask("", messages=second))
    assert result.usage.cached_tokens >= reply.usage.prompt_tokens
    assert result.usage.cached_tokens < result.usage.prompt_tokens


@CASES.case("parallel", "prefix_cache")
async def four_conversations_in_turn_keep_their_caches(subject: Subject) -> None:
    talks = [[ChatMessage(role="user", content=f"Tell me something about {word}.")] for word in _WORDS]
    cached: list[int] = []
    for turn in range(3):
        for talk in talks:
            result = await result_of(subject, ask("", messages=talk, options={"max_tokens": 8}))
            if turn:
                cached.append(result.usage.cached_tokens)
            talk += [result.message, ChatMessage(role="user", content="Go on.")]
    assert all(count > 40 for count in cached), cached


_WORDS = ("mountains", "rivers", "forests", "deserts")


@CASES.case("prompt_cache")
async def more_conversations_than_slots_keep_their_caches_in_memory(subject: Subject) -> None:
    talks = [[ChatMessage(role="user", content=f"Tell me a story about {word}.")] for word in (*_WORDS, "ice", "fire")]
    cached: list[int] = []
    for turn in range(3):
        for talk in talks:
            result = await result_of(subject, ask("", messages=talk, options={"max_tokens": 8}))
            if turn:
                cached.append(result.usage.cached_tokens)
            talk += [result.message, ChatMessage(role="user", content="Go on.")]
    assert all(count > 40 for count in cached), cached


@CASES.case()
async def a_raw_prompt_is_continued_as_it_is(subject: Subject) -> None:
    request = ask("", prompt="The capital of France is", raw=True, options={"max_tokens": 3})
    result = await result_of(subject, request)
    assert result.message.content.startswith(" Paris")
    assert result.usage.prompt_tokens == len(await subject.tokenize("The capital of France is"))


@CASES.case()
async def a_prompt_gets_the_chat_template_unless_it_is_raw(subject: Subject) -> None:
    templated = await result_of(subject, ask("", prompt="Say hello."))
    as_message = await result_of(subject, ask("Say hello."))
    assert templated.usage.prompt_tokens == as_message.usage.prompt_tokens
    assert templated.usage.prompt_tokens > len(await subject.tokenize("Say hello.")) + 5


@CASES.case("schema")
async def characters_of_several_tokens_arrive_whole(subject: Subject) -> None:
    request = ask("Say it.", schema={"const": "日本語 🙂 naïve"}, options={"max_tokens": 80})
    chunks = await chunks_of(subject, request)
    assert json.loads("".join(chunk.text for chunk in chunks)) == "日本語 🙂 naïve"
    assert not any("�" in chunk.text for chunk in chunks)


CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}, "capital": {"type": "boolean"}},
    "required": ["city", "capital"],
    "additionalProperties": False,
}


@CASES.case("schema")
async def a_reply_fits_its_json_schema(subject: Subject) -> None:
    result = await result_of(subject, ask("Name a city.", schema=CITY, options={"max_tokens": 80}))
    value = json.loads(result.message.content)
    assert isinstance(value["city"], str)
    assert isinstance(value["capital"], bool)


@CASES.case("schema")
async def a_raw_continuation_fits_its_json_schema(subject: Subject) -> None:
    request = ask("", prompt="A city as JSON: ", raw=True, schema=CITY, options={"max_tokens": 80})
    value = json.loads((await result_of(subject, request)).message.content)
    assert isinstance(value["capital"], bool)


@CASES.case("schema")
async def a_type_list_in_a_schema_keeps_what_stands_beside_it(subject: Subject) -> None:
    schema = {"type": ["object", "null"], "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    result = await result_of(subject, ask("Answer.", schema=schema, options={"max_tokens": 60}))
    value = json.loads(result.message.content)
    assert value is None or isinstance(value["ok"], bool)


@CASES.case("schema", "integer_bounds")
async def integers_keep_their_bounds(subject: Subject) -> None:
    schema = {"type": "integer", "minimum": 31, "maximum": 37}
    request = ask("How old are you?", schema=schema, options={"temperature": 2.0, "seed": 3})
    assert 31 <= json.loads((await result_of(subject, request)).message.content) <= 37


@CASES.case()
async def tools_are_refused_where_the_template_has_none(subject: Subject) -> None:
    with pytest.raises(Unsupported, match="tools"):
        await chunks_of(subject, ask("What is the weather in Paris?", tools=[WEATHER]))


@CASES.case()
async def a_stream_that_is_closed_leaves_the_engine_free(subject: Subject) -> None:
    async with aclosing(subject.chat(ask("Tell me a long story.", options={"max_tokens": 400}))) as stream:
        async for chunk in stream:
            if chunk.text:
                break
    result = await result_of(subject, ask("Say hello.", options={"max_tokens": 4}))
    assert result.message.content != ""


@CASES.case()
async def a_stream_that_is_closed_while_the_prompt_is_read_leaves_the_engine_free(subject: Subject) -> None:
    async with aclosing(subject.chat(ask("read " * 400))) as stream:
        async for chunk in stream:
            assert chunk.text == ""
            break
    result = await result_of(subject, ask("Say hello.", options={"max_tokens": 4}))
    assert result.message.content != ""


@CASES.case("parallel")
async def two_replies_are_written_at_the_same_time(subject: Subject) -> None:
    order: list[str] = []
    started = asyncio.Event()

    async def read(name: str, request: ChatRequest) -> None:
        async with aclosing(subject.chat(request)) as stream:
            async for chunk in stream:
                if chunk.text:
                    order.append(name)
                    started.set()

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(read("first", ask("Count to one hundred.", options={"max_tokens": 80})))
        await started.wait()
        group.create_task(read("second", ask("Name two colours.", options={"max_tokens": 8})))
    assert order.index("second") < len(order) - 1 - order[::-1].index("first")
