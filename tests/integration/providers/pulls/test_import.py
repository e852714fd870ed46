"""Models that are on this machine already: used as they are, told when they go, removed without their owner's files."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_protocol.errors import ChecksumMismatch, InvalidRequest, LlmspellError, ModelLoadFailed, ModelNotFound
from llmspell_protocol.pulls import PullResult
from llmspell_providers.library.store import Store
from llmspell_providers.pulls.pull import Puller
from llmspell_providers.spec import ModelSpec
from tests.support.gguf_files import METADATA, gguf_file
from tests.support.gguf_split import split
from tests.support.pulling import MODEL, SHA256, leftovers


def _import(
    store: Store,
    path: Path,
    name: str = "mine",
    *,
    owner: str = "Ollama",
    sha256: str | None = None,
    force: bool = False,
) -> PullResult:
    async def run() -> PullResult:
        taken = Puller(store).take(path, name=name, variant=None, owner=owner, sha256=sha256, force=force)
        seen = [one async for one in taken]
        assert seen[-1].result is not None
        return seen[-1].result

    return asyncio.run(run())


def _refused(store: Store, path: Path, kind: type[LlmspellError], **options: str) -> LlmspellError:
    with pytest.raises(kind) as caught:
        _import(store, path, **options)
    return caught.value


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "theirs" / "tiny.gguf"
    path.parent.mkdir()
    path.write_bytes(MODEL)
    return path


@pytest.fixture
def far_file(tmp_path: Path) -> Iterator[Path]:
    """A model on another disk."""
    place = Path("/dev/shm")
    if not place.is_dir() or place.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this machine has one disk")
    directory = Path(tempfile.mkdtemp(dir=place))
    path = directory / "tiny.gguf"
    path.write_bytes(MODEL)
    yield path
    shutil.rmtree(directory)


def test_on_one_disk_the_model_is_the_same_file_and_removing_it_leaves_the_owner_s(store: Store, file: Path) -> None:
    result = _import(store, file)
    manifest = store.list()[0]

    assert (result.linked, result.owner, result.download_status) == ("hard", "Ollama", "complete")
    assert store.path(manifest).samefile(file)
    assert store.verify(manifest).ok
    assert leftovers(store) == []
    assert _import(store, file).download_status == "already_present"
    assert store.remove(manifest) == 0  # the file is there still
    assert file.read_bytes() == MODEL
    assert store.list() == []


def test_on_another_disk_a_link_leads_to_the_file_and_removing_it_leaves_the_owner_s(
    store: Store, far_file: Path
) -> None:
    result = _import(store, far_file)
    manifest = store.list()[0]

    assert result.linked == "symbolic"
    assert store.path(manifest).is_symlink()
    assert store.path(manifest).resolve() == far_file
    assert store.verify(manifest).ok
    assert store.remove(manifest) == 0
    assert far_file.read_bytes() == MODEL


def test_a_model_whose_owner_removed_it_is_told_and_can_be_removed(store: Store, far_file: Path) -> None:
    _import(store, far_file)
    far_file.unlink()
    manifest = store.list()[0]

    damage = store.survey().damaged[0]
    assert "is not there: it belongs to Ollama, and was removed or changed there" in damage.reason
    assert "llmspell model remove mine, then import it again" in str(damage.error().hint)
    assert store.remove(manifest) == 0
    assert store.survey().damaged == []


def test_a_file_that_its_owner_changed_is_told(store: Store, far_file: Path) -> None:
    _import(store, far_file)
    far_file.write_bytes(MODEL[:-4])

    assert "in place of" in store.survey().damaged[0].reason


def test_the_sum_that_its_owner_gives_is_compared(store: Store, file: Path) -> None:
    assert _import(store, file, sha256=SHA256).sha256 == SHA256
    error = _refused(store, file, ChecksumMismatch, name="other", sha256=hashlib.sha256(b"").hexdigest())

    assert "is not the announced file" in error.message
    assert [one.name for one in store.list()] == ["mine"]
    assert leftovers(store) == []


def test_two_files_of_one_name_are_two_models_only_with_two_names(store: Store, file: Path, tmp_path: Path) -> None:
    _import(store, file)
    second = tmp_path / "tiny.gguf"
    second.write_bytes(gguf_file(5000))
    error = _refused(store, second, InvalidRequest)

    assert "'mine' is already installed, from file://" in error.message
    assert "llmspell model import FILE --name NAME" in str(error.hint)
    assert _import(store, second, force=True).bytes_total == second.stat().st_size
    assert file.read_bytes() == MODEL


def test_all_parts_of_a_split_model_are_taken(store: Store, tmp_path: Path, smollm2_path: Path) -> None:
    parts = split(smollm2_path, tmp_path, "whole", 3)
    result = _import(store, parts[0])

    assert [one.name for one in result.files] == [part.name for part in parts]
    assert store.verify(store.list()[0]).ok


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"no model at all, only text", "is not a GGUF file"),
        (MODEL[:1000], "is truncated: it has 1000 of the"),
        (gguf_file(metadata={**METADATA, "general.architecture": "clip"}), "sees pictures"),
    ],
    ids=["garbage", "cut off", "eyes of another model"],
)
def test_what_is_no_model_is_refused_and_stays_where_it_is(
    store: Store, tmp_path: Path, data: bytes, says: str
) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(data)
    error = _refused(store, path, ModelLoadFailed)

    assert says in error.message
    assert "--force" not in str(error.hint)
    assert path.read_bytes() == data
    assert store.list() == []
    assert leftovers(store) == []


def test_a_file_that_is_not_there_is_told(store: Store, tmp_path: Path) -> None:
    assert "does not exist" in _refused(store, tmp_path / "nowhere.gguf", ModelNotFound).message


def test_an_imported_model_has_its_own_name_for_every_other_command(store: Store, file: Path) -> None:
    _import(store, file, name="org/mine")

    found = store.find(ModelSpec.parse("org/mine@candle"))
    assert found is not None
    assert found.owner == "Ollama"
