"""A sentence encoder that has come as safetensors, made the one GGUF file that is installed. Knows no source."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from llmspell_providers.library.bert_gguf import FILE_TYPE, write_bert_gguf
from llmspell_providers.library.pooling import Pooling
from llmspell_providers.pulls.sources.meter import Meter
from llmspell_providers.pulls.sources.pull_directory import PullDirectory
from llmspell_providers.pulls.sources.remote import LocalFile


def converted(
    parts: Sequence[LocalFile], partial: PullDirectory, meter: Meter, *, name: str
) -> tuple[LocalFile, Pooling]:
    """The GGUF file of a sentence encoder called `name`, and how the encoder pools; `parts` are all its files.

    Raises:
        Unsupported, ModelLoadFailed: as `write_bert_gguf`.
        DiskFull: the disk has no room for it.
    """
    file_name = f"{name}.{FILE_TYPE}.gguf"
    meter.enter("verifying", file_name)
    # Half of the weights, which are float32, and the vocabulary.
    partial.require_free(sum(part.size_bytes for part in parts))
    path = partial.part(file_name)
    pooling = write_bert_gguf({part.name: part.path for part in parts}, path, name=name)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    file = LocalFile(
        name=file_name,
        path=path,
        size_bytes=path.stat().st_size,
        sha256=digest,
        resumed_from=parts[0].resumed_from,
    )
    return file, pooling
