"""Looking for a model in a backend, and the error where none has it. Knows no settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llmspell_protocol.errors import BackendUnavailable, LlmspellError, ModelNotFound
from llmspell_providers.base import FoundModel, Provider
from llmspell_providers.spec import ModelSpec, is_a_path


async def asked(provider: Provider, spec: ModelSpec) -> FoundModel | str:
    """What the backend found, or why it doesn't answer for the model."""
    try:
        return await provider.find(spec) or "not installed"
    except BackendUnavailable as error:
        return error.message.removeprefix(f"{provider.name}: ")


def not_found(
    spec: ModelSpec, reasons: Mapping[str, str], *, candle: str | None, is_absent: Callable[[str], bool]
) -> LlmspellError:
    """The error for a model that no local backend has; `reasons` say why not, `candle` may know how to pull it.

    The reason of an Ollama that isn't there (`is_absent`) is left out.
    """
    if spec.looks_like_file:
        return is_a_path(str(spec), spec.name)
    # Only an error needs it.
    from llmspell_providers.library.catalog import Catalog

    known = candle is not None and Catalog.load().find(spec) is not None
    advice = f"llmspell model pull {spec}@{candle}" if known else "llmspell model available"
    told = {name: why for name, why in reasons.items() if why == "not installed" or not is_absent(name)}
    return ModelNotFound(
        f"Model '{spec}' not found: {candle} can pull it, but it is not installed"
        if known
        else f"Model '{spec}' not found in any backend",
        hint=advice,
        details={"model": str(spec), "searched": list(reasons), "reasons": told},
    )
