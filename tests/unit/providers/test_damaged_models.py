"""Whatever is wrong with one model's files is that model's: it is told by its name, and the others can be used."""

from __future__ import annotations

import json
import logging
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import ConfigError, InvalidRequest, ModelLoadFailed
from llmspell_providers.library.manifest import Manifest, ManifestInvalid, manifest_from_content, read_manifest
from llmspell_providers.library.manifest_fields import _CHECKS
from llmspell_providers.library.store import Store
from llmspell_providers.spec import ModelSpec
from tests.support.bad_files import BAD_JSON, IN_PLACE_OF_A_FILE, as_nobody, everybodys_directory, replaced
from tests.support.installed import install

GOOD, BAD = ModelSpec.parse("good"), ModelSpec.parse("bad:Q4")
COUNTS = ("parameter_count", "context_length", "embedding_length", "layers", "heads", "kv_heads", "key_length")
COUNTS += ("value_length", "vocab_size")
TEXTS = ("name", "format", "source", "modified_at", "variant", "quantization", "license", "architecture", "pooling")
DEEP: Any = 1
for _ in range(200):
    DEEP = [DEEP]
NO_TEXT = (7, True, 1.5, [], {}, DEEP, "\ud800", "x" * 100_000)
NO_COUNT = ("7", "", True, 1.5, -1, 1 << 63, 10**400, float("nan"), float("inf"), [], {}, DEEP)
NO_SWITCH = (None, 0, 1, "true", [], {})
NO_FILES = (None, 7, "model.gguf", {}, [], [7], [None], [[]], [{}])
NO_NAME = (
    "",
    ".",
    "..",
    "a/b",
    "/etc/passwd",
    "a\0b",
    "manifest.json",
    "lock",
    "x" * 300,
    "模" * 100,
    7,
    None,
    "\ud800",
)
NO_SIZE = (None, -1, "3", True, 1.5, 1 << 63, float("nan"), [])
NO_SUM = (None, "", "abc", "g" * 64, "A" * 64, "0" * 63, "²" * 64, 7, ["0"] * 64)
WRONG = [
    *((field, value) for field in COUNTS for value in NO_COUNT),
    *((field, value) for field in TEXTS for value in NO_TEXT),
    *(("owner", value) for value in (*NO_TEXT, "", "x" * 5_001, "a\nb")),
    *((field, value) for field in ("chat_template", "tools") for value in NO_SWITCH),
    *(("memory_ratios", {"s": value}) for value in ("1", -1, 1e9, True, float("nan"), float("inf"), 10**400, [], None)),
    *(("memory", {"window_tokens": value}) for value in ("1", -1, 1.5, True, 1 << 41, 10**400, [], None)),
    *(("memory_ratios", value) for value in (None, 7, [], "x", {"": 1.0}, {"\0": 1.0}, {"\n": 1.0}, {"\ud800": 1.0})),
    *(("memory", {"kv_bytes_a_token": value}) for value in ("1", -1, 1.5, True, 1 << 63, 10**400, [], None)),
    *(("memory", value) for value in (7, [], "x", True)),
    *(("capabilities", value) for value in (None, 7, "chat", {}, [7], [None], [DEEP], ["chat"] * 1000)),
    *(("manifest_version", value) for value in (None, True, 0, 2, "1", 1.5, [], float("nan"))),
    *(("modified_at", value) for value in ("", "yesterday", "2025-13-01T00:00:00Z", "٢٠٢٥-01-01")),
    *(("format", value) for value in ("", "GGUF", "pickle", "gguf ")),
    *(("name", value) for value in ("", None, "a\nb", "a\x1b[2Jb")),
    *(("files", value) for value in NO_FILES),
    *(("files", [{"name": name, "size_bytes": 3, "sha256": "0" * 64}]) for name in NO_NAME),
    *(("files", [{"name": "model.gguf", "size_bytes": size, "sha256": "0" * 64}]) for size in NO_SIZE),
    *(("files", [{"name": "model.gguf", "size_bytes": 3, "sha256": digest}]) for digest in NO_SUM),
    ("files", [{"name": "model.gguf", "size_bytes": 3, "sha256": "0" * 64}] * 2),
    ("files", [{"name": f"{n}.gguf", "size_bytes": 3, "sha256": "0" * 64} for n in range(20_000)]),
]
"""Every field with values that it can't have."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A good model, and one at `bad:Q4` to be damaged."""
    install(tmp_path, "good")
    install(tmp_path, "bad", "Q4")
    return Store(tmp_path / "models" / "candle")


def _content(store: Store) -> dict[str, Any]:
    content = json.loads((store.place("good", None) / "manifest.json").read_text())
    assert isinstance(content, dict)
    return content


def _is_only_bad(store: Store, why: str | None = None) -> None:
    """The other model can be listed and found; the damaged one is told of, in every way, with the reason."""
    whole, damaged = store.survey()
    assert [one.id for one in whole] == ["good"]
    assert [one.id for one in damaged] == ["bad:Q4"]
    reason = damaged[0].reason
    assert why is None or why in reason
    assert len(reason) < 300
    reason.encode()
    error = damaged[0].error()
    assert reason in error.message
    assert error.details["path"] == str(store.place("bad", "Q4"))
    assert "doctor --fix" in (error.hint or "")
    good = store.find(GOOD)
    assert good is not None
    with store.hold(good):
        pass


def _is_refused(store: Store) -> None:
    with pytest.raises(ModelLoadFailed, match="damaged"):
        store.find(BAD)
    with pytest.raises(ModelLoadFailed, match="damaged"):
        store.find(ModelSpec.parse("bad"))


@pytest.mark.parametrize("kind", IN_PLACE_OF_A_FILE)
def test_something_else_in_a_manifest_s_place_is_that_model_s_problem(store: Store, kind: str) -> None:
    replaced(store.place("bad", "Q4") / "manifest.json", kind)

    _is_only_bad(store, {"a link to itself": "leads to itself", "a link to nothing": "/nowhere"}.get(kind, kind))
    _is_refused(store)


@pytest.mark.parametrize("kind", BAD_JSON)
def test_a_manifest_that_is_none_is_that_model_s_problem(store: Store, kind: str) -> None:
    (store.place("bad", "Q4") / "manifest.json").write_bytes(BAD_JSON[kind])

    _is_only_bad(store)
    _is_refused(store)


@pytest.mark.parametrize("kind", IN_PLACE_OF_A_FILE)
@pytest.mark.parametrize("part", ["model.gguf", ".", ".."])
def test_something_else_in_the_place_of_weights_or_directories_is_that_model_s_problem(
    store: Store, kind: str, part: str
) -> None:
    place = store.place("bad", "Q4") / part
    path = {".": place.parent / "Q4", "..": store.directory / "bad"}.get(part, place)
    replaced(path, kind)

    whole, damaged = store.survey()
    assert [one.id for one in whole] == ["good"]
    assert all(one.name == "bad" for one in damaged)
    assert damaged or (part != "model.gguf" and kind in ("a directory", "a pipe", "a socket", "a device")), (
        "only what is not a model's directory at all is not a model's"
    )
    assert store.find(GOOD) is not None


@pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda value: repr(value)[:20])
def test_no_field_of_a_manifest_takes_what_it_can_t_be(store: Store, field: str, value: object) -> None:
    content = {**_content(store), "name": "bad", "variant": "Q4", field: value}

    with pytest.raises(ManifestInvalid) as caught:
        manifest_from_content(content)

    assert len(str(caught.value)) < 200
    str(caught.value).encode()


@pytest.mark.parametrize("field", ["name", "format", "files", "source", "modified_at", "manifest_version"])
def test_a_field_that_must_be_there_is_missed_by_its_name(store: Store, field: str) -> None:
    content = _content(store)
    del content[field]

    with pytest.raises(ManifestInvalid, match=field):
        manifest_from_content(content)


def test_every_field_of_a_manifest_has_a_check() -> None:
    assert {item.name for item in fields(Manifest)} == {*_CHECKS, "files"}


def test_keys_of_a_later_minor_version_are_left_aside(store: Store) -> None:
    assert manifest_from_content({**_content(store), "colour": "red"}).name == "good"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b"ab"), "has 2 bytes in place of 3"),
        (lambda path: path.write_bytes(b""), "has 0 bytes in place of 3"),
    ],
)
def test_weights_that_are_not_there_are_told(store: Store, change: Any, why: str) -> None:
    change(store.place("bad", "Q4") / "model.gguf")

    _is_only_bad(store, f"'model.gguf' {why}")
    manifest = store.find(BAD)
    assert manifest is not None, "its name and what it was are known still, so that it can be removed"
    with pytest.raises(ModelLoadFailed, match=why):
        store.hold(manifest)


def test_weights_that_are_a_link_to_a_file_are_as_good_as_the_file(store: Store, tmp_path: Path) -> None:
    path = store.place("bad", "Q4") / "model.gguf"
    path.rename(tmp_path / "elsewhere.gguf")
    path.symlink_to(tmp_path / "elsewhere.gguf")

    assert [one.id for one in store.survey().whole] == ["bad:Q4", "good"]


def test_a_manifest_of_another_model_is_no_way_into_that_one_s_directory(store: Store) -> None:
    (store.place("bad", "Q4") / "manifest.json").write_text(json.dumps(_content(store)))

    _is_only_bad(store, "that of another model")


@pytest.mark.parametrize("part", ["", "Q4", "Q4/manifest.json"])
def test_what_others_may_not_look_into_is_that_model_s_problem(part: str) -> None:
    with everybodys_directory() as home:
        install(home, "good")
        install(home, "bad", "Q4")
        store = Store(home / "models" / "candle")
        (store.directory / "bad" / part).chmod(0o000)
        with as_nobody():
            whole, damaged = store.survey()
            good = store.find(GOOD)
            assert good is not None
            with store.hold(good), pytest.raises(ModelLoadFailed, match="permission denied"):
                store.find(ModelSpec.parse("bad"))

    assert [one.id for one in whole] == ["good"]
    assert "permission denied" in damaged[0].reason


def test_a_directory_of_models_that_may_not_be_looked_into_is_an_error_of_the_configuration() -> None:
    with everybodys_directory() as home:
        install(home, "good")
        directory = home / "models" / "candle"
        directory.chmod(0o000)
        with as_nobody(), pytest.raises(ConfigError, match="permission denied"):
            Store(directory).survey()


def test_a_name_that_is_no_utf_8_is_listed_as_well_as_it_can_be(store: Store) -> None:
    place = Path(str(store.directory), "bad", "Q4")
    place.parent.rename(store.directory / "caf\udce9")

    (damage,) = store.survey().damaged

    assert damage.name == "caf\ufffd"
    damage.error().message.encode()


def test_a_damaged_model_is_logged_once_for_each_reason(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    path = store.place("bad", "Q4") / "manifest.json"
    with caplog.at_level(logging.WARNING):
        for content in ("{", "{", "[]"):
            path.write_text(content)
            for _ in range(3):
                store.survey()
                store.find(GOOD)

    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert all("bad:Q4 is damaged" in record.message for record in caplog.records)


@pytest.mark.parametrize("kind", sorted(set(IN_PLACE_OF_A_FILE) - {"a directory"}))
def test_a_directory_of_models_that_is_none_is_an_error_of_the_configuration(tmp_path: Path, kind: str) -> None:
    store = Store(tmp_path / "models")
    IN_PLACE_OF_A_FILE[kind](store.directory)

    for look in (store.list, store.survey, lambda: store.find(GOOD)):
        with pytest.raises(ConfigError) as caught:
            look()
        assert str(store.directory) in caught.value.message
        assert "model_directory" in (caught.value.hint or "")


def test_a_directory_of_models_that_is_not_there_yet_has_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "models")

    assert store.survey() == ([], [])
    assert store.find(GOOD) is None


def test_a_manifest_is_read_back_as_it_was_written_whatever_its_name(tmp_path: Path) -> None:
    for name in ("模型", "a b", "x.", "con", "café", "org/repo"):
        install(tmp_path, name, "Q4")
    store = Store(tmp_path / "models" / "candle")

    found, damaged = store.survey()

    assert damaged == []
    assert {one.name for one in found} == {"模型", "a b", "x.", "con", "café", "org/repo"}
    for one in found:
        assert isinstance(read_manifest(store.directory_of(one)), Manifest)


def test_names_that_differ_in_case_or_form_mean_one_model_and_the_exact_one_goes_first(tmp_path: Path) -> None:
    install(tmp_path, "TinyLlama", "Q4")
    install(tmp_path, "cafe\u0301", "Q4")
    store = Store(tmp_path / "models" / "candle")

    for name in ("tinyllama", "TINYLLAMA:q4", "TinyLlama"):
        found = store.find(ModelSpec.parse(name))
        assert found is not None
        assert found.name == "TinyLlama"
    for name in ("caf\u00e9", "CAFE\u0301"):
        assert store.find(ModelSpec.parse(name)) is not None
    assert store.installed_name("tinyLLAMA") == "TinyLlama"
    assert store.installed_name("another") == "another"
    install(tmp_path, "tinyllama", "Q4")
    for name in ("tinyllama", "TinyLlama"):
        found = store.find(ModelSpec.parse(name))
        assert found is not None
        assert found.name == name


def test_a_directory_that_an_earlier_version_named_is_found(tmp_path: Path) -> None:
    install(tmp_path, "模型", "Q4")
    directory = tmp_path / "models" / "candle"
    (directory / "模型").rename(directory / "%E6%A8%A1%E5%9E%8B")
    store = Store(directory)

    found = store.find(ModelSpec.parse("模型"))

    assert found is not None
    assert store.directory_of(found) == directory / "%E6%A8%A1%E5%9E%8B" / "Q4"
    assert store.remove(found) == 3
    with pytest.raises(InvalidRequest):
        store.place("模" * 67, None)
