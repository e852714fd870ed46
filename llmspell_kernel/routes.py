"""Which handler answers which type of message; those that few kernels are asked for are made when asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llmspell_kernel.handlers.complete import CompleteHandler
from llmspell_kernel.handlers.control import InterruptHandler, ShutdownHandler
from llmspell_kernel.handlers.execute import ExecuteHandler
from llmspell_kernel.handlers.is_complete import IsCompleteHandler
from llmspell_kernel.handlers.kernel_info import KernelInfoHandler
from llmspell_kernel.live_settings import LiveSettings
from llmspell_kernel.request import Handler, Reply, Request
from llmspell_kernel.services.graph import Services

if TYPE_CHECKING:
    from llmspell_kernel.services.kernel import KernelService
    from llmspell_kernel.services.notebooks import Notebooks


def routes(
    services: Services,
    settings: LiveSettings,
    kernel: Callable[[], KernelService],
    drains: Callable[[], bool],
    notebooks: Callable[[], Notebooks],
    notebooks_if_made: Callable[[], Notebooks | None],
) -> dict[str, Handler]:
    """The handler of each message type."""

    def model_handler() -> Handler:
        from llmspell_kernel.handlers.model import ModelHandler

        return ModelHandler(services.models, services.hooks, notebooks_if_made)

    def agent_handler() -> Handler:
        from llmspell_kernel.handlers.agent import AgentHandler

        return AgentHandler(
            services.agents,
            services.agent_runs,
            services.agent_data,
            services.saved_conversations,
            tools=lambda: services.agent_tools,
            contexts=services.contexts,
        )

    def tool_handler() -> Handler:
        from llmspell_kernel.handlers.tool import ToolHandler

        return ToolHandler(services.tools, services.contexts, settings)

    def workflow_handler() -> Handler:
        from llmspell_kernel.handlers.workflow import WorkflowHandler

        return WorkflowHandler(services.workflows)

    def state_handler() -> Handler:
        from llmspell_kernel.handlers.state import StateHandler

        return StateHandler(services.state, services.hooks, services.events)

    def session_handler() -> Handler:
        from llmspell_kernel.handlers.session import SessionHandler

        return SessionHandler(services.sessions, lambda: services.replays, services.hooks)

    def artifact_handler() -> Handler:
        from llmspell_kernel.handlers.artifact import ArtifactHandler

        return ArtifactHandler(services.sessions, settings)

    def rag_handler() -> Handler:
        rag = services.rag
        # Behind the service, whose process starts meanwhile.
        from llmspell_kernel.handlers.rag import RagHandler

        return RagHandler(rag)

    def event_handler() -> Handler:
        from llmspell_kernel.handlers.event import EventHandler

        return EventHandler(services.events.bus, services.contexts)

    def hook_handler() -> Handler:
        from llmspell_kernel.handlers.hook import HookHandler

        return HookHandler(services.hooks.registry, services.contexts)

    def inspect_handler() -> Handler:
        from llmspell_kernel.handlers.inspect import InspectHandler

        return InspectHandler(services.contexts)

    def history_handler() -> Handler:
        from llmspell_kernel.handlers.history import HistoryHandler

        return HistoryHandler(services.contexts, services.history)

    def comms_handler() -> Handler:
        from llmspell_kernel.handlers.comms import CommsHandler

        return CommsHandler(services.contexts)

    def subshell_handler(act: str) -> Callable[[], Handler]:
        def make() -> Handler:
            from llmspell_kernel.handlers.subshells import SubshellsHandler

            handler: Handler = getattr(SubshellsHandler(services.contexts), act)
            return handler

        return make

    def notebook_handler() -> Handler:
        from llmspell_kernel.handlers.notebook import NotebookHandler

        return NotebookHandler(notebooks(), lambda: services.model_users)

    def debug_handler() -> Handler:
        from llmspell_kernel.handlers.debug import DebugHandler

        return DebugHandler(services.contexts)

    def kernel_handler() -> Handler:
        from llmspell_kernel.handlers.kernel import KernelHandler

        return KernelHandler(kernel())

    return {
        "execute_request": ExecuteHandler(services.contexts, lambda: services.history),
        "complete_request": CompleteHandler(services.contexts),
        "inspect_request": _when_asked(inspect_handler),
        "is_complete_request": IsCompleteHandler(services.contexts),
        "history_request": _when_asked(history_handler),
        **dict.fromkeys(("comm_info_request", "comm_open", "comm_msg", "comm_close"), _when_asked(comms_handler)),
        "kernel_info_request": KernelInfoHandler(settings.local_backends, drains),
        "interrupt_request": InterruptHandler(services.contexts),
        "create_subshell_request": _when_asked(subshell_handler("create")),
        "delete_subshell_request": _when_asked(subshell_handler("delete")),
        "list_subshell_request": _when_asked(subshell_handler("list")),
        "shutdown_request": _when_asked(lambda: ShutdownHandler(kernel(), notebooks)),
        "notebook_request": _when_asked(notebook_handler),
        "debug_request": _when_asked(debug_handler),
        "kernel_request": _when_asked(kernel_handler),
        "model_request": _when_asked(model_handler),
        "agent_request": _when_asked(agent_handler),
        "tool_request": _when_asked(tool_handler),
        "workflow_request": _when_asked(workflow_handler),
        "state_request": _when_asked(state_handler),
        "session_request": _when_asked(session_handler),
        "artifact_request": _when_asked(artifact_handler),
        "rag_request": _when_asked(rag_handler),
        "event_request": _when_asked(event_handler),
        "hook_request": _when_asked(hook_handler),
    }


def _when_asked(make: Callable[[], Handler]) -> Handler:
    made: Handler | None = None

    async def handle(request: Request) -> Reply:
        nonlocal made
        if made is None:
            made = make()
        return await made(request)

    return handle
