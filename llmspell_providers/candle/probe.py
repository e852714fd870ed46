"""Imports one engine in a process of its own and tells what it can use: `python -m …candle.probe MODULE`.

A wheel that was built for another processor ends the process that imports it, so nobody else should. Prints one JSON
object: `{"devices": […]}`, or `{"error": "…"}` where the module can't be imported.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from types import ModuleType

from llmspell_providers.candle.llama_cpp import accelerators


def probe(module: str) -> dict[str, object]:
    """What an engine's module says; `devices` are accelerators by our names, none for modules that use none."""
    try:
        engine = import_module(module)
    except (ImportError, OSError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"devices": _devices(module, engine)}


def _devices(module: str, engine: ModuleType) -> list[str]:
    if module == "xllamacpp":
        return accelerators(engine.get_device_info())
    if module == "torch" and engine.cuda.is_available():
        return [f"cuda:{index}" for index in range(engine.cuda.device_count())]
    return []


if __name__ == "__main__":
    # What an engine prints while it is imported is no answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    answers.write(json.dumps(probe(sys.argv[1])) + "\n")
