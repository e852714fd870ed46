"""Imports one engine in a process of its own and tells what it can use: `python -m …candle.probe MODULE`.

For the engine that is a binary: `… llama-server [PATH]`, without PATH the one that is found; no `version` means none.

A wheel that was built for another processor ends the process that imports it, so this one alone does. Prints one JSON
object: `{"devices": […]}`, or `{"error": "…"}` where the module can't be imported.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from llmspell_protocol.errors import ConfigError
from llmspell_providers.candle.devices import our_names
from llmspell_providers.candle.llama_cpp import accelerators
from llmspell_providers.candle.server_binary import NAME as SERVER
from llmspell_providers.candle.server_binary import examine, find_server


def probe(module: str) -> dict[str, object]:
    """What an engine's module says; `devices` are accelerators by our names, none for modules that use none."""
    try:
        engine = import_module(module)
    except (ImportError, OSError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"devices": _devices(module, engine)}


def probe_server(path: str | None) -> dict[str, object]:
    """What a llama-server says."""
    binary = find_server(Path(path) if path else None, os.environ.get("PATH"))
    if binary is None:
        return {}
    try:
        examined = examine(binary)
        return {"version": examined.version, "devices": list(our_names(examined.devices()))}
    except ConfigError as error:
        return {"error": error.message}


def _devices(module: str, engine: ModuleType) -> list[str]:
    if module == "xllamacpp":
        return accelerators(engine.get_device_info())
    if module == "torch":
        cards = engine.cuda.device_count() if engine.cuda.is_available() else 0
        return [f"cuda:{index}" for index in range(cards)] + (["metal"] if engine.backends.mps.is_available() else [])
    return []


if __name__ == "__main__":
    # What an engine prints while it is imported does not belong to the answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    name, path = sys.argv[1], next(iter(sys.argv[2:]), None)
    answers.write(json.dumps(probe_server(path) if name == SERVER else probe(name)) + "\n")
