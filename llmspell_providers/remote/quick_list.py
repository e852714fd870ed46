"""A server's list of models for people who look: asked once, in a second, and without the vendor's package."""

from __future__ import annotations

from dataclasses import replace

from llmspell_protocol.models import LocalModel
from llmspell_providers.http.fields import Misshapen
from llmspell_providers.http.get_json import ProbeFailed, get_json
from llmspell_providers.http.listing import listed_models
from llmspell_providers.http.servers import Server
from llmspell_providers.remote.dialect import Dialect
from llmspell_providers.remote.report import local_model


async def quick_list(
    server: Server, dialect: Dialect, key: str | None, *, backend: str, deadline_s: float
) -> list[LocalModel]:
    """The models by names that every command takes: `box/llama3:8b`.

    Raises:
        ProbeFailed: no list within the time, or none that can be read.
        ConfigError: the environment has a proxy that can't be used.
    """
    headers = {} if key is None else dialect.headers(key)
    answer = await get_json(server.address, "/models", deadline_s=deadline_s, headers=headers)
    try:
        listed = [dialect.listed(model) for model in listed_models(answer.content)]
    except Misshapen as error:
        raise ProbeFailed(str(error)) from None
    models = [local_model(one, backend=backend) for one in listed if one.id]
    return [replace(model, id=f"{backend}/{model.id}") for model in models]
