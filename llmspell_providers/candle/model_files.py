"""What a worker reads from a model's files before any engine sees them, the same for both formats.

Knows the two readers, not what is done with the answer; nothing here loads weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmspell_protocol.errors import ModelLoadFailed
from llmspell_providers.candle.engine import Launch
from llmspell_providers.library.checkpoint import read_checkpoint
from llmspell_providers.library.context_memory import ContextMemory
from llmspell_providers.library.gguf import memory_of, read_gguf
from llmspell_providers.library.pooling import flat_files


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """What the files say: `context_length` is in tokens, None where a model names none; `pooling` as in `Prepared`.

    `templates` are the chat templates by their keys. `memory` is None for checkpoints.
    """

    context_length: int | None
    chat_template: bool
    templates: Mapping[str, str]
    tools: bool
    pooling: str | None
    capabilities: tuple[str, ...]
    memory: ContextMemory | None = None


def read_model_files(launch: Launch) -> ModelFiles:
    """Checks the files of a launch and returns what they say.

    Raises:
        ModelLoadFailed: a file is missing, damaged, or cannot be read.
    """
    try:
        return _checkpoint(launch.path.parent) if launch.format == "safetensors" else _gguf(launch.path)
    except OSError as error:
        raise ModelLoadFailed(
            f"the file of {launch.model} cannot be read: {error}",
            hint="pull it again with --force",
            details={"file": str(launch.path)},
        ) from error


def _gguf(path: Path) -> ModelFiles:
    found = read_gguf(path)
    return ModelFiles(
        context_length=found.context_length,
        chat_template=found.chat_template is not None,
        templates=found.chat_templates,
        tools=found.tools,
        pooling=found.pooling,
        capabilities=found.capabilities,
        memory=memory_of([found, *(read_gguf(part) for part in _further_parts(path, found.shards))]),
    )


def _further_parts(path: Path, count: int) -> list[Path]:
    """The other files of a model in several; their names tell their places (llama.cpp, gguf-split)."""
    if count < 2:
        return []
    stem = path.name.rpartition(f"-00001-of-{count:05d}.gguf")[0]
    parts = [path.with_name(f"{stem}-{number:05d}-of-{count:05d}.gguf") for number in range(2, count + 1)]
    return [part for part in parts if part.exists()]


def _checkpoint(directory: Path) -> ModelFiles:
    found = read_checkpoint(flat_files(directory))
    return ModelFiles(
        context_length=found.context_length,
        chat_template=found.chat_template is not None,
        templates={} if found.chat_template is None else {"chat_template": found.chat_template},
        tools=False,
        pooling=found.pooling,
        capabilities=found.capabilities,
    )
