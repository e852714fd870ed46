"""The settings a kernel runs with, as a reply shows them."""

from __future__ import annotations

from llmspell_kernel.context import Content
from llmspell_profiles.loading.loader import LoadedSettings


def shown_configuration(loaded: LoadedSettings, section: str | None) -> Content:
    """The content of a `config` reply.

    Raises:
        NotFound: there is no such section.
    """
    # Seldom asked for, and start-up counts.
    from llmspell_profiles.showing.shown import shown_section

    part = shown_section(loaded, section or "")
    return {
        "config": part.config,
        "path": list(part.path),
        "sources": part.sources,
        "origin": loaded.origin,
        "profile": loaded.profile,
        "config_file": str(loaded.source) if loaded.source is not None else None,
    }
