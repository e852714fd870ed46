"""The model for vectors of a place: the wanted one, its own, or that of the settings. Counts what is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llmspell_kernel.request import Request
from llmspell_kernel.services.models import ModelsService
from llmspell_kernel.services.rag.embedding import Embedder, Made, described
from llmspell_kernel.services.rag.model_choice import model_for
from llmspell_protocol.rag.places import Figures

if TYPE_CHECKING:
    from llmspell_profiles.schema.rag import RagSettings


class Embedders:
    """The models for vectors of one kernel's places; `beside` is what else is held that counts in models' memory."""

    def __init__(
        self,
        models: Callable[[], ModelsService],
        settings: Callable[[], RagSettings],
        beside: Callable[[], int],
    ) -> None:
        self._models = models
        self._settings = settings
        self._beside = beside
        self._is_counted = False
        self._made: dict[str, Made] = {}

    def made_for(self, owner: str) -> Made:
        """What was computed for an owner."""
        return self._made.setdefault(owner, Made())

    async def model_of(
        self, request: Request, figures: Figures | None, model: str | None, provider: str | None
    ) -> tuple[Embedder, Sequence[str]]:
        """The model for a place (`figures` None: a new one), and what should be known about the choice.

        Raises:
            ConfigError: nothing is set or installed; the hint says what to pull.
            ModelNotFound, Unsupported: there is no such model, or it makes no vectors.
        """
        models, settings = self._models(), self._settings()
        if not self._is_counted:
            models.count_beside(self._beside)
            self._is_counted = True
        if figures is not None and model is None:
            # A provider is for new places.
            wanted, warnings = figures.model, tuple[str, ...]()
        else:
            choice = await model_for(models, settings, model=model, provider=provider)
            wanted, warnings = choice.model, tuple(choice.warnings)
        found = await described(models, wanted)
        storage = settings.vector_storage
        if figures is not None and figures.model == found.name:
            found = found.of_dimension(figures.dimension)
        elif "dimensions" in storage.given and found.of_dimension(storage.dimensions).shortened:
            found = found.of_dimension(storage.dimensions)
        else:
            warnings = (*warnings, *_told_of_dimensions(settings, found.name, found.dimension))
        made = self.made_for(request.caller.key_id)
        return Embedder(models, found, self._settings, request.caller.client, made), warnings


def _told_of_dimensions(settings: RagSettings, model: str, dimension: int | None) -> Sequence[str]:
    """A warning where the settings want vectors of another length than the model makes."""
    storage = settings.vector_storage
    if "dimensions" not in storage.given or dimension in (None, storage.dimensions):
        return ()
    return (
        f"rag.vector_storage.dimensions is {storage.dimensions}, and the vectors of {model} have {dimension}: "
        f"the collection has {dimension}",
    )
