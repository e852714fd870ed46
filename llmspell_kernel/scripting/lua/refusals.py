"""From an error reply to the plain string that a script sees: a prefix by code, then what happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PREFIXES = {
    "invalid_request": "Validation error",
    "unsupported": "Component error",
    "unauthorized": "Security violation",
    "forbidden": "Security violation",
    "config_error": "Configuration error",
    "unavailable": "Network error",
    "backend_unavailable": "LLM provider error",
    "kernel_unreachable": "Network error",
    "busy": "Resource error",
    "timeout": "Timeout error",
    "model_error": "LLM provider error",
    "model_load_failed": "LLM provider error",
    "model_in_use": "LLM provider error",
    "out_of_memory": "Resource error",
    "context_length_exceeded": "LLM provider error",
    "schema_unsupported": "Validation error",
    "schema_violation": "LLM provider error",
    "worker_crashed": "LLM provider error",
    "download_error": "Network error",
    "checksum_mismatch": "Network error",
    "source_unavailable": "Network error",
    "disk_full": "Storage error",
    "storage_error": "Storage error",
    "storage_damaged": "Storage error",
    "storage_version": "Storage error",
    "conflict": "Storage error",
    "script_error": "Script execution error",
    "script_limit": "Resource error",
    "tool_error": "Tool execution error",
    "internal": "Internal error",
}
"""Codes without a prefix speak for themselves: `Model 'x' not found in any backend`."""

_WHOLE_SENTENCES = ("Invalid model spec ", "Backend '", "Operation cancelled by hook: ")
"""Messages that scripts match from their beginning."""


class Refusal(Exception):
    """A call from Lua failed; `content` is the error as the kernel answered it."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = dict(content)
        self.code = str(content.get("code", "internal"))
        self.message = str(content.get("message") or content.get("evalue") or self.code)
        super().__init__(self.message)

    @property
    def text(self) -> str:
        """What `pcall` gives."""
        prefix = _PREFIXES.get(self.code)
        if prefix is None or self.message.startswith(_WHOLE_SENTENCES):
            return self.message
        return f"{prefix}: {self.message}"


class Denied(Refusal):
    """A path or a program that a permission would allow: `kind` is `read`, `write` or `run`, `name` what it is of."""

    def __init__(self, message: str, kind: str, name: str) -> None:
        super().__init__({"code": "not_found", "message": message})
        self.kind = kind
        self.name = name


def refusal(code: str, message: str, hint: str | None = None) -> Refusal:
    """A refusal that this worker decides by itself."""
    content: dict[str, Any] = {"code": code, "message": message}
    if hint is not None:
        content["hint"] = hint
    return Refusal(content)
