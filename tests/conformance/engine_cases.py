"""What every engine does with SmolLM2, as cases that run over anything that chats, embeds and tokenizes.

A case that needs an ability which engines may lack names it. The model is small and often wrong: the cases look at how
it answers, not at what.
"""

from __future__ import annotations

import array
import asyncio
import json
import math
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from llmspell_protocol.errors import ContextLengthExceeded, SchemaUnsupported, Unsupported
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, ChatResult, Embeddings, SamplingOptions
from tests.support.templates import WEATHER

CONTEXT_SIZE = 512
"""Tokens a slot that the subjects are loaded with: long enough for every case, and soon full."""
DEADLINE_S = 120.0


class Subject(Protocol):
    """What the cases run over: a loaded SmolLM2 with `CONTEXT_SIZE` tokens a slot."""

    def chat(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]: ...

    async def embed(self, texts: Sequence[str], *, normalize: bool) -> Embeddings: ...

    async def tokenize(self, text: str) -> list[int]: ...


Run = Callable[[Subject], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Case:
    """One behaviour; `needs` are the abilities without any one of which an engine cannot have it."""

    run: Run
    needs: frozenset[str] = frozenset()


CASES: dict[str, Case] = {}


def case(*needs: str) -> Callable[[Run], None]:
    """Adds a function to the cases under its name."""

    def add(run: Run) -> None:
        CASES[run.__name__] = Case(run, frozenset(needs))

    return add


def ask(text: str, *, options: dict[str, Any] | None = None, **fields: Any) -> ChatRequest:
    """A greedy request of one user message and at most 24 tokens, unless told otherwise."""
    chosen = SamplingOptions(**{"temperature": 0.0, "max_tokens": 24, **(options or {})})
    if "messages" not in fields and "prompt" not in fields:
        fields["messages"] = [ChatMessage(role="user", content=text)]
    return ChatRequest(model="smollm2:135m", options=chosen, **fields)


async def chunks_of(subject: Subject, request: ChatRequest) -> list[ChatChunk]:
    """All chunks of a reply."""
    async with asyncio.timeout(DEADLINE_S), aclosing(subject.chat(request)) as stream:
        return [chunk async for chunk in stream]


async def result_of(subject: Subject, request: ChatRequest) -> ChatResult:
    """The end of a reply."""
    result = (await chunks_of(subject, request))[-1].result
    assert result is not None
    return result


def rows(embeddings: Embeddings) -> list[array.array[float]]:
    """The vectors of an answer."""
    values = array.array("f", embeddings.data)
    assert len(values) == embeddings.count * embeddings.dimensions
    return [values[at : at + embeddings.dimensions] for at in range(0, len(values), embeddings.dimensions)]


@case()
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


@case()
async def the_same_greedy_request_has_the_same_reply(subject: Subject) -> None:
    # The first request fills the cache, so that the two that are compared start alike.
    first, second, third = [await result_of(subject, ask("Tell me about the sea.")) for _ in range(3)]
    assert second.message.content == third.message.content
    assert first.finish_reason == second.finish_reason


@case()
async def a_seed_repeats_a_reply_and_another_seed_does_not(subject: Subject) -> None:
    def request(seed: int) -> ChatRequest:
        return ask("Invent a name.", options={"temperature": 1.5, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "seed": seed})

    await result_of(subject, request(1))
    one, again, other = [(await result_of(subject, request(seed))).message.content for seed in (7, 7, 8)]
    assert one == again
    assert one != other


@case()
async def max_tokens_ends_a_reply_with_length(subject: Subject) -> None:
    result = await result_of(subject, ask("Count to one hundred.", options={"max_tokens": 5}))
    assert result.finish_reason == "length"
    assert result.usage.completion_tokens == 5


@case()
async def the_model_may_stop_by_itself(subject: Subject) -> None:
    result = await result_of(subject, ask("Say hello.", options={"max_tokens": 200}))
    assert result.finish_reason == "stop"
    assert result.usage.completion_tokens < 200
    assert "<|im_end|>" not in result.message.content


@case()
async def a_stop_string_ends_a_reply_and_is_not_part_of_it(subject: Subject) -> None:
    whole = (await result_of(subject, ask("Tell me about the sea."))).message.content
    word = whole.split()[3]
    result = await result_of(subject, ask("Tell me about the sea.", options={"stop": [word]}))
    assert result.finish_reason == "stop"
    assert word not in result.message.content
    assert whole.startswith(result.message.content.rstrip())


@case()
async def a_reply_that_fills_the_context_says_so(subject: Subject) -> None:
    prompt = "one two three four five six seven eight nine ten " * 48
    result = await result_of(subject, ask("", prompt=prompt, raw=True, options={"max_tokens": None}))
    assert result.finish_reason == "context_full"
    assert result.usage.prompt_tokens + result.usage.completion_tokens >= CONTEXT_SIZE - 1


@case()
async def a_prompt_longer_than_the_context_is_refused_with_both_numbers(subject: Subject) -> None:
    with pytest.raises(ContextLengthExceeded) as caught:
        await chunks_of(subject, ask("a b c d e f g h " * 100))
    assert caught.value.details["prompt_tokens"] > CONTEXT_SIZE
    assert caught.value.details["limit"] == CONTEXT_SIZE


@case()
async def prefill_progress_grows_to_the_whole_prompt(subject: Subject) -> None:
    chunks = await chunks_of(subject, ask("progress " * 300, options={"max_tokens": 1}))
    seen = [chunk.prefill for chunk in chunks if chunk.prefill is not None]
    result = chunks[-1].result
    assert result is not None
    assert [one.processed for one in seen] == sorted(one.processed for one in seen)
    assert {one.total for one in seen} == {result.usage.prompt_tokens}
    assert len(seen) > 1
    assert seen[-1].processed >= result.usage.prompt_tokens - 1


@case("speculation")
async def a_reply_that_repeats_the_conversation_takes_what_is_drafted(subject: Subject) -> None:
    text = "The harbour was built in 1874 by an engineer from Leeds. It has two long piers and a lighthouse."
    turns = ["Tell me about the harbour.", text, "Say that again.", text, "Once more, please."]
    said = [ChatMessage(role="assistant" if at % 2 else "user", content=turn) for at, turn in enumerate(turns)]
    timings = (await result_of(subject, ask("", messages=said, options={"repeat_penalty": 1.0}))).timings
    assert timings.draft_tokens is not None
    assert timings.accepted_tokens is not None
    assert timings.draft_tokens >= timings.accepted_tokens > 0


@case("prefix_cache")
async def the_second_turn_of_a_conversation_reads_only_what_is_new(subject: Subject) -> None:
    first = [ChatMessage(role="user", content="My name is Ada and I build engines. Greet me.")]
    reply = await result_of(subject, ask("", messages=first))
    second = [*first, reply.message, ChatMessage(role="user", content="And now in French.")]
    result = await result_of(subject, ask("", messages=second))
    assert result.usage.cached_tokens >= reply.usage.prompt_tokens
    assert result.usage.cached_tokens < result.usage.prompt_tokens


@case("parallel", "prefix_cache")
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


@case("prompt_cache")
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


@case()
async def a_raw_prompt_is_continued_as_it_is(subject: Subject) -> None:
    request = ask("", prompt="The capital of France is", raw=True, options={"max_tokens": 3})
    result = await result_of(subject, request)
    assert result.message.content.startswith(" Paris")
    assert result.usage.prompt_tokens == len(await subject.tokenize("The capital of France is"))


@case()
async def a_prompt_gets_the_chat_template_unless_it_is_raw(subject: Subject) -> None:
    templated = await result_of(subject, ask("", prompt="Say hello."))
    as_message = await result_of(subject, ask("Say hello."))
    assert templated.usage.prompt_tokens == as_message.usage.prompt_tokens
    assert templated.usage.prompt_tokens > len(await subject.tokenize("Say hello.")) + 5


@case("schema")
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


@case("schema")
async def a_reply_fits_its_json_schema(subject: Subject) -> None:
    result = await result_of(subject, ask("Name a city.", schema=CITY, options={"max_tokens": 80}))
    value = json.loads(result.message.content)
    assert isinstance(value["city"], str)
    assert isinstance(value["capital"], bool)


@case("schema")
async def a_raw_continuation_fits_its_json_schema(subject: Subject) -> None:
    request = ask("", prompt="A city as JSON: ", raw=True, schema=CITY, options={"max_tokens": 80})
    value = json.loads((await result_of(subject, request)).message.content)
    assert isinstance(value["capital"], bool)


@case("schema")
async def a_type_list_in_a_schema_keeps_what_stands_beside_it(subject: Subject) -> None:
    schema = {"type": ["object", "null"], "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    result = await result_of(subject, ask("Answer.", schema=schema, options={"max_tokens": 60}))
    value = json.loads(result.message.content)
    assert value is None or isinstance(value["ok"], bool)


@case("schema", "integer_bounds")
async def integers_keep_their_bounds(subject: Subject) -> None:
    schema = {"type": "integer", "minimum": 31, "maximum": 37}
    request = ask("How old are you?", schema=schema, options={"temperature": 2.0, "seed": 3})
    assert 31 <= json.loads((await result_of(subject, request)).message.content) <= 37


@case()
async def a_schema_with_an_unknown_keyword_is_refused_before_anything_is_generated(subject: Subject) -> None:
    async with aclosing(subject.chat(ask("Hi.", schema={**CITY, "uniqueItems": True}))) as stream:
        with pytest.raises(SchemaUnsupported) as caught:
            await anext(stream)
    assert caught.value.details["keyword"] == "uniqueItems"


@case()
async def tools_are_refused_where_the_template_has_none(subject: Subject) -> None:
    with pytest.raises(Unsupported, match="tools"):
        await chunks_of(subject, ask("What is the weather in Paris?", tools=[WEATHER]))


@case()
async def embeddings_have_length_one_when_normalized_and_order_when_not(subject: Subject) -> None:
    texts = ["a cat sits on the mat", "a cat sat on a mat", "quarterly revenue grew by nine percent"]
    embeddings = await subject.embed(texts, normalize=True)
    assert (embeddings.count, len(embeddings.data)) == (3, 3 * embeddings.dimensions * 4)
    assert embeddings.usage.prompt_tokens == sum([len(await subject.tokenize(text)) for text in texts])
    cat, mat, money = rows(embeddings)
    assert all(math.isclose(math.hypot(*row), 1.0, abs_tol=1e-3) for row in (cat, mat, money))
    assert _dot(cat, mat) > _dot(cat, money)
    plain = rows(await subject.embed(texts[:1], normalize=False))[0]
    assert math.hypot(*plain) > 1.5
    assert _dot(plain, cat) / math.hypot(*plain) > 0.999


LONG_TEXT = (
    "The old lighthouse keeper climbed the narrow stairs every evening to light the lamp before the ships came home"
)


@case()
async def an_embedding_is_the_mean_over_the_whole_text(subject: Subject) -> None:
    texts = [LONG_TEXT, f"{LONG_TEXT} again"]
    before, after = rows(await subject.embed(texts, normalize=True))
    # The last token alone would move far (0.94), the first one not at all.
    assert 0.99 < _dot(before, after) < 0.9999


@case()
async def a_text_has_the_same_embedding_alone_among_others_and_beside_a_chat(subject: Subject) -> None:
    texts = [LONG_TEXT, "cat", f"{LONG_TEXT} again", "Bananas are cheap", f"{LONG_TEXT} slowly", "cat"]
    alone = [rows(await subject.embed([text], normalize=True))[0] for text in texts]
    together, others, _ = await asyncio.gather(
        subject.embed(texts, normalize=True),
        subject.embed(texts[::-1], normalize=True),
        result_of(subject, ask("Tell me about the sea.", options={"max_tokens": 40})),
    )
    for vectors in (rows(together), rows(others)[::-1]):
        assert [round(_dot(one, other), 3) for one, other in zip(alone, vectors, strict=True)] == [1.0] * len(texts)


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


@case()
async def a_text_that_is_too_long_to_embed_is_refused_with_both_numbers(subject: Subject) -> None:
    with pytest.raises(ContextLengthExceeded) as caught:
        await subject.embed(["word " * 2000], normalize=True)
    assert caught.value.details["prompt_tokens"] > caught.value.details["limit"] > 0


@case()
async def embedding_leaves_the_chat_that_runs_beside_it_alone(subject: Subject) -> None:
    request = ask("Tell me about the sea.", options={"max_tokens": 40})
    await result_of(subject, request)
    alone = await result_of(subject, request)
    beside, embeddings = await asyncio.gather(
        result_of(subject, request), subject.embed(["one", "two"], normalize=True)
    )
    assert embeddings.count == 2
    assert beside.usage.completion_tokens == alone.usage.completion_tokens
    assert beside.message.content[:20] == alone.message.content[:20]


@case()
async def tokens_are_the_models_own(subject: Subject) -> None:
    assert await subject.tokenize("Hello world") == [19556, 905]
    assert await subject.tokenize("") == []
    assert len(await subject.tokenize("<|im_start|>")) > 1, "a text is no place for special tokens"


@case()
async def a_stream_that_is_closed_leaves_the_engine_free(subject: Subject) -> None:
    async with aclosing(subject.chat(ask("Tell me a long story.", options={"max_tokens": 400}))) as stream:
        async for chunk in stream:
            if chunk.text:
                break
    result = await result_of(subject, ask("Say hello.", options={"max_tokens": 4}))
    assert result.message.content != ""


@case()
async def a_stream_that_is_closed_while_the_prompt_is_read_leaves_the_engine_free(subject: Subject) -> None:
    async with aclosing(subject.chat(ask("read " * 400))) as stream:
        async for chunk in stream:
            assert chunk.text == ""
            break
    result = await result_of(subject, ask("Say hello.", options={"max_tokens": 4}))
    assert result.message.content != ""


@case("parallel")
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


TEMPLATE_CASES: dict[str, Case] = {}


def template_case(needs: str) -> Callable[[Run], None]:
    """Adds a function to the cases that need the model with tools and thinking in its template."""

    def add(run: Run) -> None:
        TEMPLATE_CASES[run.__name__] = Case(run, frozenset({needs}))

    return add


@template_case("tools")
async def the_model_calls_a_tool(subject: Subject) -> None:
    request = ask("What is the weather in Paris?", tools=[WEATHER], options={"max_tokens": 60})
    chunks = await chunks_of(subject, request)
    result = chunks[-1].result
    assert result is not None
    assert result.finish_reason == "tool_calls"
    (call,) = result.message.tool_calls
    assert (call.name, call.arguments) == ("weather", {"city": "Paris"})
    assert call.id
    assert [one for chunk in chunks for one in chunk.tool_calls] == [call]


@template_case("tools")
async def a_tools_answer_goes_back_into_the_conversation(subject: Subject) -> None:
    asked = ChatMessage(role="user", content="What is the weather in Paris?")
    call = await result_of(subject, ask("", messages=[asked], tools=[WEATHER], options={"max_tokens": 60}))
    answered = ChatMessage(role="tool", content="sunny", tool_call_id=call.message.tool_calls[0].id)
    result = await result_of(subject, ask("", messages=[asked, call.message, answered], tools=[WEATHER]))
    assert result.usage.prompt_tokens > call.usage.prompt_tokens


@template_case("reasoning")
async def what_the_model_thinks_aloud_is_not_its_answer(subject: Subject) -> None:
    chunks = await chunks_of(subject, ask("What is 5 + 1?", options={"max_tokens": 60}))
    result = chunks[-1].result
    assert result is not None
    assert "I add the numbers" in (result.message.reasoning or "")
    assert "think>" not in result.message.content
    assert result.message.content.startswith("The sum")
    assert "".join(chunk.text for chunk in chunks) == result.message.content
    assert "".join(chunk.reasoning for chunk in chunks) == result.message.reasoning
