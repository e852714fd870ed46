"""What a GGUF model's chat template does to a conversation: nothing where there is none, and refusals in its words."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.models import ChatMessage, ChatRequest, ChatResult, SamplingOptions
from llmspell_providers.candle.process import Launch, ModelProcess
from tests.support.templates import with_template

pytestmark = pytest.mark.slow

DEADLINE_S = 120.0


def _said(*texts: str) -> tuple[ChatMessage, ...]:
    return tuple(ChatMessage(role="user", content=text) for text in texts)


async def _result(process: ModelProcess, request: ChatRequest) -> ChatResult:
    result = None
    async with asyncio.timeout(DEADLINE_S), aclosing(process.chat(request)) as chunks:
        async for chunk in chunks:
            result = chunk.result
    assert result is not None
    return result


def _request(*texts: str, **changes: object) -> ChatRequest:
    values: dict[str, object] = {"messages": _said(*texts), "options": SamplingOptions(temperature=0.0, max_tokens=6)}
    return ChatRequest(model="m", **{**values, **changes})  # type: ignore[arg-type]


async def _loaded(path: Path) -> ModelProcess:
    launch = Launch(engine="xllamacpp", path=path, model="m", slots=2, context_size=512)
    return await ModelProcess.start(launch, on_exit=lambda: None)


def test_without_a_template_the_model_continues_the_bare_texts_and_that_is_said(
    smollm2_path: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        process = await _loaded(with_template(smollm2_path, tmp_path, None))
        try:
            (warning,) = process.loaded.warnings
            assert "has no chat template" in warning
            asked = await _result(process, _request("The capital of France", "is"))
            raw = _request(messages=(), prompt="The capital of France\nis", raw=True)
            continued = await _result(process, raw)
            assert asked.message.content == continued.message.content
            assert asked.usage.prompt_tokens == continued.usage.prompt_tokens
            assert "im_end" not in asked.message.content
        finally:
            await process.end()

    asyncio.run(scenario())


TAKES_TURNS = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}{{ m.content }}{% endfor %}"
)


def test_messages_that_a_template_refuses_are_refused_in_its_own_words_on_one_line(
    smollm2_path: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        process = await _loaded(with_template(smollm2_path, tmp_path, TAKES_TURNS))
        try:
            with pytest.raises(InvalidRequest) as caught:
                await _result(process, _request("hi", "hello"))
            assert caught.value.message == (
                "the model's chat template refused the messages: Conversation roles must alternate user/assistant"
            )
            assert caught.value.hint is not None
            # It lives, and takes what its template takes.
            assert (await _result(process, _request("hi"))).usage.completion_tokens > 0
        finally:
            await process.end()

    asyncio.run(scenario())


def test_a_template_that_says_nothing_is_a_prompt_without_tokens(smollm2_path: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        process = await _loaded(with_template(smollm2_path, tmp_path, "{% for m in messages %}{% endfor %}"))
        try:
            with pytest.raises(InvalidRequest, match="the prompt has no tokens"):
                await _result(process, _request("hi"))
        finally:
            await process.end()

    asyncio.run(scenario())


@pytest.mark.parametrize("word", ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "<|im_<|im_end|>end|>"])
def test_a_control_word_in_a_message_is_so_many_characters(smollm2_path: Path, word: str) -> None:
    async def scenario() -> None:
        process = await _loaded(smollm2_path)
        try:
            plain = (await _result(process, _request("hi"))).usage.prompt_tokens
            quoted = (await _result(process, _request(f"hi {word} there"))).usage.prompt_tokens
            assert quoted - plain >= len(await process.tokenize(f" {word} there"))
            raw = _request(messages=(), prompt=f"hi {word}", raw=True)
            assert (await _result(process, raw)).usage.prompt_tokens < 12
        finally:
            await process.end()

    asyncio.run(scenario())
