"""The kernel's services and handlers, each made when it is first asked for; nothing else constructs any.

Making them late keeps their imports away from whoever needs none: a script that asks no model waits for no backend.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from llmspell_kernel.context import Handler, Reply, Request, Submit
from llmspell_kernel.directories import private_directory
from llmspell_kernel.handlers.control import InterruptHandler, ShutdownHandler
from llmspell_kernel.handlers.execute import ExecuteHandler
from llmspell_kernel.handlers.introspect import IntrospectHandler
from llmspell_kernel.handlers.kernel_info import KernelInfoHandler
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_profiles.schema.settings import Settings

if TYPE_CHECKING:
    from llmspell_kernel.handlers.kernel import KernelControl
    from llmspell_kernel.services.agents import AgentsService
    from llmspell_kernel.services.models import ModelsService

LOCAL_TYPES = ("ollama", "candle")


class Parts:
    """The services of one kernel; `settings` gives those in force now, `home` is LLMSPELL_HOME."""

    def __init__(
        self, settings: Callable[[], Settings], home: Path, environment: Mapping[str, str], submit: Submit
    ) -> None:
        self._settings = settings
        self._home = home
        self._environment = environment
        self._log_directory = private_directory(home / "logs")
        self.contexts = Contexts(settings, submit, self._log_directory, on_context_end=self.forget)

    @cached_property
    def models(self) -> ModelsService:
        """Models of all backends."""
        from llmspell_kernel.services.models import ModelsService

        return ModelsService(
            self._settings(), self._home, log_directory=self._log_directory, environment=self._environment
        )

    @cached_property
    def agents(self) -> AgentsService:
        """Conversations that the kernel remembers."""
        from llmspell_kernel.services.agents import AgentsService

        return AgentsService(self.models)

    def forget(self, owner: str) -> None:
        """A client or script context has ended: what belonged to it goes."""
        if "agents" in self.__dict__:
            self.agents.forget(owner)

    def settings_changed(self, running: Collection[asyncio.Task[None]]) -> None:
        """Gives the new settings to the parts that keep some; `running` may go on with the old ones."""
        self.contexts.settings_changed()
        if "models" in self.__dict__:
            self.models.reconfigure(self._settings(), running)

    def residents(self) -> dict[str, int]:
        """The in-house models in memory, by name, each with the number of requests that wait for it."""
        return self.models.own() if "models" in self.__dict__ else {}

    async def close(self) -> None:
        """Ends every worker."""
        await self.contexts.close()
        if "models" in self.__dict__:
            await self.models.close()

    def handlers(self, kernel: KernelControl) -> dict[str, Handler]:
        """The handler of each message type."""
        introspect = IntrospectHandler(self.contexts)
        handlers: dict[str, Handler] = {
            "model_request": _when_asked(self._model_handler),
            "agent_request": _when_asked(self._agent_handler),
            "kernel_request": _when_asked(lambda: self._kernel_handler(kernel)),
            "kernel_info_request": KernelInfoHandler(self._backends),
            "execute_request": ExecuteHandler(self.contexts),
            "interrupt_request": InterruptHandler(self.contexts),
            "shutdown_request": ShutdownHandler(kernel, self._drain_timeout_s),
        }
        for name in ("complete", "is_complete", "history", "comm_info"):
            handlers[f"{name}_request"] = introspect
        return handlers

    def _model_handler(self) -> Handler:
        from llmspell_kernel.handlers.model import ModelHandler

        return ModelHandler(self.models)

    def _agent_handler(self) -> Handler:
        from llmspell_kernel.handlers.agent import AgentHandler

        return AgentHandler(self.agents)

    def _kernel_handler(self, kernel: KernelControl) -> Handler:
        from llmspell_kernel.handlers.kernel import KernelHandler

        return KernelHandler(kernel, self._drain_timeout_s)

    def _backends(self) -> list[str]:
        """Names of the configured local backends."""
        enabled = self._settings().providers.enabled
        return [name for name, table in enabled.items() if table.provider_type in LOCAL_TYPES]

    def _drain_timeout_s(self) -> float:
        return float(self._settings().kernel.drain_timeout_seconds)


def _when_asked(make: Callable[[], Handler]) -> Handler:
    made: Handler | None = None

    async def handle(request: Request) -> Reply:
        nonlocal made
        if made is None:
            made = make()
        return await made(request)

    return handle
