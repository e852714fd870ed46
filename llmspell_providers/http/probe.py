"""Whether a server answers, without ever running a model: its list of models, or just any answer at all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from llmspell_protocol.addresses import Address
from llmspell_protocol.errors import ConfigError
from llmspell_providers.http.fields import Misshapen
from llmspell_providers.http.get_json import ProbeFailed, get_json
from llmspell_providers.http.listing import listed_models


class Probed(NamedTuple):
    """What a server answered: `models` None where it has no list; `reason` None where it can be used."""

    reason: str | None
    models: int | None = None
    latency_ms: float | None = None


async def probe(address: Address, *, headers: Mapping[str, str], lists: bool, deadline_s: float) -> Probed:
    """Asks for the list of models; a server without one only has to answer, and is sent no key."""
    began = time.monotonic()
    try:
        answer = await get_json(address, "/models", deadline_s=deadline_s, headers=headers if lists else {})
    except ProbeFailed as error:
        return _without_list(error, (time.monotonic() - began) * 1000, lists=lists)
    except ConfigError as error:
        return Probed(f"{error.message}: {error.hint}" if error.hint else error.message)
    try:
        models = listed_models(answer.content)
    except Misshapen:
        return Probed("something else than a model server answers there") if lists else _there(answer.latency_ms)
    return Probed(None, len(models), answer.latency_ms)


def _there(latency_ms: float) -> Probed:
    return Probed(None, None, latency_ms)


def _without_list(error: ProbeFailed, latency_ms: float, *, lists: bool) -> Probed:
    status = error.status
    if status == 401 and lists:
        return Probed("the API key is not accepted")
    if status is not None and status < 500 and (not lists or status in (403, 404, 405, 429)):
        # A key that may not list models, or a server without a list: it is there.
        return _there(latency_ms)
    return Probed(str(error))
