"""Anthropic's Messages interface, asked through the official `anthropic` package. Pure translation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmspell_protocol.addresses import Address
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, FinishReason, ToolCall, Usage
from llmspell_providers.http.fields import Misshapen, count, plain_text, record, text, whole
from llmspell_providers.http.listing import listed_models
from llmspell_providers.http.reply_text import ReplyText
from llmspell_providers.images import image
from llmspell_providers.openai_chat import parse_arguments
from llmspell_providers.remote.dialect import Ending, Listed, Ranked, Sampling, Vectors, VendorPackage
from llmspell_providers.remote.vendors import VENDORS

if TYPE_CHECKING:
    import httpx2

_FINISH: Mapping[str, FinishReason] = {
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "model_context_window_exceeded": "context_full",
}
_TOOL_CHOICES = {"auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"}}
_SAMPLING = ("temperature", "top_p", "top_k")
"""Sent only where they were asked for: newer models refuse them, or two of them together."""
_COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
_LONGEST_REPLY = 32_000
"""Tokens that every model since Claude 3.7 may write; older ones have limits of their own, by their names."""
_LONGEST_REPLIES = {"claude-3-5": 8192, "claude-3-7": _LONGEST_REPLY, "claude-3": 4096, "claude-2": 4096}
_PAGE = 1000
_MAX_PAGES = 16


def longest_reply(model: str) -> int:
    """The limit for a reply without a limit of its own, in tokens."""
    return next((limit for name, limit in _LONGEST_REPLIES.items() if model.startswith(name)), _LONGEST_REPLY)


class AnthropicDialect(VendorPackage):
    """See `Dialect`; `extra` are keys of the settings that go into every request as they are."""

    package = "anthropic"

    def __init__(self, extra: Mapping[str, Any]) -> None:
        self._extra = extra

    def headers(self, key: str) -> dict[str, str]:
        """What carries the key, and the version without which nothing is answered."""
        return {"Authorization": f"Bearer {key}", "anthropic-version": "2023-06-01"}

    def client(self, address: Address, key: str | None) -> Any:
        """A client for one address. An explicit key keeps the package from looking for others."""
        return self.made("AsyncAnthropic", address, api_key=key or "", base_url=address.url.removesuffix("/v1"))

    def body(self, model: str, request: ChatRequest, sampling: Sampling) -> dict[str, Any]:
        """The request."""
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
        # The interface demands a limit.
        body["max_tokens"] = sampling.values.get("max_tokens", longest_reply(model))
        for name, value in sampling.values.items():
            if name == "stop":
                if value:
                    body["stop_sequences"] = list(value)
            elif name in _SAMPLING:
                body[name] = value
        return {**body, **self._extra}

    async def open(self, client: Any, body: Mapping[str, Any], sampling: Sampling) -> httpx2.Response:
        """Sends it; sampling that only the settings ask for and the model refuses is left out."""
        body = dict(body)
        while True:
            try:
                return await self.opened(client, "/v1/messages", body, {})
            except self.sdk.BadRequestError as error:
                refused = [
                    name
                    for name in _SAMPLING
                    if name in body and name not in sampling.asked and name not in self._extra and name in error.message
                ]
                if not refused:
                    raise
                for name in refused:
                    del body[name]

    def gathered(self, sampling: Sampling) -> AnthropicGathered:
        """What takes the events of one reply."""
        return AnthropicGathered()

    def listed(self, model: Mapping[str, Any]) -> Listed:
        """An entry of `/v1/models`."""
        return _listed(model)

    async def models(self, client: Any) -> list[Listed]:
        """What `/v1/models` tells, page by page."""
        found: list[Listed] = []
        params: dict[str, Any] = {"limit": _PAGE}
        for _ in range(_MAX_PAGES):
            content = await self.got(client, "/v1/models", params, {})
            page = listed_models(content)
            found += [listed for model in page if (listed := _listed(model)).id]
            last = content.get("last_id") if isinstance(content, Mapping) and content.get("has_more") is True else None
            if not page or not isinstance(last, str) or last == params.get("after_id"):
                break
            params = {"limit": _PAGE, "after_id": last}
        return found

    async def embed(self, client: Any, model: str, texts: Sequence[str], dimensions: int | None = None) -> Vectors:
        """Raises `Unsupported`."""
        raise VENDORS[self.package].capabilities.refusal("embed", self.package)

    async def tokenize(self, client: Any, model: str, text: str) -> list[int]:
        """Raises `Unsupported`."""
        raise VENDORS[self.package].capabilities.refusal("tokenize", self.package)

    async def rerank(self, client: Any, model: str, query: str, texts: Sequence[str]) -> Ranked:
        """Raises `Unsupported`."""
        raise VENDORS[self.package].capabilities.refusal("rerank", self.package)


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    whole: Mapping[str, Any]
    parts: list[str] = field(default_factory=list)


class AnthropicGathered:
    """The events of one reply, gathered as they come."""

    def __init__(self) -> None:
        self._said = ReplyText()
        self._calls: list[_Call] = []
        self._open: dict[int, _Call] = {}
        self._stop_reason: str | None = None
        self._counts: dict[str, int] = {}

    def error(self, event: Any) -> object | None:
        """What stands in an event in place of a piece."""
        content = record(event, "an event")
        if content.get("type") == "error":
            return content.get("error") or content
        return content.get("error") or None

    def take(self, event: Any) -> ChatChunk | None:
        """The chunk for one event, if it has anything to show."""
        content = record(event, "an event")
        match content.get("type"):
            case "message_start":
                self._count(record(content.get("message"), "message").get("usage"))
            case "message_delta":
                self._count(content.get("usage"))
                delta = record(content.get("delta"), "delta")
                self._stop_reason = text(delta.get("stop_reason"), "delta.stop_reason") or self._stop_reason
            case "content_block_start":
                return self._start(content.get("index"), record(content.get("content_block"), "content_block"))
            case "content_block_delta":
                return self._take_delta(content.get("index"), record(content.get("delta"), "delta"))
        return None

    def _start(self, index: object, block: Mapping[str, Any]) -> ChatChunk | None:
        match block.get("type"):
            case "tool_use":
                call = _Call(
                    text(block.get("id"), "content_block.id"),
                    text(block.get("name"), "content_block.name"),
                    record(block.get("input"), "content_block.input"),
                )
                self._calls.append(call)
                if isinstance(index, int):
                    self._open[index] = call
            case "text":
                return self._said.take(text(block.get("text"), "content_block.text"))
            case "thinking":
                return self._said.take(reasoning=text(block.get("thinking"), "content_block.thinking"))
        return None

    def _take_delta(self, index: object, delta: Mapping[str, Any]) -> ChatChunk | None:
        match delta.get("type"):
            case "text_delta":
                return self._said.take(text(delta.get("text"), "delta.text"))
            case "thinking_delta":
                return self._said.take(reasoning=text(delta.get("thinking"), "delta.thinking"))
            case "input_json_delta" if isinstance(index, int) and index in self._open:
                self._open[index].parts.append(text(delta.get("partial_json"), "delta.partial_json"))
        return None

    def _count(self, usage: object) -> None:
        told = record(usage, "usage")
        self._counts |= {name: count(told[name], f"usage.{name}") for name in _COUNTS if told.get(name) is not None}

    def rest(self) -> ChatChunk | None:
        """The chunk for what was held back."""
        return self._said.rest()

    def ending(self) -> Ending:
        """The whole reply."""
        cached = self._counts.get("cache_read_input_tokens", 0)
        fresh = self._counts.get("input_tokens", 0) + self._counts.get("cache_creation_input_tokens", 0)
        reason = self._stop_reason
        return Ending(
            message=ChatMessage(
                role="assistant",
                content=self._said.text,
                reasoning=self._said.reasoning,
                tool_calls=tuple(_call(call, at, self._calls[:at]) for at, call in enumerate(self._calls)),
            ),
            finish_reason=None if reason is None else _FINISH.get(reason, "stop"),
            filtered=reason == "refusal",
            usage=Usage(
                prompt_tokens=fresh + cached,
                cached_tokens=cached,
                completion_tokens=self._counts.get("output_tokens", 0),
            ),
        )


def _call(call: _Call, at: int, before: Sequence[_Call]) -> ToolCall:
    if not call.name:
        raise Misshapen("a call of a tool without a name")
    is_new = call.id and all(call.id != other.id for other in before)
    said = whole("".join(call.parts))
    return ToolCall(
        id=whole(call.id) if is_new else f"call_{at}",
        name=whole(call.name),
        arguments=parse_arguments(said) if said else dict(call.whole),
    )


def _listed(model: Mapping[str, Any]) -> Listed:
    length = model.get("max_input_tokens")
    return Listed(
        id=plain_text(model.get("id"), "data[].id"),
        context_length=length if isinstance(length, int) and not isinstance(length, bool) and length > 0 else None,
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
