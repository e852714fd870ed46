"""Writes `docs/reference/capabilities.md` from what the backends declare.

python -m generate.capabilities           writes what has changed
python -m generate.capabilities --check   changes nothing; exit status 1 and the name where something would
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from generate.files import ROOT, GeneratedFiles
from generate.markdown import table
from llmspell_protocol.abilities import OPERATIONS, OPTIONS, REQUESTED, TOLD, WORDS
from llmspell_providers.candle import capabilities as candle
from llmspell_providers.candle.engine import ABILITIES
from llmspell_providers.capabilities import Capabilities
from llmspell_providers.ollama import provider as ollama
from llmspell_providers.remote.vendors import OWN_SERVER, VENDORS

INTRODUCTION = """\
# What each backend can do

Written from the code by `make schemas`: what stands here is what a backend itself refuses by. What it lacks is the
error `unsupported`, with the word in `details.operation`; only what comes by itself is simply not there. A model may
lack more than its backend: `llmspell model info MODEL` shows both, its own capabilities and the backend's words in
groups as here (with `--json` in `capabilities` and `supports`).

Safetensors go to candle's engine torch, GGUF files to the one of `providers.candle.engine`. A *server* is OpenAI's
interface at an address of yours: vLLM, llama-server, LM Studio, Ollama's `/v1`.
"""

BACKENDS: Mapping[str, Capabilities] = {
    **{f"candle: {engine}": declared for engine, declared in candle.CAPABILITIES.items()},
    "ollama": ollama.CAPABILITIES,
    "server": OWN_SERVER.capabilities,
    "anthropic": VENDORS["anthropic"].capabilities,
}
"""The columns."""


def rendered() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    return {"capabilities.md": "\n".join([INTRODUCTION, *_sections()]) + "\n"}


def _sections() -> Iterator[str]:
    for title, words in (
        ("Operations", OPERATIONS),
        ("What a request may ask for", REQUESTED),
        ("Options of a request", dict.fromkeys(OPTIONS, "")),
        ("What comes by itself", TOLD),
    ):
        yield f"## {title}\n"
        yield from table(
            ("", *BACKENDS),
            (
                (_named(word, meaning), *(_mark(word, one) for one in BACKENDS.values()))
                for word, meaning in words.items()
            ),
        )
        yield ""
    yield "## Why not\n"
    for name, declared in BACKENDS.items():
        yield f"- **{name}**: {_reasons(declared)}"
    yield "\n## Vendors\n"
    yield "What a vendor lacks that a server of yours has:\n"
    own = OWN_SERVER.capabilities.lacks
    yield from table(
        ("type", "lacks"),
        (
            (f"`{name}`", ", ".join(f"`{word}`" for word in WORDS if word in vendor.capabilities.lacks.keys() - own))
            for name, vendor in VENDORS.items()
        ),
    )
    yield "\n## Engines of candle\n"
    yield from table(
        ("", *candle.LACKS),
        (
            (_named(word, meaning), *("–" if word in lacks else "yes" for lacks in candle.LACKS.values()))
            for word, meaning in ABILITIES.items()
        ),
    )


def _named(word: str, meaning: str) -> str:
    return f"`{word}` {meaning}".strip()


def _mark(word: str, declared: Capabilities) -> str:
    return "–" if word in declared.lacks else "yes"


def _reasons(declared: Capabilities) -> str:
    words: dict[str, list[str]] = {}
    for word in WORDS:
        if word in declared.lacks:
            words.setdefault(declared.lacks[word], []).append(f"`{word}`")
    return "; ".join(f"{', '.join(named)}: {why}" for why, named in words.items()) + "."


FILES = GeneratedFiles(ROOT / "docs" / "reference", rendered)

if __name__ == "__main__":
    raise SystemExit(FILES.main(sys.argv[1:]))
