"""What is known about one installed model: a JSON file beside its weights. Knows no engine and reads no weights.

A manifest is written once, by the pull worker after it has looked into the file; afterwards only the memory ratio
changes. The kernel reads manifests and never the models themselves.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from llmspell_protocol.content import to_content
from llmspell_protocol.models import Format, LocalModel, ModelInfo
from llmspell_protocol.structs import Struct
from llmspell_providers.library.context_memory import ContextMemory
from llmspell_providers.library.manifest_fields import FieldInvalid, check_fields, check_files
from llmspell_providers.library.prefixes import Prefixes, known_prefixes
from llmspell_providers.library.regular_file import Unreadable, read_regular

FILE_NAME = "manifest.json"
VERSION = 1
MAX_BYTES = 1 << 22
"""Of a manifest; one of a model in a thousand files has 200 KB."""
DEFAULT_QUANTIZATION = "Q4_K_M"
"""What a pull takes, and a name without a quantization means first."""


_REMEMBERED_SETTINGS = 8


class ManifestInvalid(ValueError):
    """The file is not a manifest of this version."""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file of a model; `name` is a plain file name inside the model's directory."""

    name: str
    size_bytes: int
    sha256: str


class Manifest(Struct):
    """An installed model.

    `layers`, `heads` and `kv_heads` are counts, `key_length` and `value_length` the dimensions of one head,
    `embedding_length` the model's width, `context_length` the trained context in tokens; None where the file does not
    say. `owner` keeps the files, where they are used as they are. `tools` tells whether the chat template knows tools;
    `pooling` is `mean`, `cls`, `last`, `rank` or another mode of `candle.transformer.pooling`, several with `+`, or
    None. `prefix_query` and `prefix_passage` are what the model's files want before texts to be embedded, None: they do
    not say. `modified_at` is UTC, ISO 8601. `memory` is None for checkpoints and for what was pulled before it was
    noted. `memory_ratios` are measured ÷ estimated memory of the last load in each setting (`residency.estimate`).
    """

    name: str
    variant: str | None = None
    format: Format
    quantization: str | None = None
    files: tuple[ManifestFile, ...]
    source: str
    license: str | None = None
    architecture: str | None = None
    parameter_count: int | None = None
    context_length: int | None = None
    embedding_length: int | None = None
    layers: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    key_length: int | None = None
    value_length: int | None = None
    vocab_size: int | None = None
    chat_template: bool = False
    tools: bool = False
    pooling: str | None = None
    capabilities: tuple[str, ...] = ()
    prefix_query: str | None = None
    prefix_passage: str | None = None
    modified_at: str
    owner: str | None = None
    memory: ContextMemory | None = None
    memory_ratios: Mapping[str, float] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The name that every command accepts: `name[:variant]`."""
        return f"{self.name}:{self.variant}" if self.variant else self.name

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def main_file(self) -> ManifestFile:
        """The file that an engine is pointed at: the (first) GGUF file or the first file of weights."""
        suffix = f".{self.format}"
        return next((file for file in self.files if file.name.endswith(suffix)), self.files[0])

    @property
    def head_dim(self) -> int | None:
        """Key and value dimensions of one head together (what one token costs a KV head), in elements."""
        if self.key_length is None or self.value_length is None:
            return None
        return self.key_length + self.value_length

    def with_memory_ratio(self, setting: str, ratio: float) -> Manifest:
        """The same model after a load in this setting that took `ratio` times the estimate."""
        others = [(name, value) for name, value in self.memory_ratios.items() if name != setting]
        return replace(self, memory_ratios=dict([*others, (setting, ratio)][-_REMEMBERED_SETTINGS:]))

    def local_model(self, *, backend: str, loaded: bool) -> LocalModel:
        """The model as a line of `model list`."""
        return LocalModel(**self._listed(backend, loaded))

    @property
    def prefixes(self) -> Prefixes:
        """What stands before texts to be embedded: by the model's files, else by its name or its source's."""
        if self.prefix_query is not None or self.prefix_passage is not None:
            return Prefixes(self.prefix_query or "", self.prefix_passage or "")
        return known_prefixes(self.name, self.source)

    def info(self, *, backend: str, loaded: bool, path: str, embed_tokens: int | None = None) -> ModelInfo:
        """The model as `model info` shows it."""
        prefixes = self.prefixes if "embed" in self.capabilities else Prefixes()
        return ModelInfo(
            embed_tokens=embed_tokens,
            prefix_query=prefixes.query,
            prefix_passage=prefixes.passage,
            **self._listed(backend, loaded),
            context_length=self.context_length,
            architecture=self.architecture,
            embedding_length=self.embedding_length,
            license=self.license,
            chat_template=self.chat_template,
            capabilities=self.capabilities,
            path=path,
            source=self.source,
            owner=self.owner,
        )

    def _listed(self, backend: str, loaded: bool) -> dict[str, Any]:
        return {
            "id": self.id,
            "backend": backend,
            "size_bytes": self.size_bytes,
            "format": self.format,
            "quantization": self.quantization,
            "parameter_count": self.parameter_count,
            "family": self.architecture,
            "modified_at": self.modified_at,
            "sha256": self.main_file.sha256,
            "loaded": loaded,
        }


_FIELDS = {item.name for item in fields(Manifest)}
_REQUIRED = {item.name for item in fields(Manifest) if item.default is MISSING is item.default_factory}


def manifest_content(manifest: Manifest) -> dict[str, Any]:
    """A manifest as plain maps and lists."""
    return {"manifest_version": VERSION, **to_content(manifest)}


def manifest_from_content(content: Mapping[str, Any]) -> Manifest:
    """The manifest that `manifest_content` gave; keys of a later minor version are left aside.

    Raises:
        ManifestInvalid: another version, something missing, or a value that its field can't have.
    """
    version = content.get("manifest_version")
    if version != VERSION or isinstance(version, bool):
        raise ManifestInvalid(f"has manifest_version {ascii(version)[:40]}, not {VERSION}")
    values = {key: value for key, value in content.items() if key in _FIELDS}
    try:
        check_files(values.get("files"))
        check_fields(values)
        values["files"] = tuple(
            ManifestFile(file["name"], file["size_bytes"], file["sha256"]) for file in values["files"]
        )
        values["capabilities"] = tuple(values.get("capabilities", ()))
        values["memory"] = _memory(values.get("memory"))
        return Manifest(**values)
    except FieldInvalid as error:
        raise ManifestInvalid(f"can't be used: {error}") from error
    except TypeError:
        missing = ", ".join(sorted(_REQUIRED - values.keys()))
        raise ManifestInvalid(f"is damaged: it has no {missing}") from None


def require_valid(manifest: Manifest) -> None:
    """Whether a manifest could be read again, once it is written.

    Raises:
        ManifestInvalid: it could not.
    """
    manifest_from_content(json.loads(json.dumps(manifest_content(manifest))))


def _memory(content: Mapping[str, int] | None) -> ContextMemory | None:
    if content is None:
        return None
    return ContextMemory(**{item.name: content[item.name] for item in fields(ContextMemory) if item.name in content})


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a model's directory.

    Raises:
        FileNotFoundError: there is none.
        ManifestInvalid: there is one, but it cannot be used; the text is the end of a sentence that begins with it.
    """
    try:
        content = json.loads(read_regular(directory / FILE_NAME, MAX_BYTES))
    except Unreadable as error:
        raise ManifestInvalid(str(error)) from error
    except (ValueError, RecursionError) as error:
        why = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise ManifestInvalid(f"can't be used: {why}") from error
    if not isinstance(content, dict):
        raise ManifestInvalid("can't be used: it is not a JSON object")
    return manifest_from_content(content)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Writes a manifest so that a reader sees the old one or the new one, after a power cut too.

    Raises:
        OSError: it can't be written; the old one stays.
    """
    partial = directory / f".{FILE_NAME}.{os.getpid()}"
    try:
        with partial.open("w", encoding="utf-8") as stream:
            json.dump(manifest_content(manifest), stream, indent=2)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(directory / FILE_NAME)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
