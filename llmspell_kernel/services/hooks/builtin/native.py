"""What built-in hooks have in common: where they stand, what they are asked, what they have counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from llmspell_kernel.services.hooks.hook import Occasion
from llmspell_kernel.services.hooks.verdict import Verdict

BEFORE = ("BeforeAgentExecution", "BeforeToolExecution", "BeforeModelExecution", "BeforeWorkflowStart")
AFTER = ("AfterAgentExecution", "AfterToolExecution", "AfterModelExecution", "AfterWorkflowComplete")
ERRORS = ("AgentError", "ToolError", "ModelError", "WorkflowError")


class NativeHook(Protocol):
    """One built-in hook; belongs to the loop."""

    @property
    def name(self) -> str:
        """As the configuration names it."""

    @property
    def priority(self) -> str:
        """When it is called among others."""

    @property
    def points(self) -> Sequence[str]:
        """Where it is called."""

    @property
    def description(self) -> str:
        """What it is for."""

    async def at(self, occasion: Occasion) -> Verdict:
        """What it says about the work."""

    def figures(self, key_id: str) -> Mapping[str, Any]:
        """What it has counted; what it names is of this key alone."""
