"""Anthropic's Messages interface through the official `anthropic` package. Pure translation and the package's calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, FinishReason, ToolCall, Usage
from llmspell_providers.images import image
from llmspell_providers.openai_chat import parse_arguments
from llmspell_providers.remote.dialect import Ending, Events, Listed, Sampling, Vectors, VendorPackage
from llmspell_providers.remote.vendors import VENDORS

_FINISH: Mapping[str, FinishReason] = {
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "model_context_window_exceeded": "context_full",
}
_TOOL_CHOICES = {"auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"}}
_SAMPLING = ("temperature", "top_p", "top_k")
"""Sent only where they were asked for: newer models refuse them, or two of them together."""


class AnthropicDialect(VendorPackage):
    """See `Dialect`; `extra` are keys of the settings that go into every request as they are."""

    package = "anthropic"
    parts = ("messages", "models")

    def __init__(self, extra: Mapping[str, Any]) -> None:
        self._extra = extra

    def headers(self, key: str) -> dict[str, str]:
        """What carries the key, and the version without which nothing is answered."""
        return {"Authorization": f"Bearer {key}", "anthropic-version": "2023-06-01"}

    def client(self, base_url: str, key: str | None, *, connect_s: float, trust_env: bool) -> Any:
        """A client for one address. An explicit key keeps the package from looking for others."""
        return self.sdk.AsyncAnthropic(
            api_key=key or "",
            base_url=base_url.removesuffix("/v1"),
            **self.connection(connect_s=connect_s, trust_env=trust_env),
        )

    def body(self, model: str, request: ChatRequest, sampling: Sampling) -> dict[str, Any]:
        """The request; sampling goes into `extra_body`, since the package no longer lists it."""
        turns = request.messages or (ChatMessage(role="user", content=request.prompt or ""),)
        body: dict[str, Any] = {"model": model, "messages": _messages(turns), "stream": True}
        system = "\n\n".join(turn.content for turn in turns if turn.role == "system")
        if system:
            body["system"] = system
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
            choice = request.tool_choice
            if choice is not None:
                body["tool_choice"] = _TOOL_CHOICES.get(choice, {"type": "tool", "name": choice})
        if request.schema is not None:
            # The interface holds the model to fewer keywords; the package moves the others into descriptions.
            schema = self.sdk.transform_schema(dict(request.schema))
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        extra: dict[str, Any] = {**self._extra}
        for name, value in sampling.values.items():
            if name == "max_tokens":
                body["max_tokens"] = value
            elif name == "stop":
                if value:
                    body["stop_sequences"] = list(value)
            elif name in _SAMPLING and name in sampling.set_by_user:
                extra[name] = value
        if extra:
            body["extra_body"] = extra
        return body

    async def open(self, client: Any, body: Mapping[str, Any], sampling: Sampling) -> Events:
        """Sends it; sampling that only the settings ask for and the model refuses is left out."""
        body = dict(body)
        while True:
            try:
                return cast("Events", await client.messages.create(**body))
            except self.sdk.BadRequestError as error:
                extra = body.get("extra_body") or {}
                kept = {
                    name: value
                    for name, value in extra.items()
                    if name not in _SAMPLING or name in sampling.asked or name not in error.message
                }
                if len(kept) == len(extra):
                    raise
                body["extra_body"] = kept

    def gathered(self, sampling: Sampling) -> AnthropicGathered:
        """What takes the events of one reply."""
        return AnthropicGathered()

    async def models(self, client: Any) -> list[Listed]:
        """What `/v1/models` tells."""
        return [
            Listed(id=model.id, context_length=getattr(model, "max_input_tokens", None))
            async for model in client.models.list(limit=1000)
        ]

    async def embed(self, client: Any, model: str, texts: Sequence[str]) -> Vectors:
        """Raises `Unsupported`."""
        raise VENDORS[self.package].capabilities.refusal("embed", self.package)

    async def tokenize(self, client: Any, model: str, text: str) -> list[int]:
        """Raises `Unsupported`."""
        raise VENDORS[self.package].capabilities.refusal("tokenize", self.package)


class AnthropicGathered:
    """The events of one reply, gathered as they come."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._stop_reason: str | None = None
        self._counts: dict[str, int] = {}

    def error(self, event: Any) -> object | None:
        """The package raises for these itself."""
        return None

    def take(self, event: Any) -> ChatChunk | None:
        """The chunk for one event, if it has anything to show."""
        match getattr(event, "type", None):
            case "message_start":
                self._count(getattr(event.message, "usage", None))
            case "message_delta":
                self._count(getattr(event, "usage", None))
                self._stop_reason = getattr(event.delta, "stop_reason", None) or self._stop_reason
            case "content_block_start" if getattr(event.content_block, "type", None) == "tool_use":
                block = event.content_block
                self._calls[event.index] = {"id": block.id, "name": block.name, "arguments": ""}
            case "content_block_delta":
                return self._take_delta(event)
        return None

    def _take_delta(self, event: Any) -> ChatChunk | None:
        delta = event.delta
        match getattr(delta, "type", None):
            case "text_delta":
                self._text.append(delta.text)
                return ChatChunk(text=delta.text) if delta.text else None
            case "thinking_delta":
                self._reasoning.append(delta.thinking)
                return ChatChunk(reasoning=delta.thinking) if delta.thinking else None
            case "input_json_delta" if event.index in self._calls:
                self._calls[event.index]["arguments"] += delta.partial_json
        return None

    def _count(self, usage: Any) -> None:
        for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"):
            count = getattr(usage, name, None)
            if isinstance(count, int):
                self._counts[name] = count

    def ending(self) -> Ending:
        """The whole reply."""
        cached = self._counts.get("cache_read_input_tokens", 0)
        fresh = self._counts.get("input_tokens", 0) + self._counts.get("cache_creation_input_tokens", 0)
        reason = self._stop_reason
        return Ending(
            message=ChatMessage(
                role="assistant",
                content="".join(self._text),
                reasoning="".join(self._reasoning) or None,
                tool_calls=tuple(
                    ToolCall(id=entry["id"], name=entry["name"], arguments=parse_arguments(entry["arguments"]))
                    for _, entry in sorted(self._calls.items())
                ),
            ),
            finish_reason=None if reason is None else _FINISH.get(reason, "stop"),
            filtered=reason == "refusal",
            usage=Usage(
                prompt_tokens=fresh + cached,
                cached_tokens=cached,
                completion_tokens=self._counts.get("output_tokens", 0),
            ),
        )


def _messages(turns: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """The turns with their content in blocks; the results of tools are the user's, those in a row one turn."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        if turn.role == "system":
            continue
        if turn.role == "tool":
            role = "user"
            content = _content(turn) if turn.images else turn.content
            blocks: list[dict[str, Any]] = [
                {"type": "tool_result", "tool_use_id": turn.tool_call_id or "", "content": content}
            ]
        else:
            role = turn.role
            blocks = _content(turn)
            blocks += [
                {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)}
                for call in turn.tool_calls
            ]
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        elif blocks:
            messages.append({"role": role, "content": blocks})
    return messages


def _content(turn: ChatMessage) -> list[dict[str, Any]]:
    """What a turn shows and says; the vendor's models answer best when images come first."""
    images = [image(data) for data in turn.images]
    blocks: list[dict[str, Any]] = [
        {"type": "image", "source": {"type": "base64", "media_type": one.media_type, "data": one.base64}}
        for one in images
    ]
    return [*blocks, {"type": "text", "text": turn.content}] if turn.content else blocks


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function", tool)
    described: dict[str, Any] = {
        "name": function["name"],
        "input_schema": dict(function.get("parameters") or {"type": "object", "properties": {}}),
    }
    if function.get("description"):
        described["description"] = function["description"]
    return described
