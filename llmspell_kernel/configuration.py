"""The configuration in force, as a reply shows it: with where each value comes from, and without secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmspell_profiles.loading.loader import LoadedSettings

if TYPE_CHECKING:
    from llmspell_protocol.areas.kernel import KernelConfigReply


def shown_configuration(loaded: LoadedSettings, section: str | None) -> KernelConfigReply:
    """The settings in force, or a part of them.

    Raises:
        NotFound: there is no such section.
    """
    # Seldom asked for, and start-up counts.
    from llmspell_profiles.showing.shown import shown_section
    from llmspell_protocol.areas.kernel import KernelConfigReply

    part = shown_section(loaded, section or "")
    return KernelConfigReply(
        config=part.config,
        path=list(part.path),
        sources=part.sources,
        origin=loaded.origin,
        profile=loaded.profile,
        config_file=str(loaded.source) if loaded.source is not None else None,
    )


REDACTED = "<REDACTED>"
"""What a script reads in place of a secret."""


def settings_for_scripts(loaded: LoadedSettings) -> dict[str, Any]:
    """All settings in force without what is unset; what is secret, at whatever depth, is `REDACTED`."""
    # Seldom asked for, and start-up counts.
    from llmspell_profiles.showing.shown import plain_settings

    return {name: _redacted(value) for name, value in plain_settings(loaded).items() if value is not None}


def _redacted(value: Any) -> Any:
    from llmspell_profiles.credentials.secrets import HIDDEN

    if isinstance(value, dict):
        return {name: _redacted(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_redacted(each) for each in value]
    return REDACTED if value == HIDDEN else value
