"""What the end of a model worker, or of a load, means: from an exit status and the last lines of its log to an error.

Knows the engines' words for what went wrong, not how a worker is run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from llmspell_protocol.errors import LlmspellError, ModelLoadFailed, OutOfMemory, WorkerCrashed
from llmspell_protocol.exit_status import ending, signal_name
from llmspell_providers.candle.engine import Launch

LIMIT_KEY = "models.worker_memory_bytes"

_AGAIN = "the next request loads the model anew"
_WHOLE = "llmspell model verify --all tells whether its files are whole"
_LONGEST_REASON = 300
_LINES_TOLD = 3
_CHARACTERS_TOLD = 400
"""Of a worker's log, in the kernel's own."""
_NO_MEMORY = re.compile(
    r"(unable|failed) to allocate|can(no|')t allocate memory|out of memory|bad_alloc|cudaMalloc failed|MemoryError"
    r"|memory allocation of \d+ bytes failed",
    re.IGNORECASE,
)
"""The engines' words for it (ggml-backend.cpp, llama-kv-cache.cpp, ggml-cuda.cu, PyTorch's allocators, C++, Rust)."""
_REASONS = (
    re.compile(r"error loading model: (?:error loading model \w+: )?(.+)"),
    re.compile(r"(GGML_ASSERT\(.+\) failed)"),
    re.compile(r"error: parser: (.+)"),
    re.compile(r"^\s*what\(\):\s*(.+)"),
    re.compile(r"^terminate called after throwing an instance of '(.+)'"),
    re.compile(r"^Error: (.+)"),  # under a chat template's place, which is written above it
    re.compile(r"chat template parsing error: (.+)"),
    re.compile(r"^[\d.]+ E (?:\w+ +)?\w+: (?!failed to load model)(?!exiting due to)(.+)"),
)
"""Where llama.cpp says why, best first."""
_TEMPLATE = re.compile(r"chat template parsing error")
_UNKNOWN = re.compile(r"unknown (model architecture|tokenizer|pre-tokenizer)")
_FILES_FAULT = {
    "SIGBUS": "a part of its file could not be read: it was shortened meanwhile, or the disk fails",
    "SIGFPE": "the file holds a number that the engine divides by",
}


def tells_of_memory(lines: Sequence[str]) -> bool:
    """Whether an engine says that it did not get memory."""
    return any(_NO_MEMORY.search(line) for line in lines)


def reason_in(lines: Sequence[str]) -> str | None:
    """The engine's own words for why it refused or gave up, out of the last lines of its log; None: it says none."""
    for pattern in _REASONS:
        for line in lines:
            found = pattern.search(line)
            if found is not None:
                return found[1].strip().rstrip(":")[:_LONGEST_REASON]
    return None


def unasked_end(
    launch: Launch, pid: int, status: int, lines: Sequence[str], open_requests: int | None, why: str | None
) -> str:
    """The line in the kernel's log for a worker that ended unasked; `open_requests` None: while it loaded its model."""
    work = "while it loaded" if open_requests is None else f"with {open_requests} open requests"
    because = f" ({why})" if why is not None else ""
    words = " | ".join(line.strip() for line in lines[-_LINES_TOLD:])[-_CHARACTERS_TOLD:]
    last = f"its last words: {words}" if words else "it wrote nothing to its log"
    return f"the worker of {launch.model} (PID {pid}) ended {ending(status)} {work}{because}; {last}"


def refused(error: ModelLoadFailed, launch: Launch, lines: Sequence[str]) -> LlmspellError:
    """The engine's refusal of a load with what it wrote to its log, which alone says why."""
    details = {**error.details, "log": list(lines)}
    if tells_of_memory((error.message, *lines)):
        return out_of_memory(launch, lines, details=error.details)
    reason = reason_in(lines)
    if reason is None or "template_fault" in error.details:
        return ModelLoadFailed(error.message, hint=error.hint, details=details)
    hint = error.hint
    if any(_TEMPLATE.search(line) for line in lines):
        hint = "the engine can't run this model's chat template: choose another file of this model"
    elif _UNKNOWN.search(reason):
        hint = f"a newer {launch.engine} may know it; else choose another model"
    message = error.message if reason in error.message else f"{error.message}: {reason}"
    return ModelLoadFailed(message, hint=hint, details={**details, "reason": reason})


def out_of_memory(
    launch: Launch,
    lines: Sequence[str],
    *,
    details: dict[str, Any] | None = None,
    by_limit: bool = False,
    others: int = 0,
) -> OutOfMemory:
    """The error for a worker that got no more memory; `by_limit`: the kernel saw it pass its limit and ended it.

    It may be another request that took the memory where there were `others` in the same worker: then it may be tried
    again.
    """
    limit = launch.memory_bytes
    shown = {**(details or {}), "model": launch.model, "log": list(lines)}
    if limit is None:
        return OutOfMemory(
            f"the system has not enough memory for {launch.model}",
            hint="unload another model (llmspell model ps), or lower providers.candle.context_size",
            details=shown,
        )
    what = "took more memory than it may" if by_limit else "got no more memory"
    return OutOfMemory(
        f"the worker of {launch.model} {what} and was ended (its limit is {limit / 1e6:,.0f} MB)",
        hint=f"{_AGAIN}; ask for less at once, lower providers.candle.context_size, unload another model "
        f"(llmspell model ps), or raise {LIMIT_KEY}",
        details={**shown, "limit_bytes": limit},
        retryable=others > 0,
    )


def ended_for(launch: Launch, why: str) -> WorkerCrashed:
    """The error for the other requests of a worker that had to be ended."""
    return WorkerCrashed(f"the worker of {launch.model} was ended: {why}", hint=f"try again: {_AGAIN}")


def crash(status: int, launch: Launch, lines: Sequence[str], *, loading: bool, others: int = 0) -> LlmspellError:
    """What an exit status says about the end of a worker; `loading`: its model was not loaded yet."""
    details: dict[str, Any] = {"exit_status": status, "log": list(lines)}
    name = signal_name(-status) if status < 0 else None
    if name is not None:
        details["signal"] = name
    if name not in (None, "SIGKILL", "SIGTERM") and tells_of_memory(lines):
        return out_of_memory(launch, lines, details=details, others=others)
    reason = None if name in ("SIGKILL", "SIGTERM") else reason_in(lines)
    if reason is not None:
        details["reason"] = reason
    because = f": {reason}" if reason is not None else ""
    if name == "SIGILL":
        return WorkerCrashed(
            f"the engine {launch.engine} was built for another CPU: {launch.model}'s worker met an instruction that "
            "this one lacks",
            hint='set providers.candle.engine = "xllamacpp", the default engine'
            if launch.engine != "xllamacpp"
            else "install a build of xllamacpp for this CPU (pip install --no-binary xllamacpp xllamacpp)",
            details=details,
            retryable=False,
        )
    if name == "SIGKILL":
        return WorkerCrashed(
            f"the worker of {launch.model} was ended by SIGKILL (the system may have run out of memory)",
            hint=f"try again: {_AGAIN}; if it happens again, unload another model (llmspell model ps)",
            details=details,
        )
    was_ended = f"was ended {ending(status).replace('signal ', '')}" if status < 0 else f"ended {ending(status)}"
    if loading:
        # What a file does to an engine, it does again.
        return WorkerCrashed(
            f"the worker of {launch.model} {was_ended} while it loaded the model{because}",
            hint=f"{_FILES_FAULT[name]}; {_WHOLE}" if name in _FILES_FAULT else f"{_WHOLE}; else choose another model",
            details=details,
            retryable=name == "SIGTERM",
        )
    is_ours = name in (None, "SIGTERM") or reason is None
    return WorkerCrashed(
        f"the worker of {launch.model} {was_ended}{because}",
        hint=f"try again: {_AGAIN}"
        if is_ours
        else f"{_AGAIN}; a request that ends it again is one that the engine does not bear: ask otherwise",
        details=details,
    )
