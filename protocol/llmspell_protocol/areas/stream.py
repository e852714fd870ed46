"""What comes before a reply while a model or a script is at work. Kernel and workers send these as maps.

A key without a value is left out of a delta.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from llmspell_protocol.models import PrefillProgress, ToolCall, ToolEvent
from llmspell_protocol.structs import Struct


class LoadingStep(Struct):
    """The model is not in memory yet: its load begins, or goes on."""

    phase: Literal["loading"]
    notice: str | None = None
    """why a model that was there is loaded anew"""


class PrefillStep(PrefillProgress):
    """How much of the prompt has been read, in tokens."""

    phase: Literal["prefill"]
    # Without `field()` it would have the base's default.
    eta_s: float | None = field()


class ChatDelta(Struct):
    """A piece of an answer: at least one of the three."""

    text: str = ""
    reasoning: str = ""
    tool_calls: Sequence[ToolCall] = ()


class AgentDelta(ChatDelta):
    """A piece of an agent's answer; `tool` when a tool that its model called begins or has ended."""

    tool: ToolEvent | None = None


class ExecuteDelta(Struct):
    """Printed text of a script, for the client that asked (`isolated` or `deltas` in `metadata.llmspell`).

    What a script shows comes as `display` too, beside its text: `kind` is `display_data`, `update_display_data` or
    `clear_output`, the rest is that message's content; `progress` is true for a bar, which has text at its end alone.
    """

    stream: Literal["stdout", "stderr"]
    text: str
    display: Mapping[str, Any] | None = None
