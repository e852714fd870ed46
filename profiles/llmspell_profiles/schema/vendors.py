"""What the interfaces of cloud providers take of the keys that all provider tables share. Knows no network."""

from collections.abc import Iterator, Mapping

from llmspell_profiles.schema.providers import CloudSettings, ProviderSettings
from llmspell_protocol.addresses import parse_address

_NOT_EVERYWHERE = ("top_k", "min_p", "repeat_penalty", "repeat_last_n", "seed")
_OPEN_WEIGHTS = ("top_k", "min_p", "repeat_penalty", "seed")

SAMPLING: Mapping[str, tuple[str, ...]] = {
    "openai": ("seed",),
    "anthropic": ("top_k",),
    "cohere": ("seed",),
    "groq": ("seed",),
    "perplexity": ("top_k",),
    "together": _OPEN_WEIGHTS,
    "gemini": (),
    "mistral": ("seed",),
    "replicate": ("seed",),
    "fireworks": _OPEN_WEIGHTS,
}
"""Sampling options by provider type, beside those that all have. The providers' dialects decide; a test compares."""


def is_own_server(table: ProviderSettings) -> bool:
    """Whether a table is for a compatible server of the user's own, which takes all options and may need no key."""
    if not isinstance(table, CloudSettings) or table.provider_type != "openai":
        return False
    urls = (*table.base_urls, *([table.base_url] if table.base_url else ()))
    hosts = [f".{parse_address(url).host}" for url in urls]
    return bool(hosts) and not any(host.endswith(".api.openai.com") for host in hosts)


def ignored(table: ProviderSettings) -> Iterator[str]:
    """The keys of a table that its provider's interface has no option for."""
    if isinstance(table, CloudSettings) and not is_own_server(table):
        yield from (name for name in _NOT_EVERYWHERE if name not in SAMPLING[table.provider_type])
