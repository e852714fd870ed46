"""What goes wrong at a server, as errors of ours. Knows the shape that the vendors' packages share, imports neither.

A key never gets into an error: what a server says about keys is not repeated, and the key itself is blotted out of
everything else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from llmspell_protocol.errors import (
    BackendUnavailable,
    Busy,
    ConfigError,
    ContextLengthExceeded,
    Forbidden,
    InvalidRequest,
    LlmspellError,
    ModelError,
    ModelNotFound,
    Unauthorized,
)
from llmspell_providers.capabilities import unsupported
from llmspell_providers.http.backoff import retry_after_s
from llmspell_providers.http.lines import NoJson
from llmspell_providers.http.reasons import one_line, reason_of

_BUSY = (429, 503, 529)
_QUOTA = ("insufficient_quota", "billing", "credit balance")
_TOO_LONG = ("context_length_exceeded", "exceed_context_size_error", "string_above_max_length")
_TOO_LONG_TEXT = re.compile(
    r"maximum context length|context (?:length|size|window)\b.*\bexceed|exceed\w*\b.*\bcontext (?:length|size|window)"
    r"|prompt is too long|too large for model with \d+ maximum context|is too large to process",
    re.IGNORECASE | re.DOTALL,
)
_LIMIT = re.compile(
    r"(?:maximum context length (?:is|of)|> |context size \(|model with |batch size: )\s*(\d+)", re.IGNORECASE
)
_PROMPT = re.compile(
    r"(\d+) tokens > |\((\d+) in the messages|resulted in (\d+) tokens|(?:request|input) \((\d+) tokens"
    r"|contains at least (\d+) input tokens|prompt contains (\d+)",
    re.IGNORECASE,
)
_BLIND = re.compile(
    r"image input is not supported|image_url is only supported|not a multimodal model|at most 0 image"
    r"|(?:not|n't) support (?:image|vision)|data required for image input",
    re.IGNORECASE,
)
"""llama.cpp's server, OpenAI, vLLM (two), others, Ollama: a model without eyes was shown something."""


class Place(NamedTuple):
    """Where a request went: for the words of an error. `key` is blotted out; `variable` may hold it, says the hint."""

    provider: str
    url: str
    model: str | None
    key: str | None
    variable: str
    by_proxy: Callable[[str], str] = str
    """Adds to a reason for no answer that a proxy stands before the server, where one does."""


class Said(NamedTuple):
    """What a server's error says, whatever its shape."""

    text: str
    code: str
    fields: Mapping[str, Any]


def said(body: object) -> Said:
    """The text and the code in the body of an error: OpenAI's, Anthropic's, FastAPI's, Google's list, or plain text."""
    while isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping):
        body = body["error"]
    if not isinstance(body, Mapping):
        return Said(one_line(str(body or "")), "", {})
    inner = body.get("message") or body.get("error") or body.get("detail") or body.get("object") or ""
    text = inner if isinstance(inner, str) else str(inner)
    code = " ".join(str(body.get(name)) for name in ("code", "type") if body.get(name) is not None)
    return Said(one_line(text), code, body)


def failure_of(error: Exception, sdk: ModuleType, place: Place) -> LlmspellError:
    """The error of ours for what a vendor's package raised, or the HTTP client, or a reader of replies."""
    # Imported by now, with the client.
    from llmspell_providers.http.client import Redirected

    if isinstance(error, sdk.APIStatusError):
        if error.status_code >= 400:
            return status_failure(error.status_code, error.body, error.response.headers, place)
        return unavailable(place, f"it answers with status {error.status_code}")
    if isinstance(error, sdk.APITimeoutError):
        return unavailable(place, "no connection in time")
    if isinstance(error, sdk.APIError) and error.body is not None:
        return stream_failure(error.body, place)
    if isinstance(error, NoJson | UnicodeDecodeError | json.JSONDecodeError):
        return unavailable(place, "it answers with something else than JSON")
    if isinstance(error, ValueError):
        return unavailable(place, f"it answers with something else than expected: {error}")
    failure = unavailable(place, place.by_proxy(reason_of(error)))
    if isinstance(error, Redirected) or isinstance(error.__cause__, Redirected):
        failure.retryable = False
    return failure


def status_failure(status: int, body: object, headers: Mapping[str, str], place: Place) -> LlmspellError:
    """The error for an answer with a status of 400 or more."""
    told = _blotted(said(body), place.key)
    details: dict[str, Any] = {"backend": place.provider, "base_url": place.url, "status": status}
    if place.model is not None:
        details["model"] = place.model
    whose = f"{place.provider} ({place.url})"
    if status == 401:
        return Unauthorized(
            f"{whose} does not accept the API key" if place.key else f"{whose} asks for an API key",
            hint=f"set {place.variable}, or llmspell keys add {place.provider}",
            details=details,
        )
    if status == 402 or any(word in f"{told.code} {told.text}".lower() for word in _QUOTA):
        return Forbidden(f"{whose} refuses: {told.text or 'no credit'}", details=details)
    if status == 403:
        return Forbidden(f"{whose} refuses: {told.text or 'forbidden'}", details=details)
    if status in _BUSY:
        waits = retry_after_s(headers)
        return Busy(
            f"{whose} is busy: {told.text or f'status {status}'}",
            hint="try again later" if waits is None else f"try again in {waits:.0f} s",
            details={**details, "retry_after_s": waits},
        )
    if _BLIND.search(told.text):
        return _blind(told, details, place)
    if (status >= 500 or status in (408, 409, 425)) and not _is_too_long(told):
        return unavailable(place, told.text or "no reason given", status=status)
    return _refusal(told, details, place, whose, missing=status == 404)


def stream_failure(body: object, place: Place) -> LlmspellError:
    """The error for an event of a stream that says that something failed."""
    told = _blotted(said(body), place.key)
    details: dict[str, Any] = {"backend": place.provider, "base_url": place.url, "model": place.model}
    whose = f"{place.provider} ({place.url})"
    if "overloaded" in told.code or "rate_limit" in told.code:
        return Busy(f"{whose} is busy: {told.text}", details={**details, "retry_after_s": None})
    if _BLIND.search(told.text):
        return _blind(told, details, place)
    if re.search(r"server_error|api_error|internal|\b5\d\d\b", told.code, re.IGNORECASE) and not _is_too_long(told):
        return unavailable(place, told.text or told.code)
    return _refusal(told, details, place, whose, missing=False)


def unavailable(place: Place, reason: str, *, status: int | None = None) -> BackendUnavailable:
    """The error for a server that does not answer as it should."""
    reason = reason.replace(place.key, "***") if place.key else reason
    answered = f"{place.url} failed" if status is not None else f"no answer from {place.url}"
    details: dict[str, Any] = {"backend": place.provider, "base_url": place.url, "reason": reason}
    if status is not None:
        details["status"] = status
    return BackendUnavailable(
        f"{place.provider}: {answered} ({f'status {status}: ' if status is not None else ''}{reason})",
        hint=f"check providers.{place.provider}.base_url, and llmspell model status",
        details=details,
    )


def unsendable_key(provider: str, variable: str) -> ConfigError:
    """The error for a key with characters that no header has, which would otherwise look like a fault of the server."""
    return ConfigError(
        f"the API key of provider '{provider}' has a blank or another character that no header can carry",
        hint=f"correct {variable}, or llmspell keys add {provider}",
        details={"backend": provider, "key": f"providers.{provider}.api_key"},
    )


def _refusal(told: Said, details: dict[str, Any], place: Place, whose: str, *, missing: bool) -> LlmspellError:
    if _is_too_long(told):
        prompt, limit = _counts(told)
        numbers = f" ({prompt} tokens, its context has {limit})" if prompt and limit else ""
        return ContextLengthExceeded(
            f"the input is longer than the context of '{place.model}' at {place.provider}{numbers}",
            hint="shorten the conversation",
            details={**details, "prompt_tokens": prompt, "limit": limit},
        )
    about_model = "model" in f"{told.code} {told.text}".lower()
    if place.model is not None and ("model_not_found" in told.code or (missing and about_model)):
        return ModelNotFound(
            f"Model '{place.model}' not found at {whose}",
            hint=f"its names are in the vendor's documentation, and at {place.url}/models",
            details=details,
        )
    if missing:
        failure = unavailable(place, told.text or "no such address; does base_url end in /v1?", status=404)
        failure.retryable = False  # Nor will there be a moment later.
        return failure
    if not told.text:
        return ModelError(f"{whose} failed without saying why", details=details)
    return InvalidRequest(f"{whose} refused the request: {told.text}", details=details)


def _blind(told: Said, details: dict[str, Any], place: Place) -> LlmspellError:
    refusal = unsupported("images", place.provider, f"'{place.model}' can't see ({told.text})")
    refusal.details |= details
    return refusal


def _is_too_long(told: Said) -> bool:
    return any(word in told.code for word in _TOO_LONG) or _TOO_LONG_TEXT.search(told.text) is not None


def _counts(told: Said) -> tuple[int | None, int | None]:
    """The tokens of the prompt and of the context, where the server tells them (llama.cpp in fields)."""
    fields = told.fields
    if isinstance(fields.get("n_prompt_tokens"), int) and isinstance(fields.get("n_ctx"), int):
        return fields["n_prompt_tokens"], fields["n_ctx"]
    prompt, limit = _PROMPT.search(told.text), _LIMIT.search(told.text)
    asked = next((int(group) for group in prompt.groups() if group), None) if prompt else None
    return asked, int(limit[1]) if limit else None


def _blotted(told: Said, key: str | None) -> Said:
    return told._replace(text=told.text.replace(key, "***")) if key else told
