"""How an agent is made of others. Knows no turns: `composite_answers` has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmspell_protocol.areas.agent import Strategy

if TYPE_CHECKING:
    from llmspell_kernel.scripting.contexts import ScriptFunction
    from llmspell_kernel.services.agents.agent import Agent

COMPOSITE = "composite"
"""What stands as model and backend of an agent that is made of others."""


@dataclass(frozen=True, kw_only=True)
class Composite:
    """How an agent is made of others."""

    members: Sequence[Agent]
    strategy: Strategy
    fallback: Agent | None = None
    threshold: float | None = None
    function: ScriptFunction | None = None
