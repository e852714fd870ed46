"""Which sampling options go to a server: those of the request, then those that stand in the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmspell_protocol.models import SAMPLING, SamplingOptions
from llmspell_providers.remote.dialect import Sampling

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import CloudSettings

_ALWAYS = ("temperature", "top_p", "max_tokens")
"""Options that every server takes: our defaults for the others are for local engines."""


def sampling_of(given: SamplingOptions, settings: CloudSettings) -> Sampling:
    """The request's options, filled up from the settings; our defaults only where every server takes them."""
    asked = {name for name in SAMPLING if getattr(given, name) is not None}
    in_settings = settings.given & set(SAMPLING)
    values = {name: getattr(settings, name) for name in (*_ALWAYS, *in_settings)}
    values |= {name: getattr(given, name) for name in asked}
    if given.num_ctx is not None:
        values["num_ctx"] = given.num_ctx
        asked.add("num_ctx")
    values = {name: value for name, value in values.items() if value is not None}
    return Sampling(values=values, asked=frozenset(asked), set_by_user=frozenset(asked | in_settings))
