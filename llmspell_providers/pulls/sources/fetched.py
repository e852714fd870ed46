"""What a pull has brought, and the manifest that its files make. Knows no source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from llmspell_protocol.errors import ModelLoadFailed
from llmspell_providers.library.checkpoint import read_checkpoint
from llmspell_providers.library.gguf import memory_of, read_gguf
from llmspell_providers.library.manifest import Manifest, ManifestFile
from llmspell_providers.library.pooling import Pooling
from llmspell_providers.pulls.sources.remote import LocalFile

_EYES = "clip"
"""The architecture of the files that are called mmproj."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A source's files, in the pull's directory, their sums compared.

    `pooling` is what the model says of its texts where the files themselves have no place for it.
    """

    files: list[LocalFile]
    source: str
    quantization: str | None = None
    license: str | None = None
    pooling: Pooling | None = None


def gguf_manifest(fetched: Fetched) -> Manifest:
    """What GGUF files say of themselves; the name is not among it. Raises `ModelLoadFailed` where files are missing."""
    shards = [read_gguf(one.path) for one in fetched.files]
    header = shards[0]
    if header.architecture == _EYES:
        raise ModelLoadFailed(
            f"'{fetched.files[0].name}' is the part of another model that sees pictures, and no model of its own",
            hint="choose the model's own file; candle reads texts alone",
        )
    if header.shards != len(shards):
        raise ModelLoadFailed(
            f"'{fetched.files[0].name}' is part of a model of {header.shards} files, but {len(shards)} came",
            hint="name the repository or the directory instead of one file",
        )
    pooling = fetched.pooling or Pooling()
    return Manifest(
        name="",
        format="gguf",
        quantization=header.quantization or fetched.quantization,
        files=_manifest_files(fetched),
        source=fetched.source,
        license=header.license,
        architecture=header.architecture,
        parameter_count=sum(shard.parameter_count for shard in shards),
        context_length=_least(header.context_length, pooling.max_tokens),
        embedding_length=header.embedding_length,
        layers=header.layers,
        heads=header.heads,
        kv_heads=header.kv_heads,
        key_length=header.key_length,
        value_length=header.value_length,
        vocab_size=header.vocab_size,
        chat_template=header.chat_template is not None,
        tools=header.tools,
        pooling=header.pooling,
        capabilities=header.capabilities,
        prefix_query=pooling.query,
        prefix_passage=pooling.passage,
        memory=memory_of(shards),
        modified_at=_now(),
    )


def checkpoint_manifest(fetched: Fetched) -> Manifest:
    """What a directory of safetensors says of itself, as `gguf_manifest`."""
    found = read_checkpoint({one.name: one.path for one in fetched.files})
    return Manifest(
        name="",
        format="safetensors",
        quantization=found.dtype,
        files=_manifest_files(fetched),
        source=fetched.source,
        architecture=found.architecture,
        parameter_count=found.parameter_count,
        context_length=found.context_length,
        embedding_length=found.embedding_length,
        layers=found.layers,
        heads=found.heads,
        kv_heads=found.kv_heads,
        key_length=found.key_length,
        value_length=found.key_length,
        vocab_size=found.vocab_size,
        chat_template=found.chat_template is not None,
        pooling=found.pooling,
        capabilities=found.capabilities,
        prefix_query=found.prefix_query,
        prefix_passage=found.prefix_passage,
        modified_at=_now(),
    )


def _least(*tokens: int | None) -> int | None:
    return min((one for one in tokens if one is not None), default=None)


def _manifest_files(fetched: Fetched) -> tuple[ManifestFile, ...]:
    return tuple(ManifestFile(one.name, one.size_bytes, one.sha256) for one in fetched.files)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
