"""What an agent was asked and did, counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from llmspell_protocol.areas.agent import AgentMetricsReply
from llmspell_protocol.models import CalledTool, Usage


@dataclass(slots=True, eq=False)
class Metrics:
    """The counts of one agent; belongs to the loop."""

    total: int = 0
    failed: int = 0
    active: int = 0
    tool_calls: int = 0
    tool_failures: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Around one turn, which has failed where an error leaves it."""
        self.total += 1
        self.active += 1
        try:
            yield
        except BaseException:
            self.failed += 1
            raise
        finally:
            self.active -= 1

    def take(self, usage: Usage, calls: Sequence[CalledTool], seconds: float) -> None:
        """Adds what a finished turn took."""
        self.seconds += seconds
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self.tool_calls += len(calls)
        self.tool_failures += sum(not call.success for call in calls)

    def reply(self, agent_id: str, memory_bytes: int) -> AgentMetricsReply:
        """What is shown of it; averages and rates are null before the first finished turn."""
        ended = self.total - self.active
        done = ended - self.failed
        return AgentMetricsReply(
            agent_id=agent_id,
            requests_total=self.total,
            requests_failed=self.failed,
            requests_active=self.active,
            tool_invocations=self.tool_calls,
            tool_failures=self.tool_failures,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            memory_bytes=memory_bytes,
            avg_execution_time_ms=round(self.seconds / done * 1000, 3) if done else None,
            success_rate=done / ended if ended else None,
            error_rate=self.failed / ended if ended else None,
        )
