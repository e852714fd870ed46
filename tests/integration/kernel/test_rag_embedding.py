"""Vectors through the models service: what may pass is tried again, what takes too long is halved."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from llmspell_kernel.services.models import ModelsService
from llmspell_kernel.services.rag.embedding import Embedder, Made, described
from llmspell_protocol.errors import Busy, InvalidRequest, LlmspellError, Timeout, Unsupported
from tests.support.rag_kernel import rag_kernel
from tests.support.settings import settings_from
from tests.support.web_server import Answering, WebServer, web_server

T = TypeVar("T")


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def table(web: WebServer) -> str:
    return f'[providers.box]\nprovider_type = "openai"\nbase_url = "{web.url("/v1")}"\napi_key = "k"\nmax_retries = 0\n'


def batches(web: WebServer) -> list[int]:
    """How many texts each question for vectors had."""
    return [len(one.json["input"]) for one in web.asked if one.target == "/v1/embeddings"]


def play(home: Path, toml: str, model: str, scenario: Callable[[Embedder], Awaitable[T]]) -> T:
    settings = settings_from(toml, home)

    async def played() -> T:
        models = ModelsService(settings, home, log_directory=home, environment={})
        try:
            known = await described(models, model)
            return await scenario(Embedder(models, known, lambda: settings.rag, "client", Made()))
        finally:
            await models.close()

    return asyncio.run(played())


def vectors(request: Answering) -> None:
    texts = request.asked.json["input"]
    rows = [{"index": at, "embedding": [float(len(text)), 1.0]} for at, text in enumerate(texts)]
    request.answer({"data": rows, "model": "m", "usage": {"prompt_tokens": len(texts)}})


def test_what_may_pass_is_tried_again_as_often_as_the_settings_say(tmp_path: Path, web: WebServer) -> None:
    failures = iter([503, 503])

    def page(request: Answering) -> None:
        status = next(failures, None)
        request.answer("busy", status) if status is not None else vectors(request)

    web.pages["/v1/embeddings"] = page
    found = play(tmp_path, table(web), "m@box", lambda embedder: embedder.vectors(["a", "bb"], "passage"))
    assert (found.dimension, len(found.data), found.tokens) == (2, 16, 2)
    assert batches(web) == [2, 2, 2]
    failures = iter([503, 503, 503])
    once = table(web) + "[rag.embedding]\nmax_retries = 1\n"
    with pytest.raises(Busy):
        play(tmp_path, once, "m@box", lambda embedder: embedder.vectors(["a"], "passage"))


def test_a_batch_that_takes_too_long_is_asked_for_in_halves(tmp_path: Path, web: WebServer) -> None:
    closing = threading.Event()

    def page(request: Answering) -> None:
        if len(request.asked.json["input"]) > 2:
            closing.wait(30)
        vectors(request)

    web.pages["/v1/embeddings"] = page

    async def scenario(embedder: Embedder) -> int:
        await embedder.vectors(["warm"], "passage")
        try:
            found = await embedder.vectors(["a", "bb", "ccc", "dddd"], "passage")
        finally:
            closing.set()
        return len(found.data)

    toml = table(web) + "[rag.embedding]\ntimeout_seconds = 1\nmax_retries = 1\n"
    assert play(tmp_path, toml, "m@box", scenario) == 4 * 2 * 4
    assert batches(web) == [1, 4, 2, 2]


def test_a_text_that_takes_too_long_is_an_error_that_names_the_setting(tmp_path: Path, web: WebServer) -> None:
    closing = threading.Event()

    def page(request: Answering) -> None:
        if request.asked.json["input"] != ["warm"]:
            closing.wait(30)
        vectors(request)

    web.pages["/v1/embeddings"] = page

    async def scenario(embedder: Embedder) -> None:
        await embedder.vectors(["warm"], "passage")
        try:
            await embedder.vectors(["a"], "passage")
        finally:
            closing.set()

    toml = table(web) + "[rag.embedding]\ntimeout_seconds = 1\nmax_retries = 0\n"
    with pytest.raises(Timeout, match="made no vectors of 1 texts within 1 s") as late:
        play(tmp_path, toml, "m@box", scenario)
    assert late.value.details["setting"] == "rag.embedding.timeout_seconds"


def test_texts_that_no_one_can_count_are_taken_for_long(tmp_path: Path, web: WebServer) -> None:
    assert play(tmp_path, table(web), "m@box", lambda embedder: embedder.count(["abcd", "ä"])) == [2, 1]
    assert play(tmp_path, "", "mock/embed", lambda embedder: embedder.count(["two words", ""])) == [2, 0]


def test_the_longest_chunk_leaves_room_for_what_the_model_adds(tmp_path: Path) -> None:
    async def scenario(embedder: Embedder) -> list[int]:
        known = embedder.model
        found = []
        for longest, prefix in ((512, ""), (512, "passage: "), (None, ""), (4000, "")):
            embedder.model = known._replace(longest=longest, passage_prefix=prefix)
            found.append(embedder.longest_chunk(2048))
        embedder.model = known._replace(longest=8)
        with pytest.raises(InvalidRequest, match="which its own words fill"):
            embedder.longest_chunk(2048)
        return found

    assert play(tmp_path, "", "mock/embed", scenario) == [504, 495, 2048, 2048]


def test_a_model_without_vectors_is_refused(tmp_path: Path) -> None:
    from tests.support.installed import install

    install(tmp_path, "chatty", capabilities=("chat",))

    async def scenario(embedder: Embedder) -> None:
        del embedder

    with pytest.raises(Unsupported, match="makes no vectors"):
        play(tmp_path, "[providers.candle]\n", "chatty@candle", scenario)


def test_a_model_that_fails_while_a_document_is_cut_ends_the_ingest(tmp_path: Path, web: WebServer) -> None:
    """Texts that are cut by meaning need vectors of their sentences before anything is written."""
    web.pages["/v1/embeddings"] = lambda request: request.answer({"error": {"message": "no such key"}}, 401)
    toml = table(web) + "[rag.embedding]\nmax_retries = 0\n"
    documents = [{"text": "The sea rises. The moon pulls. Bread is baked. Dough rests.", "id": "a"}]
    with rag_kernel(tmp_path / "home", toml) as rag, pytest.raises(LlmspellError) as failed:
        rag("ingest", documents=documents, model="m@box", chunking={"strategy": "semantic"})
    assert failed.value.code == "unauthorized"
    assert failed.value.details["documents_done"] == 0
