"""What a program has for a model beside its weights, and an import does not take: said in words that can be typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from shlex import join
from typing import Any

from llmspell_protocol.model_options import OTHER_WORDS, option_names
from llmspell_providers.library.importable import Importable, importable_in

_LONGEST_PROMPT = 2_000
"""Characters of a system prompt that a warning shows."""


def left_behind(weights: Path, model_id: str) -> list[str]:
    """The warnings for a model of Ollama that was imported as `model_id`; its own name is taken before another's."""
    own = [one for one in importable_in([weights.parent.parent], "ollama") if one.path == weights]
    chosen = next((one for one in own if one.id == model_id), next(iter(own), None))
    return [] if chosen is None else [*_warnings(chosen, model_id)]


def _warnings(model: Importable, model_id: str) -> Iterator[str]:
    words, unknown = ["llmspell", "chat", model_id], []
    if model.system_prompt:
        words += ["-s", model.system_prompt[:_LONGEST_PROMPT]]
    for name, value in model.parameters.items():
        ours = OTHER_WORDS.get(name, name)
        for one in value if isinstance(value, list) else [value]:
            if name == "num_predict" and one in (-1, -2):
                continue  # no limit, as it is here
            if ours in option_names():
                words += ["-o", ours, _shown(one)]
            else:
                unknown.append(f"{name} {_shown(one)}")
    named = {"system prompt": model.system_prompt, "parameters": model.parameters}
    what = " and ".join(name for name, value in named.items() if value)
    if what:
        without = f" ({', '.join(unknown)}: llmspell has no such options)" if unknown else ""
        yield f"imported without the {what} of its Modelfile; with them: {join(words)}{without}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
