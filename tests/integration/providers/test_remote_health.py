"""What a remote provider finds out without asking a model: lists, health, keys, ways to a server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from llmspell_protocol.addresses import parse_address
from llmspell_protocol.errors import (
    BackendUnavailable,
    ConfigError,
    ModelNotFound,
    Unauthorized,
)
from llmspell_protocol.models import (
    HealthStatus,
)
from llmspell_providers.base import Provider
from llmspell_providers.http.get_json import MAX_ANSWER_BYTES, ProbeFailed, get_json
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from tests.support.model_server import Act, ModelServer, answering, failing, said
from tests.support.remote_asking import KEY, SPEC, chat, request, using
from tests.support.settings import settings_from


def test_a_server_s_models_are_listed_and_described(tmp_path: Path) -> None:
    listing = answering({"object": "list", "data": [{"id": "m", "max_model_len": 4096}, {"id": "n"}]})

    async def look(provider: Provider) -> tuple[list[str], int | None, bool, bool]:
        info = await provider.info(SPEC)
        with pytest.raises(ModelNotFound) as caught:
            await provider.info(ModelSpec.parse("x@box"))
        assert caught.value.hint == "it has m, n"
        names = [model.id for model in await provider.list_models()]
        found = [await provider.find(spec) is not None for spec in (SPEC, ModelSpec.parse("x@box"))]
        return names, info.context_length, found[0], found[1]

    with ModelServer(said("ok"), listing=listing) as server:
        assert using(tmp_path, [server.base_url], look) == (["m", "n"], 4096, True, False)


def test_names_in_a_list_are_those_that_a_request_takes(tmp_path: Path) -> None:
    # Gemini's interface lists them so.
    listing = answering({"object": "list", "data": [{"id": "models/gemini-pro"}]})
    with ModelServer(said("ok"), listing=listing) as server:
        models = using(tmp_path, [server.base_url], lambda provider: provider.list_models())
    assert [model.id for model in models] == ["gemini-pro"]


@pytest.mark.parametrize("status", [403, 404, 405, 429])
def test_a_server_that_keeps_its_list_to_itself_is_there(status: int, tmp_path: Path) -> None:
    with ModelServer(said("no"), listing=failing(status, {})) as server:
        health = using(tmp_path, [server.base_url], lambda provider: provider.health())
    assert (health.ready, health.available_models, health.reason) == (True, 0, None)


def test_health_never_asks_a_model(tmp_path: Path) -> None:
    with ModelServer(said("no")) as server:
        health = using(tmp_path, [server.base_url], lambda provider: provider.health())
    assert (health.ready, health.available_models, health.reason) == (True, 1, None)
    assert [asked.method for asked in server.asked] == ["GET"]
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_vendor_without_a_list_is_there_when_anything_answers_and_is_sent_no_key(tmp_path: Path) -> None:
    async def look(base_url: str) -> HealthStatus:
        registry = ProviderRegistry(
            settings_from(f'[providers.perplexity]\nbase_url = "{base_url}"\n', tmp_path),
            log_directory=tmp_path,
            environment={},
            find_key=lambda *_: KEY,
        )
        try:
            return await registry.get("perplexity").health()
        finally:
            await registry.close()

    with ModelServer(said("no"), listing=failing(404, {})) as server:
        health = asyncio.run(look(server.base_url))
    assert (health.ready, health.reason) == (True, None)
    assert KEY not in json.dumps(dict(server.asked[0].headers))


def test_a_long_list_is_read_to_its_end_whatever_pieces_it_comes_in() -> None:
    # More than a socket holds, so that it can't come in one piece; no length is told, as Go's servers do it.
    names = [f"{number:0128}" for number in range(20_000)]
    with ModelServer(said("no"), models=names) as server:
        answer = asyncio.run(get_json(parse_address(server.base_url), "/models", deadline_s=30))
    assert [one["id"] for one in answer.content["data"]] == names


def test_a_list_without_an_end_is_given_up() -> None:
    endless = Act(("[" + " " * MAX_ANSWER_BYTES,), then="hang")
    with ModelServer(said("no"), listing=endless) as server, pytest.raises(ProbeFailed, match="more than any list"):
        asyncio.run(get_json(parse_address(server.base_url), "/models", deadline_s=30))


@pytest.mark.parametrize(
    ("listing", "reason"),
    [
        (failing(401, {}), "the API key is not accepted"),
        (failing(500, {}), "it answers with status 500 to /models"),
        (Act(("<html>",), 200, {}), "it answers with something else than JSON to /models"),
        (answering({"hello": 1}), "something else than a model server answers there"),
        (Act((), then="hang"), "no answer within 1 s"),
    ],
)
def test_health_says_what_is_wrong(tmp_path: Path, listing: Act, reason: str) -> None:
    with ModelServer(said("no"), listing=listing) as server:
        health = using(tmp_path, [server.base_url], lambda provider: provider.health())
    assert (health.ready, health.reason) == (False, reason)


def test_a_vendor_without_a_key_is_no_credentials_and_says_how_to_store_one(tmp_path: Path) -> None:
    async def look(found: list[str]) -> tuple[str | None, ConfigError]:
        registry = ProviderRegistry(
            settings_from("[providers.groq]\n", tmp_path),
            log_directory=tmp_path,
            environment={},
            find_key=lambda name, table: None,
        )
        provider = registry.get("groq")
        with pytest.raises(ConfigError) as caught:
            await chat(provider, request(model="m@groq"))
        return (await provider.health()).reason, caught.value

    reason, error = asyncio.run(look([]))
    assert reason == "no credentials (GROQ_API_KEY is not set, no key stored)"
    assert "GROQ_API_KEY" in error.message
    assert error.hint == "llmspell keys add groq"


def test_a_key_of_openai_in_the_environment_never_reaches_another_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    with ModelServer(said("ok")) as server:
        using(tmp_path, [server.base_url], chat, key=None)
    headers = json.dumps(dict(server.posts[0].headers))
    assert KEY not in headers
    assert "org-mine" not in headers
    assert "authorization" not in server.posts[0].headers


def test_a_better_key_counts_at_the_next_request(tmp_path: Path) -> None:
    keys = ["old", "new"]
    refused = failing(401, {"error": {"message": "no"}})

    async def twice() -> None:
        table = f'[providers.box]\nprovider_type = "openai"\nbase_url = "{server.base_url}"\n'
        registry = ProviderRegistry(
            settings_from(table, tmp_path), log_directory=tmp_path, environment={}, find_key=lambda *_: keys.pop(0)
        )
        with pytest.raises(Unauthorized):
            await chat(registry.get("box"))
        await chat(registry.get("box"))
        await registry.close()

    with ModelServer(refused, said("ok")) as server:
        asyncio.run(twice())
    assert [asked.headers["authorization"] for asked in server.posts] == ["Bearer old", "Bearer new"]


def test_a_server_that_refuses_connections_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        using(tmp_path, ["http://user:secret@127.0.0.1:9/v1"], chat, "max_retries = 0\n")
    assert caught.value.message == "box: no answer from http://127.0.0.1:9/v1 (connection refused)"


def test_a_proxy_of_the_environment_is_used_but_never_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    async def both(provider: Provider) -> None:
        assert (await provider.health()).ready
        assert (await chat(provider))[1].message.content == "ok"

    with ModelServer(said("ok")) as proxy, ModelServer(said("ok")) as here:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url.removesuffix("/v1"))
        using(tmp_path, ["http://models.example/v1"], both)
        assert [asked.path for asked in proxy.asked] == [
            "http://models.example/v1/models",
            "http://models.example/v1/chat/completions",
        ]
        using(tmp_path, [here.base_url], both)
        assert len(proxy.asked) == len(here.asked) == 2


@pytest.mark.parametrize("key", ["sk a", "sk-\n", "sk-\u00e9", "sk\r\nX-Evil: 1", "\u200bsk"])
def test_a_key_that_no_header_can_carry_is_a_mistake_in_the_settings_not_the_server_s(key: str, tmp_path: Path) -> None:
    async def look(provider: Provider) -> tuple[HealthStatus, ConfigError]:
        with pytest.raises(ConfigError) as caught:
            await chat(provider)
        return await provider.health(), caught.value

    with ModelServer(said("ok")) as server:
        health, error = using(tmp_path, [server.base_url], look, key=key)
        assert server.asked == []
    assert not health.ready
    assert "API key" in (health.reason or "")
    assert key not in error.message
