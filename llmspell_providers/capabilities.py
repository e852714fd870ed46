"""What a backend does and what it doesn't, as one value a backend: declared beside it, and what it refuses by.

Operations and what a request may ask for are refused by their word where a declaration lacks them; what comes unasked
is only told. Knows no backend.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from llmspell_protocol.abilities import OPTIONS, WORDS, Word
from llmspell_protocol.errors import Unsupported
from llmspell_protocol.models import ChatRequest, Speculation
from llmspell_providers.schemas.grammars import Grammar

LLAMA_OPTIONS = (
    *("temperature", "top_p", "top_k", "min_p", "repeat_penalty", "repeat_last_n", "seed", "max_tokens", "stop"),
    "num_ctx",
)
"""The options of everything that is llama.cpp inside."""

_NEEDS: Mapping[Word, Word] = {"tool_choice": "tools", "plain_vectors": "embed"}
_OF_A_MODEL: Mapping[str, tuple[Word, ...]] = {
    "chat": ("chat", "raw", "schema", "tools", "tool_choice", "images", "reasoning", "streaming", "prefill"),
    "tools": ("tools", "tool_choice"),
    "rerank": ("rerank",),
    "thinking": ("think",),
}
"""What a model without an ability is refused for, whatever its backend can."""
_NOTHING: Mapping[Word, object] = {"num_beams": 1}
"""Values of options that ask for what happens anyway."""
_HINTS: Mapping[Word, str] = {
    "tools": "use a GGUF model whose chat template has tools, with candle's engine xllamacpp",
    "schema": "use a GGUF model, which candle holds to a schema",
    "images": "use a model that sees, with Ollama or a vendor's server",
    "think": "use a model of candle (GGUF) or Ollama that thinks",
    "num_beams": "the engine torch has it: safetensors models of candle",
    "device": "models of candle run on the device that they are asked to",
    "speculation": "GGUF models of candle draft, with the engines xllamacpp and llama-server",
}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """A declaration: the words that a backend lacks, each with why, in a clause that may follow a colon.

    `never_drafts` says that no model drafts there, so that "off" asks for what happens anyway.
    """

    lacks: Mapping[Word, str]
    never_drafts: bool = False
    grammar: Grammar | None = None
    """What the engine makes of schemas and of tools' parameters; None: they go to a server that sees to it itself."""

    @property
    def supports(self) -> dict[Word, bool]:
        """Every word, and whether the backend has it: the `supports` of a model's info."""
        return {word: word not in self.lacks for word in WORDS}

    def supports_with(self, abilities: Collection[str]) -> dict[Word, bool]:
        """The same for a model with these abilities of its own; none: not known, and it is tried."""
        if not abilities:
            return self.supports
        missing = {word for ability, words in _OF_A_MODEL.items() if ability not in abilities for word in words}
        if "rerank" in abilities and "embed" not in abilities:
            missing |= {"embed", "plain_vectors"}  # whatever else a model is for, its vectors are of some use
        return {word: has and word not in missing for word, has in self.supports.items()}

    def refusal(self, word: Word, backend: str) -> Unsupported:
        """The error for a word that is lacking."""
        return unsupported(word, backend, self.lacks[word])

    def demand(self, word: Word, backend: str) -> None:
        """Raises `Unsupported`, naming the word, where it is lacking."""
        if word in self.lacks:
            raise self.refusal(word, backend)

    def demand_for(self, request: ChatRequest, backend: str) -> None:
        """Raises `Unsupported`, naming the word, if a request asks for something that is lacking.

        Better no answer than one to half a request.
        """
        for word in asked_for(request):
            self.demand(word, backend)
        self.demand_speculation(request.speculation, backend)

    def demand_speculation(self, wanted: Speculation | None, backend: str) -> None:
        """Raises `Unsupported` where a model can't be made to draft, or not to, as is wanted."""
        if wanted not in (None, "auto") and not (wanted == "off" and self.never_drafts):
            self.demand("speculation", backend)


def declare(
    *,
    options: Collection[Word],
    lacks: Mapping[Word, str],
    no_option: str = "its interface has no such option",
    never_drafts: bool = False,
    grammar: Grammar | None = None,
) -> Capabilities:
    """A declaration; options have to be named, so that no backend takes a new one by accident."""
    missing = {word: no_option for word in OPTIONS if word not in options}
    implied = {word: lacks[needed] for word, needed in _NEEDS.items() if needed in lacks}
    return Capabilities({**missing, **implied, **lacks}, never_drafts, grammar)


def asked_for(request: ChatRequest) -> Iterator[Word]:
    """The words that a backend has to have for a request."""
    yield "chat"
    if request.raw:
        yield "raw"
    if request.tools:
        yield "tools"
        if request.tool_choice not in (None, "auto", "none"):
            yield "tool_choice"
    if any(message.images for message in request.messages):
        yield "images"
    if request.schema is not None:
        yield "schema"
    if request.think is not None:
        yield "think"
    if request.device not in (None, "auto"):
        yield "device"
    yield from (name for name in OPTIONS if getattr(request.options, name) not in (None, (), _NOTHING.get(name)))


def unsupported(word: Word, backend: str, why: str) -> Unsupported:
    """The error for something that a backend or one of its servers can't do."""
    return Unsupported(
        f"{backend} can't do '{word}': {why}",
        hint=_HINTS.get(word),
        details={"operation": word, "backend": backend},
    )
