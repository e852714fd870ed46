"""The settings a kernel runs with, and their errors as the protocol's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from llmspell_profiles import errors as profile_errors
from llmspell_profiles.loading.loader import LoadedSettings, load_settings
from llmspell_protocol.errors import ERRORS, NotFound

if TYPE_CHECKING:
    from llmspell_protocol.areas.kernel import KernelConfigReply


def load_configuration(
    *,
    profile: str | None,
    config: Path | None,
    env: Mapping[str, str],
    cwd: Path,
    flags: Mapping[str, object] | None = None,
) -> LoadedSettings:
    """Loads the settings; `flags` are command-line options that name a setting, by dotted key.

    Raises:
        ConfigError, ProfileNotFound, InvalidRequest: with the text for the user.
    """
    try:
        return load_settings(profile=profile, config=config, env=env, cwd=cwd, flags=flags)
    except profile_errors.ConfigError as error:
        raise ERRORS[error.code](error.message, hint=error.hint, details=error.details) from None


def shown_configuration(loaded: LoadedSettings, section: str | None) -> KernelConfigReply:
    """The settings in force, or a part of them.

    Raises:
        NotFound: there is no such section.
    """
    # Seldom asked for, and start-up counts.
    from llmspell_profiles.showing.shown import shown_section
    from llmspell_protocol.areas.kernel import KernelConfigReply

    try:
        part = shown_section(loaded, section or "")
    except profile_errors.UnknownSection as unknown:
        details = {"section": unknown.section, "available": list(unknown.available)}
        raise NotFound(unknown.text, details=details) from None
    return KernelConfigReply(
        config=part.config,
        path=list(part.path),
        sources=part.sources,
        origin=loaded.origin,
        profile=loaded.profile,
        config_file=str(loaded.source) if loaded.source is not None else None,
    )
