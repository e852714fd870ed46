"""Our types to what Ollama's interface takes and back. Pure translation; knows no connection.

What a real server (0.24.0) does was recorded; the surprises that matter here: zero fields are left out, the end of the
context is `length` too, a queue is only visible in `total_duration`, times have up to nine decimals.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.models import (
    ChatMessage,
    FinishReason,
    LoadedModel,
    LocalModel,
    ModelInfo,
    SamplingOptions,
    Timings,
    Usage,
)
from llmspell_providers.http.fields import count, items, plain_text, record, text
from llmspell_providers.library.prefixes import known_prefixes

_NS_A_MS = 1e6
_MULTIPLES = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_CAPABILITIES = {"completion": "chat", "embedding": "embed", "tools": "tools", "vision": "vision"}
_SPARE = 16
"""Tokens of a context that a server may leave free."""
_FOREVER_YEAR = 2200
"""keep_alive -1 shows as a time in the year 2319."""


def message_content(message: ChatMessage) -> dict[str, Any]:
    """One turn as `/api/chat` takes it."""
    content: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning:
        content["thinking"] = message.reasoning
    if message.tool_calls:
        content["tool_calls"] = [
            {"function": {"name": call.name, "arguments": dict(call.arguments)}} for call in message.tool_calls
        ]
    if message.images:
        content["images"] = [base64.b64encode(image).decode() for image in message.images]
    if message.role == "tool" and message.name:
        content["tool_name"] = message.name
    return content


def tool_content(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """One tool as `/api/chat` takes it, which ignores in silence what stands there bare.

    Raises:
        InvalidRequest: it has no function with a name.
    """
    whole = tool if "function" in tool else {"type": "function", "function": dict(tool)}
    function = whole["function"]
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InvalidRequest("a tool needs a name: function.name is not text")
    return whole


def option_content(options: SamplingOptions, defaults: SamplingOptions, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling options under Ollama's names; `extra` are keys of the settings that only Ollama knows."""
    content: dict[str, Any] = dict(extra)
    for name in SamplingOptions.__dataclass_fields__:
        value = getattr(options, name)
        value = getattr(defaults, name) if value is None else value
        if value is not None and value != ():
            content["num_predict" if name == "max_tokens" else name] = list(value) if name == "stop" else value
    return content


def usage_of(answer: Mapping[str, Any]) -> Usage:
    """The counts of a last line; Ollama does not tell how much of the prompt was cached."""
    return Usage(
        prompt_tokens=count(answer.get("prompt_eval_count"), "prompt_eval_count"),
        completion_tokens=count(answer.get("eval_count"), "eval_count"),
    )


def timings_of(answer: Mapping[str, Any]) -> Timings:
    """The times of a last line; what is in none of its parts was spent in the server's queue."""
    load_ms, prefill_ms, decode_ms, total_ms = (
        count(answer.get(name), name) / _NS_A_MS
        for name in ("load_duration", "prompt_eval_duration", "eval_duration", "total_duration")
    )
    tokens = count(answer.get("eval_count"), "eval_count")
    return Timings(
        queue_ms=max(0.0, total_ms - load_ms - prefill_ms - decode_ms),
        load_ms=load_ms,
        prefill_ms=prefill_ms,
        decode_ms=decode_ms,
        tokens_per_second=tokens / (decode_ms / 1000) if tokens and decode_ms else None,
    )


def finish_reason_of(
    answer: Mapping[str, Any], *, called: bool, max_tokens: int | None, context_size: int | None
) -> FinishReason:
    """Why a reply ended: `length` is max_tokens or the context's end, which the counts tell apart.

    A limit that was not set here may stand in the model's own file.
    """
    if called:
        return "tool_calls"
    if text(answer.get("done_reason"), "done_reason") != "length":
        return "stop"
    usage = usage_of(answer)
    if max_tokens is not None:
        return "length" if usage.completion_tokens >= max_tokens else "context_full"
    if context_size is None or not usage.prompt_tokens:
        return "context_full"
    used = usage.prompt_tokens + usage.completion_tokens
    return "context_full" if used >= context_size - _SPARE else "length"


def local_model(entry: Mapping[str, Any], *, backend: str, loaded: bool) -> LocalModel:
    """A line of `/api/tags`."""
    return LocalModel(**_listed(entry, backend, loaded))


def model_info(shown: Mapping[str, Any], entry: Mapping[str, Any], *, backend: str, loaded: bool) -> ModelInfo:
    """What `/api/show` says beside the line of `/api/tags`."""
    facts = record(shown.get("model_info"), "model_info")
    architecture = plain_text(facts.get("general.architecture"), "general.architecture")
    known = (_CAPABILITIES.get(str(word)) for word in items(shown.get("capabilities"), "capabilities"))
    capabilities = [word for word in known if word is not None]
    if "embed" not in capabilities:
        capabilities.append("embed")  # any chat model gives embeddings
    prefixes = known_prefixes(entry["name"])
    return ModelInfo(
        **{**_listed(entry, backend, loaded), "parameter_count": _size(facts, "general.parameter_count")},
        context_length=_size(facts, f"{architecture}.context_length"),
        architecture=architecture or None,
        embedding_length=_size(facts, f"{architecture}.embedding_length"),
        embed_tokens=_size(facts, f"{architecture}.context_length"),
        prefix_query=prefixes.query,
        prefix_passage=prefixes.passage,
        license=_first_line(facts.get("general.license")) or _first_line(shown.get("license")),
        chat_template=bool(text(shown.get("template"), "template")),
        capabilities=capabilities,
    )


def loaded_model(entry: Mapping[str, Any], *, backend: str) -> LoadedModel:
    """A line of `/api/ps`; the server tells neither its slots nor its queue."""
    expires = _time(entry.get("expires_at"), "expires_at")
    stays = expires is not None and expires.year > _FOREVER_YEAR
    expires_at = None if expires is None or stays else _iso(expires)
    return LoadedModel(
        model=entry["name"],
        backend=backend,
        engine="ollama",
        pid=None,
        device="gpu" if count(entry.get("size_vram"), "size_vram") else "cpu",
        memory_bytes=_size(entry, "size"),
        estimated_bytes=None,
        slots=1,
        context_size=_size(entry, "context_length"),
        busy_slots=0,
        queue=0,
        last_used=None,
        expires_at=expires_at,
        pinned=stays,
        reason=_reason(expires_at, stays=stays),
    )


def _reason(expires_at: str | None, *, stays: bool) -> str:
    """What stands before the comma or colon is all that a table has room for."""
    if stays:
        return "pinned: stays until it is unloaded"
    return "kept by Ollama, " + (
        f"until {expires_at} unless it is used" if expires_at else "which does not tell how long"
    )


def tagged(name: str) -> str:
    """A name as Ollama's lists have it: with the tag that it means."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _listed(entry: Mapping[str, Any], backend: str, loaded: bool) -> dict[str, Any]:
    details = record(entry.get("details"), "details")
    modified = _time(entry.get("modified_at"), "modified_at")
    return {
        "id": plain_text(entry["name"], "name"),
        "backend": backend,
        "size_bytes": count(entry.get("size"), "size"),
        "format": plain_text(details.get("format"), "format") or "gguf",
        "quantization": plain_text(details.get("quantization_level"), "quantization_level") or None,
        "parameter_count": _parameters(plain_text(details.get("parameter_size"), "parameter_size")),
        "family": plain_text(details.get("family"), "family") or None,
        "modified_at": None if modified is None else _iso(modified),
        "sha256": plain_text(entry.get("digest"), "digest") or None,
        "loaded": loaded,
    }


def _size(told: Mapping[str, Any], name: str) -> int | None:
    return count(told.get(name), name) or None


def _parameters(told: str) -> int | None:
    """`134.52M` as a number."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)([KMBT]?)", told)
    return None if found is None else round(float(found[1]) * _MULTIPLES.get(found[2], 1))


def _time(told: object, where: str) -> datetime | None:
    written = text(told, where)
    # Go's zero time stands for none, and has no date in some zones.
    return datetime.fromisoformat(written).astimezone(UTC) if written and not written.startswith("0001") else None


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _first_line(told: object) -> str | None:
    parts = told if isinstance(told, list) else [told]
    lines = "\n".join(plain_text(part, "license") for part in parts).strip().split("\n")
    return lines[0].strip() or None
