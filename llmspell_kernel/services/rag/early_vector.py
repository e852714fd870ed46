"""The vector of a kernel's first question, begun while the collections are opened: with the model that they have if no
other was chosen for them. Knows no requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from llmspell_kernel.services.models import ModelsService
from llmspell_kernel.services.rag.embedding import Embedder, Made, Vectors, described
from llmspell_kernel.services.rag.model_choice import model_for
from llmspell_protocol.errors import LlmspellError

if TYPE_CHECKING:
    from llmspell_profiles.schema.rag import RagSettings

Early = Callable[[str], Awaitable[Vectors | None]]
"""The vector, if it is made by the model of this name; None: by another, or not at all."""


@asynccontextmanager
async def early_vector(
    question: str, models: ModelsService, settings: Callable[[], RagSettings], client: str, made: Made
) -> AsyncIterator[Early]:
    """Begins the vector; what the block didn't take is left at its end.

    Nothing is begun where a model would have to go for it, or where a server would be asked for it.
    """
    named: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    async def begin() -> Vectors | None:
        try:
            name = await _likely(models, settings())
            if name is None:
                return None
            model = await described(models, name)
            named.set_result(model.name)
            return await Embedder(models, model, settings, client, made).vectors([question], "query")
        except LlmspellError:
            return None  # The search asks again, and tells.
        finally:
            if not named.done():
                named.set_result(None)

    async def take(model: str) -> Vectors | None:
        return await vectors if await named == model else None

    vectors = asyncio.create_task(begin())
    try:
        yield take
    finally:
        vectors.cancel()
        await asyncio.gather(vectors, return_exceptions=True)


async def _likely(models: ModelsService, settings: RagSettings) -> str | None:
    if models.own():
        return None
    chosen = (await model_for(models, settings)).model
    return chosen if await models.is_own(chosen) else None
