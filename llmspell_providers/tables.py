"""Which settings table a backend's name means: its own, the first of that type, or what a vendor without one has.

Knows the settings' provider tables; asks no backend.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from llmspell_protocol.backends import LOCAL_BACKENDS
from llmspell_protocol.errors import BackendNotConfigured
from llmspell_protocol.vendors import KEY_VARIABLES

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import ProviderSettings, ProvidersSettings

_PROFILES: Mapping[str, str] = {"ollama": "ollama", "candle": "candle"}
"""The builtin profile that configures a backend."""


class ProviderTables:
    """The provider tables of one configuration. A vendor's models need no table: a key is enough."""

    def __init__(self, providers: ProvidersSettings) -> None:
        self.enabled: Mapping[str, ProviderSettings] = providers.enabled
        self._providers = providers
        self._implied: dict[str, ProviderSettings | None] = {}

    @property
    def local(self) -> list[str]:
        """The configured local backends in the order in which models are looked for: Ollama, then candle."""
        return [name for kind in LOCAL_BACKENDS for name, table in self.enabled.items() if table.provider_type == kind]

    @property
    def remote(self) -> list[str]:
        """The configured backends that are servers of a vendor, or compatible ones."""
        return [name for name, table in self.enabled.items() if table.provider_type not in LOCAL_BACKENDS]

    def has(self, backend: str) -> bool:
        """Whether a backend of this name can be used."""
        return self._name(backend) is not None

    def name(self, backend: str) -> str:
        """The name of the table that a backend's name means.

        Raises:
            BackendNotConfigured: there is none.
        """
        name = self._name(backend)
        if name is None:
            raise self.not_configured(backend)
        return name

    def table(self, backend: str) -> ProviderSettings:
        """The table that a backend's name means; raises as `name`."""
        name = self.name(backend)
        found = self.enabled.get(name) or self._of_vendor(name)
        assert found is not None, "a name is one of a table"
        return found

    def is_implied(self, backend: str) -> bool:
        """Whether it is a vendor that the settings don't mention."""
        return backend not in self.enabled and self._of_vendor(backend) is not None

    def is_absent(self, backend: str, environment: Mapping[str, str]) -> bool:
        """Whether it is an Ollama that isn't there: nothing is set for it, and no such program is installed."""
        table = self.table(backend)
        if table.provider_type != "ollama" or table.base_url != table.FIELDS["base_url"].default:
            return False
        # Only asked about an Ollama that doesn't answer.
        from shutil import which

        started = getattr(table, "auto_start", False)
        return not started and which("ollama", path=environment.get("PATH", os.defpath)) is None

    def not_configured(self, backend: str) -> BackendNotConfigured:
        """The error for a backend that can't be used: what it lacks, or that it is switched off."""
        if backend in self._providers.tables:
            return BackendNotConfigured(
                f"Backend '{backend}' is switched off",
                hint=f"llmspell config set providers.{backend}.enabled true",
                details={"backend": backend, "profile": None},
            )
        return backend_not_configured(backend)

    def _name(self, backend: str) -> str | None:
        if backend in self.enabled:
            return backend
        for name, table in self.enabled.items():
            if table.provider_type == backend and not _is_own_server(table):
                return name
        return backend if self._of_vendor(backend) is not None else None

    def _of_vendor(self, name: str) -> ProviderSettings | None:
        if name not in KEY_VARIABLES:
            return None
        if name not in self._implied:
            self._implied[name] = self._providers.implied(name)
        return self._implied[name]


def _is_own_server(table: ProviderSettings) -> bool:
    """Whether a table is for a compatible server of the user's own: `openai` doesn't mean that one."""
    urls: tuple[str, ...] = getattr(table, "base_urls", ()) or ()
    urls = (*urls, *([table.base_url] if table.base_url else ()))
    if table.provider_type != "openai" or not urls:
        return False
    # Only who asks for OpenAI's models beside such a server needs it.
    from llmspell_providers.remote.vendors import OWN_SERVER, vendor_of

    return vendor_of(table.provider_type, urls) is OWN_SERVER


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
            hint="llmspell model status shows what is configured",
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
