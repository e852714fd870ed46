"""OpenAI's interface through the official `openai` package, for every server that speaks it.

Pure translation and the package's requests. What comes back is looked at with care: servers leave fields out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmspell_protocol.addresses import Address
from llmspell_protocol.content import to_content
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, FinishReason, Usage
from llmspell_providers.http.fields import Misshapen, count, items, number, plain_text, record, records, text, vector
from llmspell_providers.http.limits import vectors_limit
from llmspell_providers.http.listing import listed_models
from llmspell_providers.http.reply_text import ReplyText
from llmspell_providers.images import image
from llmspell_providers.openai_chat import chat_body
from llmspell_providers.remote.dialect import Ending, Listed, Ranked, Sampling, Vectors, VendorPackage
from llmspell_providers.remote.tool_calls import CallParts
from llmspell_providers.remote.vendors import Vendor
from llmspell_providers.schemas.tools import WORDS

if TYPE_CHECKING:
    import httpx2

_NO_KEY = "none"
_STANDARD = ("temperature", "top_p")


class OpenAIDialect(VendorPackage):
    """See `Dialect`; `extra` are keys of the settings that go into every request as they are."""

    package = "openai"

    def __init__(self, vendor: Vendor, extra: Mapping[str, Any]) -> None:
        self._vendor = vendor
        self._extra = extra

    def headers(self, key: str) -> dict[str, str]:
        """What carries the key."""
        return {"Authorization": f"Bearer {key}"}

    def client(self, address: Address, key: str | None) -> Any:
        """A client for one address. Nothing of OPENAI_… in the environment reaches another server than OpenAI's."""
        headers: dict[str, Any] = {}
        if self._vendor.base_url != "https://api.openai.com/v1":
            headers |= {"OpenAI-Organization": self.sdk.Omit(), "OpenAI-Project": self.sdk.Omit()}
        return self.made(
            "AsyncOpenAI",
            address,
            # Without one the package would send OPENAI_API_KEY to any server.
            api_key=key or _NO_KEY,
            admin_api_key="",
            base_url=address.url,
            default_headers=headers,
        )

    def body(self, model: str, request: ChatRequest, sampling: Sampling) -> dict[str, Any]:
        """The request; what OpenAI's own interface lacks is in `extra_body`."""
        vendor = self._vendor
        content = to_content(request)
        plain = chat_body({**content, "options": {}})
        extra: dict[str, Any] = {**self._extra}
        if "json_schema" in plain:
            # llama.cpp's word for it, where the prompt is raw.
            extra["json_schema"] = dict(request.schema or {})
            del plain["json_schema"]
        for message, turn in zip(plain.get("messages", ()), request.messages, strict=False):
            if turn.images:
                message["content"] = _with_images(turn)
            if not vendor.replays_reasoning:
                message.pop("reasoning_content", None)
            if message["role"] == "tool":
                message.pop("name", None)
        if vendor.names_tools and request.tools and request.tool_choice not in (None, *WORDS):
            plain["tools"] = chat_body({**content, "options": {}, "tool_choice": None})["tools"]
            plain["tool_choice"] = {"type": "function", "function": {"name": request.tool_choice}}
        body = {"model": model, **plain, "stream": True}
        if vendor.counts_on_demand:
            body["stream_options"] = {"include_usage": True}
        self._sample(body, extra, sampling, is_raw=request.raw)
        return body | extra

    def _sample(self, body: dict[str, Any], extra: dict[str, Any], sampling: Sampling, *, is_raw: bool) -> None:
        vendor = self._vendor
        for name, value in sampling.values.items():
            if name in _STANDARD:
                body[name] = value
            elif name == "stop":
                if value:
                    body["stop"] = list(value)
            elif name == "max_tokens":
                body["max_tokens" if is_raw else vendor.limit] = value
            elif name == "seed" and vendor.seed is not None:
                target = body if vendor.seed == "seed" else extra
                target[vendor.seed] = value
            elif name in vendor.sampling:
                extra |= dict.fromkeys(vendor.sampling[name], value)

    async def open(self, client: Any, body: Mapping[str, Any], sampling: Sampling) -> httpx2.Response:
        """Sends it; what only the settings ask for and the model refuses (reasoning models do) is left out."""
        path = "/completions" if "prompt" in body else "/chat/completions"
        body = dict(body)
        while True:
            try:
                return await self.opened(client, path, body, self._without_key(client))
            except self.sdk.BadRequestError as error:
                refused = error.param
                if refused not in _STANDARD or refused not in body or refused in sampling.asked:
                    raise
                del body[refused]

    def gathered(self, sampling: Sampling) -> OpenAIGathered:
        """What takes the chunks of one reply."""
        return OpenAIGathered(sampling.values.get("max_tokens"))

    def listed(self, model: Mapping[str, Any]) -> Listed:
        """An entry of `/models`; vLLM and llama.cpp's server add lengths."""
        return _listed(model)

    async def models(self, client: Any) -> list[Listed]:
        """What `/models` tells; vLLM and llama.cpp's server add lengths."""
        content = await self.got(client, "/models", {}, self._without_key(client))
        return [listed for model in listed_models(content) if (listed := _listed(model)).id]

    async def embed(self, client: Any, model: str, texts: Sequence[str], dimensions: int | None = None) -> Vectors:
        """One vector a text; as numbers, since not every server knows base64."""
        from llmspell_providers.http.client import reply_limit

        shortened = {} if dimensions is None else {"dimensions": dimensions}
        body = {"model": model, "input": list(texts), "encoding_format": "float", **shortened, **self._extra}
        with reply_limit(vectors_limit(len(texts))):
            content = await self.posted(client, "/embeddings", body, self._without_key(client))
        answer = record(content, "the reply")
        rows = _in_order(records(answer.get("data"), "data"))
        usage = record(answer.get("usage"), "usage")
        return Vectors(
            [vector(row.get("embedding"), f"data[{at}].embedding") for at, row in enumerate(rows)],
            count(usage.get("prompt_tokens"), "usage.prompt_tokens"),
        )

    async def tokenize(self, client: Any, model: str, text: str) -> list[int]:
        """`/tokenize` beside `/v1`: llama.cpp's server reads `content`, vLLM `prompt`."""
        root = str(client.base_url).rstrip("/").removesuffix("/v1")
        question = {"content": text, "prompt": text, "model": model, "add_special": False, "add_special_tokens": False}
        content = await self.posted(client, f"{root}/tokenize", question, self._without_key(client))
        if not isinstance(content, Mapping) or "tokens" not in content:
            raise Misshapen("no tokens")
        return [count(token, "tokens") for token in items(content["tokens"], "tokens")]

    async def rerank(self, client: Any, model: str, query: str, texts: Sequence[str]) -> Ranked:
        """`/rerank` as llama.cpp's server, vLLM, Together and the first, Cohere's, have it."""
        body = {"model": model, "query": query, "documents": list(texts), "top_n": len(texts), **self._extra}
        content = await self.posted(client, "/rerank", body, self._without_key(client))
        answer = record(content, "the reply")
        rows = records(answer.get("results"), "results")
        order = [count(row.get("index"), f"results[{at}].index") for at, row in enumerate(rows)]
        if sorted(order) != list(range(len(texts))):
            raise Misshapen("scores whose numbers are not those of the texts")
        scores = dict(zip(order, rows, strict=True))
        usage = record(answer.get("usage"), "usage")
        return Ranked(
            [number(scores[at].get("relevance_score"), "results[].relevance_score") for at in range(len(texts))],
            count(usage.get("prompt_tokens"), "usage.prompt_tokens") or count(usage.get("total_tokens"), "usage"),
        )

    def _without_key(self, client: Any) -> dict[str, Any]:
        """The package wants a key even for servers that want none; then nothing is sent in its place."""
        return {"Authorization": self.sdk.Omit()} if client.api_key == _NO_KEY else {}


class OpenAIGathered:
    """The chunks of one reply, gathered as they come."""

    def __init__(self, max_tokens: int | None) -> None:
        self._max_tokens = max_tokens
        self._said = ReplyText()
        self._calls = CallParts()
        self._finish: str | None = None
        self._usage: Mapping[str, Any] = {}
        self._timings: Mapping[str, Any] = {}

    def error(self, event: Any) -> object | None:
        """What stands in an event in place of a piece."""
        content = record(event, "an event")
        return content if content.get("object") == "error" else content.get("error") or None

    def take(self, event: Any) -> ChatChunk | None:
        """The chunk for one event, if it has anything to show."""
        content = record(event, "an event")
        self._usage = record(content.get("usage"), "usage") or self._usage
        self._timings = record(content.get("timings"), "timings") or self._timings
        choices = records(content.get("choices"), "choices")
        # One was asked for; a server that numbers it otherwise means that one.
        choice = next((one for one in choices if one.get("index") in (0, None)), choices[0] if choices else None)
        if choice is None:
            return None
        self._finish = text(choice.get("finish_reason"), "finish_reason") or self._finish
        delta = record(choice.get("delta"), "delta")
        for at, call in enumerate(records(delta.get("tool_calls"), "tool_calls")):
            self._calls.take(call, f"tool_calls[{at}]")
        said, thought = _parts(delta.get("content"))
        refusal = text(delta.get("refusal"), "refusal")
        reasoning = text(delta.get("reasoning_content"), "reasoning_content") or text(
            delta.get("reasoning"), "reasoning"
        )
        return self._said.take(text(choice.get("text"), "text") or said or refusal, reasoning or thought)

    def rest(self) -> ChatChunk | None:
        """The chunk for what was held back."""
        return self._said.rest()

    def ending(self) -> Ending:
        """The whole reply."""
        calls = self._calls.calls()
        usage = self._counts()
        measured = self._timings.get("prompt_ms") is not None and self._timings.get("predicted_ms") is not None
        return Ending(
            message=ChatMessage(
                role="assistant", content=self._said.text, reasoning=self._said.reasoning, tool_calls=calls
            ),
            finish_reason=self._finish_reason(usage.completion_tokens, called=bool(calls)),
            filtered=self._finish == "content_filter",
            usage=usage,
            times={
                "prefill_ms": number(self._timings["prompt_ms"], "timings.prompt_ms"),
                "decode_ms": number(self._timings["predicted_ms"], "timings.predicted_ms"),
            }
            if measured
            else {},
        )

    def _counts(self) -> Usage:
        details = record(self._usage.get("prompt_tokens_details"), "usage.prompt_tokens_details")
        cached = count(details.get("cached_tokens"), "usage.prompt_tokens_details.cached_tokens")
        return Usage(
            prompt_tokens=count(self._usage.get("prompt_tokens"), "usage.prompt_tokens"),
            cached_tokens=cached or count(self._timings.get("cache_n"), "timings.cache_n"),
            completion_tokens=count(self._usage.get("completion_tokens"), "usage.completion_tokens"),
        )

    def _finish_reason(self, completion_tokens: int, *, called: bool) -> FinishReason | None:
        """`length` is max_tokens or the context's end, which the count tells apart where there is one."""
        if self._finish is None:
            return None
        if called or self._finish in ("tool_calls", "function_call"):
            return "tool_calls"
        if self._finish != "length":
            return "stop"
        is_short = self._max_tokens is not None and 0 < completion_tokens < self._max_tokens
        return "context_full" if is_short else "length"


def _with_images(turn: ChatMessage) -> list[dict[str, Any]]:
    """A message in parts: what is said, then what is to be seen."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": turn.content}] if turn.content else []
    return parts + [{"type": "image_url", "image_url": {"url": image(data).url}} for data in turn.images]


def _parts(content: object) -> tuple[str, str]:
    """What a piece says and thinks: a text, or (Mistral's) a list of parts."""
    if not isinstance(content, list):
        return text(content, "delta.content"), ""
    said, thought = "", ""
    for part in records(content, "delta.content"):
        if part.get("type") == "thinking":
            inner = part.get("thinking")
            thought += "".join(_parts(inner) if isinstance(inner, list) else (text(inner, "thinking"),))
        else:
            said += text(part.get("text"), "delta.content[].text")
    return said, thought


def _in_order(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The vectors in the order of the texts, which their numbers tell where they have any."""
    numbers = [row.get("index") for row in rows]
    if all(one is None for one in numbers):
        return rows
    order = [count(one, "data[].index") for one in numbers]
    if None in numbers or sorted(order) != list(range(len(rows))):
        raise Misshapen("vectors whose numbers are not those of the texts")
    return [row for _, row in sorted(zip(order, rows, strict=True), key=lambda pair: pair[0])]


def _listed(model: Mapping[str, Any]) -> Listed:
    meta = model.get("meta")
    told: Mapping[str, Any] = meta if isinstance(meta, Mapping) else {}
    return Listed(
        # Gemini lists `models/NAME` and takes NAME.
        id=plain_text(model.get("id"), "data[].id").removeprefix("models/"),
        context_length=_size(told.get("n_ctx_train"))
        or _size(model.get("max_model_len"))
        or _size(model.get("context_window"))
        or _size(model.get("context_length")),
        embedding_length=_size(told.get("n_embd")),
        parameter_count=_size(told.get("n_params")),
        size_bytes=_size(told.get("size")) or 0,
    )


def _size(value: object) -> int | None:
    """A number that a vendor adds to its list; what is none is left out, since everybody adds other things."""
    try:
        return count(value, "") or None
    except Misshapen:
        return None
