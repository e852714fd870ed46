"""Which backend answers for a model: providers by name, made from the settings when first asked for, and the routing.

A backend is called by the name of its table in the settings; `ollama` and `candle` also mean the first table of that
type. Knows names and providers, not what these do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llmspell_protocol.backends import LOCAL_BACKENDS
from llmspell_protocol.errors import (
    BackendNotConfigured,
    BackendUnavailable,
    ConfigError,
    InvalidRequest,
    LlmspellError,
    ModelNotFound,
)
from llmspell_protocol.vendors import KEY_VARIABLES
from llmspell_providers.base import FoundModel, Provider
from llmspell_providers.provider_factory import ProviderFactory
from llmspell_providers.residency.residency import Residency
from llmspell_providers.spec import ModelSpec, is_a_path

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import ProviderSettings
    from llmspell_profiles.schema.settings import Settings
    from llmspell_providers.candle.process import ModelProcess

MOCK = "mock"
_PROFILES: Mapping[str, str] = {
    "ollama": "ollama",
    "candle": "candle",
    "openai": "providers",
    "anthropic": "providers",
}
"""The builtin profile that configures a backend."""


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
    it. `find_key` knows where API keys are kept, by the name of the table, and `find_hub_token` whether one for the
    Hugging Face hub is; both may block.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        log_directory: Path,
        environment: Mapping[str, str],
        find_key: Callable[[str, ProviderSettings], str | None] = lambda _, table: table.api_key,
        find_hub_token: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._providers: dict[str, Provider] = {}
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
        tables = self._settings.providers.enabled
        return [name for kind in LOCAL_BACKENDS for name, table in tables.items() if table.provider_type == kind]

    @property
    def remote(self) -> list[str]:
        """The configured backends that are servers of a vendor, or compatible ones."""
        tables = self._settings.providers.enabled
        return [name for name, table in tables.items() if table.provider_type not in LOCAL_BACKENDS]

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
        """Whether a backend of this name is configured."""
        tables = self._settings.providers.enabled
        return backend in tables or any(table.provider_type == backend for table in tables.values())

    def kind(self, backend: str) -> str:
        """The type of a configured backend: `ollama`, `candle` or a vendor's; raises as `get`."""
        return self._table(self.table_name(backend)).provider_type

    def table_name(self, backend: str) -> str:
        """The name of the settings table that a backend's name means.

        Raises:
            BackendNotConfigured: there is none.
        """
        tables = self._settings.providers.enabled
        if backend in tables:
            return backend
        for name, table in tables.items():
            if table.provider_type == backend:
                return name
        raise backend_not_configured(backend)

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
        if provider is not None and provider not in providers.enabled:
            raise backend_not_configured(provider)
        name = provider or providers.default
        if name is None:
            raise ConfigError(
                "No model is named, and the settings have no default provider"
                if providers.enabled
                else "No model is named, and no provider is configured",
                hint="name a model, set providers.default_provider, or use a profile: llmspell -p candle",
                details={"key": "providers.default_provider"},
            )
        table = providers.enabled[name]
        if table.default_model is None:
            raise ConfigError(
                f"No model is named, and provider '{name}' has no default model",
                hint=f"name a model, or set providers.{name}.default_model",
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
            raise backend_not_configured("candle")

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
            raise self._not_found(spec, reasons)
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
            raise self._not_found(spec, reasons)
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
            raise backend_not_configured("candle" if for_candle else "ollama")
        by_kind = {self._table(name).provider_type: self.get(name) for name in reversed(self.local)}
        candle, ollama = by_kind.get("candle", backends[0]), by_kind.get("ollama", backends[0])
        if for_candle:
            return candle, spec.with_backend(candle.name)
        health = await ollama.health()
        if health.ready:
            return ollama, spec.with_backend(ollama.name)
        raise ModelNotFound(
            f"Model '{spec}' not found: {candle.name}'s catalog does not have it, and {ollama.name} is not running",
            hint=f"llmspell model available, or start Ollama ({health.reason}), or hf.co/ORG/REPO for a repository",
            details={"model": str(spec), "searched": [ollama.name, candle.name]},
        )

    def reconfigure(self, settings: Settings) -> list[Provider]:
        """Uses these settings from here on; returns the providers that are no longer asked, to be retired.

        Those are the ones whose table changed or went; what is asked for next is made from the new table.
        """
        old, self._settings = self._settings, settings
        self.residency.reconfigure(keep_alive_s=settings.models.keep_alive, max_queue=settings.models.max_queue)
        before, now = old.providers.enabled, settings.providers.enabled
        changed = [
            name
            for name in self._providers
            if name != MOCK
            and (
                name not in now
                or now[name] != before[name]
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
        if provider.name in self.remote and (spec.backend is None or word == provider.name):
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
            raise backend_not_configured("candle")
        having: list[LocatedModel] = []
        reasons: dict[str, str] = {}
        answers = await asyncio.gather(*(_asked(backend, spec) for backend in backends))
        for backend, answer in zip(backends, answers, strict=True):
            if isinstance(answer, str):
                reasons[backend.name] = answer
            else:
                having.append(LocatedModel(backend, spec.with_backend(backend.name), answer))
        return having, reasons

    def _not_found(self, spec: ModelSpec, reasons: Mapping[str, str]) -> LlmspellError:
        if spec.looks_like_file:
            return is_a_path(str(spec), spec.name)
        from llmspell_providers.library.catalog import Catalog

        candle = next((name for name in self.local if self._table(name).provider_type == "candle"), None)
        known = candle is not None and Catalog.load().find(spec) is not None
        advice = f"llmspell model pull {spec}@{candle}" if known else "llmspell model available"
        return ModelNotFound(
            f"Model '{spec}' not found in any backend",
            hint=advice,
            details={"model": str(spec), "searched": list(reasons), "reasons": dict(reasons)},
        )

    def _table(self, name: str) -> ProviderSettings:
        return self._settings.providers.enabled[name]


def _is_candle(table: ProviderSettings) -> bool:
    return table.provider_type == "candle"


def backend_not_configured(backend: str, command: str = "llmspell -p {profile}") -> BackendNotConfigured:
    """The error for a backend that the settings in force lack, with the texts that the command line promises.

    `command` is shown as the way out; the command line puts the user's own there, from `details`.
    """
    profile = _PROFILES.get(backend)
    if profile is None:
        return BackendNotConfigured(
            f"Backend '{backend}' not configured and no matching builtin profile found.\n"
            f"Available backends: {', '.join(LOCAL_BACKENDS)}\n"
            "Check your model specification format: model:variant@backend",
            details={"backend": backend, "profile": None},
        )
    shown = command.format(profile=profile)
    return BackendNotConfigured(
        f"Backend '{backend}' not configured. To use {backend} models:\n"
        f"1. Use the builtin profile: {shown}\n"
        f"2. Or configure {backend} provider in your config file",
        hint=shown,
        details={"backend": backend, "profile": profile},
    )


async def _asked(provider: Provider, spec: ModelSpec) -> FoundModel | str:
    """What the backend found, or why it doesn't answer for the model."""
    try:
        return await provider.find(spec) or "not installed"
    except BackendUnavailable as error:
        return error.message.removeprefix(f"{provider.name}: ")
