"""Providers from their tables in the settings; nothing is looked up, and no server is asked yet.

Each backend's module is imported by its first user: the status of one must not pay for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from llmspell_protocol.durations import read_seconds
from llmspell_protocol.errors import ConfigError, Unsupported

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import CandleSettings, CloudSettings, OllamaSettings, ProviderSettings
    from llmspell_profiles.schema.settings import ModelsSettings
    from llmspell_providers.base import Provider
    from llmspell_providers.candle.process import ModelProcess
    from llmspell_providers.remote.dialect import Dialect
    from llmspell_providers.residency.residency import Residency

MOCK_REPLY_VARIABLE = "LLMSPELL_MOCK_REPLY"
MOCK_PAUSE_VARIABLE = "LLMSPELL_MOCK_PAUSE"


class ProviderFactory:
    """Makes the providers of one kernel; the parameters are those of `ProviderRegistry`."""

    def __init__(
        self,
        *,
        residency: Residency[ModelProcess],
        log_directory: Path,
        environment: Mapping[str, str],
        find_key: Callable[[str, ProviderSettings], str | None],
        find_hub_token: Callable[[], str | None],
    ) -> None:
        self._residency = residency
        self._log_directory = log_directory
        self._environment = environment
        self._find_key = find_key
        self._find_hub_token = find_hub_token

    def make(self, name: str, table: ProviderSettings | None, models: ModelsSettings) -> Provider:
        """The provider of the table `name`; the mock has none.

        Raises:
            Unsupported: its vendor has no interface that is spoken here.
        """
        if table is None:
            from llmspell_providers.mock import MockProvider

            pause = _mock_pause(self._environment.get(MOCK_PAUSE_VARIABLE) or "0")
            return MockProvider(self._environment.get(MOCK_REPLY_VARIABLE) or None, pause)
        if table.provider_type == "candle":
            from llmspell_providers.candle.provider import CandleProvider

            return CandleProvider(
                name,
                cast("CandleSettings", table),
                models,
                residency=self._residency,
                log_directory=self._log_directory,
                environment=self._environment,
                find_hub_token=self._find_hub_token,
            )
        if table.provider_type == "ollama":
            from llmspell_providers.ollama.provider import OllamaProvider

            return OllamaProvider(
                name,
                cast("OllamaSettings", table),
                log_directory=self._log_directory,
                environment=self._environment,
            )
        return _remote(name, cast("CloudSettings", table), lambda: self._find_key(name, table))


def _mock_pause(text: str) -> float:
    try:
        pause = read_seconds(text)
    except ValueError:
        pause = -1.0
    if pause < 0:
        raise ConfigError(f"{MOCK_PAUSE_VARIABLE} is {text!r}, which is no number of seconds", hint="for example 0.05")
    return pause


def _remote(name: str, settings: CloudSettings, find_key: Callable[[], str | None]) -> Provider:
    """A provider behind HTTP: where its servers are, and which interface they speak."""
    from llmspell_providers.remote.provider import RemoteProvider
    from llmspell_providers.remote.vendors import vendor_of

    given = (*settings.base_urls, *([settings.base_url] if settings.base_url else ()))
    urls = tuple(dict.fromkeys(url.rstrip("/") for url in given))
    vendor = vendor_of(settings.provider_type, urls)
    if not urls and vendor.base_url is None:
        raise Unsupported(
            f"Provider '{name}': {settings.provider_type} has no OpenAI-compatible interface, which is all that is"
            " spoken here",
            hint=f"set providers.{name}.base_url to a gateway that speaks it",
            details={"backend": name, "provider_type": settings.provider_type},
        )
    dialect: Dialect
    if settings.provider_type == "anthropic":
        # Each interface's module is imported by its first user.
        from llmspell_providers.remote.anthropic_dialect import AnthropicDialect

        dialect = AnthropicDialect(settings.options)
        urls = tuple(f"{url.removesuffix('/v1')}/v1" for url in urls)
    else:
        from llmspell_providers.remote.openai_dialect import OpenAIDialect

        dialect = OpenAIDialect(vendor, settings.options)
    return RemoteProvider(name, settings, vendor, urls or (vendor.base_url or "",), dialect, find_key)
