"""Programs that keep models on this machine, and the directories in which they do. Looks at no disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

Origin = Literal["ollama", "hf-cache", "lmstudio", "llama.cpp"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)
SHOWN: Mapping[str, str] = {
    "ollama": "Ollama",
    "hf-cache": "the Hugging Face cache",
    "lmstudio": "LM Studio",
    "llama.cpp": "llama.cpp",
}
"""The programs as people call them."""


def origin_directories(origin: Origin, environ: Mapping[str, str], home: Path) -> list[Path]:
    """Where a program keeps its models, by its own variables or else its defaults; not all of them need be there."""
    if origin == "ollama":
        named = environ.get("OLLAMA_MODELS")
        return [Path(named)] if named else [home / ".ollama/models", Path("/usr/share/ollama/.ollama/models")]
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    if origin == "hf-cache":
        hub = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
        own = environ.get("HF_HOME")
        return [Path(hub) if hub else (Path(own) if own else cache / "huggingface") / "hub"]
    if origin == "lmstudio":
        return [home / ".lmstudio/models", cache / "lm-studio/models"]
    named = environ.get("LLAMA_CACHE")
    return [Path(named)] if named else [cache / "llama.cpp", home / "Library/Caches/llama.cpp"]
