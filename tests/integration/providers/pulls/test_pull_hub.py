"""What the hub's library does for a pull and what we add: files side by side, plans, pauses, resuming."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from llmspell_protocol.errors import (
    ChecksumMismatch,
    DiskFull,
    DownloadError,
    LlmspellError,
    ModelNotFound,
    RateLimited,
    Unauthorized,
    Unsupported,
)
from llmspell_protocol.pulls import PullProgress
from llmspell_providers.library.store import Store
from llmspell_providers.pulls.pull import Puller
from llmspell_providers.spec import ModelSpec
from tests.support.gguf_files import METADATA, gguf_file, safetensors_file
from tests.support.hub_manners import Refusal, too_many_requests
from tests.support.hub_server import HubServer
from tests.support.pulling import DEADLINE_S, MODEL, SHA256, SIZE, begun, fails, leftovers, pull, workers

PARTS = {
    f"Q8_0/m-Q8_0-0000{number}-of-00003.gguf": gguf_file(
        300_000, {**(METADATA if number == 1 else {}), "split.no": number - 1, "split.count": 3}
    )
    for number in (1, 2, 3)
}
"""A split model as llama.cpp makes it: only the first part describes it."""
NAMES = [name.rpartition("/")[2] for name in PARTS]
TOTAL = sum(map(len, PARTS.values()))


@pytest.fixture
def split(server: HubServer) -> HubServer:
    server.repositories["org/split"] = PARTS
    return server


def test_several_files_come_at_the_same_time(puller_of: Callable[..., Puller], store: Store, split: HubServer) -> None:
    manners = [split.manner(name) for name in NAMES]
    for manner in manners:
        manner.hold_at = 100_000

    async def side_by_side() -> list[PullProgress]:
        pulling = asyncio.create_task(pull(puller_of(), "hf.co/org/split"))
        for manner in manners:  # none is let go before all have begun
            assert await asyncio.to_thread(manner.reached.wait, DEADLINE_S)
        # Nor has one been given up and asked for again meanwhile.
        assert [len(split.data_requests(name)) for name in NAMES] == [1, 1, 1]
        for manner in manners:
            manner.release.set()
        return (await pulling).progress

    progress = asyncio.run(side_by_side())

    counted = [one.bytes_downloaded for one in progress]
    assert counted == sorted(counted)
    assert {one.bytes_total for one in progress if one.phase == "downloading"} == {TOTAL}
    assert progress[-1].bytes_downloaded == TOTAL
    (manifest,) = store.list()
    assert [file.name for file in manifest.files] == NAMES
    assert store.path(manifest).name == NAMES[0]
    assert store.verify(manifest).ok is True
    store.remove(manifest)
    assert store.list() == []


def test_files_sizes_and_the_reason_are_told_before_the_first_byte(
    puller_of: Callable[..., Puller], server: HubServer, small_disk: Path
) -> None:
    large = gguf_file(4_000_000)
    server.repositories["org/many"] = {"m-Q4_0.gguf": large, "m-Q8_0.gguf": MODEL}
    puller = puller_of(to=Store(small_disk / "models"))

    async def told() -> tuple[PullProgress, LlmspellError]:
        running = puller.pull(ModelSpec.parse("hf.co/org/many"))
        plan = await anext(one async for one in running if one.files)
        with pytest.raises(DiskFull) as caught:
            await anext(running)
        return plan, caught.value

    plan, error = asyncio.run(told())

    assert [(file.name, file.size_bytes) for file in plan.files] == [("m-Q4_0.gguf", len(large))]
    assert (plan.bytes_downloaded, plan.bytes_total) == (0, len(large))
    assert plan.reason == "Q4_0, since there is no Q4_K_M; also there: Q8_0"
    assert error.details["needed_bytes"] == len(large)
    assert error.details["free_bytes"] < len(large)
    assert server.data_requests("m-Q4_0.gguf") == []
    assert leftovers(Store(small_disk / "models")) == []


def test_a_killed_pull_of_several_files_goes_on_in_each_where_it_stopped(
    puller_of: Callable[..., Puller], store: Store, split: HubServer
) -> None:
    held = dict(zip(NAMES, (50_000, 100_000, 150_000), strict=True))
    for name, count in held.items():
        split.manner(name).hold_at = count

    async def killed() -> None:
        running = await begun(puller_of(), "hf.co/org/split", sum(held.values()))
        (worker,) = workers()
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(DownloadError):
            async for _ in running:
                pass

    asyncio.run(killed())
    for name in NAMES:
        split.manner(name).release.set()

    resumed = asyncio.run(pull(puller_of(), "hf.co/org/split"))

    assert resumed.result.resumed_from == sum(held.values())
    for name, count in held.items():
        assert split.range_requests(name) == [f"bytes={count}-"]
    first = next(one for one in resumed.progress if one.phase == "downloading")
    assert first.bytes_downloaded >= sum(held.values())
    (manifest,) = store.list()
    assert store.verify(manifest).ok is True


def test_nothing_is_installed_when_one_file_of_several_does_not_come(
    puller_of: Callable[..., Puller], store: Store, split: HubServer
) -> None:
    split.manner(NAMES[2]).status = 404

    error = asyncio.run(fails(puller_of(), "hf.co/org/split", ModelNotFound))

    assert "HTTP 404" in error.message
    assert store.list() == []


def test_a_file_that_does_not_come_ends_the_pauses_of_the_others_and_no_further_one_is_asked_for(
    puller_of: Callable[..., Puller], server: HubServer
) -> None:
    names = [f"m-Q8_0-0000{number}-of-00005.gguf" for number in range(1, 6)]
    server.repositories["org/five"] = {name: gguf_file(2000) for name in names}
    for name in names[:3]:  # with the next one, as many as come at the same time
        server.manner(name).refusals = [too_many_requests("50")] * 9
    server.manner(names[3]).status = 404

    error = asyncio.run(fails(puller_of(), "hf.co/org/five", ModelNotFound))

    assert names[3] in error.message
    assert [one for one in server.asked if one.path.endswith(names[4])] == []


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_wrong_byte_in_a_small_or_a_large_file_is_found_and_nothing_is_installed(
    name: str, puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    files = {"config.json": b'{"model_type": "t5"}', "model.safetensors": safetensors_file({"a": [1000]})}
    server.repositories["org/t5"] = files
    wrong = files[name][:-1] + b"X"
    server.manner(name).body = wrong

    error = asyncio.run(fails(puller_of(), "hf.co/org/t5", ChecksumMismatch))

    right = hashlib.sha1(b"blob %d\0" % len(files[name]) + files[name]).hexdigest()
    is_small = name == "config.json"
    assert error.details["expected"] == (right if is_small else hashlib.sha256(files[name]).hexdigest())
    assert error.details["actual"] != error.details["expected"]
    assert error.details["file"] == name
    assert store.list() == []
    assert not any(left.endswith(f"{name}.part") for left in leftovers(store))


def test_of_a_gated_repository_nothing_is_promised_or_asked_for_without_a_token(
    puller_of: Callable[..., Puller], server: HubServer
) -> None:
    server.gated["org/repo"] = "hf_good"

    seen: list[PullProgress] = []

    async def watched() -> None:
        async for progress in puller_of().pull(ModelSpec.parse("hf.co/org/repo")):
            seen.append(progress)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(Unauthorized):
        asyncio.run(watched())

    assert [one for one in seen if one.files] == []
    assert [one for one in server.asked if "/resolve/" in one.path] == []


@pytest.mark.parametrize("place", ["listing", "file"])
def test_a_pause_that_the_hub_asks_for_is_kept_and_told(
    place: str, puller_of: Callable[..., Puller], server: HubServer
) -> None:
    refusals = server.listing_refusals if place == "listing" else server.manner("tiny.Q4_K_M.gguf").refusals
    refusals.append(too_many_requests("1"))

    pulled = asyncio.run(pull(puller_of(), "tiny"))

    asked = (
        [one for one in server.asked if one.path.startswith("/api/")]
        if place == "listing"
        else server.data_requests("tiny.Q4_K_M.gguf")
    )
    assert len(asked) == 2
    assert asked[1].at_s - asked[0].at_s >= 1.0
    assert pulled.result.sha256 == SHA256
    assert "going on in 1 s" in " ".join(one.reason or "" for one in pulled.progress)


@pytest.mark.parametrize("place", ["listing", "file"])
@pytest.mark.parametrize(("demands", "times"), [("3600", 1), ("0", 6)])
def test_pauses_without_an_end_are_an_error_that_says_when_to_come_back(
    place: str, demands: str, times: int, puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    refusals = server.listing_refusals if place == "listing" else server.manner("tiny.Q4_K_M.gguf").refusals
    refusals += [too_many_requests(demands)] * 10

    error = asyncio.run(fails(puller_of(), "tiny", RateLimited))

    assert error.details["retry_after_s"] == float(demands)
    assert f"try again in {demands} s" in str(error.hint)
    assert len(refusals) == 10 - times
    assert leftovers(store) == []


def test_a_server_that_is_busy_for_a_moment_is_asked_again(puller_of: Callable[..., Puller], server: HubServer) -> None:
    server.manner("tiny.Q4_K_M.gguf").refusals = [Refusal(503), Refusal(502)]

    assert asyncio.run(pull(puller_of(), "tiny")).result.sha256 == SHA256


@pytest.mark.slow
def test_a_server_that_falls_silent_in_the_middle_is_given_up_and_the_next_pull_goes_on(
    puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    manner = server.manner("tiny.Q4_K_M.gguf")
    manner.silent_at = SIZE // 2

    error = asyncio.run(fails(puller_of(environment={"HF_HUB_DOWNLOAD_TIMEOUT": "1"}), "tiny", DownloadError))

    assert f"connection lost after {SIZE // 2} bytes" in error.message
    assert "goes on where it stopped" in str(error.hint)
    manner.silent_at = None
    assert asyncio.run(pull(puller_of(), "tiny")).result.resumed_from == SIZE // 2


def test_a_mirror_that_lists_names_only_is_asked_for_sizes_and_sums(
    puller_of: Callable[..., Puller], server: HubServer
) -> None:
    server.listing_has_sizes = False

    assert asyncio.run(pull(puller_of(), "tiny")).result.sha256 == SHA256
    assert [one.method for one in server.asked if "/resolve/" in one.path] == ["HEAD", "GET"]


def test_a_file_that_the_hub_does_not_serve_over_http_is_refused_before_the_first_byte(
    puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    server.announced_sizes["tiny.Q4_K_M.gguf"] = 63_000_000_000

    error = asyncio.run(fails(puller_of(), "hf.co/org/repo", Unsupported))

    assert "63 GB" in error.message
    assert server.data_requests("tiny.Q4_K_M.gguf") == []
    assert leftovers(store) == []
