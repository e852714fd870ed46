"""Every recording of a real Ollama: sent again as it was, and understood by the backend where it asks such things."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import (
    BackendUnavailable,
    Busy,
    ChecksumMismatch,
    ContextLengthExceeded,
    DownloadError,
    InvalidRequest,
    LlmspellError,
    ModelNotFound,
    SchemaUnsupported,
    SourceUnavailable,
    Unsupported,
    WorkerCrashed,
)
from llmspell_protocol.models import ChatMessage, ChatRequest, ChatResult
from llmspell_protocol.pulls import PullResult
from llmspell_providers.spec import ModelSpec
from tests.support.chat_turns import turn
from tests.support.ollama_backend import ollama_backend
from tests.support.ollama_replay import RECORDING_HEADER, RECORDINGS, OllamaReplay

ALL = {path.stem: json.loads(path.read_text()) for path in sorted(RECORDINGS.glob("*.json"))}
ERRORS: dict[str, type[LlmspellError]] = {
    "012-chat-no-models-at-all": ModelNotFound,
    "058-chat-bad-keepalive": InvalidRequest,
    "083-chat-format-bad": SchemaUnsupported,
    "088-chat-top-logprobs-range": InvalidRequest,
    "090-chat-bad-option-type": InvalidRequest,
    "092-chat-missing-model": ModelNotFound,
    "094-chat-invalid-json": InvalidRequest,
    "095-chat-empty-body": InvalidRequest,
    "097-chat-no-model": InvalidRequest,
    "098-chat-tools-unsupported": Unsupported,
    "106-chat-think-unsupported": Unsupported,
    "108-chat-think-bad-value": InvalidRequest,
    "114-chat-overlong-truncate-false": ContextLengthExceeded,
    "125-generate-suffix-unsupported": Unsupported,
    "127-generate-missing-model": ModelNotFound,
    "133-embed-empty-list": BackendUnavailable,
    "134-embed-bad-input": InvalidRequest,
    "135-embed-overlong-truncate-false": ContextLengthExceeded,
    "137-embed-missing-model": ModelNotFound,
    # The client went away, so that the end is missing.
    "154-chat-client-gone": BackendUnavailable,
    "159-chat-runner-killed": WorkerCrashed,
    "163-pull-unreachable": SourceUnavailable,
    "164-pull-unreachable-nonstream": SourceUnavailable,
    "165-pull-http-not-insecure": SourceUnavailable,
    "167-pull-empty-body": DownloadError,
    "168-pull-manifest-404": ModelNotFound,
    "170-pull-manifest-403": SourceUnavailable,
    "173-pull-no-redirect": DownloadError,
    "183-pull-client-gone": BackendUnavailable,
    "188-pull-digest-mismatch": ChecksumMismatch,
    "189-pull-blob-404": DownloadError,
    "190-chat-queue-full": Busy,
}


def _asked_for(*paths: str) -> list[str]:
    return [name for name, one in ALL.items() if one["request"]["method"] == "POST" and one["request"]["path"] in paths]


@pytest.fixture(scope="module")
def replay() -> Iterator[OllamaReplay]:
    """One server that has them all."""
    with OllamaReplay(*ALL) as server:
        yield server


@pytest.mark.parametrize("name", ALL)
def test_a_recording_is_sent_again_chunk_by_chunk(replay: OllamaReplay, name: str) -> None:
    request, recorded = ALL[name]["request"], ALL[name]["response"]
    connection = http.client.HTTPConnection(replay.base_url.removeprefix("http://"), timeout=60)
    connection.request(
        request["method"],
        request["path"],
        json.dumps(request["body_json"]) if request.get("body_json") is not None else None,
        {RECORDING_HEADER: name},
    )
    response = connection.getresponse()
    assert (response.status, response.reason) == (recorded["status"], recorded["reason"])
    assert dict(response.getheaders()) == recorded["headers"]
    assert _chunks(response) == [chunk["data"] for chunk in recorded["chunks"]]
    connection.close()


def _chunks(response: http.client.HTTPResponse) -> list[str]:
    if not response.chunked:
        whole = response.read().decode()
        return [whole] if whole else []
    chunks = []
    while length := int(response.fp.readline(), 16):
        chunks.append(response.fp.read(length).decode())
        assert response.fp.readline() == b"\r\n"
    return chunks


@pytest.mark.parametrize("name", _asked_for("/api/chat", "/api/generate"))
def test_a_chat_gives_what_was_said_or_its_error(name: str, tmp_path: Path) -> None:
    raw = ALL[name]["request"]["path"] == "/api/generate"

    async def chat(base_url: str) -> ChatResult:
        provider = ollama_backend(base_url, tmp_path)
        question: Any = {"prompt": "?", "raw": True} if raw else {"messages": (ChatMessage(role="user", content="?"),)}
        try:
            request = ChatRequest(model=(ALL[name]["request"]["body_json"] or {}).get("model", "m"), **question)
            chunks = [chunk async for chunk in turn(provider, request)]
        finally:
            await provider.close()
        assert chunks[-1].result is not None
        return chunks[-1].result

    with OllamaReplay(name) as ollama:
        if name in ERRORS:
            with pytest.raises(ERRORS[name]) as caught:
                asyncio.run(chat(ollama.base_url))
            assert type(caught.value) is ERRORS[name]
            return
        result = asyncio.run(chat(ollama.base_url))
    lines = [json.loads(line) for chunk in ALL[name]["response"]["chunks"] for line in chunk["data"].splitlines()]
    said = [line["response"] if raw else line["message"]["content"] for line in lines]
    thought = [line["message"].get("thinking", "") for line in lines if not raw]
    called = [call for line in lines if not raw for call in line["message"].get("tool_calls", ())]
    assert result.message.content == "".join(said)
    assert (result.message.reasoning or "") == "".join(thought)
    assert [(call.name, call.arguments) for call in result.message.tool_calls] == [
        (call["function"]["name"], call["function"]["arguments"]) for call in called
    ]
    assert result.usage.prompt_tokens == lines[-1].get("prompt_eval_count", 0)
    assert result.usage.completion_tokens == lines[-1].get("eval_count", 0)
    times = result.timings
    parts_ms = times.queue_ms + times.load_ms + times.prefill_ms + times.decode_ms
    assert parts_ms == pytest.approx(lines[-1].get("total_duration", 0) / 1e6)


@pytest.mark.parametrize("name", _asked_for("/api/embed"))
def test_an_embedding_gives_its_vectors_or_its_error(name: str, tmp_path: Path) -> None:
    answer = json.loads("".join(chunk["data"] for chunk in ALL[name]["response"]["chunks"]))
    rows = answer.get("embeddings") or [[]]

    async def embed(base_url: str) -> Any:
        provider = ollama_backend(base_url, tmp_path)
        try:
            return await provider.embed(ModelSpec.parse("m"), ["?"] * len(rows), normalize=True, client="me")
        finally:
            await provider.close()

    with OllamaReplay(name) as ollama:
        if name in ERRORS:
            with pytest.raises(ERRORS[name]) as caught:
                asyncio.run(embed(ollama.base_url))
            assert type(caught.value) is ERRORS[name]
        else:
            vectors = asyncio.run(embed(ollama.base_url))
            assert (vectors.count, vectors.dimensions) == (len(rows), len(rows[0]))
            assert vectors.usage.prompt_tokens == answer["prompt_eval_count"]


@pytest.mark.parametrize("name", _asked_for("/api/pull"))
def test_a_pull_ends_complete_or_with_its_error(name: str, tmp_path: Path) -> None:
    async def pull(base_url: str) -> PullResult:
        provider = ollama_backend(base_url, tmp_path)
        result = None
        try:
            async for progress in provider.pull(ModelSpec.parse("m"), force=False, quantization=None):
                assert progress.bytes_total is None or progress.bytes_downloaded <= progress.bytes_total
                result = progress.result
        finally:
            await provider.close()
        assert result is not None
        return result

    with OllamaReplay(name) as ollama:
        if name in ERRORS:
            with pytest.raises(ERRORS[name]) as caught:
                asyncio.run(pull(ollama.base_url))
            assert type(caught.value) is ERRORS[name]
            return
        result = asyncio.run(pull(ollama.base_url))
    assert result.download_status == ("already_present" if "again" in name else "complete")
    # What the registry was asked for the second time, 36,175,872, and where the first client was: nobody tells exactly.
    there = {"185-pull-resumed": 36_175_872, "187-pull-second-client": 30_146_560}.get(name, 0)
    assert result.resumed_from == pytest.approx(there, abs=400_000)
