"""The handler of `agent_request` over services that a test has made."""

from __future__ import annotations

from llmspell_kernel.handlers.agent import AgentHandler
from llmspell_kernel.services.graph import Services


def agent_handler(services: Services) -> AgentHandler:
    """As a kernel makes it."""
    return AgentHandler(
        services.agents,
        services.agent_runs,
        services.agent_data,
        services.saved_conversations,
        tools=lambda: services.agent_tools,
        contexts=services.contexts,
    )
