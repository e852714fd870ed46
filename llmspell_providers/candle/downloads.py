"""What the in-house backend takes in: models from the hub, files of this machine, and what the hub has.

What pulls is imported by the first that wants something of it: an answer needs none of it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from llmspell_protocol.errors import ModelInUse
from llmspell_providers.library.store import Store
from llmspell_providers.spec import ModelSpec

if TYPE_CHECKING:
    from llmspell_protocol.areas.found_models import HubRepository
    from llmspell_protocol.pulls import PullProgress
    from llmspell_providers.candle.process import ModelProcess
    from llmspell_providers.pulls.pull import Puller
    from llmspell_providers.residency.residency import Residency

_log = logging.getLogger(__name__)


class Downloads:
    """The pulls of one provider; belongs to its loop. `environment` and `find_hub_token` are as in `CandleProvider`."""

    def __init__(
        self,
        backend: str,
        store: Store,
        residency: Residency[ModelProcess],
        *,
        default_quantization: str,
        log_directory: Path,
        environment: Mapping[str, str],
        find_hub_token: Callable[[], str | None],
    ) -> None:
        self._backend = backend
        self._store = store
        self._residency = residency
        self._quantization = default_quantization
        self._log_directory = log_directory
        self._environment = environment
        self._find_hub_token = find_hub_token
        self._made: Puller | None = None

    def pull(
        self, spec: ModelSpec, *, force: bool, quantization: str | None, public_only: bool
    ) -> AsyncGenerator[PullProgress]:
        """Downloads a model; yields and raises as `Puller.pull`."""
        wanted = quantization or self._default_quantization(spec)
        return self._replacing(self._puller().pull(spec, force=force, quantization=wanted, public_only=public_only))

    def take(
        self, path: Path, *, name: str, variant: str | None, owner: str, sha256: str | None, force: bool
    ) -> AsyncGenerator[PullProgress]:
        """Uses a model that is on this machine already as it is; yields and raises as `Puller.take`."""
        taken = self._puller().take(path, name=name, variant=variant, owner=owner, sha256=sha256, force=force)
        return self._replacing(taken)

    async def search(self, words: str, limit: int) -> list[HubRepository]:
        """Repositories of the hub; raises as `Puller.search`."""
        return await self._puller().search(words, limit)

    async def close(self) -> None:
        """Ends the pulls."""
        if self._made is not None:
            await self._made.close()

    def _puller(self) -> Puller:
        if self._made is None:
            from llmspell_providers.pulls.pull import Puller, pull_environment

            self._made = Puller(
                self._store,
                self._log_directory / "pull.log",
                environment=pull_environment(self._environment),
                find_token=self._find_hub_token,
            )
        return self._made

    async def _replacing(self, progress: AsyncGenerator[PullProgress]) -> AsyncGenerator[PullProgress, None]:
        """A model that was loaded before its files were replaced is loaded anew when next used."""
        async with aclosing(progress):
            async for item in progress:
                if item.result is not None and item.result.download_status != "already_present":
                    await self._unload_replaced(item.result.model_id)
                yield item

    def _default_quantization(self, spec: ModelSpec) -> str | None:
        """The settings' quantization for a catalog name that says none itself, where the model exists in it."""
        from llmspell_providers.library.catalog import Catalog

        catalog = Catalog.load()
        entry = catalog.find(spec)
        wanted = self._quantization
        named = catalog.quantization_of(spec)
        return wanted if entry is not None and named is None and wanted in entry.quantizations else None

    async def _unload_replaced(self, model_id: str) -> None:
        try:
            await self._residency.unload(f"{model_id}@{self._backend}", force=False)
        except ModelInUse:
            _log.warning("%s was replaced while it answers; it is used as it was until it is unloaded", model_id)
