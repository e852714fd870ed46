"""Texts that are embedded, scored and counted, in a kernel of its own and in one inside the program."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_kernel.embedded import EmbeddedKernel
from llmspell_kernel.services.models import ModelsService
from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import InvalidRequest, Unsupported
from tests.support.kernels import KernelProcess
from tests.support.model_server import ModelServer, answering
from tests.support.settings import settings_from

VECTOR = {"data": [{"index": 0, "embedding": [1.0]}], "usage": {"prompt_tokens": 3}}


@pytest.mark.parametrize(
    ("model", "purpose", "sent"),
    [
        ("nomic-embed-text", "query", "search_query: cat"),
        ("nomic-embed-text", "passage", "search_document: cat"),
        ("nomic-embed-text", None, "cat"),
        ("text-embedding-3-small", "query", "cat"),
    ],
)
def test_a_purpose_puts_the_words_of_the_model_before_a_text_once(
    tmp_path: Path, model: str, purpose: str | None, sent: str
) -> None:
    async def embed(url: str) -> None:
        table = f'[providers.box]\nprovider_type = "openai"\nbase_url = "{url}"\n'
        models = ModelsService(settings_from(table, tmp_path), tmp_path, log_directory=tmp_path, environment={})
        try:
            await models.embed(["cat"], model=f"{model}@box", normalize=True, client="me", purpose=purpose)  # type: ignore[arg-type]
            with pytest.raises(Unsupported):
                await models.count_tokens(f"{model}@box", ["cat"])
        finally:
            await models.close()

    with ModelServer(answering(VECTOR)) as server:
        asyncio.run(embed(server.base_url))
    assert [post.body["input"] for post in server.posts] == [[sent]]


@pytest.fixture(params=["embedded", "connected"])
def client(request: pytest.FixtureRequest, home: Path) -> Iterator[Client]:
    """A client of a kernel in either mode."""
    if request.param == "connected":
        kernel = KernelProcess()
        with kernel.client() as client:
            yield client
        kernel.stop()
        return
    embedded = EmbeddedKernel.start(env=os.environ, cwd=home.parent)
    try:
        embedded.wait()
        with Client(embedded.info, context=embedded.context) as client:
            yield client.connect()
    finally:
        embedded.stop()


def test_texts_are_scored_in_either_mode(client: Client) -> None:
    content = {"action": "rerank", "model": "mock/any", "query": "red cat", "texts": ["a red cat", "nothing", "cat"]}
    answer = client.request("model_request", content).result().content
    assert (answer["scores"], answer["model"]) == ([1.0, 0.0, 0.5], "mock/any")
    with pytest.raises(InvalidRequest):
        client.request("model_request", {**content, "texts": []}).result()
    wrong = {"action": "embed", "model": "mock/any", "input": ["a"], "purpose": "fun"}
    with pytest.raises(InvalidRequest, match="purpose"):
        client.request("model_request", wrong).result()
