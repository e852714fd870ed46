"""Replies of model servers, changed at random: types swapped, nulls, bytes flipped, cut off, told twice.

For each kind of server: whatever it answers, a request comes to its result or to a typed error, and comes to it soon.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from llmspell_protocol.errors import LlmspellError
from llmspell_providers.base import Provider
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from tests.fuzz.trial import Trial
from tests.support.odd_values import ODD, leaves, with_value
from tests.support.raw_http import Plan, RawAsked, RawServer, http
from tests.support.server_kinds import LISTS, SECRET, SERVER_KINDS, ServerKind, chat_with, stream
from tests.support.settings import settings_from

RECORDINGS = Path(__file__).parents[2] / "recordings" / "ollama"
DEADLINE_S = 20
M = ModelSpec.parse("m")
_SPECIAL = (
    b"\x00",
    b"\xff",
    b"\xe2\x80\xa8",
    b"\r",
    b"\n",
    b"\n\n",
    b'"',
    b"{",
    b"}",
    b"[",
    b"null",
    b"data:",
    b"\xed\xa0\x80",
)
_CODES = {"timeout", "backend_unavailable", "model_not_found", "model_error", "busy", "invalid_request", "unauthorized"}
_CODES |= {"forbidden", "context_length_exceeded", "worker_crashed", "unsupported", "download_error", "out_of_memory"}
_CODES |= {"schema_unsupported", "model_load_failed", "source_unavailable", "disk_full", "checksum_mismatch"}
_CODES |= {"rate_limited"}


def run(trial: Trial) -> None:
    """See the module."""
    changed: list[Plan] = [()]

    def plan(asked: RawAsked) -> Plan:
        # A server that is trusted is asked for its version no more, and others have nothing but what is changed.
        content = LISTS.get("/api/version") if asked.path == "/api/version" else None
        return changed[0] if content is None else (http(json.dumps(content).encode()),)

    with RawServer(plan) as server, _providers(server.origin, trial.directory) as ask:
        while trial.more():
            kind = trial.random.choice(SERVER_KINDS)
            name, body = _reply(kind, trial.random)
            body = _changed(body, trial.random)
            changed[0] = _sent(body, trial.random)
            outcome = ask(kind, name)
            assert outcome is None or outcome.code in _CODES, f"{kind} {name}: {outcome!r} for {changed[0]!r}"
            assert outcome is None or SECRET not in f"{outcome.message} {outcome.hint} {outcome.details}"


@contextmanager
def _providers(origin: str, home: Path) -> Iterator[Callable[[ServerKind, str], LlmspellError | None]]:
    tables = "\n".join(
        f'[providers.{kind}]\nbase_url = "{origin}{"" if kind == "ollama" else "/v1"}"\nmax_retries = 0\n'
        f"timeout_seconds = {DEADLINE_S}"
        for kind in SERVER_KINDS
    )
    with asyncio.Runner() as runner:
        registry = ProviderRegistry(
            settings_from(tables, home), log_directory=home, environment={}, find_key=lambda *_: SECRET
        )

        async def played(kind: ServerKind, name: str) -> LlmspellError | None:
            async with asyncio.timeout(DEADLINE_S + 10):
                try:
                    await _CALLS[name](registry.get(kind))
                except LlmspellError as error:
                    return error
            return None

        yield lambda kind, name: runner.run(played(kind, name))
        runner.run(registry.close())


async def _chat(provider: Provider) -> None:
    came = await chat_with(provider)
    if isinstance(came, LlmspellError):
        raise came


async def _pull(provider: Provider) -> None:
    async for _ in provider.pull(M, force=False, quantization=None):
        pass


async def _health(provider: Provider) -> None:
    health = await provider.health()
    assert health.ready or health.reason


_CALLS: dict[str, Callable[[Provider], Awaitable[Any]]] = {
    "chat": _chat,
    "pull": _pull,
    "health": _health,
    "list": lambda provider: provider.list_models(),
    "info": lambda provider: provider.info(M),
    "loaded": lambda provider: provider.loaded(),
    "embed": lambda provider: provider.embed(M, ["a", "b"], normalize=True, client="me"),
}
_CONTENTS: dict[ServerKind, dict[str, list[str]]] = {
    "ollama": {
        "chat": ["064-chat-stream", "099-chat-tool-call", "109-chat-thinking", "159-chat-runner-killed"],
        "pull": ["174-pull-success", "188-pull-digest-mismatch", "168-pull-manifest-404"],
        "list": ["033-tags-two", "050-ps-one"],
        "loaded": ["050-ps-one"],
        "health": ["033-tags-two"],
        "info": ["038-show", "045-tags-six"],
        "embed": ["131-embed-two"],
    },
    "openai": {
        "chat": ["142-v1-chat-stream", "144-v1-chat-tools-stream", "148-v1-chat-missing-model"],
        "list": ["035-v1-models"],
        "health": ["035-v1-models"],
        "info": ["035-v1-models"],
        "embed": ["152-v1-embeddings"],
    },
    "anthropic": {"list": ["035-v1-models"], "health": ["035-v1-models"], "chat": ["events"]},
}


def _reply(kind: ServerKind, random: Random) -> tuple[str, bytes]:
    """What is asked, and the body that answers it."""
    name = random.choice(list(_CONTENTS[kind]))
    recording = random.choice(_CONTENTS[kind][name])
    if recording == "events":
        from tests.support.server_kinds import EVENTS

        return name, stream(kind, EVENTS[kind])
    chunks = json.loads((RECORDINGS / f"{recording}.json").read_text())["response"]["chunks"]
    return name, "".join(chunk["data"] for chunk in chunks).encode()


def _changed(body: bytes, random: Random) -> bytes:
    for _ in range(random.randint(1, 3)):
        body = random.choice((_odd_value, _odd_value, _odd_value, _odd_bytes, _cut, _doubled))(body, random)
    return body


def _odd_value(body: bytes, random: Random) -> bytes:
    """Another value at one place of one line's JSON."""
    lines = body.split(b"\n")
    at = random.randrange(len(lines))
    head, brace, rest = lines[at].partition(b"{")
    try:
        content = json.loads(brace + rest)
    except ValueError:
        return body
    odd = random.choice([*ODD.values(), float("nan"), float("inf"), "\ud83d", "\u2028", "9" * 30, 1e308, [[[]]] * 3])
    lines[at] = head + json.dumps(with_value(content, random.choice(leaves(content)), odd)).encode()
    return b"\n".join(lines)


def _odd_bytes(body: bytes, random: Random) -> bytes:
    data = bytearray(body)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) + 1)
        data[at : at + random.randint(0, 3)] = random.choice(_SPECIAL)
    return bytes(data)


def _cut(body: bytes, random: Random) -> bytes:
    return body[: random.randrange(len(body) + 1)]


def _doubled(body: bytes, random: Random) -> bytes:
    lines = body.split(b"\n")
    at = random.randrange(len(lines))
    return b"\n".join([*lines[:at], *[lines[at]] * random.randint(0, 3), *lines[at:]])


def _sent(body: bytes, random: Random) -> Plan:
    """The body as HTTP, now and then in pieces, too short, with another status, or broken off."""
    status = random.choice(["200 OK"] * 12 + ["400 B", "404 N", "429 T", "500 I", "503 S", "204 N", "307 T"])
    if random.random() < 0.1:
        return (http(body, status=status)[: random.randrange(len(body) + 60)], "close")
    if random.random() < 0.1:
        return (http(body, status=status, length=False), "close")
    return (http(body, status=status),)
