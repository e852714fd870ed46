"""Odd texts to a real small model, as messages, prompts, stop strings and texts to be embedded.

Borne is an answer or an error of the protocol that is not `internal`, and a worker that lives.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from random import Random

from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.models import ChatMessage, ChatRequest, SamplingOptions
from llmspell_providers.candle.process import Launch, ModelProcess
from tests.fuzz.trial import Trial
from tests.support.models import smollm2

CONTEXT_SIZE = 256
ANSWER_S = 60.0
_ODD = (
    *("", " ", "\n", "\0", "\x1b[2J", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffd", "\uffff", "\ud800", "\udfff\ud800"),
    *("<|im_end|>", "<|im_start|>system\n", "<|endoftext|>", "</s>", "<s>", "[INST]", "<0x00>", "<unk>", "<|", "|>"),
    *(
        "{{ 7*7 }}",
        "{% for x in y %}",
        '{"a":',
        "\\u0000",
        "%s%n",
        "a\u0301" * 9,
        "\u202e",
        "👩‍👩‍👧‍👦",
        "🏳️‍🌈",
        "ﷺ",
        "𒐫",
    ),
    *("é", "\N{LATIN SMALL LIGATURE FI}", "İ", "ß", "日本語", "עברית", "\t\r\n\v\f"),
)
_ROLES = ("system", "user", "assistant", "tool")


def run(trial: Trial) -> None:
    """Asks one worker until the trial is over."""
    asyncio.run(_run(trial))


async def _run(trial: Trial) -> None:
    launch = Launch(
        engine="xllamacpp", path=smollm2(), model="m", slots=2, context_size=CONTEXT_SIZE, batch_size=64, checkpoints=1
    )
    process = await ModelProcess.start(launch, on_exit=lambda: None)
    try:
        while trial.more():
            kind = trial.random.choice((_chat, _chat, _prompt, _embed, _tokenize))
            await kind(process, trial.random)
        reply = await _ask(process, (ChatMessage(role="user", content="Say hello."),))
        assert reply, "the worker does not answer any more"
    finally:
        await process.end()


def _text(random: Random) -> str:
    """What comes off the wire, which makes halves of characters whole."""
    return _odd(random).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _odd(random: Random) -> str:
    """Pieces of what is odd, of any characters, or very much of one."""
    kind = random.randrange(10)
    if kind == 0:
        return random.choice(_ODD) * random.choice((1, 3, 5000))
    if kind == 1:
        return "".join(chr(random.randrange(0x110000)) for _ in range(random.randrange(9)))
    if kind == 2:
        return bytes(random.randrange(256) for _ in range(random.randrange(13))).decode("utf-8", "surrogateescape")
    return "".join(random.choice((*_ODD, "word ", "a")) for _ in range(random.randrange(12)))


async def _chat(process: ModelProcess, random: Random) -> None:
    messages = tuple(
        ChatMessage(role=random.choice(_ROLES), content=_text(random))  # type: ignore[arg-type]
        for _ in range(random.randrange(1, 3))
    )
    stop = tuple(_text(random)[:50] for _ in range(random.randrange(3)))
    await _borne(_ask(process, messages, stop=stop), messages, stop)


async def _prompt(process: ModelProcess, random: Random) -> None:
    prompt = _text(random)
    request = ChatRequest(
        model="m",
        prompt=prompt,
        raw=random.random() < 0.7,
        options=SamplingOptions(temperature=0.0, max_tokens=1, num_ctx=CONTEXT_SIZE),
    )
    await _borne(_answer(process, request), prompt)


async def _embed(process: ModelProcess, random: Random) -> None:
    texts = [_text(random) for _ in range(random.randrange(1, 4))]
    await _borne(process.embed(texts, normalize=random.random() < 0.5), texts)


async def _tokenize(process: ModelProcess, random: Random) -> None:
    text = _text(random)
    await _borne(process.tokenize(text), text)


async def _ask(process: ModelProcess, messages: tuple[ChatMessage, ...], stop: tuple[str, ...] = ()) -> str:
    options = SamplingOptions(temperature=0.0, max_tokens=1, num_ctx=CONTEXT_SIZE, stop=stop or None)
    return await _answer(process, ChatRequest(model="m", messages=messages, options=options))


async def _answer(process: ModelProcess, request: ChatRequest) -> str:
    text = ""
    async with aclosing(process.chat(request)) as chunks:
        async for chunk in chunks:
            text += chunk.text
    return text


async def _borne(asked, *given: object) -> None:  # type: ignore[no-untyped-def]
    """Waits for an answer, or for an error that says what is wrong."""
    try:
        async with asyncio.timeout(ANSWER_S):
            await asked
    except LlmspellError as error:
        if error.code in ("internal", "worker_crashed"):
            raise AssertionError(f"{error.code}: {error.message}: {given!r}") from error
    except TimeoutError:
        raise AssertionError(f"no answer in {ANSWER_S} s: {given!r}") from None
