"""What an Ollama server says went wrong, as errors of ours. Pure translation; knows no connection.

It tells kinds by words alone: many mistakes of a client are 500, and in the middle of a stream all are 200. The words
are those of its source from 0.12.6 to 0.24, of the runners that it starts, and of the registry and the cloud behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from llmspell_protocol.abilities import Word
from llmspell_protocol.errors import (
    BackendUnavailable,
    Busy,
    ChecksumMismatch,
    ContextLengthExceeded,
    DiskFull,
    DownloadError,
    Forbidden,
    InvalidRequest,
    LlmspellError,
    ModelError,
    ModelLoadFailed,
    ModelNotFound,
    OutOfMemory,
    RateLimited,
    SchemaUnsupported,
    SourceUnavailable,
    Timeout,
    Unauthorized,
    Unsupported,
    WorkerCrashed,
)
from llmspell_providers.capabilities import unsupported
from llmspell_providers.http.reasons import one_line

LIBRARY_HINT = "https://ollama.com/library lists the names"
_BUSY = (429, 503)
"""Too many requests (of its own cloud, or of a proxy before it), and a queue that is full."""
_UPDATE = "llmspell model install-ollama, or pull the model again"
_NEEDED = r"requires more system memory \(([^)]*)\) than is available \(([^)]*)\)"


class _Kind(NamedTuple):
    """Words that tell a kind of failure, the error for it, what to do next, and whether that is to try again."""

    words: str
    error: type[LlmspellError]
    hint: str
    retryable: bool | None = None


# The first that fits counts: a runner that died for want of memory says both.
_KINDS = (
    _Kind(
        r"out of (?:device )?memory|(?:cuda|hip)malloc failed|failed to allocate|allocation failed|not enough memory"
        r"|insufficient memory|outofmemory|requires more system memory|unable to load full model on gpu"
        r"|memory layout cannot be allocated|failed to commit memory|kv size must be|kv cache entry",
        OutOfMemory,
        "unload other models (llmspell model unload), lower num_ctx, or take a smaller quantization",
    ),
    _Kind(
        r"\bgrammar\b|json schema|schema (?:conversion|is not)|invalid format: |vocabulary required for format",
        SchemaUnsupported,
        "simplify the schema: Ollama turns it into a grammar, which does not know every keyword",
    ),
    _Kind(
        r"(?:exceed\w*|longer than|too large for) .*context|context (?:length|size|window).* exceed"
        r"|prompt (?:is )?too long|unable to shift context|is too large to process|too many tokens",
        ContextLengthExceeded,
        "shorten it, raise num_ctx, or allow cutting with truncate",
    ),
    _Kind(r"timed out waiting for .* to start", Timeout, "try again, or raise OLLAMA_LOAD_TIMEOUT of the server"),
    _Kind(
        r"no longer compatible|incompatible with your version|newer version of ollama|unknown (?:model )?architecture"
        r"|unsupported (?:model format|architecture)|error loading model|unable to load model|failed to load model\b"
        r"|model failed to load|invalid file magic|architecture not set|requires mlx|binary not found|exec format error"
        r"|model format|no tensors?\b|missing tensor|invalid gguf",
        ModelLoadFailed,
        _UPDATE,
    ),
    _Kind(
        r"unexpectedly stopped|process has terminated|no longer running|unexpected eof|: eof$|connection reset"
        r"|forcibly closed|broken pipe|ggml_assert|cuda error|rocm error|signal: killed|exit status|segmentation"
        r"|do (?:load|embedding|encode) request|encountered while running the model",
        WorkerCrashed,
        "try again: Ollama starts it anew; its own log says more",
    ),
    _Kind(
        r"maximum pending requests|server busy|no (?:available )?(?:cache )?slots|overloaded|rate limit"
        r"|too many requests",
        Busy,
        "try again later",
    ),
    _Kind(r"nan\b|no logits", ModelError, "its numbers overflowed: try another quantization of the model", False),
    _Kind(
        r"tool call|tool '.*' not found|\btool \".*\" is not declared",
        ModelError,
        "the model wrote a call that can't be read: ask again, or take a larger model",
    ),
    _Kind(
        r"template|unknown renderer", ModelError, "ollama show NAME --template shows what it makes of a conversation"
    ),
    _Kind(r"cloud is disabled|remote (?:inference|model)", Forbidden, "models of ollama.com are switched off there"),
    _Kind(r"signed in|unauthorized", Unauthorized, "run 'ollama signin' on the server's machine"),
    _Kind(
        r"must be of type|improper type|cannot unmarshal|invalid (?:duration|options|character|value|image|message"
        r"|thinking|reasoning|argument|input|type)|is required|missing request body|must be between|is invalid"
        r"|invalid think|no messages|no user query|cannot contain images|zero length image",
        InvalidRequest,
        "",
    ),
)
_LACKS: tuple[tuple[str, Word], ...] = (
    (r"does not support tools", "tools"),
    (r"does not support (?:vision|images?\b)|only supports one image|image input is not supported", "images"),
    (r"data required for image input|vision model not loaded|vision models aren't supported", "images"),
    (r"does not support thinking", "think"),
    (r"does not support embedding", "embed"),
    (r"does not support (?:chat|completion)", "chat"),
    (r"does not support generate", "raw"),
)
_OTHER_LACKS = r"does not support|not (?:currently )?supported|cannot run this remote model"


def is_foreign(text: str, status: int) -> bool:
    """Whether an answer is none of Ollama's: of a path that it has, it says that there is no such page or method."""
    if status == 405 or 300 <= status < 400 or status in (406, 410, 411, 415, 421, 426):
        return True
    return status == 404 and not re.search(r"model|blob|not found, try pulling", text, re.IGNORECASE)


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
    said = one_line(text)
    details: dict[str, Any] = {"model": model, "backend": backend, "status": status}
    if (by_status := _BY_STATUS.get(status)) is not None:
        return by_status(said, backend, details)
    if status in (404, -1) and re.search(r"model .*not found", said):
        missing = not_found(model, backend)
        missing.details["status"] = status
        return missing
    lack = next((word for words, word in _LACKS if re.search(words, said, re.IGNORECASE)), None)
    if lack is not None:
        refusal = unsupported(lack, backend, f"'{model}' can't ({said})")
        refusal.details |= details
        return refusal
    if re.search(_OTHER_LACKS, said, re.IGNORECASE):
        return Unsupported(said, hint="llmspell model info NAME shows what a model can do", details=details)
    kind = next((one for one in _KINDS if re.search(one.words, said, re.IGNORECASE)), None)
    # A refusal is no crash: "unexpected EOF" with 400 is about a request that ended too early.
    if kind is None or (kind.error is WorkerCrashed and 400 <= status < 500):
        return _unknown(said, status, backend, details)
    if kind.error is ContextLengthExceeded:
        return too_long(model, backend, limit=None, estimate=0)
    if kind.error is OutOfMemory and (numbers := re.search(_NEEDED, said)):
        details |= {"needed": numbers[1], "available": numbers[2]}
    if kind.error is Busy:
        details["retry_after_s"] = None
    return kind.error(
        f"{backend} failed: {said}" if kind.error is not Busy else f"{backend} is busy: {said}",
        hint=kind.hint or None,
        details=details,
        retryable=kind.retryable,
    )


def _unknown(said: str, status: int, backend: str, details: Mapping[str, Any]) -> LlmspellError:
    if status == 499 or status >= 502:
        return BackendUnavailable(
            f"{backend}: no answer from what stands behind it ({said or f'status {status}'})",
            hint="its own log says more; try again",
            details={**details, "reason": said},
        )
    if 400 <= status < 500:
        return InvalidRequest(f"{backend} refused the request: {said or f'status {status}'}", details=details)
    return ModelError(
        f"{backend} failed: {said or 'without saying why'}",
        hint="its own log says more: journalctl -u ollama, or ~/.ollama/logs/server.log",
        details=details,
        retryable=status == -1,
    )


def _unauthorized(said: str, backend: str, details: dict[str, Any]) -> LlmspellError:
    return Unauthorized(
        f"{backend} does not accept the credentials{f': {said}' if said else ''}",
        hint="models of ollama.com need 'ollama signin' on the server's machine; a proxy may want a key",
        details=details,
    )


def _forbidden(said: str, backend: str, details: dict[str, Any]) -> LlmspellError:
    return Forbidden(
        f"{backend} refuses: {said or 'forbidden'}",
        # A server on loopback answers so to any other name, and says nothing.
        hint=None
        if said
        else "a server that listens on its own machine alone refuses other names: see OLLAMA_HOST there",
        details=details,
    )


def _busy(said: str, backend: str, details: dict[str, Any]) -> LlmspellError:
    # It does not say when to come back.
    said = said or f"status {details['status']}"
    return Busy(f"{backend} is busy: {said}", details={**details, "retry_after_s": None})


_BY_STATUS: Mapping[int, Callable[[str, str, dict[str, Any]], LlmspellError]] = {
    401: _unauthorized,
    402: _forbidden,
    403: _forbidden,
    **dict.fromkeys(_BUSY, _busy),
}


def pull_error(text: str, status: int, *, model: str, backend: str) -> LlmspellError:
    """The error for what a server said in the stream of a pull; what its registry answered is only in the text."""
    said = one_line(text)
    details: dict[str, Any] = {"model": model, "backend": backend, "status": status}
    if (by_status := _BY_STATUS.get(status)) is not None:
        return by_status(said, backend, details)
    kind = next((one for one in _PULL_KINDS if re.search(one.words, said, re.IGNORECASE)), None)
    if kind is None:
        return DownloadError(f"'{model}' could not be pulled: {said or f'status {status}'}", details=details)
    if kind.error is ModelNotFound:
        return ModelNotFound(f"Model '{model}' not found in Ollama's library", hint=LIBRARY_HINT, details=details)
    if kind.error is RateLimited:
        details["retry_after_s"] = None
    if kind.error is DiskFull:
        details |= {"needed_bytes": None, "free_bytes": None}
        said = f"the disk of {backend}'s models is full ({said})"
    return kind.error(
        f"'{model}' could not be pulled: {said}", hint=kind.hint or None, details=details, retryable=kind.retryable
    )


_PULL_KINDS = (
    _Kind(
        r"no space left|disk quota|file too large|not enough (?:disk )?space|insufficient (?:disk )?space",
        DiskFull,
        "make room there",
    ),
    _Kind(r"manifest: 429|too many requests|rate limit", RateLimited, "try again later"),
    _Kind(r"digest mismatch", ChecksumMismatch, "the next pull fetches it again"),
    _Kind(r"newer version of ollama|manifest: 412", Unsupported, "llmspell model install-ollama"),
    _Kind(r"manifest: file does not exist|manifest unknown|manifest: 404|repository .*not found", ModelNotFound, ""),
    _Kind(
        r"manifest: 401|unauthorized|access denied|invalid username",
        Unauthorized,
        "models that are not public need the server's own key at their registry: 'ollama signin' there",
    ),
    _Kind(r"insecure protocol|is invalid$|invalid model name|model is required", InvalidRequest, LIBRARY_HINT),
    _Kind(r"not (?:a|compatible).*gguf|unsupported (?:model )?(?:format|architecture)|sharded gguf", Unsupported, ""),
    _Kind(r"permission denied|read-only file system", DownloadError, "look at the server's model directory", False),
    _Kind(
        r"^pull model manifest|no such host|dial tcp|connection refused|i/o timeout|tls: |x509|network is unreachable",
        SourceUnavailable,
        "the server's machine has to reach its registry",
    ),
)
