"""Speculation with the real engine: the same words, fewer steps, and what is told about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from llmspell_protocol.errors import Unsupported
from llmspell_protocol.models import ChatMessage, ChatRequest, ChatResult, SamplingOptions
from llmspell_providers.candle.process import Launch, ModelProcess
from llmspell_providers.candle.server_binary import NEEDED
from tests.support.llama_server import launcher, stand_in

DEADLINE_S = 120.0
TEXT = (
    "The harbour of Vessel Bay was built in 1874 by the engineer Thomas Arkwright, who had studied in Leeds. It has "
    "two long piers, a lighthouse of grey stone and a small yard in which boats are repaired. In winter the fishermen "
    "mend their nets in the long shed behind the market."
)
CODE = (
    "def load(path):\n    rows = []\n    for line in open(path):\n"
    "        rows.append(line.split(','))\n    return rows\n"
)
TOWNS = "Harrow, Selby, Whitby, Ripon, Malton, Thirsk, Otley, Skipton, Settle and Richmond"


def said(*texts: str) -> list[ChatMessage]:
    """A conversation, the user first."""
    return [ChatMessage(role="assistant" if at % 2 else "user", content=text) for at, text in enumerate(texts)]


REPEATING = said("Tell me about Vessel Bay.", TEXT, "Say that again.", TEXT, "Once more, please.")
CONVERSATIONS = [
    REPEATING,
    said(f"Repeat this text word for word:\n\n{TEXT}"),
    said(f"Summarize this text:\n\n{TEXT}"),
    said(f"Who built the harbour?\n\n{TEXT}"),
    said("Write a function that loads rows.", CODE, "Show me the function again."),
    said(f"Add a docstring to this function:\n\n{CODE}"),
    said(f"Explain this function:\n\n{CODE}"),
    said(f"Name the towns of this list again: {TOWNS}."),
    said(f"Sort these towns: {TOWNS}."),
    said("Count from one to thirty in words."),
    said("Count from one to thirty in words.", "one, two, three, four, five, six, seven", "Go on."),
    said("Write a long story about a lighthouse keeper."),
    said("Explain how a bicycle is built."),
    said("Write a poem in which every line begins with the same word."),
    said("What is the capital of France?"),
    said("List ten animals, one on each line."),
    said("Say hello ten times."),
    said("Write a table of the squares of the numbers from 1 to 12."),
    said("Translate 'good morning' into French, German and Spanish."),
    said("Why is the sky blue?"),
]


def greedy(messages: list[ChatMessage], max_tokens: int = 96) -> ChatRequest:
    """A request whose reply is the same each time."""
    options = SamplingOptions(temperature=0.0, repeat_penalty=1.0, max_tokens=max_tokens)
    return ChatRequest(model="smollm2:135m", messages=messages, options=options)


@asynccontextmanager
async def loaded(path: Path, tmp_path: Path, **changes: object) -> AsyncIterator[ModelProcess]:
    """A loaded worker, ended at the end."""
    fields: dict[str, object] = {"engine": "xllamacpp", "model": "smollm2:135m", "context_size": 1024, **changes}
    launch = Launch(path=path, log_path=tmp_path / "worker.log", **fields)  # type: ignore[arg-type]
    process = await ModelProcess.start(launch, on_exit=lambda: None)
    try:
        yield process
    finally:
        await process.end()


async def result_of(process: ModelProcess, request: ChatRequest) -> ChatResult:
    """The end of a reply."""
    async with asyncio.timeout(DEADLINE_S), aclosing(process.chat(request)) as stream:
        results = [chunk.result async for chunk in stream if chunk.result is not None]
    return results[0]


@pytest.mark.slow
def test_a_greedy_reply_is_the_same_with_speculation(smollm2_path: Path, tmp_path: Path) -> None:
    async def texts(speculation: str) -> list[str]:
        async with loaded(smollm2_path, tmp_path, speculation=speculation) as process:
            assert process.loaded.speculation == speculation
            # The first say much again, so that drafts are taken to the end.
            lengths = [96] * 3 + [32] * (len(CONVERSATIONS) - 3)
            asked = map(greedy, CONVERSATIONS, lengths)
            return [(await result_of(process, request)).message.content for request in asked]

    async def run() -> None:
        assert await texts("ngram") == await texts("off")

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["xllamacpp", "llama-server"])
def test_a_reply_that_repeats_the_conversation_takes_drafts_and_says_so(
    engine: str, smollm2_path: Path, tmp_path: Path
) -> None:
    server = launcher(tmp_path) if engine == "llama-server" else None

    async def run() -> None:
        async with loaded(smollm2_path, tmp_path, engine=engine, server_path=server) as process:
            assert process.loaded.speculation == "ngram"
            result = await result_of(process, greedy(REPEATING))
            drafted, accepted = result.timings.draft_tokens, result.timings.accepted_tokens
            assert drafted is not None
            assert accepted is not None
            assert drafted >= accepted > result.usage.completion_tokens / 2
            again = await result_of(process, greedy(REPEATING))
            assert again.message.content == result.message.content
            assert again.timings.draft_tokens is not None
            assert process.draft_tokens == drafted + again.timings.draft_tokens

    asyncio.run(run())


@pytest.mark.slow
def test_without_speculation_nothing_is_said_about_drafts(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded(smollm2_path, tmp_path, speculation="off") as process:
            result = await result_of(process, greedy(REPEATING, max_tokens=8))
            assert (result.timings.draft_tokens, result.timings.accepted_tokens) == (None, None)

    asyncio.run(run())


@pytest.mark.slow
def test_drafts_of_all_slots_at_once_fit_into_the_smallest_batch(smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded(smollm2_path, tmp_path, slots=4, batch_size=32) as process:
            assert process.loaded.speculation == "ngram"
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(result_of(process, greedy(REPEATING))) for _ in range(4)]
            assert all(one.result().timings.accepted_tokens for one in asked)

    asyncio.run(run())


@pytest.mark.parametrize("engine", ["llama-cpp-python", "torch"])
def test_an_engine_without_drafts_refuses_them_by_name(engine: str, smollm2_path: Path, tmp_path: Path) -> None:
    async def run() -> None:
        async with loaded(smollm2_path, tmp_path, engine=engine, speculation="ngram"):
            pass

    with pytest.raises(Unsupported, match=f"cannot be had: the engine {engine} has no drafts"):
        asyncio.run(run())


def test_a_server_that_is_too_old_for_drafts_goes_without_and_refuses_them_by_name(
    smollm2_path: Path, tmp_path: Path
) -> None:
    flags = "\n".join(f"{flag} N" for flag in sorted(NEEDED))
    server = stand_in(tmp_path, f"[ \"$1\" = --help ] && {{ echo '{flags}'; exit; }}")

    async def run(speculation: str) -> str:
        changes = {"engine": "llama-server", "server_path": server, "speculation": speculation, "device": "cpu"}
        async with loaded(smollm2_path, tmp_path, **changes) as process:
            return process.loaded.speculation

    assert asyncio.run(run("auto")) == "off"
    with pytest.raises(Unsupported, match="llama-server is too old for it"):
        asyncio.run(run("ngram"))
