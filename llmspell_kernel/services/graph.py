"""The services of one kernel, each made when it is first asked for; nothing else constructs any.

Making them late keeps their imports away from what needs none: a script that asks no model waits for no backend. A new
service is one property here. What it takes part in it says by having the method: `forget`, `reconfigure`, `close`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload, runtime_checkable

from llmspell_kernel.request import Record, Request, Submit
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.incidents import incident_number
from llmspell_storage.directories import private_directory

if TYPE_CHECKING:
    from llmspell_kernel.services.agents.as_tools import AgentTools
    from llmspell_kernel.services.agents.runs import AgentRuns
    from llmspell_kernel.services.agents.saved import SavedConversations
    from llmspell_kernel.services.agents.service import AgentsService
    from llmspell_kernel.services.agents.shared_data import SharedData
    from llmspell_kernel.services.events.export import WriteEvent
    from llmspell_kernel.services.events.service import EventsService
    from llmspell_kernel.services.history.service import HistoryService
    from llmspell_kernel.services.hooks.service import HooksService
    from llmspell_kernel.services.model_users import ModelUsers
    from llmspell_kernel.services.models import ModelsService
    from llmspell_kernel.services.rag.service import RagService
    from llmspell_kernel.services.sessions.replay import Replays
    from llmspell_kernel.services.sessions.service import SessionsService
    from llmspell_kernel.services.state.service import StateService
    from llmspell_kernel.services.tools.service import ToolsService
    from llmspell_kernel.services.workflows.service import WorkflowsService

log = logging.getLogger(__name__)

S = TypeVar("S")


@runtime_checkable
class Forgets(Protocol):
    """A service that keeps something for clients or script contexts."""

    def forget(self, owner: str) -> None:
        """A client or script context has ended: what belonged to it goes."""


@runtime_checkable
class Reconfigures(Protocol):
    """A service that keeps settings, or something made from them."""

    def reconfigure(self, settings: Settings, running: Collection[asyncio.Task[None]]) -> None:
        """Uses these settings from here on; the `running` tasks may go on with the old ones."""


@runtime_checkable
class Closes(Protocol):
    """A service that has something to end."""

    async def close(self) -> None:
        """Ends what the service has started."""


@runtime_checkable
class HoldsModels(Protocol):
    """A service with models in memory."""

    def own(self) -> Mapping[str, int]:
        """The in-house models in memory, by name, each with the number of requests that wait for it."""


class service(Generic[S]):
    """`@service`, used as `property` is: makes the service at the first access and notes it as made."""

    def __init__(self, make: Callable[[Any], S]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, services: None, owner: type[object]) -> service[S]: ...
    @overload
    def __get__(self, services: Services, owner: type[object]) -> S: ...
    def __get__(self, services: Services | None, owner: type[object]) -> service[S] | S:
        """The service; from the second access on Python finds it in the instance itself."""
        if services is None:
            return self
        made = self._make(services)
        services.note(self._name, made)
        return made


class Services:
    """The services of one kernel; `settings` gives those in force now, `home` is LLMSPELL_HOME.

    A subclass may have more of them, declared the same way.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        home: Path,
        environment: Mapping[str, str],
        submit: Submit,
        configuration_file: Path | None = None,
        write_event: WriteEvent | None = None,
    ) -> None:
        self._settings = settings
        self._home = home
        self._environment = environment
        self._configuration_file = configuration_file
        self._submit = submit
        self._write_event = write_event
        self._log_directory = private_directory(home / "logs")
        self._made: list[object] = []
        self._records_all = _records_all(settings())
        self.contexts = Contexts(
            settings, submit, self._log_directory, on_context_end=self.forget, environment=environment
        )
        """Script contexts: what every kernel has."""

    @service
    def models(self) -> ModelsService:
        """Models of all backends."""
        from llmspell_kernel.services.models import ModelsService

        return ModelsService(
            self._settings(), self._home, log_directory=self._log_directory, environment=self._environment
        )

    @service
    def agents(self) -> AgentsService:
        """Conversations that the kernel remembers."""
        from llmspell_kernel.services.agents.service import AgentsService

        return AgentsService(self.models)

    @service
    def agent_runs(self) -> AgentRuns:
        """Turns of agents that requests ask for."""
        from llmspell_kernel.services.agents.hooked import AgentOccasions
        from llmspell_kernel.services.agents.runs import AgentRuns

        return AgentRuns(
            self.agents, lambda: self.tools, self.contexts, self._settings, AgentOccasions(self.hooks, self.events)
        )

    @service
    def agent_tools(self) -> AgentTools:
        """Agents as tools; the tools service has them from the first on."""
        from llmspell_kernel.services.agents.as_tools import AgentTools

        made = AgentTools(self.agent_runs)
        self.tools.add(made)
        return made

    @service
    def agent_data(self) -> SharedData:
        """What the agents of an owner share."""
        from llmspell_kernel.services.agents.shared_data import SharedData

        return SharedData()

    @service
    def saved_conversations(self) -> SavedConversations:
        """Conversations of agents on disk."""
        from llmspell_kernel.services.agents.saved import SavedConversations

        return SavedConversations(self._home)

    @service
    def state(self) -> StateService:
        """Values that outlive scripts."""
        from llmspell_kernel.services.state.service import StateService

        return StateService(self._settings)

    @service
    def hooks(self) -> HooksService:
        """Hooks of scripts and of the configuration."""
        from llmspell_kernel.services.hooks.service import HooksService

        return HooksService(self._settings, self.contexts)

    @service
    def events(self) -> EventsService:
        """The event bus."""
        from llmspell_kernel.services.events.service import EventsService

        return EventsService(
            self._settings,
            self.contexts,
            self.hooks,
            environment=self._environment,
            write_event=self._write_event,
        )

    @service
    def tools(self) -> ToolsService:
        """Tools of all sources."""
        from llmspell_kernel.services.tools.service import ToolsService

        return ToolsService(
            self._settings,
            self.contexts,
            self._log_directory,
            self.hooks,
            self.events,
            home=self._home,
            environment=self._environment,
            file=self._configuration_file,
        )

    @service
    def workflows(self) -> WorkflowsService:
        """Workflows, and their executions."""
        from llmspell_kernel.services.workflows.service import WorkflowsService
        from llmspell_kernel.services.workflows.state_entries import StateEntries

        return WorkflowsService(
            contexts=self.contexts,
            tools=lambda: self.tools,
            agents=self.agents,
            agent_runs=self.agent_runs,
            entries=StateEntries(lambda: self.state),
            events=self.events,
            hooks=self.hooks,
            home=self._home,
        )

    @service
    def sessions(self) -> SessionsService:
        """What is recorded of requests."""
        from llmspell_kernel.services.sessions.service import SessionsService

        return SessionsService(self._settings, self._environment)

    @service
    def rag(self) -> RagService:
        """Documents that are found again."""
        from llmspell_kernel.services.rag.collections import Collections
        from llmspell_kernel.services.rag.index_settings import database_path, index_settings

        collections = Collections(
            self._log_directory,
            lambda: (database_path(self._settings().rag, self._home), index_settings(self._settings().rag)),
        )
        # Its process starts while the rest is imported.
        collections.prepare()
        from llmspell_kernel.services.rag.service import RagService

        return RagService(self._settings, collections, self._log_directory, lambda: self.models, lambda: self.tools)

    @service
    def history(self) -> HistoryService:
        """Cells that frontends have run."""
        from llmspell_kernel.services.history.service import HistoryService

        return HistoryService(self._settings, self._home, self._environment)

    @service
    def replays(self) -> Replays:
        """Recorded requests asked again."""
        from llmspell_kernel.services.sessions.replay import Replays

        return Replays(self.sessions, self._submit)

    def observe(self, request: Request) -> Record | None:
        """Records a request that belongs to a session: for dispatch, which shows every one."""
        if not self._records_all and request.options.session is None and "sessions" not in self.__dict__:
            return None
        return self.sessions.observe(request)

    def note(self, name: str, made: object) -> None:
        """Remembers a service that was made: what it takes part in, it takes part in from here on."""
        self.__dict__[name] = made
        self._made.append(made)

    @property
    def hooks_if_made(self) -> HooksService | None:
        """The hooks, where something has asked for them: without, none can be registered."""
        made: HooksService | None = self.__dict__.get("hooks")
        return made

    @property
    def events_if_made(self) -> EventsService | None:
        """The event bus, where something has asked for it: without, nothing listens."""
        made: EventsService | None = self.__dict__.get("events")
        return made

    def forget(self, owner: str) -> None:
        """A client or script context has ended: what belonged to it goes."""
        for one in (self.contexts, *self._made):
            if isinstance(one, Forgets):
                one.forget(owner)

    def reconfigure(self, settings: Settings, running: Collection[asyncio.Task[None]]) -> None:
        """Gives the new settings to the services that keep some; the `running` tasks may go on with the old ones."""
        self._records_all = _records_all(settings)
        for one in (self.contexts, *self._made):
            if isinstance(one, Reconfigures):
                one.reconfigure(settings, running)

    @property
    def rag_if_made(self) -> RagService | None:
        """RAG, where something has asked for it."""
        made: RagService | None = self.__dict__.get("rag")
        return made

    @property
    def model_users(self) -> ModelUsers | None:
        """Who has used which models; None where no model was asked."""
        made: ModelsService | None = self.__dict__.get("models")
        return None if made is None else made.users

    def resident_models(self) -> dict[str, int]:
        """The in-house models in memory, by name, each with the number of requests that wait for it."""
        return {
            name: waiting for one in self._made if isinstance(one, HoldsModels) for name, waiting in one.own().items()
        }

    async def close(self) -> None:
        """Ends what the services have started: scripts, which ask all the others, and then the newest first.

        One that fails is told in the log, and keeps no other from being closed.
        """
        for one in (self.contexts, *reversed(self._made)):
            if isinstance(one, Closes):
                try:
                    await one.close()
                except Exception:  # The others have something to end as well.
                    log.exception("incident %s: %s could not be closed", incident_number(), type(one).__name__)


def _records_all(settings: Settings) -> bool:
    """Whether every request is recorded; a table that no file has is not looked at, and not made."""
    return "sessions" in settings.runtime.given and bool(settings.runtime.sessions.enabled)
