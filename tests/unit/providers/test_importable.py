"""What there is on this machine that could be imported: files, directories, and what other programs keep."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from llmspell_protocol.model_origins import ORIGINS, Origin, origin_directories
from llmspell_providers.library.importable import Importable, importable_in
from tests.support.gguf_files import gguf_file, safetensors_file

MODEL = gguf_file()


def _write(path: Path, data: bytes = MODEL) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _found(path: Path, origin: Origin | None = None) -> dict[str, Importable]:
    return {one.id: one for one in importable_in([path], origin)}


def test_a_directory_gives_its_models_at_any_depth_with_their_sizes(tmp_path: Path) -> None:
    _write(tmp_path / "a.gguf")
    _write(tmp_path / "deep/er/b-Q4_K_M.gguf")
    _write(tmp_path / "notes.txt", b"no model")
    found = _found(tmp_path)

    assert set(found) == {"a", "b-Q4_K_M"}
    assert found["a"].size_bytes == len(MODEL)
    assert found["a"].owner is None
    assert not any(one.problem for one in found.values())


def test_the_parts_of_a_split_model_are_one_and_a_missing_one_is_told(tmp_path: Path) -> None:
    for part in (1, 2):
        _write(tmp_path / f"whole-0000{part}-of-00002.gguf")
    _write(tmp_path / "torn-00001-of-00003.gguf")
    found = _found(tmp_path)

    assert found["whole"].files == 2
    assert found["whole"].size_bytes == 2 * len(MODEL)
    assert found["whole"].path.name == "whole-00001-of-00002.gguf"
    assert found["torn"].problem == "has 1 of its 3 parts"


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("mmproj-model-f16.gguf", MODEL, "is the part of another model that sees pictures, which candle can't use"),
        ("x.imatrix.gguf", MODEL, "holds numbers for quantizing, and no model"),
        ("garbage.gguf", b"x" * 100, "is not a GGUF file"),
        ("empty.gguf", b"", "is not a GGUF file"),
    ],
)
def test_what_is_no_model_stands_there_with_the_reason(tmp_path: Path, name: str, data: bytes, problem: str) -> None:
    path = _write(tmp_path / name, data)

    assert [one.problem for one in importable_in([tmp_path])] == [problem]
    assert [one.problem for one in importable_in([path])] == [problem]


def test_what_can_t_be_opened_is_told_and_hides_nothing(tmp_path: Path) -> None:
    _write(tmp_path / "good.gguf")
    (tmp_path / "dangling.gguf").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.gguf")
    (tmp_path / "circle").symlink_to(tmp_path)
    found = _found(tmp_path)

    assert found["good"].problem is None
    assert "which is not there" in str(found["dangling"].problem)
    assert found["pipe"].problem == "is a pipe, not a file"
    assert set(found) == {"good", "dangling", "pipe"}
    assert importable_in([tmp_path / "missing.gguf"])[0].problem == "does not exist"


def test_a_directory_of_safetensors_is_a_model(tmp_path: Path) -> None:
    _write(tmp_path / "encoder/model.safetensors", safetensors_file({"x": [2]}))
    _write(tmp_path / "encoder/config.json", b"{}")
    found = _found(tmp_path)

    assert found["encoder"].path == tmp_path / "encoder"


def _ollama(directory: Path, name: str = "library/qwen3/4b", *, registry: str = "registry.ollama.ai") -> Path:
    digest = hashlib.sha256(MODEL).hexdigest()
    layers = [
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": len(MODEL)},
        {"mediaType": "application/vnd.ollama.image.license", "digest": f"sha256:{'0' * 64}", "size": 3},
    ]
    _write(directory / "manifests" / registry / name, json.dumps({"layers": layers}).encode())
    return _write(directory / "blobs" / f"sha256-{digest}")


def test_ollama_s_models_have_the_names_of_its_manifests_and_the_files_of_its_sums(tmp_path: Path) -> None:
    blob = _ollama(tmp_path)
    _ollama(tmp_path, "bartowski/Some-GGUF/Q4_K_M", registry="hf.co")
    found = _found(tmp_path, "ollama")

    assert set(found) == {"qwen3:4b", "bartowski/Some-GGUF:Q4_K_M"}
    assert found["qwen3:4b"].path == blob
    assert found["qwen3:4b"].sha256 == hashlib.sha256(MODEL).hexdigest()
    assert found["qwen3:4b"].owner == "Ollama"


@pytest.mark.parametrize("params", [b"{", b"[1]", b"\xff", None])
def test_parameters_that_make_no_sense_keep_no_model_of_ollama_away(tmp_path: Path, params: bytes | None) -> None:
    _ollama(tmp_path)
    manifest = tmp_path / "manifests/registry.ollama.ai/library/qwen3/4b"
    content = json.loads(manifest.read_bytes())
    digest = hashlib.sha256(params or b"").hexdigest()
    content["layers"].append({"mediaType": "application/vnd.ollama.image.params", "digest": f"sha256:{digest}"})
    manifest.write_text(json.dumps(content))
    if params is not None:
        _write(tmp_path / "blobs" / f"sha256-{digest}", params)
    found = _found(tmp_path, "ollama")["qwen3:4b"]

    assert (found.problem, found.system_prompt, found.parameters) == (None, None, {})


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        (b"{", "has a manifest that is no JSON"),
        (b"[]", "has no weights on this machine"),
        (b'{"layers": [7]}', "has no weights on this machine"),
        (
            b'{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "../../x"}]}',
            "has a manifest that names no file",
        ),
        (
            b'{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:' + b"0" * 64 + b'"}]}',
            "has weights that are not there; Ollama has not finished its pull, or has removed them",
        ),
    ],
)
def test_a_manifest_of_ollama_that_makes_no_sense_is_told(tmp_path: Path, manifest: bytes, problem: str) -> None:
    _write(tmp_path / "manifests/registry.ollama.ai/library/x/latest", manifest)

    assert [(one.id, one.problem) for one in importable_in([tmp_path], "ollama")] == [("x:latest", problem)]


def test_the_hub_s_cache_gives_repositories_with_their_quantizations(tmp_path: Path) -> None:
    blob = _write(tmp_path / "models--unsloth--Qwen3-4B-GGUF/blobs/abc")
    snapshot = tmp_path / "models--unsloth--Qwen3-4B-GGUF/snapshots/1234"
    snapshot.mkdir(parents=True)
    (snapshot / "Qwen3-4B-Q4_K_M.gguf").symlink_to(blob)
    found = _found(tmp_path, "hf-cache")

    assert set(found) == {"unsloth/Qwen3-4B-GGUF:Q4_K_M"}
    assert found["unsloth/Qwen3-4B-GGUF:Q4_K_M"].owner == "the Hugging Face cache"


def test_lm_studio_s_and_llama_cpp_s_names_are_those_of_the_repositories(tmp_path: Path) -> None:
    _write(tmp_path / "lm/lmstudio-community/gemma-3-4b-it-GGUF/gemma-3-4b-it-Q8_0.gguf")
    _write(tmp_path / "cpp/ggml-org_gemma-3-1b-it-GGUF_gemma-3-1b-it-Q4_K_M.gguf")
    _write(tmp_path / "cpp/other.gguf")

    assert set(_found(tmp_path / "lm", "lmstudio")) == {"lmstudio-community/gemma-3-4b-it-GGUF:Q8_0"}
    assert set(_found(tmp_path / "cpp", "llama.cpp")) == {"ggml-org/gemma-3-1b-it-GGUF:Q4_K_M", "other"}


@pytest.mark.parametrize("origin", ORIGINS)
def test_each_program_has_directories_of_its_own(origin: Origin) -> None:
    places = origin_directories(origin, {}, Path("/home/x"))

    assert places
    assert all(place.is_absolute() for place in places)


@pytest.mark.parametrize(
    ("origin", "variables", "place"),
    [
        ("ollama", {"OLLAMA_MODELS": "/big/ollama"}, "/big/ollama"),
        ("hf-cache", {"HF_HOME": "/big/hf"}, "/big/hf/hub"),
        ("hf-cache", {"HF_HUB_CACHE": "/big/hub", "HF_HOME": "/other"}, "/big/hub"),
        ("llama.cpp", {"LLAMA_CACHE": "/big/llama"}, "/big/llama"),
    ],
)
def test_a_program_s_own_variable_decides(origin: Origin, variables: dict[str, str], place: str) -> None:
    assert origin_directories(origin, variables, Path("/home/x")) == [Path(place)]
