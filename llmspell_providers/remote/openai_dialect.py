"""OpenAI's interface through the official `openai` package, for every server that speaks it.

Pure translation and the package's own calls. Chunks are looked at with care: servers leave fields out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from llmspell_protocol.content import to_content
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, FinishReason, ToolCall, Usage
from llmspell_providers.images import image
from llmspell_providers.openai_chat import chat_body, parse_arguments
from llmspell_providers.remote.dialect import Ending, Events, Listed, Sampling, Vectors, VendorPackage
from llmspell_providers.remote.vendors import Vendor
from llmspell_providers.schemas.tools import WORDS

_NO_KEY = "none"
_STANDARD = ("temperature", "top_p")


class OpenAIDialect(VendorPackage):
    """See `Dialect`; `extra` are keys of the settings that go into every request as they are."""

    package = "openai"
    parts = ("chat.completions", "completions", "embeddings", "models")

    def __init__(self, vendor: Vendor, extra: Mapping[str, Any]) -> None:
        self._vendor = vendor
        self._extra = extra

    def headers(self, key: str) -> dict[str, str]:
        """What carries the key."""
        return {"Authorization": f"Bearer {key}"}

    def client(self, base_url: str, key: str | None, *, connect_s: float, trust_env: bool) -> Any:
        """A client for one address. Nothing of OPENAI_… in the environment reaches another server than OpenAI's."""
        sdk = self.sdk
        headers: dict[str, Any] = {}
        if self._vendor.base_url != "https://api.openai.com/v1":
            headers |= {"OpenAI-Organization": sdk.Omit(), "OpenAI-Project": sdk.Omit()}
        return sdk.AsyncOpenAI(
            # Without one the package would send OPENAI_API_KEY to any server.
            api_key=key or _NO_KEY,
            admin_api_key="",
            base_url=base_url,
            default_headers=headers,
            **self.connection(connect_s=connect_s, trust_env=trust_env),
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
        if extra:
            body["extra_body"] = extra
        return body

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

    async def open(self, client: Any, body: Mapping[str, Any], sampling: Sampling) -> Events:
        """Sends it; what only a default asked for and the model refuses (reasoning models do) is left out."""
        create = client.completions.create if "prompt" in body else client.chat.completions.create
        body = dict(body)
        while True:
            try:
                return cast("Events", await create(**body, extra_headers=self._without_key(client)))
            except self.sdk.BadRequestError as error:
                refused = error.param
                if refused not in _STANDARD or refused not in body or refused in sampling.asked:
                    raise
                del body[refused]

    def gathered(self, sampling: Sampling) -> OpenAIGathered:
        """What takes the chunks of one reply."""
        return OpenAIGathered(sampling.values.get("max_tokens"))

    async def models(self, client: Any) -> list[Listed]:
        """What `/models` tells; vLLM and llama.cpp's server add lengths."""
        listed = [model async for model in client.models.list(extra_headers=self._without_key(client))]
        if not all(hasattr(model, "model_dump") for model in listed):
            raise ValueError("no list of models")
        return [_listed(model.model_dump()) for model in listed]

    async def embed(self, client: Any, model: str, texts: Sequence[str]) -> Vectors:
        """One vector a text; as numbers, since not every server knows base64."""
        extra = dict(self._extra) or None
        answer = await client.embeddings.create(
            model=model,
            input=list(texts),
            encoding_format="float",
            extra_body=extra,
            extra_headers=self._without_key(client),
        )
        data = getattr(answer, "data", None)
        if not isinstance(data, list) or not all(isinstance(getattr(row, "embedding", None), list) for row in data):
            raise ValueError("no vectors")
        rows = sorted(data, key=lambda row: row.index or 0)
        usage = getattr(answer, "usage", None)
        return Vectors([row.embedding for row in rows], getattr(usage, "prompt_tokens", None) or 0)

    async def tokenize(self, client: Any, model: str, text: str) -> list[int]:
        """`/tokenize` beside `/v1`: llama.cpp's server reads `content`, vLLM `prompt`."""
        root = str(client.base_url).rstrip("/").removesuffix("/v1")
        question = {"content": text, "prompt": text, "model": model, "add_special": False, "add_special_tokens": False}
        headers = self._without_key(client)
        answer = await client.post(f"{root}/tokenize", body=question, cast_to=object, options={"headers": headers})
        tokens = answer.get("tokens") if isinstance(answer, dict) else None
        if not isinstance(tokens, list):
            raise ValueError("no tokens")
        return [int(token) for token in tokens]

    def _without_key(self, client: Any) -> dict[str, Any]:
        """The package wants a key even for servers that want none; then nothing is sent in its place."""
        return {"Authorization": self.sdk.Omit()} if client.api_key == _NO_KEY else {}


class OpenAIGathered:
    """The chunks of one reply, gathered as they come."""

    def __init__(self, max_tokens: int | None) -> None:
        self._max_tokens = max_tokens
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[dict[str, str]] = []
        self._at: dict[int, int] = {}
        self._finish: str | None = None
        self._usage: Any = None
        self._timings: Mapping[str, Any] = {}

    def error(self, event: Any) -> object | None:
        """The package raises for these itself, but not for all."""
        return cast("object | None", getattr(event, "error", None))

    def take(self, event: Any) -> ChatChunk | None:
        """The chunk for one event, if it has anything to show."""
        self._usage = getattr(event, "usage", None) or self._usage
        timings = getattr(event, "timings", None)
        self._timings = timings if isinstance(timings, Mapping) else self._timings
        choices = getattr(event, "choices", None)
        if not choices:
            return None
        choice = choices[0]
        self._finish = getattr(choice, "finish_reason", None) or self._finish
        delta = getattr(choice, "delta", None)
        text = str(getattr(choice, "text", None) or "")
        reasoning = ""
        if delta is not None:
            text = text or str(getattr(delta, "content", None) or getattr(delta, "refusal", None) or "")
            reasoning = str(getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None) or "")
            for call in getattr(delta, "tool_calls", None) or ():
                self._take_call(call)
        self._text.append(text)
        self._reasoning.append(reasoning)
        return ChatChunk(text=text, reasoning=reasoning) if text or reasoning else None

    def _take_call(self, call: Any) -> None:
        # Some servers leave the index out and send each call whole.
        index = call.index if isinstance(getattr(call, "index", None), int) else None
        if index is not None and index in self._at:
            entry = self._calls[self._at[index]]
        elif index is None and self._calls and not getattr(call, "id", None):
            entry = self._calls[-1]
        else:
            entry = {"id": "", "name": "", "arguments": ""}
            if index is not None:
                self._at[index] = len(self._calls)
            self._calls.append(entry)
        entry["id"] = getattr(call, "id", None) or entry["id"]
        function = getattr(call, "function", None)
        entry["name"] += getattr(function, "name", None) or ""
        entry["arguments"] += getattr(function, "arguments", None) or ""

    def ending(self) -> Ending:
        """The whole reply."""
        calls = tuple(
            ToolCall(id=entry["id"] or f"call_{at}", name=entry["name"], arguments=parse_arguments(entry["arguments"]))
            for at, entry in enumerate(self._calls)
        )
        usage = self._counts()
        prefill_ms, decode_ms = self._timings.get("prompt_ms"), self._timings.get("predicted_ms")
        measured = isinstance(prefill_ms, int | float) and isinstance(decode_ms, int | float)
        return Ending(
            message=ChatMessage(
                role="assistant",
                content="".join(self._text),
                reasoning="".join(self._reasoning) or None,
                tool_calls=calls,
            ),
            finish_reason=self._finish_reason(usage.completion_tokens, called=bool(calls)),
            filtered=self._finish == "content_filter",
            usage=usage,
            times={"prefill_ms": float(prefill_ms or 0), "decode_ms": float(decode_ms or 0)} if measured else {},
        )

    def _counts(self) -> Usage:
        details = getattr(self._usage, "prompt_tokens_details", None)
        cached = getattr(details, "cached_tokens", None) or self._timings.get("cache_n") or 0
        return Usage(
            prompt_tokens=getattr(self._usage, "prompt_tokens", None) or 0,
            cached_tokens=int(cached),
            completion_tokens=getattr(self._usage, "completion_tokens", None) or 0,
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


def _listed(model: Mapping[str, Any]) -> Listed:
    meta = model.get("meta")
    told: Mapping[str, Any] = meta if isinstance(meta, Mapping) else {}
    return Listed(
        # Gemini lists `models/NAME` and takes NAME.
        id=str(model.get("id", "")).removeprefix("models/"),
        context_length=told.get("n_ctx_train")
        or model.get("max_model_len")
        or model.get("context_window")
        or model.get("context_length"),
        embedding_length=told.get("n_embd"),
        parameter_count=told.get("n_params"),
        size_bytes=told.get("size") or 0,
    )
