"""The models that we know by name: what `catalog.toml` says, as values. No network, no disk but that one file."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmspell_protocol.errors import InvalidRequest, LlmspellError, ModelNotFound
from llmspell_protocol.models import AvailableModel, Format
from llmspell_protocol.structs import Struct
from llmspell_providers.library.context_memory import ContextMemory
from llmspell_providers.library.manifest import DEFAULT_QUANTIZATION
from llmspell_providers.spec import ModelSpec, is_a_path

_PATH = Path(__file__).with_name("catalog.toml")
_NEAR, _SHOWN = 3, 12
"""Names in an error: that are nearly the one asked for, and in all."""
_REPOSITORY = re.compile(r"hf://[^/]+/[^/]+")
_QUANTIZATION = re.compile(r"(?:i?q\d\w*|tq\d\w*|mxfp4\w*|bf16|fp?16|fp?32)", re.IGNORECASE)


def is_quantization(text: str) -> bool:
    """Whether a text is the name of a quantization, as llama.cpp writes them, in any case."""
    return _QUANTIZATION.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Pin:
    """What is known about one file before it is downloaded; None where there is nothing to check it by."""

    sha256: str | None = None
    size_bytes: int | None = None


class CatalogEntry(Struct):
    """A model that can be pulled by name.

    `variant` belongs to the name (`7b` in `mistral:7b`); a model without one takes its quantization as variant.
    `sources` are addresses in the order in which they are tried, with `{quantization}` or `{quantization_lower}` where
    the file's name has it. `pins` are by quantization (`""` for a model that has none). `is_default`: it is what the
    name without a variant means. `capabilities` are the model's own; a backend may lack one, as candle lacks pictures.
    `estimated_bytes` is about what the default quantization takes, `memory`, `embedding_length` and `vocab_size` are
    what its file says, where that is known.
    """

    name: str
    variant: str | None
    backend: str
    format: Format
    family: str
    description: str
    parameters: str | None
    license: str | None
    recommended: bool
    quantizations: tuple[str, ...]
    default_quantization: str | None
    sources: tuple[str, ...]
    aliases: tuple[str, ...]
    pins: Mapping[str, Pin]
    is_default: bool = False
    capabilities: tuple[str, ...] = ()
    context_length: int | None = None
    estimated_bytes: int | None = None
    embedding_length: int | None = None
    vocab_size: int | None = None
    memory: ContextMemory | None = None

    @property
    def id(self) -> str:
        """The name as people write it."""
        return f"{self.name}:{self.variant}" if self.variant else self.name

    @property
    def size_bytes(self) -> int | None:
        """What the default quantization takes on the disk: to the byte where that is known, else about."""
        return self.pin(self.default_quantization).size_bytes or self.estimated_bytes

    @property
    def is_repository(self) -> bool:
        """Whether its source is a whole repository of GGUF files, which may have other quantizations as well."""
        places = [source for source in self.sources if not _is_folder(source)]
        return bool(self.quantizations) and all(_REPOSITORY.fullmatch(place) for place in places)

    def addresses(self, quantization: str | None) -> list[str]:
        """The sources for a quantization; a package's folder stands in for the default one, whatever it has."""
        chosen = quantization or ""
        return [
            source.replace("{quantization}", chosen).replace("{quantization_lower}", chosen.lower())
            for source in self.sources
            if chosen == (self.default_quantization or "") or not _is_folder(source)
        ]

    def pin(self, quantization: str | None) -> Pin:
        """What is known about the file of a quantization."""
        return self.pins.get(quantization or "", Pin())


@dataclass(frozen=True, slots=True)
class Choice:
    """An entry with the quantization decided; `variant` is the installed model's."""

    entry: CatalogEntry
    quantization: str | None
    variant: str | None


class Catalog:
    """The known models, in the order in which they are shown."""

    def __init__(self, entries: tuple[CatalogEntry, ...]) -> None:
        self.entries = entries

    @classmethod
    def load(cls, path: Path = _PATH) -> Catalog:
        """The packaged catalog, or one like it."""
        return _load(path)

    def find(self, spec: ModelSpec, backend: str = "candle") -> CatalogEntry | None:
        """The entry that a spec's name means, whatever quantization it asks for; None for an address."""
        if spec.source is not None:
            return None
        name = f"{spec.provider}/{spec.model}" if spec.provider else spec.model
        named = [
            entry
            for entry in self.entries
            if entry.backend == backend and name.lower() in (entry.name, *(alias.lower() for alias in entry.aliases))
        ]
        if spec.variant is None:
            return next((entry for entry in named if entry.is_default), named[0]) if named else None
        size, _ = _split_variant(spec.variant)
        exact = [entry for entry in named if (entry.variant or "") == size]
        return exact[0] if exact else (named[0] if named and not size else None)

    def choose(self, spec: ModelSpec, quantization: str | None) -> Choice | None:
        """The entry and quantization that a spec means; None when the catalog does not have the name.

        Raises:
            InvalidRequest: the model does not exist in this quantization.
        """
        entry = self.find(spec)
        if entry is None:
            return None
        _, in_variant = _split_variant(spec.variant or "")
        wanted = in_variant or quantization or entry.default_quantization
        if not entry.quantizations:
            if in_variant or quantization:
                raise _no_such_quantization(entry, wanted or "")
            return Choice(entry, None, entry.variant)
        chosen = next((one for one in entry.quantizations if one.lower() == (wanted or "").lower()), None)
        if chosen is None and entry.is_repository and wanted:
            chosen = wanted.upper()  # the hub's listing tells whether it is there
        if chosen is None:
            raise _no_such_quantization(entry, wanted or "")
        if entry.variant is None:
            return Choice(entry, chosen, chosen)
        is_default = chosen == entry.default_quantization
        return Choice(entry, chosen, entry.variant if is_default else f"{entry.variant}-{chosen}")

    def quantization_of(self, spec: ModelSpec) -> str | None:
        """The quantization that a spec's variant names, if it names one."""
        return _split_variant(spec.variant or "")[1]

    def unknown(self, spec: ModelSpec) -> LlmspellError:
        """The error for a name that the catalog does not have: with the names that it has."""
        if spec.looks_like_file:
            return is_a_path(spec.name, spec.name)
        lists = [f"{kind}: {self._some(names, spec)}" for kind, names in self.names().items()]
        is_repository = spec.provider is not None and "/" not in spec.provider
        other = f"hf.co/{spec.name} for the hub's" if is_repository else "hf.co/ORG/REPO for another"
        return ModelNotFound(
            "\n".join([f"Model '{spec.name}' not found.", *lists]),
            hint=f"llmspell model pull {spec.name}@ollama, or {other} repository",
            details={"model": spec.name, "backend": "candle"},
        )

    def available(
        self,
        backend: str,
        installed: frozenset[str] = frozenset(),
        *,
        memory_of: Callable[[CatalogEntry], int | None] = lambda _: None,
        budget_bytes: int | None = None,
    ) -> list[AvailableModel]:
        """The lines of `model available` for a backend; `installed` are ids or names of what it has.

        `memory_of` estimates what a loaded model takes, `budget_bytes` is what there is for it: what does not fit is
        not recommended.
        """
        return [
            _line(entry, installed, memory_of(entry), budget_bytes)
            for entry in self.entries
            if entry.backend == backend
        ]

    def embedders(self, backend: str) -> list[CatalogEntry]:
        """The models that are there for embeddings, recommended ones first; the first of all needs no hub."""
        found = [one for one in self.entries if one.backend == backend and "embed" in one.capabilities]
        return sorted(found, key=lambda one: not one.recommended)

    def _some(self, names: list[str], spec: ModelSpec) -> str:
        """Names for an error, which has to stay short: those that are nearly the one that was asked for come first."""
        # Only an error needs it.
        from difflib import get_close_matches

        near = get_close_matches(f"{spec.model}:{spec.variant}" if spec.variant else spec.model, names, n=_NEAR)
        good = {entry.id for entry in self.entries if entry.recommended}
        shown = list(dict.fromkeys([*near, *(name for name in names if name in good), *names]))[:_SHOWN]
        more = len(names) - len(shown)
        return ", ".join(shown) + (f" and {more} more (llmspell model available)" if more else "")

    def names(self, backend: str = "candle") -> dict[str, list[str]]:
        """The names by kind: `{"GGUF models": […], "Encoder models": […], "T5 models": […]}`."""
        kinds: dict[str, list[str]] = {}
        for entry in self.entries:
            if entry.backend == backend:
                of_weights = "T5" if entry.family == "t5" else "Encoder"
                kind = "GGUF" if entry.format == "gguf" else of_weights
                kinds.setdefault(f"{kind} models", []).append(entry.id)
        return kinds


def _line(
    entry: CatalogEntry, installed: frozenset[str], memory_bytes: int | None, budget_bytes: int | None
) -> AvailableModel:
    fits = None if memory_bytes is None or budget_bytes is None else memory_bytes <= budget_bytes
    return AvailableModel(
        name=entry.id,
        backend=entry.backend,
        description=entry.description,
        parameters=entry.parameters,
        quantizations=entry.quantizations,
        size_bytes=entry.size_bytes,
        license=entry.license,
        recommended=entry.recommended and fits is not False,
        installed=entry.id in installed or (entry.variant is None and entry.name in installed),
        size_estimated=entry.pin(entry.default_quantization).size_bytes is None and entry.estimated_bytes is not None,
        default_quantization=entry.default_quantization,
        capabilities=entry.capabilities,
        context_length=entry.context_length,
        memory_bytes=memory_bytes,
        fits=fits,
        sources=tuple(entry.addresses(entry.default_quantization)),
    )


def _is_folder(source: str) -> bool:
    """Whether a source is a folder of a package, which is made a GGUF file of one quantization."""
    return source.startswith("pypi://") and source.partition("#")[0].endswith("/")


def _split_variant(variant: str) -> tuple[str, str | None]:
    """`7b-Q5_K_M` → `7b` and `Q5_K_M`; `7b` → `7b` and None; `Q5_K_M` → nothing and `Q5_K_M`."""
    size, dash, last = variant.rpartition("-")
    if is_quantization(last):
        return (size.lower() if dash else ""), last
    return variant.lower(), None


def _no_such_quantization(entry: CatalogEntry, wanted: str) -> InvalidRequest:
    known = ", ".join(entry.quantizations) or "one form only, without a quantization"
    return InvalidRequest(
        f"'{entry.id}' does not exist as {wanted}: it has {known}",
        hint=f"llmspell model pull {entry.id}@candle",
        details={"model": entry.id, "quantization": wanted, "quantizations": list(entry.quantizations)},
    )


def _memory(table: Mapping[str, Any]) -> ContextMemory | None:
    if "vocab_size" not in table:
        return None
    # Tables of tokens and of merges are about as long as each other.
    return ContextMemory(**table.get("memory", {}), vocabulary_entries=2 * table["vocab_size"])


@functools.cache
def _load(path: Path) -> Catalog:
    with path.open("rb") as stream:
        content = tomllib.load(stream)
    return Catalog(tuple(_entry(table) for table in content["model"]))


def _entry(table: Mapping[str, Any]) -> CatalogEntry:
    name, _, variant = str(table["name"]).partition(":")
    quantizations = tuple(table.get("quantizations", ()))
    default = table.get("default_quantization", DEFAULT_QUANTIZATION) if quantizations else None
    sums, sizes = table.get("sha256", {}), table.get("size_bytes", {})
    return CatalogEntry(
        name=name,
        variant=variant or None,
        backend=table.get("backend", "candle"),
        format=table.get("format", "gguf"),
        family=table["family"],
        description=table["description"],
        parameters=table.get("parameters"),
        license=table.get("license"),
        recommended=table.get("recommended", False),
        quantizations=quantizations,
        default_quantization=default,
        sources=tuple(table.get("sources", ())),
        aliases=tuple(table.get("aliases", ())),
        pins={key: Pin(sums.get(key), sizes.get(key)) for key in {*sums, *sizes}},
        is_default=table.get("default", False),
        capabilities=tuple(table.get("capabilities", ())),
        context_length=table.get("context_length"),
        estimated_bytes=round(table["gigabytes"] * 1e9) if "gigabytes" in table else None,
        embedding_length=table.get("embedding_length"),
        vocab_size=table.get("vocab_size"),
        memory=_memory(table),
    )
