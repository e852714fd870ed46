"""`llmspell model import`, and files in place of a model's name, embedded and connected."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import llmspell
from tests.support.gguf_files import gguf_file
from tests.support.kernels import KernelProcess

TINY = gguf_file()


@pytest.fixture(params=["embedded", "connected"])
def target(request: pytest.FixtureRequest, home: Path) -> Iterator[list[str]]:
    if request.param == "embedded":
        yield ["-p", "candle"]
        return
    kernel = KernelProcess(["--profile", "candle"])
    try:
        yield ["--connect", str(kernel.started["connection_file"])]
    finally:
        kernel.stop()


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which the commands are given, with one model."""
    directory = tmp_path / "work"
    directory.mkdir()
    (directory / "tiny.gguf").write_bytes(TINY)
    monkeypatch.chdir(directory)
    return directory


def test_a_file_is_imported_by_its_path_here_and_removed_without_it(target: list[str], work: Path) -> None:
    done = llmspell(*target, "model", "import", "tiny.gguf")
    assert (done.status, done.out.splitlines()) == (
        0,
        ["✓ Imported: tiny (4.6 kB)", "  the same file under another name: nothing was copied"],
    )
    assert llmspell(*target, "model", "import", "./tiny.gguf").out.startswith("✓ Already here: tiny")
    info = llmspell(*target, "model", "info", "tiny", "--json").document
    assert info["owner"] == f"the owner of {work}/tiny.gguf"
    assert llmspell(*target, "model", "pull", "./tiny.gguf").out.startswith("✓ Already present: tiny")
    assert llmspell(*target, "model", "remove", "tiny", "--yes").status == 0
    assert (work / "tiny.gguf").read_bytes() == TINY


def test_a_directory_is_listed_and_asked_about(target: list[str], work: Path) -> None:
    (work / "garbage.gguf").write_bytes(b"x" * 10)
    listed = llmspell(*target, "model", "import", ".", "--list")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["NAME", "garbage", "tiny"]
    assert "is not a GGUF file" in listed.out
    assert llmspell(*target, "model", "list").out == "No local models found\n"

    refused = llmspell(*target, "model", "import", ".", stdin="n\n")
    assert "Import 1 model (4.6 kB)? [y/N]: " in refused.out
    asked = llmspell(*target, "model", "import", ".", "--json")
    assert asked.status != 0
    assert "use --yes, or --list to look" in asked.out + asked.err
    done = llmspell(*target, "model", "import", ".", "--yes", "--json").document
    assert [(one["model_id"], one["linked"]) for one in done["models"]] == [("tiny", "hard")]


def test_a_model_of_ollama_is_used_as_it_is(target: list[str], work: Path) -> None:
    digest = hashlib.sha256(TINY).hexdigest()
    (work / "blobs").mkdir()
    (work / "blobs" / f"sha256-{digest}").write_bytes(TINY)
    params = b'{"temperature": 0, "stop": ["<a>", "<b>"], "num_ctx": 8192, "num_predict": -1, "mirostat": 2}'
    beside = {"system": b"Talk like a pirate.\n", "params": params}
    manifest = work / "manifests/registry.ollama.ai/library/small/1b"
    manifest.parent.mkdir(parents=True)
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": len(TINY)}
    layers = [layer]
    for kind, content in beside.items():
        name = hashlib.sha256(content).hexdigest()
        (work / "blobs" / f"sha256-{name}").write_bytes(content)
        layers.append({"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{name}"})
    manifest.write_text(json.dumps({"layers": layers}))
    env = {"OLLAMA_MODELS": str(work)}

    listed = llmspell(*target, "model", "import", "--from", "ollama", "--list", env=env).out
    assert "new, without its system prompt and parameters" in listed
    done = llmspell(*target, "model", "import", "--from", "ollama", "small:1b", "--json", env=env).document["models"]
    assert done[0]["warnings"] == [
        "imported without the system prompt and parameters of its Modelfile; with them: llmspell chat small:1b "
        "-s 'Talk like a pirate.' -o temperature 0 -o stop '<a>' -o stop '<b>' -o num_ctx 8192 "
        "(mirostat 2: llmspell has no such options)"
    ]
    again = llmspell(*target, "model", "import", "--from", "ollama", "small:1b", env=env)
    assert "Warning: small:1b: imported without the system prompt and parameters of its Modelfile" in again.err
    assert [(one["model_id"], one["owner"], one["sha256"]) for one in done] == [("small:1b", "Ollama", digest)]
    unknown = llmspell(*target, "model", "import", "--from", "ollama", "other", env=env)
    assert (unknown.status, unknown.err) == (
        3,
        "Error: There is no 'other' among them\nHint: --list shows what there is\n",
    )
    nowhere = llmspell(*target, "model", "import", "--from", "ollama", env={"OLLAMA_MODELS": str(work / "x")})
    assert f"Ollama has no models on this machine: {work}/x is not there" in nowhere.err


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("nowhere.gguf", "nowhere.gguf does not exist"),
        ("garbage.gguf", "garbage.gguf is not a GGUF file"),
        ("mmproj-x.gguf", "mmproj-x.gguf is the part of another model that sees pictures"),
    ],
)
def test_a_file_that_is_no_model_is_told(home: Path, work: Path, path: str, says: str) -> None:
    (work / "garbage.gguf").write_bytes(b"x" * 10)
    (work / "mmproj-x.gguf").write_bytes(TINY)
    for words in (["model", "import", path], ["chat", path, "hello"]):
        done = llmspell("-p", "candle", *words)
        assert done.status != 0
        assert says in done.err
        assert "--force" not in done.err
    assert llmspell("model", "import").status == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tiny.gguf", "nosuch"], "/nosuch does not exist"),
        (["tiny.gguf", "as", "mymodel"], "/as does not exist"),
        (["tiny.gguf", "garbage.gguf"], "garbage.gguf is not a GGUF file"),
        (["tiny.gguf", "tiny.gguf", "--name", "x"], "--name is for one model, and these are 2"),
    ],
)
def test_one_wrong_path_of_several_imports_nothing(home: Path, work: Path, words: list[str], says: str) -> None:
    (work / "garbage.gguf").write_bytes(b"x" * 10)
    done = llmspell("-p", "candle", "model", "import", *words)
    assert done.status != 0
    assert says in done.err
    assert llmspell("-p", "candle", "model", "list").out == "No local models found\n"


def test_a_file_can_be_chatted_with(target: list[str], work: Path, smollm2_path: Path) -> None:
    (work / "small.gguf").symlink_to(smollm2_path)
    done = llmspell(
        *target, "chat", "./small.gguf", "hello", "--max-tokens", "3", "--no-stream", "--json", timeout_s=120
    )

    assert done.status == 0, done.err
    assert done.document["model"].startswith("small")
    assert "imported as small" in done.err
    again = llmspell(*target, "chat", "./small.gguf", "hi", "--max-tokens", "1", "--no-stream", timeout_s=120)
    assert "imported" not in again.err
    assert again.err.count("verifying") <= 1
