"""Which engines are there, and what is said of one that is not; nothing is imported or run to find that out."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from llmspell_protocol.extras import install_command
from llmspell_providers.candle.server_binary import NAME as SERVER_ENGINE

ENGINE_MODULES: Mapping[str, Sequence[str]] = {
    "xllamacpp": ("xllamacpp",),
    "llama-cpp-python": ("llama_cpp",),
    "torch": ("torch", "transformers", "safetensors"),
}
"""Engines and the modules that each one needs; llama-server is a binary."""


def installed_engines(server: Path | None) -> list[str]:
    """The engines that can be used, by name; `server` is the binary of the one that is one."""
    engines = [name for name, modules in ENGINE_MODULES.items() if all(map(importlib.util.find_spec, modules))]
    if server is not None and os.access(server, os.X_OK):
        engines.append(SERVER_ENGINE)
    return engines


def why_missing(engine: str, server: Path | None) -> str:
    """Why an engine cannot be used, and what to do."""
    if engine in ENGINE_MODULES:
        return f"engine {engine} is not installed: {install_command(engine)}"
    if server is None:
        return f"engine {engine} was not found on PATH: install llama.cpp, or set providers.candle.server_path"
    return f"engine {engine}: {server} is not an executable file"
