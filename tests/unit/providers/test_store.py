"""Models on disk: places, finding, holding, removing, verifying."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from llmspell_protocol.errors import InvalidRequest, ModelInUse, ModelNotFound
from llmspell_providers.library.manifest import Manifest, ManifestFile, read_manifest, write_manifest
from llmspell_providers.library.names import segment
from llmspell_providers.library.store import Store
from llmspell_providers.spec import ModelSpec

WEIGHTS = b"weights"


def _manifest(name: str, variant: str | None = None) -> Manifest:
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    return Manifest(
        name=name,
        variant=variant,
        format="gguf",
        quantization="Q4_K_M",
        files=(ManifestFile("model.gguf", len(WEIGHTS), digest),),
        source="hf://org/repo/model.gguf",
        layers=2,
        key_length=64,
        value_length=32,
        capabilities=("chat",),
        modified_at="2025-10-12T10:15:30.000Z",
    )


def _install(store: Store, name: str, variant: str | None = None) -> Manifest:
    manifest = _manifest(name, variant)
    directory = store.directory_of(manifest)
    directory.mkdir(parents=True)
    (directory / "model.gguf").write_bytes(WEIGHTS)
    write_manifest(directory, manifest)
    return manifest


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def test_a_manifest_comes_back_as_it_was_written(store: Store) -> None:
    manifest = _install(store, "org/repo", "Q4_K_M")

    assert read_manifest(store.directory_of(manifest)) == manifest
    assert manifest.id == "org/repo:Q4_K_M"
    assert manifest.head_dim == 96
    assert manifest.size_bytes == len(WEIGHTS)


def test_the_list_leaves_out_what_it_cannot_read_and_pulls_that_are_under_way(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    assert store.list() == []
    good = _install(store, "tinyllama", "Q4_K_M")
    for content in ("{", "[]", '{"manifest_version": 99}', '{"manifest_version": 1, "name": "x"}'):
        broken = store.place(f"broken{len(content)}", None)
        broken.mkdir(parents=True)
        (broken / "manifest.json").write_text(content)
    store.partial_place("other", None).mkdir(parents=True)

    whole, damaged = store.survey()
    assert whole == store.list() == [good]
    assert len(damaged) == len(caplog.records) == 4


def test_a_manifest_that_names_files_outside_its_directory_is_not_used(store: Store) -> None:
    directory = store.directory_of(_install(store, "evil"))
    text = (directory / "manifest.json").read_text()
    (directory / "manifest.json").write_text(text.replace("model.gguf", "../../../etc/passwd"))

    assert store.list() == []


@pytest.mark.parametrize("name", ["..", ".", ".partial", "../../etc", "/etc/passwd", "a\x00b", "a\\b", "%2e%2e"])
def test_no_name_leaves_the_directory(store: Store, name: str) -> None:
    place = store.place(name, name)

    assert place.parent.parent == store.directory
    assert place.resolve().is_relative_to(store.directory.resolve())
    assert not place.name.startswith(".")
    assert not place.parent.name.startswith(".")


def test_different_names_have_different_places() -> None:
    names = ["a/b", "a%2Fb", "a b", "a+b", "a", "A", ".a", "%2Ea"]

    assert len({segment(name) for name in names}) == len(names)


def test_a_name_that_no_file_system_takes_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="too long"):
        segment("x" * 300)


def test_a_variant_is_found_in_any_case_and_only_exactly(store: Store) -> None:
    manifest = _install(store, "tinyllama", "Q4_K_M")

    assert store.find(ModelSpec.parse("tinyllama:q4_k_m@candle")) == manifest
    assert store.find(ModelSpec.parse("tinyllama:Q4")) is None
    assert store.find(ModelSpec.parse("tiny")) is None


def test_a_name_without_variant_means_the_only_one_or_the_default(store: Store) -> None:
    small = _install(store, "tinyllama", "Q2_K")
    assert store.find(ModelSpec.parse("tinyllama")) == small

    usual = _install(store, "tinyllama", "Q4_K_M")
    assert store.find(ModelSpec.parse("tinyllama")) == usual
    assert store.find(ModelSpec.parse("tinyllama:Q2_K")) == small


def test_the_catalog_s_default_decides_where_it_knows_the_name(store: Store) -> None:
    _install(store, "smollm2", "1.7b")
    usual = _install(store, "smollm2", "135m")

    assert store.find(ModelSpec.parse("smollm2")) == usual


def test_a_name_that_could_be_several_is_an_error_that_lists_them(store: Store) -> None:
    _install(store, "own", "Q2_K")
    _install(store, "own", "Q8_0")

    with pytest.raises(InvalidRequest, match="own:Q2_K, own:Q8_0"):
        store.find(ModelSpec.parse("own"))


def test_a_hub_repository_is_found_by_both_of_its_spellings(store: Store) -> None:
    manifest = _install(store, "Org/Repo", "Q4_K_M")

    assert store.find(ModelSpec.parse("hf.co/Org/Repo:Q4_K_M")) == manifest
    assert store.find(ModelSpec.parse("Org/Repo@candle")) == manifest


def test_removing_frees_the_bytes_and_leaves_nothing(store: Store) -> None:
    manifest = _install(store, "tinyllama", "Q4_K_M")
    other = _install(store, "tinyllama", "Q2_K")

    assert store.remove(manifest) == len(WEIGHTS)
    assert store.list() == [other]
    store.remove(other)
    assert list(store.directory.iterdir()) == []


def test_a_held_model_is_not_removed_until_it_is_given_free(store: Store) -> None:
    manifest = _install(store, "tinyllama")
    with store.hold(manifest), store.hold(manifest):
        with pytest.raises(ModelInUse) as caught:
            store.remove(manifest)
        assert caught.value.details["pids"] == [os.getpid()]
        assert store.list() == [manifest]

    store.remove(manifest)
    with pytest.raises(ModelNotFound):
        store.hold(manifest)


def test_force_removes_a_model_that_is_held(store: Store) -> None:
    manifest = _install(store, "tinyllama")
    with store.hold(manifest):
        store.remove(manifest, force=True)

    assert store.list() == []


def test_verify_tells_each_file_s_sums(store: Store) -> None:
    manifest = _install(store, "tinyllama")
    path = store.path(manifest)

    assert store.verify(manifest).ok is True
    path.write_bytes(b"altered")
    report = store.verify(manifest)
    assert report.ok is False
    (file,) = report.files
    assert (file.name, file.ok) == ("model.gguf", False)
    assert file.expected == hashlib.sha256(WEIGHTS).hexdigest()
    assert file.actual == hashlib.sha256(b"altered").hexdigest()
    path.unlink()
    assert store.verify(manifest).files[0].actual is None
    assert not store.is_complete(manifest)


def test_a_memory_ratio_is_kept(store: Store) -> None:
    manifest = _install(store, "tinyllama")

    changed = store.record_memory_ratio(manifest, "4x4096", 1.08)
    # Of the manifest as it is on disk, whatever the caller has read before.
    changed = store.record_memory_ratio(manifest, "1x512", 0.9)

    assert changed.memory_ratios == {"4x4096": 1.08, "1x512": 0.9}
    assert store.list() == [changed]
