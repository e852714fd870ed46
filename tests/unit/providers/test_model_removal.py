"""Removing a model: all of it or nothing, and through links only what is the model's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from llmspell_protocol.errors import ConfigError, ModelInUse, ModelNotFound
from llmspell_providers.library.manifest import Manifest
from llmspell_providers.library.placing import put_in_place
from llmspell_providers.library.store import Store
from llmspell_providers.spec import ModelSpec
from tests.support.bad_files import everybodys_directory, read_only
from tests.support.installed import install


@pytest.fixture
def store(tmp_path: Path) -> Store:
    install(tmp_path, "tiny", "Q4")
    install(tmp_path, "tiny", "Q8")
    return Store(tmp_path / "models" / "candle")


def _model(store: Store, name: str = "tiny:Q4") -> Manifest:
    found = store.find(ModelSpec.parse(name))
    assert found is not None
    return found


def _moved(path: Path, elsewhere: Path) -> Path:
    """Moves something to another place, with a link in its place; returns where it is."""
    elsewhere.mkdir(exist_ok=True)
    target = elsewhere / path.name
    shutil.move(path, target)
    path.symlink_to(target)
    return target


def _tree(directory: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in sorted(directory.rglob("*"))
        if path.name != "lock"
    }


def _variant(store: Store) -> Path:
    return store.place("tiny", "Q4")


LINKED: dict[str, Callable[[Store], Path]] = {
    "nothing": _variant,
    "a file": lambda store: _variant(store) / "model.gguf",
    "the manifest": lambda store: _variant(store) / "manifest.json",
    "the variant": _variant,
    "the name": lambda store: _variant(store).parent,
    "all models": lambda store: store.directory,
    "the home's models": lambda store: store.directory.parent,
}


@pytest.mark.parametrize("what", LINKED)
def test_a_model_is_removed_through_links_and_the_others_stay(store: Store, tmp_path: Path, what: str) -> None:
    path = LINKED[what](store)
    target = path if what == "nothing" else _moved(path, tmp_path / "other disk")
    if what == "the variant":
        (target / "notes.txt").write_text("mine")
    outside = {"a file": target, "the manifest": target}.get(what)

    freed = store.remove(_model(store))

    assert freed == (0 if what == "a file" else 3)
    assert [one.id for one in store.survey().whole] == ["tiny:Q8"]
    assert store.survey().damaged == []
    assert not os.path.lexists(_variant(store))
    if what == "the variant":
        assert _tree(target) == {"notes.txt": b"mine"}, "what else is there is somebody's"
    if outside is not None:
        assert outside.exists(), "a link's target stays"
    assert [entry for entry in os.listdir(store.directory / "tiny") if entry.startswith(".")] == []
    assert store.remove(_model(store, "tiny")) == 3
    assert store.survey() == ([], [])
    assert os.listdir(store.directory) == []


def test_a_model_whose_directory_holds_more_goes_whole(store: Store) -> None:
    place = _variant(store)
    (place / "1_Pooling").mkdir()
    (place / "1_Pooling" / "config.json").write_text("{}")
    (place / "dangling").symlink_to("/nowhere")

    assert store.remove(_model(store)) == 3
    assert not place.exists()


@pytest.mark.parametrize("closed", ["variant", "name", "variant and name", "a folder inside"])
@pytest.mark.parametrize("linked", [False, True])
def test_what_can_t_be_deleted_whole_is_not_touched(closed: str, linked: bool) -> None:
    with everybodys_directory() as home:
        install(home, "tiny", "Q4")
        store = Store(home / "models" / "candle")
        for directory, _, names in os.walk(home):
            os.chmod(directory, 0o777)
            for name in names:
                os.chmod(os.path.join(directory, name), 0o666)
        place = _variant(store)
        folder = place / "folder"
        folder.mkdir(mode=0o777)
        (folder / "file").write_text("x")
        if linked:
            place = _moved(place, home / "elsewhere")
            folder = place / "folder"
            (home / "elsewhere").chmod(0o777)
        shut = {
            "variant": [place],
            "name": [_variant(store).parent],
            "variant and name": [place, _variant(store).parent],
            "a folder inside": [folder],
        }[closed]
        manifest, before = _model(store), _tree(home)
        may = linked and closed == "a folder inside"  # which is not the model's, and stays

        with read_only(*shut):
            if may:
                store.remove(manifest)
            else:
                with pytest.raises(ConfigError) as caught:
                    store.remove(manifest)

        if may:
            assert (folder / "file").exists()
        else:
            assert _tree(home) == before
            assert store.survey().whole == [manifest]
            assert caught.value.details["path"] in (str(_variant(store)), *map(str, shut), str(_variant(store).parent))
            assert caught.value.details["reason"]
            assert "mode" in (caught.value.hint or "")


def test_a_model_in_use_is_refused_before_anything_is_deleted_through_a_link_too(store: Store, tmp_path: Path) -> None:
    manifest = _model(store)
    _moved(_variant(store), tmp_path / "other")
    before = _tree(store.directory)
    # A lock of the same process, through another descriptor, is another's.
    with store.hold(manifest):
        with pytest.raises(ModelInUse):
            store.remove(manifest)
        assert _tree(store.directory) == before
        assert store.remove(manifest, force=True) == 3
    with pytest.raises(ModelNotFound):
        store.remove(manifest)


def test_a_model_on_a_disk_that_takes_nothing_can_be_used_and_not_removed() -> None:
    with everybodys_directory() as home:
        install(home, "tiny", "Q4")
        store = Store(home / "models" / "candle")
        manifest = _model(store)
        with read_only(_variant(store)):
            with store.hold(manifest):
                pass
            with pytest.raises(ConfigError, match="can't be deleted"):
                store.remove(manifest)


@pytest.mark.parametrize("kind", ["a directory", "a link to nothing"])
def test_something_else_in_the_lock_s_place_is_no_way_out_of_the_directory(store: Store, kind: str) -> None:
    from tests.support.bad_files import IN_PLACE_OF_A_FILE

    manifest = _model(store)
    IN_PLACE_OF_A_FILE[kind](_variant(store) / "lock")

    with store.hold(manifest):
        pass
    with pytest.raises(ConfigError):
        store.remove(manifest)
    assert store.survey().whole != []


@pytest.mark.parametrize("kind", ["nothing", "a model", "a link to a model", "a link to nothing", "a file"])
def test_a_finished_pull_takes_the_place_of_whatever_is_there(store: Store, tmp_path: Path, kind: str) -> None:
    manifest, place = _model(store, "tiny:Q8"), _variant(store)
    other = tmp_path / "other"
    if kind == "a link to a model":
        target = _moved(place, other)
        (target / "notes.txt").write_text("mine")
    elif kind != "a model":
        shutil.rmtree(place)
    if kind == "a link to nothing":
        place.symlink_to("/nowhere")
    if kind == "a file":
        place.write_text("no directory")
    ready = tmp_path / "ready"
    shutil.copytree(store.place("tiny", "Q8"), ready)
    (ready / "model.gguf").write_bytes(b"new")

    put_in_place(ready, place)

    assert (place / "model.gguf").read_bytes() == b"new"
    assert not place.is_symlink()
    assert not ready.exists()
    assert [entry for entry in os.listdir(place.parent) if entry.startswith(".")] == []
    if kind == "a link to a model":
        assert _tree(other / "Q4") == {"notes.txt": b"mine"}
    assert store.survey().whole[-1] == manifest


def test_what_a_process_that_died_had_set_aside_is_swept_by_the_next(store: Store) -> None:
    left = _variant(store).with_name(".llmspell-999999999-gone-0123456789abcdef")
    left.mkdir()
    (left / "model.gguf").write_bytes(b"abc")

    assert [one.id for one in store.survey().whole] == ["tiny:Q4", "tiny:Q8"]
    store.remove(_model(store))

    assert not left.exists()
