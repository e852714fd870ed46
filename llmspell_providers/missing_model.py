"""What a person may have meant by a name that no backend has: an installed model with nearly this name, or one that can
be pulled. Added to the error; asks the disk, the servers of the configuration and, where it has answered already, the
Ollama daemon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from llmspell_protocol.errors import LlmspellError, ModelNotFound
from llmspell_protocol.vendors import vendor_of
from llmspell_providers.near_names import catalog_names, nearest, nearest_offered, of_its_family, similar_in_catalog
from llmspell_providers.spec import ModelSpec

if TYPE_CHECKING:
    from llmspell_protocol.models import LocalModel
    from llmspell_providers.registry import ProviderRegistry


async def advise(
    error: ModelNotFound, model: str, registry: ProviderRegistry, offered: Callable[[], Awaitable[Iterable[LocalModel]]]
) -> None:
    """Adds what is known about the name `model` to the error's details and hint; `offered` is what servers list.

    `details.nearest` is an installed or offered model whose name is nearly this one, as it can be typed.
    `details.pull` is there where it can be pulled: `{model, backend, size_bytes, known}`; `size_bytes` is None where
    only the pull itself tells, and `known` says that the name stands in the catalog. `details.similar` is a name of
    the catalog that is nearly this one, where nothing installed is, or another model of its family (`qwen9`,
    `llama7`). A vendor's own name for its model (`gpt-4o`) is `nearest` with the vendor before it, where there is a
    key.
    """
    spec = ModelSpec.parse(model)
    if (vendor := _vendor(spec)) is not None:
        await _advise_vendor(error, spec, vendor, registry)
        return
    offer = await _offer(error, spec, registry)
    if offer is not None:
        error.details["pull"] = offer
        if offer["known"] or spec.source is not None:
            error.hint = f"llmspell model pull {offer['model']}"
            return
    installed = await _installed(spec, registry)
    found = nearest(spec, installed)
    if found is None and spec.backend is None and spec.source is None:
        found = nearest_offered(spec, await offered())
    if found is not None:
        error.details["nearest"] = found
        error.hint = f"did you mean '{found}'?"
    elif (similar := similar_in_catalog(spec)) is not None:
        error.details["similar"] = similar
        error.hint = f"did you mean '{similar}'? llmspell model pull {similar}"
    elif (relative := of_its_family(spec, installed)) is not None:
        error.details["similar"] = relative
        error.hint = f"did you mean '{relative}'?"
    elif (relative := of_its_family(spec, catalog_names())) is not None:
        error.details["similar"] = relative
        error.hint = f"did you mean '{relative}'? llmspell model pull {relative}"


def _vendor(spec: ModelSpec) -> str | None:
    return vendor_of(spec.name) if spec.backend is None and spec.source is None and ":" not in spec.name else None


async def _advise_vendor(error: ModelNotFound, spec: ModelSpec, vendor: str, registry: ProviderRegistry) -> None:
    usable = [name for name in registry.remote if registry.kind(name) == vendor]
    usable += [name for name in await registry.keyed() if name == vendor]
    if usable:
        error.details["nearest"] = f"{usable[0]}/{spec.name}"
        error.hint = f"did you mean '{usable[0]}/{spec.name}'?"
    else:
        error.hint = f"it is a model of {vendor}: llmspell keys add {vendor}, and then the model {vendor}/{spec.name}"


async def _installed(spec: ModelSpec, registry: ProviderRegistry) -> Sequence[tuple[str, str]]:
    """Ids and backends of what is installed where the name was looked for."""
    names = [registry.table_name(spec.backend)] if spec.backend and registry.has(spec.backend) else registry.local
    answers = await asyncio.gather(
        *(registry.get(name).list_models() for name in names if name in registry.local), return_exceptions=True
    )
    found: list[tuple[str, str]] = []
    for answer in answers:
        if isinstance(answer, list):
            found += [(one.id, one.backend) for one in answer]
        elif not isinstance(answer, LlmspellError):
            raise answer
    return found


async def _offer(error: ModelNotFound, spec: ModelSpec, registry: ProviderRegistry) -> dict[str, Any] | None:
    kinds = {registry.kind(name): name for name in reversed(registry.local)}
    meant = registry.kind(spec.backend) if spec.backend and registry.has(spec.backend) else None
    if "candle" in kinds and meant in (None, "candle"):
        if spec.source is not None and spec.source.startswith("hf://"):
            # The pull tells sizes before the first byte, and whether the hub answers; an error should not wait for it.
            return _pull(str(spec), kinds["candle"], None, known=False)
        from llmspell_providers.library.catalog import Catalog

        catalog = Catalog.load()
        entry = catalog.find(spec)
        if entry is not None:
            wanted = catalog.quantization_of(spec)
            size = entry.pin(wanted).size_bytes if wanted else entry.size_bytes
            return _pull(str(spec.with_backend(kinds["candle"])), kinds["candle"], size, known=True)
    if "ollama" in kinds and meant in (None, "ollama") and spec.source is None and not spec.looks_like_file:
        # Whether its library has the name only the pull tells.
        reasons = error.details.get("reasons") or {}
        if meant == "ollama" or reasons.get(kinds["ollama"]) == "not installed":
            return _pull(str(spec.with_backend(kinds["ollama"])), kinds["ollama"], None, known=False)
    return None


def _pull(model: str, backend: str, size_bytes: int | None, *, known: bool) -> dict[str, Any]:
    return {"model": model, "backend": backend, "size_bytes": size_bytes, "known": known}
