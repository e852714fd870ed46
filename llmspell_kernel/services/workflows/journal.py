"""What an execution has done so far, so that it can be resumed: finished steps and decisions, by their place.

An execution that is resumed runs from its beginning; what the journal knows is taken from it and not done again. Knows
no database: `checkpoints` has one that outlives the kernel.
"""

from __future__ import annotations

from typing import Any, Protocol

from llmspell_kernel.services.workflows.definition import Step
from llmspell_kernel.services.workflows.outcomes import StepOutcome
from llmspell_kernel.services.workflows.place import Path


class Journal(Protocol):
    """Where finished steps and decisions are noted."""

    is_kept: bool
    """Whether it outlives the execution."""

    def finished(self, path: Path, step: Step) -> StepOutcome | None:
        """What came of a step before the execution was cut."""

    def decided(self, path: Path) -> tuple[bool, Any]:
        """Whether something was decided, and how: a condition, a loop's collection or state."""

    def decide(self, path: Path, value: Any) -> None:
        """Notes a decision; it is kept with the next step that finishes."""

    async def finish(self, path: Path, outcome: StepOutcome, shared: dict[str, Any]) -> None:
        """Notes a finished step with all decisions before it, and the shared data as they are now."""

    async def end(self) -> None:
        """The execution has ended by itself."""

    def leave(self) -> None:
        """The execution does not run any more, however it ended."""


class NoJournal:
    """Of an execution that can't be resumed."""

    is_kept = False

    def finished(self, path: Path, step: Step) -> StepOutcome | None:
        """Nothing is."""
        return None

    def decided(self, path: Path) -> tuple[bool, Any]:
        """Nothing is."""
        return False, None

    def decide(self, path: Path, value: Any) -> None:
        """Nothing is noted."""

    async def finish(self, path: Path, outcome: StepOutcome, shared: dict[str, Any]) -> None:
        """Nothing is noted."""

    async def end(self) -> None:
        """Nothing was noted."""

    def leave(self) -> None:
        """Nothing is held."""
