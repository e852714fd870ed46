"""An Ollama server's health, its models and their embeddings, pulls, loads and removals, as a real server chatted."""

from __future__ import annotations

import asyncio
import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from llmspell_protocol.errors import (
    ChecksumMismatch,
    ContextLengthExceeded,
    InvalidRequest,
    ModelNotFound,
    RateLimited,
    SourceUnavailable,
    Unsupported,
)
from llmspell_protocol.models import LoadOptions
from llmspell_protocol.pulls import PullProgress
from llmspell_providers.ollama.provider import OllamaProvider
from llmspell_providers.spec import ModelSpec
from tests.support.ollama_backend import ollama_backend
from tests.support.ollama_calls import answer_of, progress_of, request_to
from tests.support.ollama_replay import RECORDINGS, OllamaReplay

SMOLLM2 = ModelSpec.parse("smollm2:135m")
CLOSED_PORT = "http://127.0.0.1:9"


def test_health_has_version_and_count(tmp_path: Path) -> None:
    with OllamaReplay("003-version", "033-tags-two") as ollama:
        health = asyncio.run(ollama_backend(ollama.base_url, tmp_path).health())
        assert (health.configured, health.ready, health.version, health.available_models) == (True, True, "0.24.0", 2)
        assert health.base_url == ollama.base_url
        assert health.latency_ms is not None


def test_health_and_lists_import_no_client(tmp_path: Path) -> None:
    script = f"""
import asyncio, sys
from pathlib import Path
from llmspell_providers.ollama.provider import OllamaProvider
from tests.support.settings import settings_from
settings = settings_from('[providers.ollama]\\nbase_url = "{CLOSED_PORT}"', Path("{tmp_path}"))
table = settings.providers.enabled["ollama"]
asyncio.run(OllamaProvider("ollama", table, log_directory=Path("{tmp_path}"), environment={{}}).health())
assert not {{"ollama", "httpx", "httpx2"}} & set(sys.modules), "imported"
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[3])


def test_a_daemon_that_is_down_is_reported_with_the_reason(tmp_path: Path) -> None:
    health = asyncio.run(ollama_backend(CLOSED_PORT, tmp_path).health())
    assert (health.ready, health.reason) == (False, "connection refused")


def test_a_foreign_server_on_the_port_is_not_taken_for_ollama(tmp_path: Path) -> None:
    with OllamaReplay() as foreign:
        health = asyncio.run(ollama_backend(foreign.base_url, tmp_path).health())
    assert (health.ready, health.reason) == (False, "it answers with status 404 to /api/version")


def test_a_server_that_says_nothing_is_given_up_after_a_second(tmp_path: Path) -> None:
    async def scenario() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        health = await ollama_backend(f"http://127.0.0.1:{port}", tmp_path).health()
        server.close()
        await server.wait_closed()
        assert (health.ready, health.reason) == (False, "no answer within 1 s")

    asyncio.run(scenario())


def test_the_list_has_sizes_counts_and_what_is_loaded(tmp_path: Path) -> None:
    with OllamaReplay("033-tags-two", "050-ps-one") as ollama:
        copy, original = asyncio.run(ollama_backend(ollama.base_url, tmp_path).list_models())
    assert (copy.id, original.id) == ("smollm2:copy", "smollm2:135m")
    assert (copy.loaded, original.loaded) == (False, True)
    assert (original.size_bytes, original.quantization, original.family) == (98_363_106, "Q4_1", "llama")
    assert original.parameter_count == 134_520_000
    assert original.modified_at == "2026-11-22T04:41:38.832Z"


def test_times_of_a_server_in_another_zone_are_utc(tmp_path: Path) -> None:
    with OllamaReplay("192-tags-other-timezone", "010-ps-empty") as ollama:
        models = asyncio.run(ollama_backend(ollama.base_url, tmp_path).list_models())
    assert all(model.modified_at is not None and model.modified_at.endswith("Z") for model in models)


def test_info_joins_what_the_server_shows_and_lists(tmp_path: Path) -> None:
    async def scenario(provider: OllamaProvider) -> None:
        info = await provider.info(SMOLLM2)
        assert (info.id, info.architecture, info.context_length) == ("smollm2:135m", "llama", 8192)
        assert (info.parameter_count, info.embedding_length, info.license) == (134_515_008, 576, "apache-2.0")
        assert info.chat_template
        assert list(info.capabilities) == ["chat", "embed"]
        assert info.loaded
        with pytest.raises(ModelNotFound):
            await provider.info(ModelSpec.parse("nope"))
        await provider.close()

    with OllamaReplay("033-tags-two", "050-ps-one", "038-show") as ollama:
        asyncio.run(scenario(ollama_backend(ollama.base_url, tmp_path)))


def test_a_licence_that_only_stands_in_the_model_s_text_is_shown_by_its_first_line(tmp_path: Path) -> None:
    async def licence(base_url: str) -> str | None:
        provider = ollama_backend(base_url, tmp_path)
        try:
            return (await provider.info(SMOLLM2)).license
        finally:
            await provider.close()

    shown = json.loads(json.loads((RECORDINGS / "038-show.json").read_text())["response"]["chunks"][0]["data"])
    del shown["model_info"]["general.license"]
    with OllamaReplay("033-tags-two", "050-ps-one", "038-show") as ollama:
        ollama.replace("038-show", {**shown, "license": "\n  Apache License\nVersion 2.0"})
        assert asyncio.run(licence(ollama.base_url)) == "Apache License"
        ollama.replace("038-show", {**shown, "license": None})
        assert asyncio.run(licence(ollama.base_url)) is None


def test_a_repository_of_hugging_face_is_asked_for_under_ollama_s_name_of_it(tmp_path: Path) -> None:
    with OllamaReplay("064-chat-stream", "174-pull-success") as ollama:
        name = "hf.co/unsloth/SmolLM2-135M-Instruct-GGUF:Q4_1"
        asyncio.run(answer_of(ollama_backend(ollama.base_url, tmp_path), request_to(f"{name}@ollama")))
        asyncio.run(
            progress_of(
                ollama_backend(ollama.base_url, tmp_path), f"huggingface.co/{name.removeprefix('hf.co/')}@ollama"
            )
        )
        assert [asked.body["model"] for asked in ollama.asked if asked.method == "POST"] == [name, name]


def test_a_registry_that_wants_fewer_requests_is_told_as_such(tmp_path: Path) -> None:
    said = 'pull model manifest: 429: {"errors": [{"code": "TOOMANYREQUESTS"}]}'
    with OllamaReplay("168-pull-manifest-404") as ollama:
        ollama.replace("168-pull-manifest-404", {"status": "pulling manifest"}, {"error": said})
        with pytest.raises(RateLimited, match="TOOMANYREQUESTS") as caught:
            asyncio.run(progress_of(ollama_backend(ollama.base_url, tmp_path), "nope"))
    assert caught.value.details["retry_after_s"] is None


def test_embeddings_are_float32_rows(tmp_path: Path) -> None:
    async def scenario(provider: OllamaProvider) -> None:
        vectors = await provider.embed(SMOLLM2, ["a", "b"], normalize=True, client="me")
        assert (vectors.count, vectors.dimensions, len(vectors.data)) == (2, 16, 2 * 16 * 4)
        assert sum(value**2 for value in struct.unpack("<16f", vectors.data[:64])) == pytest.approx(1, abs=1e-3)
        assert vectors.usage.prompt_tokens > 0
        with pytest.raises(Unsupported, match="'plain_vectors'"):
            await provider.embed(SMOLLM2, ["a"], normalize=False, client="me")
        await provider.close()

    with OllamaReplay("131-embed-two") as ollama:
        asyncio.run(scenario(ollama_backend(ollama.base_url, tmp_path)))
        assert ollama.asked[-1].body["truncate"] is False


def test_a_text_too_long_to_embed_is_an_error(tmp_path: Path) -> None:
    async def scenario(provider: OllamaProvider) -> None:
        try:
            await provider.embed(SMOLLM2, ["long"], normalize=True, client="me")
        finally:
            await provider.close()

    with OllamaReplay("135-embed-overlong-truncate-false") as ollama, pytest.raises(ContextLengthExceeded):
        asyncio.run(scenario(ollama_backend(ollama.base_url, tmp_path)))


def test_a_pull_adds_its_layers_up(tmp_path: Path) -> None:
    with OllamaReplay("174-pull-success") as ollama:
        progress = asyncio.run(
            progress_of(ollama_backend(ollama.base_url, tmp_path), "127.0.0.1:11511/library/smollm2:135m")
        )
    assert list(dict.fromkeys(one.phase for one in progress)) == ["resolving", "downloading", "verifying", "complete"]
    downloaded = [one.bytes_downloaded for one in progress]
    assert downloaded == sorted(downloaded)
    result = progress[-1].result
    assert result is not None
    assert (result.model_id, result.download_status) == ("127.0.0.1:11511/library/smollm2:135m", "complete")
    assert result.bytes_total == result.bytes_downloaded == 98_362_432 + 102 + 10 + 74 + 488


def test_a_pull_of_what_is_there_says_so(tmp_path: Path) -> None:
    with OllamaReplay("176-pull-again") as ollama:
        progress = asyncio.run(
            progress_of(ollama_backend(ollama.base_url, tmp_path), "127.0.0.1:11511/library/smollm2:135m")
        )
    assert progress[-1].result is not None
    assert progress[-1].result.download_status == "already_present"
    assert progress[-1].result.bytes_downloaded == 0


@pytest.mark.parametrize(
    ("recording", "kind"),
    [
        ("168-pull-manifest-404", ModelNotFound),
        ("163-pull-unreachable", SourceUnavailable),
        ("188-pull-digest-mismatch", ChecksumMismatch),
    ],
)
def test_errors_of_a_pull_are_typed_though_the_status_is_200(
    recording: str, kind: type[ModelNotFound], tmp_path: Path
) -> None:
    with OllamaReplay(recording) as ollama, pytest.raises(kind) as caught:
        asyncio.run(progress_of(ollama_backend(ollama.base_url, tmp_path), "nope"))
    assert type(caught.value) is kind


def test_a_quantization_beside_a_name_without_a_tag_is_refused_because_it_is_in_the_tag(tmp_path: Path) -> None:
    async def pull(provider: OllamaProvider, name: str) -> list[PullProgress]:
        try:
            spec = ModelSpec.parse(name)
            return [one async for one in provider.pull(spec, force=False, quantization="Q4_K_M")]
        finally:
            await provider.close()

    with OllamaReplay("174-pull-success") as ollama:
        with pytest.raises(InvalidRequest, match="in the name") as caught:
            asyncio.run(pull(ollama_backend(ollama.base_url, tmp_path), "smollm2"))
        assert caught.value.hint == "write it there, for example smollm2:8b-instruct-q4_K_M@ollama"
        assert ollama.asked == []
        # A name with a tag says which one it is.
        assert asyncio.run(pull(ollama_backend(ollama.base_url, tmp_path), "smollm2:135m"))[-1].result is not None


def test_loading_shows_in_ps_and_unloading_tells_the_memory(tmp_path: Path) -> None:
    async def scenario(provider: OllamaProvider) -> None:
        loaded = await provider.load(SMOLLM2, LoadOptions(keep_alive_s=300.0))
        assert (loaded.model, loaded.engine, loaded.memory_bytes) == ("smollm2:135m", "ollama", 190_948_608)
        assert loaded.load_ms is not None
        assert loaded.expires_at == "2026-11-22T04:46:40.710Z"
        assert loaded.reason == "kept by Ollama, until 2026-11-22T04:46:40.710Z unless it is used"
        # Another tag of the same weights is not in Ollama's list.
        other = await provider.load(ModelSpec.parse("smollm2"), LoadOptions())
        assert (other.model, other.expires_at) == ("smollm2:latest", None)
        assert other.reason == "kept by Ollama, which does not tell how long"
        await provider.load(SMOLLM2, LoadOptions(keep_alive_s=300.0, pin=True))
        assert await provider.unload(SMOLLM2, force=False) == 190_948_608
        assert await provider.unload(ModelSpec.parse("other"), force=False) == 0
        await provider.close()

    with OllamaReplay("129-generate-load", "050-ps-one") as ollama:
        asyncio.run(scenario(ollama_backend(ollama.base_url, tmp_path)))
        keep_alive = [asked.body.get("keep_alive") for asked in ollama.asked if asked.path == "/api/generate"]
    assert keep_alive == [300.0, None, -1.0, 0]


def test_a_model_that_stays_is_shown_as_pinned(tmp_path: Path) -> None:
    with OllamaReplay("055-ps-keepalive-forever") as ollama:
        (model,) = asyncio.run(ollama_backend(ollama.base_url, tmp_path).loaded())
    assert model.pinned
    assert (model.expires_at, model.reason) == (None, "pinned: stays until it is unloaded")


def test_removing_tells_the_bytes_and_what_is_missing(tmp_path: Path) -> None:
    async def scenario(provider: OllamaProvider) -> None:
        assert await provider.remove(ModelSpec.parse("smollm2:copy"), force=False) == 98_363_106
        with pytest.raises(ModelNotFound):
            await provider.remove(ModelSpec.parse("nope"), force=False)
        await provider.close()

    with OllamaReplay("033-tags-two", "042-delete") as ollama:
        asyncio.run(scenario(ollama_backend(ollama.base_url, tmp_path)))


def test_what_ollama_cannot_do_is_declared(tmp_path: Path) -> None:
    provider = ollama_backend(CLOSED_PORT, tmp_path)
    with pytest.raises(Unsupported, match="tokenize"):
        asyncio.run(provider.tokenize(SMOLLM2, "x"))
    with pytest.raises(Unsupported, match="verify"):
        asyncio.run(provider.verify(SMOLLM2))
    with pytest.raises(Unsupported, match="file:///"):
        asyncio.run(progress_of(provider, "file:///data/model.gguf@ollama"))
