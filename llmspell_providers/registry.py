"""Which backend answers for a model: providers by name, made from the settings when first asked for, and the routing.

A backend is called by the name of its table in the settings; `ollama` and `candle` also mean the first table of that
type. Knows names and providers, not what these do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from llmspell_protocol.backends import LOCAL_BACKENDS
from llmspell_protocol.errors import (
    ConfigError,
    InvalidRequest,
)
from llmspell_protocol.vendors import KEY_VARIABLES
from llmspell_providers.base import FoundModel, Provider
from llmspell_providers.finding import asked, not_found
from llmspell_providers.provider_factory import ProviderFactory
from llmspell_providers.residency.residency import Residency
from llmspell_providers.spec import ModelSpec, is_a_path
from llmspell_providers.tables import ProviderTables

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import ProviderSettings
    from llmspell_profiles.schema.settings import Settings
    from llmspell_protocol.models import LocalModel
    from llmspell_providers.candle.process import ModelProcess
    from llmspell_providers.remote.provider import RemoteProvider

MOCK = "mock"


class LocatedModel(NamedTuple):
    """The backend that answers for a model, and the spec with its name.

    `found` is what the search for it told; None where the backend was named and nothing had to be asked.
    """

    provider: Provider
    spec: ModelSpec
    found: FoundModel | None = None


class ProviderRegistry:
    """All backends of a kernel; belongs to one event loop.

    `environment` is the kernel's own and is read by nothing below: the mock's reply and what pulls may see come from
    it. `find_key` knows where API keys are kept, by the name of the table, `keyed_vendors` which vendors have
    one, and `find_hub_token` whether one for the Hugging Face hub is; all may block.

    A vendor's models need no table: a key is enough.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        log_directory: Path,
        environment: Mapping[str, str],
        find_key: Callable[[str, ProviderSettings], str | None] = lambda _, table: table.api_key,
        keyed_vendors: Callable[[], Sequence[str]] = lambda: (),
        find_hub_token: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._tables = ProviderTables(settings.providers)
        self._providers: dict[str, Provider] = {}
        self._keyed_vendors = keyed_vendors
        self._environment = environment
        self.residency: Residency[ModelProcess] = Residency(
            memory_budget=settings.models.memory_budget_bytes,
            keep_alive_s=settings.models.keep_alive,
            max_queue=settings.models.max_queue,
        )
        self._factory = ProviderFactory(
            residency=self.residency,
            log_directory=log_directory,
            environment=environment,
            find_key=find_key,
            find_hub_token=find_hub_token,
        )

    @property
    def local(self) -> list[str]:
        """The configured local backends in the order in which models are looked for: Ollama, then candle."""
        return self._tables.local

    @property
    def remote(self) -> list[str]:
        """The configured backends that are servers of a vendor, or compatible ones."""
        return self._tables.remote

    @property
    def tables(self) -> Mapping[str, ProviderSettings]:
        """The settings' tables by name, of providers that are switched off too."""
        return self._settings.providers.tables

    def table(self, backend: str) -> ProviderSettings:
        """The table that a backend's name means; raises as `get`."""
        return self._table(backend)

    def made_for(self, name: str, table: ProviderSettings) -> Provider:
        """A provider that is asked nothing but what it can do, for a table that may be switched off.

        Raises:
            Unsupported: its vendor has no interface that is spoken here.
        """
        return self._factory.make(name, table, self._settings.models)

    async def keyed(self) -> list[str]:
        """The vendors without a table whose models can be used all the same: there is a key."""
        names = await asyncio.to_thread(self._keyed_vendors)
        return [name for name in names if self._tables.is_implied(name)]

    async def offered(self, backend: str, deadline_s: float) -> list[LocalModel]:
        """What a server lists, within this time; raises `LlmspellError` where it doesn't."""
        return await cast("RemoteProvider", self.get(backend)).offered(deadline_s)

    def is_absent(self, backend: str) -> bool:
        """Whether it is an Ollama that isn't there."""
        return self._tables.is_absent(backend, self._environment)

    def is_remote(self, backend: str) -> bool:
        """Whether a backend is a server that decides by itself what it has in memory."""
        return self.has(backend) and self.kind(backend) not in LOCAL_BACKENDS

    def prepare_own(self) -> None:
        """Imports what models of our own need, where the settings have them; in any thread. Their use tells errors."""
        if self._candle() is not None:
            with suppress(ImportError):
                import llmspell_providers.candle.process
                import llmspell_providers.candle.provider  # noqa: F401

    @property
    def made(self) -> list[Provider]:
        """The providers that were asked for so far."""
        return list(self._providers.values())

    def get(self, backend: str) -> Provider:
        """The provider of a backend.

        Raises:
            BackendNotConfigured: the settings in force have no such backend.
            Unsupported: its vendor has no interface that is spoken here.
        """
        name = MOCK if backend == MOCK else self.table_name(backend)
        provider = self._providers.get(name)
        if provider is None:
            table = None if name == MOCK else self._table(name)
            provider = self._providers[name] = self._factory.make(name, table, self._settings.models)
        return provider

    def has(self, backend: str) -> bool:
        """Whether a backend of this name can be used."""
        return self._tables.has(backend)

    def kind(self, backend: str) -> str:
        """The type of a backend: `ollama`, `candle` or a vendor's; raises as `get`."""
        return self._table(backend).provider_type

    def table_name(self, backend: str) -> str:
        """The name of the settings table that a backend's name means.

        Raises:
            BackendNotConfigured: there is none.
        """
        return self._tables.name(backend)

    @property
    def embedding(self) -> str | None:
        """The model that the settings name for texts to be embedded."""
        return self._settings.models.embedding

    def default_model(self, provider: str | None = None) -> str:
        """The spec for requests that name no model: the default model of a provider, or of the default one.

        Raises:
            ConfigError: the settings name none.
            BackendNotConfigured: the provider is not in the settings.
        """
        providers = self._settings.providers
        if provider is not None and not self.has(provider):
            raise self._tables.not_configured(provider)
        name = provider or providers.default
        if name is None:
            raise ConfigError(
                "No model is named, and the settings have no default provider"
                if providers.enabled
                else "No model is named, and no provider is configured",
                hint="name a model, or choose one for good: llmspell model default MODEL",
                details={"key": "providers.default_provider"},
            )
        table = self._table(name)
        if table.default_model is None:
            raise ConfigError(
                f"No model is named, and provider '{name}' has no default model",
                hint=f"name a model, or choose one for good: llmspell config set providers.{name}.default_model MODEL",
                details={"key": f"providers.{name}.default_model"},
            )
        spec = ModelSpec.parse(table.default_model)
        if table.provider_type in LOCAL_BACKENDS:
            return str(spec if spec.backend else spec.with_backend(name))
        return table.default_model if spec.provider == name else f"{name}/{table.default_model}"

    async def demand_backend(self, spec: ModelSpec) -> None:
        """Whether a model's backend could be asked: it is in the settings, known, and has the key that it needs.

        Asks no backend and looks for no model, so that it also passes where the name of a model is no model's.

        Raises:
            BackendNotConfigured, Unsupported, ConfigError: the backend that is meant can't be used.
        """
        provider = self._named(spec)
        if provider is not None:
            await provider.demand_configured()
        elif not self.local:
            raise self._tables.not_configured("candle")

    async def locate(self, spec: ModelSpec) -> LocatedModel:
        """Which backend answers for a model.

        `@backend`, else `default_backend`, else the first local backend that has the model; Ollama is asked first.

        Raises:
            BackendNotConfigured, Unsupported: the backend that is meant can't be used.
            ModelNotFound: no backend has it; the hint says what each one answered.
        """
        provider = self._named(spec)
        if provider is not None:
            return LocatedModel(provider, self._at(spec, provider))
        having, reasons = await self._having(spec)
        if not having:
            raise not_found(spec, reasons, candle=self._candle(), is_absent=self.is_absent)
        return having[0]

    async def locate_only(self, spec: ModelSpec) -> LocatedModel:
        """As `locate`, but a name that several backends have is refused: for deleting.

        Raises:
            InvalidRequest: several backends have it; all are listed.
        """
        if spec.backend is not None:
            return await self.locate(spec)
        if (vendor := self._vendor(spec)) is not None:
            return LocatedModel(vendor, self._at(spec, vendor))
        having, reasons = await self._having(spec)
        if not having:
            raise not_found(spec, reasons, candle=self._candle(), is_absent=self.is_absent)
        if len(having) > 1:
            names = [str(each.spec) for each in having]
            raise InvalidRequest(
                f"Model '{spec}' is in several backends: {', '.join(names)}",
                hint=f"name one of them, for example {names[0]}",
                details={"model": str(spec), "found": names},
            )
        return having[0]

    async def for_pull(self, spec: ModelSpec) -> tuple[Provider, ModelSpec]:
        """The backend that a model is to be pulled to, and the spec with its name.

        Named, else `default_backend`, else the only configured local one; of both, candle for an address or a name of
        its catalog, and Ollama for the rest if it answers. With none configured the same choice
        says which one is missed.

        Raises:
            BackendNotConfigured: none can pull.
            ModelNotFound: candle does not know the name and Ollama does not answer.
        """
        provider = self._named(spec)
        if provider is not None:
            return provider, self._at(spec, provider)
        backends = [self.get(name) for name in self.local]
        if len(backends) == 1:
            return backends[0], spec.with_backend(backends[0].name)
        if spec.looks_like_file:
            raise is_a_path(str(spec), spec.name)
        # Only a pull without a backend's name needs the catalog here.
        from llmspell_providers.library.catalog import Catalog

        for_candle = spec.source is not None or Catalog.load().find(spec) is not None
        if not backends:
            raise self._tables.not_configured("candle" if for_candle else "ollama")
        by_kind = {self._table(name).provider_type: self.get(name) for name in reversed(self.local)}
        candle, ollama = by_kind.get("candle", backends[0]), by_kind.get("ollama", backends[0])
        if for_candle:
            return candle, spec.with_backend(candle.name)
        health = await ollama.health()
        if health.ready:
            return ollama, spec.with_backend(ollama.name)
        # Only an error needs it.
        from llmspell_providers.near_names import not_pulled_anywhere

        down = None if self.is_absent(ollama.name) else (ollama.name, health.reason)
        raise not_pulled_anywhere(spec, candle.name, down)

    def reconfigure(self, settings: Settings) -> list[Provider]:
        """Uses these settings from here on; returns the providers that are no longer asked, to be retired.

        Those are the ones whose table changed or went; what is asked for next is made from the new table.
        """
        old, self._settings = self._settings, settings
        self._tables = ProviderTables(settings.providers)
        self.residency.reconfigure(keep_alive_s=settings.models.keep_alive, max_queue=settings.models.max_queue)
        before, now = old.providers.enabled, settings.providers.enabled
        changed = [
            name
            for name in self._providers
            if name != MOCK
            and (
                name not in now
                or now[name] != before.get(name)
                or (_is_candle(now[name]) and settings.models != old.models)
            )
        ]
        return [self._providers.pop(name) for name in changed]

    async def retire(self, provider: Provider) -> None:
        """Closes a provider that is not in use any more; where its table has gone, its models go as well."""
        await provider.close()
        if self.has(provider.name):
            return
        for model in self.residency.models:
            if model.name.endswith(f"@{provider.name}"):
                await self.residency.unload(model.name, force=True)

    async def close(self) -> None:
        """Ends what every backend has running."""
        await asyncio.gather(*(provider.close() for provider in self.made))
        await self.residency.close()

    def _named(self, spec: ModelSpec) -> Provider | None:
        """The backend that the spec or the settings name; None when it has to be found by asking."""
        if spec.backend is not None:
            return self.get(spec.backend)
        vendor = self._vendor(spec)
        if vendor is not None:
            return vendor
        for name in self.local:
            default = getattr(self._table(name), "default_backend", None)
            # An address is a file or a repository; Ollama can't take it, whatever the default is.
            if default is not None and not (spec.source is not None and default == "ollama"):
                return self.get(default)
        return None

    def _at(self, spec: ModelSpec, provider: Provider) -> ModelSpec:
        """The spec with its backend's name; without the word before the model that only named a remote provider."""
        word, _, rest = (spec.provider or "").partition("/")
        if self.is_remote(provider.name) and (spec.backend is None or word == provider.name):
            spec = replace(spec, provider=rest or None)
        return spec.with_backend(provider.name)

    def _vendor(self, spec: ModelSpec) -> Provider | None:
        """The provider that the first word of a name means, where it is not the organisation of a local model."""
        vendor, _, _ = (spec.provider or "").partition("/")
        if vendor == MOCK:
            return self.get(MOCK)
        table = self._settings.providers.enabled.get(vendor)
        if vendor in KEY_VARIABLES or (table is not None and table.provider_type not in LOCAL_BACKENDS):
            return self.get(vendor)
        return None

    async def _having(self, spec: ModelSpec) -> tuple[list[LocatedModel], dict[str, str]]:
        """The local backends that have a model, and for each other one why it doesn't answer for it."""
        # An address is a file or a repository, and Ollama has neither.
        kinds = LOCAL_BACKENDS if spec.source is None else ("candle",)
        backends = [self.get(name) for name in self.local if self.kind(name) in kinds]
        if not backends:
            raise self._tables.not_configured("candle")
        having: list[LocatedModel] = []
        reasons: dict[str, str] = {}
        answers = await asyncio.gather(*(asked(backend, spec) for backend in backends))
        for backend, answer in zip(backends, answers, strict=True):
            if isinstance(answer, str):
                reasons[backend.name] = answer
            else:
                having.append(LocatedModel(backend, spec.with_backend(backend.name), answer))
        return having, reasons

    def _candle(self) -> str | None:
        """The first backend that runs models of our own."""
        return next((name for name in self.local if self._table(name).provider_type == "candle"), None)

    def _table(self, backend: str) -> ProviderSettings:
        return self._tables.table(backend)


def _is_candle(table: ProviderSettings) -> bool:
    return table.provider_type == "candle"
