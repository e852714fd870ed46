"""Our types to what Ollama's interface takes and back. Pure translation; knows no connection.

What a real server (0.24.0) does was recorded; the surprises that matter here: zero fields are left out, the end of the
context is `length` too, a queue is only visible in `total_duration`, times have up to nine decimals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from llmspell_protocol.errors import (
    Busy,
    ChecksumMismatch,
    ContextLengthExceeded,
    DiskFull,
    DownloadError,
    Forbidden,
    LlmspellError,
    ModelError,
    ModelNotFound,
    RateLimited,
    SourceUnavailable,
    Unauthorized,
    Unsupported,
)
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

_NS_A_MS = 1e6
_MULTIPLES = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_CAPABILITIES = {"completion": "chat", "embedding": "embed", "tools": "tools", "vision": "vision"}
_BUSY = (429, 503)
"""Too many requests (of its own cloud, or of a proxy before it), and a queue that is full."""
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
        content["images"] = list(message.images)
    if message.role == "tool" and message.name:
        content["tool_name"] = message.name
    return content


def option_content(options: SamplingOptions, defaults: SamplingOptions, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling options under Ollama's names; `extra` are keys of the settings that only Ollama knows."""
    content: dict[str, Any] = dict(extra)
    for name in SamplingOptions.__dataclass_fields__:
        value = getattr(options, name)
        value = getattr(defaults, name) if value is None else value
        if value is not None and value != ():
            content["num_predict" if name == "max_tokens" else name] = list(value) if name == "stop" else value
    return content


def usage_of(answer: Any) -> Usage:
    """The counts of a last line; Ollama does not tell how much of the prompt was cached."""
    return Usage(prompt_tokens=answer.prompt_eval_count or 0, completion_tokens=answer.eval_count or 0)


def timings_of(answer: Any) -> Timings:
    """The times of a last line; what is in none of its parts was spent in the server's queue."""
    load_ms, prefill_ms, decode_ms, total_ms = (
        (duration or 0) / _NS_A_MS
        for duration in (
            answer.load_duration,
            answer.prompt_eval_duration,
            answer.eval_duration,
            answer.total_duration,
        )
    )
    return Timings(
        queue_ms=max(0.0, total_ms - load_ms - prefill_ms - decode_ms),
        load_ms=load_ms,
        prefill_ms=prefill_ms,
        decode_ms=decode_ms,
        tokens_per_second=answer.eval_count / (decode_ms / 1000) if answer.eval_count and decode_ms else None,
    )


def finish_reason_of(answer: Any, *, called: bool, max_tokens: int | None) -> FinishReason:
    """Why a reply ended: `length` is max_tokens or the context's end, which the count tells apart."""
    if called:
        return "tool_calls"
    if answer.done_reason != "length":
        return "stop"
    return "length" if max_tokens is None or (answer.eval_count or 0) >= max_tokens else "context_full"


def local_model(entry: Mapping[str, Any], *, backend: str, loaded: bool) -> LocalModel:
    """A line of `/api/tags`."""
    return LocalModel(**_listed(entry, backend, loaded))


def model_info(shown: Any, entry: Mapping[str, Any], *, backend: str, loaded: bool) -> ModelInfo:
    """What `/api/show` says beside the line of `/api/tags`."""
    facts: Mapping[str, Any] = shown.modelinfo or {}
    architecture = facts.get("general.architecture")
    capabilities = [_CAPABILITIES[word] for word in shown.capabilities or () if word in _CAPABILITIES]
    if "embed" not in capabilities:
        capabilities.append("embed")  # any chat model gives embeddings
    return ModelInfo(
        **{**_listed(entry, backend, loaded), "parameter_count": facts.get("general.parameter_count")},
        context_length=facts.get(f"{architecture}.context_length"),
        architecture=architecture,
        embedding_length=facts.get(f"{architecture}.embedding_length"),
        license=facts.get("general.license") or _first_line(shown.license),
        chat_template=bool(shown.template),
        capabilities=capabilities,
    )


def loaded_model(entry: Mapping[str, Any], *, backend: str) -> LoadedModel:
    """A line of `/api/ps`; the server tells neither its slots nor its queue."""
    expires = _time(entry.get("expires_at"))
    stays = expires is not None and expires.year > _FOREVER_YEAR
    expires_at = None if expires is None or stays else _iso(expires)
    return LoadedModel(
        model=entry["name"],
        backend=backend,
        engine="ollama",
        pid=None,
        device="gpu" if entry.get("size_vram") else "cpu",
        memory_bytes=entry.get("size"),
        estimated_bytes=None,
        slots=1,
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


def not_found(model: str, backend: str) -> ModelNotFound:
    """The error for a model that the server does not have."""
    return ModelNotFound(
        f"Model '{model}' not found in {backend}",
        hint=f"llmspell model pull {model}@{backend}",
        details={"model": model, "backend": backend},
    )


def too_long(model: str, backend: str, *, limit: int | None, estimate: int) -> ContextLengthExceeded:
    """The error for a prompt that would have been cut; Ollama counts no tokens for it, so its number is an estimate."""
    tokens = max(estimate, (limit or 0) + 1)
    numbers = "" if limit is None else f": about {tokens} tokens, and it has {limit}"
    return ContextLengthExceeded(
        f"the input is longer than the context of '{model}'{numbers}",
        hint="shorten it, raise num_ctx, or allow cutting with truncate",
        details={"model": model, "backend": backend, "prompt_tokens": tokens, "estimated": True, "limit": limit},
    )


def request_error(text: str, status: int, *, model: str, backend: str) -> LlmspellError:
    """The error for what a server answered to a chat or an embedding; `status` -1: in the middle of a stream."""
    said = _error_text(text)
    details: dict[str, Any] = {"model": model, "backend": backend, "status": status}
    if status == 404:
        missing = not_found(model, backend)
        missing.details["status"] = status
        return missing
    if status == 401:
        return Unauthorized(
            f"{backend} does not accept the credentials{f': {said}' if said else ''}",
            hint="models of ollama.com need 'ollama signin' on the server's machine; a proxy may want a key",
            details=details,
        )
    if status in (402, 403):
        return Forbidden(f"{backend} refuses: {said or 'forbidden'}", details=details)
    if status in _BUSY:
        # It does not say when to come back.
        return Busy(f"{backend} is busy: {said or f'status {status}'}", details={**details, "retry_after_s": None})
    if "exceeds the context length" in said:
        return too_long(model, backend, limit=None, estimate=0)
    if "does not support" in said:
        return Unsupported(said, details=details)
    return ModelError(f"{backend} failed: {said}", details=details, retryable=status == -1)


def pull_error(text: str, *, model: str, backend: str) -> LlmspellError:
    """The error for what a server said in the stream of a pull; what its registry answered is only in the text."""
    said = _error_text(text)
    details = {"model": model, "backend": backend}
    if said.startswith("pull model manifest: 429"):
        return RateLimited(
            f"'{model}' could not be pulled: {said}", hint="try again later", details={**details, "retry_after_s": None}
        )
    if any(words in said.lower() for words in _FULL_DISK):
        return DiskFull(
            f"'{model}' could not be pulled: the disk of {backend}'s models is full ({said})",
            hint="free some space there: llmspell model remove deletes models; OLLAMA_MODELS names another place",
            details={**details, "needed_bytes": None, "free_bytes": None},
        )
    if "pull model manifest: file does not exist" in said:
        return ModelNotFound(f"Model '{model}' not found in Ollama's library", hint=LIBRARY_HINT, details=details)
    if "digest mismatch" in said:
        return ChecksumMismatch(f"'{model}': {said}", details=details)
    if said.startswith("pull model manifest"):
        return SourceUnavailable(f"'{model}' could not be pulled: {said}", details=details)
    return DownloadError(f"'{model}' could not be pulled: {said}", details=details)


_FULL_DISK = ("no space left on device", "disk quota exceeded", "file too large", "not enough space", "not enough disk")
LIBRARY_HINT = "https://ollama.com/library lists the names"


def _listed(entry: Mapping[str, Any], backend: str, loaded: bool) -> dict[str, Any]:
    details: Mapping[str, Any] = entry.get("details") or {}
    modified = _time(entry.get("modified_at"))
    return {
        "id": entry["name"],
        "backend": backend,
        "size_bytes": entry.get("size", 0),
        "format": details.get("format") or "gguf",
        "quantization": details.get("quantization_level") or None,
        "parameter_count": _count(details.get("parameter_size") or ""),
        "family": details.get("family") or None,
        "modified_at": None if modified is None else _iso(modified),
        "sha256": entry.get("digest"),
        "loaded": loaded,
    }


def _count(text: str) -> int | None:
    """`134.52M` as a number."""
    found = re.fullmatch(r"([\d.]+)([KMBT]?)", text)
    return None if found is None else round(float(found[1]) * _MULTIPLES.get(found[2], 1))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _first_line(text: str | Sequence[str] | None) -> str | None:
    lines = (text if isinstance(text, str) else "\n".join(text or ())).strip().splitlines()
    return lines[0].strip() if lines else None


def _error_text(text: str) -> str:
    try:
        content = json.loads(text)
    except ValueError:
        return text.strip()
    said = content.get("error", text) if isinstance(content, dict) else text
    return str(said).strip()
