"""Writes the tables of `docs/reference/defaults.md`: what holds where nothing is set, read from the settings.

python -m generate.defaults           writes what has changed
python -m generate.defaults --check   changes nothing; exit status 1 and the name where something would
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from generate.files import ROOT, GeneratedFiles
from generate.markdown import filled, table
from llmspell_profiles.loading.loader import load_settings
from llmspell_profiles.schema.schema_keys import value_at
from llmspell_profiles.schema.settings import Settings


class Default(NamedTuple):
    """A setting that people ask for: in words, its key, and where else it can be said."""

    question: str
    key: str
    elsewhere: str = ""
    words: Mapping[Any, str] = {None: "no limit"}
    """What a value means that doesn't say so itself."""


DEFAULTS: Mapping[str, Sequence[Default]] = {
    "replies": (
        Default("how long a reply may be", "providers.candle.max_tokens", "`-o max_tokens N`, `/set max_tokens N`"),
        Default(
            "the context: prompt and reply together", "providers.candle.context_size", "`--num-ctx N`, `/set num_ctx N`"
        ),
        Default("temperature", "providers.candle.temperature", "`-o temperature N`, `/set temperature N`"),
        Default("top_p", "providers.candle.top_p", "`-o top_p N`"),
        Default("top_k", "providers.candle.top_k", "`-o top_k N`"),
        Default("penalty for repetition", "providers.candle.repeat_penalty", "`-o repeat_penalty N`"),
        Default("how long the first token may take, in seconds", "providers.candle.timeout_seconds", "`--timeout S`"),
    ),
    "models": (
        Default("how long an idle model stays in memory, in seconds", "models.keep_alive", "`model load --keep-alive`"),
        Default("memory for all models", "models.memory_budget_bytes", words={"auto": "80 % of what is free"}),
        Default("requests that one model answers at once", "providers.candle.max_concurrent"),
        Default("the processor or the graphics card", "providers.candle.device", "`model load --device`"),
        Default("the engine of GGUF files", "providers.candle.engine"),
        Default("where models lie", "providers.candle.model_directory", words={}),
        Default("Ollama's address", "providers.ollama.base_url", "`OLLAMA_HOST`"),
    ),
    "scripts": (
        Default("memory of a script", "engines.lua.max_memory_bytes"),
        Default("time that a script may compute, in milliseconds", "engines.lua.timeout_ms"),
        Default("time that a script may run, in seconds", "runtime.script_timeout_seconds", "`--timeout S`"),
        Default("Lua's library", "engines.lua.stdlib"),
    ),
    "tools": (
        Default("whether a person is asked before a model's call", "tools.approval"),
        Default("calls at the same time", "tools.workers"),
        Default("the longest program of a tool, in seconds", "tools.system.command_timeout_seconds"),
    ),
    "kernels": (
        Default("the first of its five ports", "kernel.port", "`kernel start --port`"),
        Default("transport", "kernel.transport", "`kernel start --transport ipc`"),
        Default("clients at the same time", "kernel.max_clients", "`kernel start --max-clients`"),
        Default("when an idle one ends, in seconds", "kernel.idle_timeout_seconds", "`--idle-timeout`", {0: "never"}),
        Default(
            "time for running work at the end, in seconds", "kernel.drain_timeout_seconds", "`kernel stop --timeout`"
        ),
        Default("how much the log says", "runtime.log_level", "`--trace LEVEL`, `LLMSPELL_LOG`"),
        Default("size at which a log is packed", "kernel.log_rotate_size"),
    ),
}


def rendered() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    nowhere = Path("/nowhere")
    settings = load_settings(env={"HOME": str(nowhere)}, cwd=nowhere).settings
    page = (ROOT / "docs" / "reference" / "defaults.md").read_text(encoding="utf-8")
    return {"defaults.md": filled(page, {name: _rows(rows, settings) for name, rows in DEFAULTS.items()})}


def _rows(rows: Sequence[Default], settings: Settings) -> Iterator[str]:
    yield from table(
        ("", "default", "in a file", "elsewhere"),
        (
            (one.question, _shown(value_at(settings, tuple(one.key.split("."))), one), f"`{one.key}`", one.elsewhere)
            for one in rows
        ),
    )


def _shown(value: Any, of: Default) -> str:
    if not isinstance(value, bool) and value in of.words:
        return of.words[value]
    if isinstance(value, float) and value == int(value) and value >= 1:
        value = int(value)
    text = f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)
    return text.replace("/nowhere/", "~/")


FILES = GeneratedFiles(ROOT / "docs" / "reference", rendered)

if __name__ == "__main__":
    raise SystemExit(FILES.main(sys.argv[1:]))
