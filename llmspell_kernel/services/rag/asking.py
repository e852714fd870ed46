"""One question: passages are found, as many as fit go to a chat model, and its answer comes as it is written.

Where no passage fits there is no answer, and no model is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import aclosing

from llmspell_kernel.parts import is_followed
from llmspell_kernel.relay import relay
from llmspell_kernel.request import Request
from llmspell_kernel.services.agents.chats import Chats
from llmspell_kernel.services.models import ModelsService
from llmspell_kernel.services.rag.answers import Prompt, cited, fitting
from llmspell_kernel.services.rag.progress import Progress
from llmspell_kernel.services.rag.records import hit_of
from llmspell_kernel.services.rag.searching import Result
from llmspell_protocol.areas.rag import RagAsk, RagAskReply, RagCitation
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import ContextLengthExceeded, LlmspellError, Unsupported
from llmspell_protocol.models import ChatRequest, ChatResult, SamplingOptions
from llmspell_protocol.rag.documents import Hit

_BYTES_A_TOKEN = 3
"""Where a model's backend can't count: about so many at least, in most languages."""


class Asking:
    """The answer to one request; used once."""

    def __init__(self, request: Request, wanted: RagAsk, models: Callable[[], ModelsService]) -> None:
        self._request = request
        self._wanted = wanted
        self._models = models
        self._progress = Progress(request, tells=wanted.progress)
        self._began = time.monotonic()
        self._progress.tell("searching")

    async def answer(self, found: Result) -> RagAskReply:
        """Asks the model with what was found.

        Raises:
            ContextLengthExceeded: not even one passage fits.
            LlmspellError: as the model.
        """
        if not found.hits:
            return self._reply(None, Prompt((), (), 0), None, found.warnings)
        self._progress.tell("answering")
        model = self._model()
        hits: Sequence[Hit] = found.hits
        context = await self._context(model)
        while True:
            prompt = await fitting(
                self._wanted.query,
                hits,
                context=context,
                max_tokens=self._wanted.max_tokens,
                count=lambda text: self._count(model, text),
            )
            try:
                result = await self._asked(model, prompt)
            except ContextLengthExceeded as error:
                # It was counted otherwise than the model does, or is read with less context than was known.
                if len(prompt.hits) <= 1 or self._request.partial:
                    raise
                context = _limit(error, context)
                hits = hits[: max(1, len(prompt.hits) * 3 // 4)]
                continue
            return self._reply(
                result, prompt._replace(left_out=len(found.hits) - len(prompt.hits)), model, found.warnings
            )

    def _model(self) -> str:
        return self._wanted.chat_model or self._request.root.options.model or self._models().default_model()

    async def _asked(self, model: str, prompt: Prompt) -> ChatResult:
        wanted = self._wanted
        asked = ChatRequest(
            model=model,
            messages=prompt.messages,
            options=SamplingOptions(max_tokens=wanted.max_tokens, temperature=wanted.temperature),
            stream=wanted.stream,
        )
        result: ChatResult | None = None
        async with aclosing(self._chats().chat(asked, client=self._request.caller.client)) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    relay(self._request, chunk, stream=wanted.stream)
                result = chunk.result or result
        assert result is not None  # the last chunk of a reply that did not raise carries it
        return result

    def _chats(self) -> Chats:
        if not is_followed(self._request):
            return self._models()
        # Only what is recorded or replayed needs it.
        from llmspell_kernel.services.agents.request_chats import RequestChats

        return RequestChats(self._request, self._models())

    async def _context(self, model: str) -> int | None:
        """The tokens that prompt and answer share, as the model is loaded; None: not known."""
        models = self._models()
        try:
            loaded = await models.load(model)
        except Unsupported:
            loaded = None  # A vendor's model is always loaded.
        if loaded is not None and loaded.context_size is not None:
            return loaded.context_size
        try:
            return (await models.info(model)).context_length
        except Unsupported:
            return None

    async def _count(self, model: str, text: str) -> int:
        try:
            return (await self._models().count_tokens(model, [text])).counts[0]
        except LlmspellError as error:
            if error.code not in ("unsupported", "model_error"):
                raise
            return len(text.encode()) // _BYTES_A_TOKEN

    def _reply(
        self, result: ChatResult | None, prompt: Prompt, model: str | None, warnings: Sequence[str]
    ) -> RagAskReply:
        answer = None if result is None else result.message.content
        named = cited(answer or "", len(prompt.hits))
        told = list(warnings)
        if result is not None and result.truncated:
            told.append("the answer was cut: raise max_tokens, or ask a model with a larger context")
        if prompt.left_out:
            told.append(f"{prompt.left_out} of the passages did not fit the model's context, and were left out")
        return RagAskReply(
            answer=answer,
            found=result is not None,
            citations=[
                RagCitation(number=number, cited=number in named, hit=hit_of(hit))
                for number, hit in enumerate(prompt.hits, 1)
            ],
            left_out=prompt.left_out,
            chat_model=None if result is None else result.model,
            usage=None if result is None else to_content(result.usage),
            warnings=told,
            duration_ms=round((time.monotonic() - self._began) * 1000, 3),
        )


def _limit(error: ContextLengthExceeded, context: int | None) -> int | None:
    limit = error.details.get("limit")
    return limit if isinstance(limit, int) else context
