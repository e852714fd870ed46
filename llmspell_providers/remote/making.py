"""A provider from its settings: where its servers are, and which interface they speak."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llmspell_protocol.errors import Unsupported
from llmspell_providers.remote.dialect import Dialect
from llmspell_providers.remote.provider import RemoteProvider
from llmspell_providers.remote.vendors import vendor_of

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import CloudSettings


def make_remote(name: str, settings: CloudSettings, find_key: Callable[[], str | None]) -> RemoteProvider:
    """The provider of a table; nothing is imported, looked up or asked yet.

    Raises:
        Unsupported: a vendor without an OpenAI-compatible interface, and no server of one's own is named.
    """
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
