"""Which model makes the vectors of a new place: by the request, by the settings, by what is installed. Never one that
only chats. Knows no places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from llmspell_kernel.services.models import ModelsService
from llmspell_protocol.backends import LOCAL_BACKENDS
from llmspell_protocol.errors import BackendNotConfigured, ConfigError, InvalidRequest, LlmspellError

if TYPE_CHECKING:
    from llmspell_profiles.schema.rag import RagSettings

LOCAL = "local"
"""The word for a provider on this machine."""
_OF_VENDORS = {
    "openai": "text-embedding-3-small",
    "mistral": "mistral-embed",
    "gemini": "gemini-embedding-001",
    "cohere": "embed-v4.0",
}
"""The model for vectors of vendors that have several."""


class Choice(NamedTuple):
    """A model as it can be asked, and what should be known about why it is this one."""

    model: str
    warnings: Sequence[str] = ()


async def model_for(
    models: ModelsService, settings: RagSettings, *, model: str | None = None, provider: str | None = None
) -> Choice:
    """The model for vectors: the one that is named, the one of a provider, or by the settings.

    `rag.embedding.default_provider`, where it is written, goes first; a vendor without a key leaves the choice to
    `models.embedding` and what is installed, with a warning.

    Raises:
        ConfigError: nothing is set or installed; the hint says what to pull.
    """
    if model:
        return Choice(model)
    if provider:
        return await _of_provider(models, provider)
    embedding = settings.embedding
    if "default_provider" not in embedding.given:
        return await _installed(models)
    wanted = embedding.default_provider
    try:
        return await _of_provider(models, wanted)
    except (ConfigError, InvalidRequest) as error:
        if wanted in LOCAL_BACKENDS or wanted == LOCAL:
            raise
        found = await _installed(models)
        why = "is not configured" if isinstance(error, BackendNotConfigured) else "can't be asked"
        warning = (
            f"rag.embedding.default_provider is {wanted}, which {why} ({error.message}): "
            f"vectors are made by {found.model}, on this machine"
        )
        return Choice(found.model, (warning, *found.warnings))


async def _of_provider(models: ModelsService, provider: str) -> Choice:
    if provider == LOCAL or provider in LOCAL_BACKENDS:
        return await _installed(models, None if provider == LOCAL else provider)
    name = _OF_VENDORS.get(provider)
    if name is None:
        raise InvalidRequest(
            f"which model of '{provider}' makes vectors is not known",
            hint="name it: --model, models.embedding in the settings, or model in a script",
            details={"provider": provider},
        )
    model = f"{provider}/{name}"
    await models.demand_backend(model)
    return Choice(model)


async def _installed(models: ModelsService, backend: str | None = None) -> Choice:
    found = await models.embedder(backend)
    if found.model is not None:
        return Choice(found.model, found.warnings)
    pull = found.better or "all-minilm:l6-v2@candle"
    raise ConfigError(
        "no model that makes vectors is installed" + ("" if backend is None else f" at {backend}"),
        hint=f"llmspell model pull {pull}; or name another one with --model",
        details={"key": "models.embedding", "pull": pull},
    )


def is_problem_of_model(error: LlmspellError) -> bool:
    """Whether another text would fail in the same way."""
    return error.code not in ("context_length_exceeded", "invalid_request")
