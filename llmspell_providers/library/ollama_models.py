"""Ollama's own directory of models: its manifests name the files of weights by their sums. Asks no daemon."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from llmspell_providers.library.names import as_text
from llmspell_providers.library.regular_file import Unreadable, read_regular, reason_of, regular_status

_KIND = "application/vnd.ollama.image."
_WEIGHTS = f"{_KIND}model"
_SYSTEM, _PARAMETERS = f"{_KIND}system", f"{_KIND}params"
_TEXT_BYTES = 1 << 16
_DIGEST = re.compile(r"sha256[:-](?P<sum>[0-9a-f]{64})")
_MANIFEST_BYTES = 1 << 20
_HUBS = ("hf.co", "huggingface.co")


class OllamaModel(NamedTuple):
    """A model of Ollama: its weights are one file, called by its sum. With a `problem` they can't be used.

    `system_prompt` and `parameters` are what its Modelfile says beside them.
    """

    name: str
    variant: str | None
    path: Path
    size_bytes: int
    sha256: str | None
    problem: str | None = None
    system_prompt: str | None = None
    parameters: Mapping[str, Any] = MappingProxyType({})


def ollama_models(directory: Path) -> Iterator[OllamaModel]:
    """The models below Ollama's directory (`manifests` and `blobs`); nothing where it has none."""
    manifests = directory / "manifests"
    try:
        # registry/namespace/model/tag
        found = sorted(path for path in manifests.glob("*/*/*/*") if path.is_file())
    except OSError as error:
        yield OllamaModel("ollama", None, manifests, 0, None, reason_of(error))
        return
    for path in found:
        registry, namespace, model, tag = (as_text(part) for part in path.relative_to(manifests).parts)
        name = model if namespace == "library" else f"{namespace}/{model}"
        if registry not in ("registry.ollama.ai", *_HUBS):
            name = f"{namespace}/{model}"
        yield _read(path, directory / "blobs", name, tag)


def _read(manifest: Path, blobs: Path, name: str, tag: str) -> OllamaModel:
    def unusable(why: str) -> OllamaModel:
        return OllamaModel(name, tag, manifest, 0, None, why)

    try:
        content = json.loads(read_regular(manifest, _MANIFEST_BYTES))
    except (Unreadable, FileNotFoundError) as error:
        return unusable(str(error))
    except (ValueError, RecursionError):
        return unusable("has a manifest that is no JSON")
    layers = _layers(content, _WEIGHTS)
    if len(layers) != 1:
        return unusable("has no weights on this machine" if not layers else "has weights in several files")
    blob = _blob(layers[0], blobs)
    if blob is None:
        return unusable("has a manifest that names no file")
    try:
        size = regular_status(blob).st_size
    except FileNotFoundError:
        return unusable("has weights that are not there; Ollama has not finished its pull, or has removed them")
    except Unreadable as error:
        return unusable(str(error))
    return OllamaModel(
        name,
        tag,
        blob,
        size,
        blob.name.removeprefix("sha256-"),
        system_prompt=_text(content, _SYSTEM, blobs),
        parameters=_parameters(content, blobs),
    )


def _layers(content: Any, kind: str) -> list[dict[str, Any]]:
    layers = content.get("layers") if isinstance(content, dict) else None
    if not isinstance(layers, list):
        return []
    return [one for one in layers if isinstance(one, dict) and one.get("mediaType") == kind]


def _blob(layer: Mapping[str, Any], blobs: Path) -> Path | None:
    found = _DIGEST.fullmatch(str(layer.get("digest", "")))
    return None if found is None else blobs / f"sha256-{found['sum']}"


def _text(content: Any, kind: str, blobs: Path) -> str | None:
    """A layer that is a text; None where none can be read: it is for a warning, and no import needs it."""
    for layer in _layers(content, kind):
        blob = _blob(layer, blobs)
        try:
            text = "" if blob is None else read_regular(blob, _TEXT_BYTES).decode("utf-8", "replace").strip()
        except (Unreadable, FileNotFoundError):
            continue
        if text:
            return text
    return None


def _parameters(content: Any, blobs: Path) -> Mapping[str, Any]:
    try:
        values = json.loads(_text(content, _PARAMETERS, blobs) or "{}")
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
