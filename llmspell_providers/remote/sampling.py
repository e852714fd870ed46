"""Which sampling options go to a server: those of the request, then those that stand in the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmspell_protocol.models import SAMPLING, SamplingOptions
from llmspell_providers.remote.dialect import Sampling

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import CloudSettings


def sampling_of(given: SamplingOptions, settings: CloudSettings) -> Sampling:
    """The request's options, filled up from what the settings say themselves.

    Our defaults are for our own engines: a server knows better what its models need.
    """
    asked = {name for name in SAMPLING if getattr(given, name) is not None}
    in_settings = settings.given & set(SAMPLING)
    values = {name: getattr(settings, name) for name in in_settings}
    values |= {name: getattr(given, name) for name in asked}
    if given.num_ctx is not None:
        values["num_ctx"] = given.num_ctx
        asked.add("num_ctx")
    values = {name: value for name, value in values.items() if value is not None}
    return Sampling(values=values, asked=frozenset(asked))
