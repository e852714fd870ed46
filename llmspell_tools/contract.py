"""What a tool is: a description, parameters, and a function that takes them. A file a tool, in `tools/`.

    class Parameters(ToolParameters):
        input: str = parameter("what is read", also=("text",))

    def run(wanted: Parameters, call: Call) -> Outcome: ...

    TOOL = Tool(name="…", description="…", category="utility", level="safe", parameters=Parameters, run=run, …)

A tool knows neither kernel nor worker. What it touches beside its parameters it reaches through its `Call`, which holds
it to the permissions of this call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from llmspell_protocol.tools.description import Category, Level, Need, ToolDescription
from llmspell_protocol.tools.permissions import Permissions
from llmspell_tools.outcome import Outcome, ToolFailure
from llmspell_tools.parameters import ToolParameters, parameters_schema

if TYPE_CHECKING:
    from llmspell_tools.limits.environment import Environment
    from llmspell_tools.limits.files import Files
    from llmspell_tools.limits.network import Network
    from llmspell_tools.limits.programs import Programs

__all__ = ["Call", "Outcome", "Tool", "ToolFailure"]

P = TypeVar("P", bound=ToolParameters)


class Call:
    """One call while it runs: what it may touch, its settings, and where its progress goes.

    `tables` are the tables of `[tools]` that the tool asked for, by name; `on_progress` gets `(message, figures)`.
    """

    def __init__(
        self,
        permissions: Permissions,
        tables: Mapping[str, Mapping[str, Any]],
        on_progress: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        self.permissions = permissions
        self.tables = tables
        self._on_progress = on_progress

    def progress(self, message: str, **figures: Any) -> None:
        """Tells how far the call is; `figures` are numbers and names behind the message."""
        self._on_progress(message, figures)

    # Each is made when a tool first touches it.

    @cached_property
    def files(self) -> Files:
        """The files that the call may read and write."""
        from llmspell_tools.limits.files import Files

        return Files(self.permissions, self.tables.get("file_operations", {}))

    @cached_property
    def network(self) -> Network:
        """The hosts that the call may speak to."""
        from llmspell_tools.limits.network import Network

        return Network(self.permissions, self.tables, on_progress=self._on_progress)

    @cached_property
    def programs(self) -> Programs:
        """The programs that the call may run."""
        from llmspell_tools.limits.programs import Programs

        return Programs(self.permissions, self.tables.get("system", {}))

    @cached_property
    def environment(self) -> Environment:
        """The variables that the call may read."""
        from llmspell_tools.limits.environment import Environment

        return Environment(self.permissions)


@dataclass(frozen=True, kw_only=True)
class Tool(Generic[P]):
    """One tool; see `ToolDescription` for what its fields mean to others."""

    name: str
    description: str
    category: Category
    level: Level
    parameters: type[P]
    run: Callable[[P, Call], Outcome]
    result: str
    version: str = "1.0.0"
    needs: Sequence[Need] = ()
    settings: Sequence[str] = ()
    keywords: Sequence[str] = ()
    example: Mapping[str, Any] = field(default_factory=dict)

    def describe(self, source: str = "builtin") -> ToolDescription:
        """The description, with the parameters as a JSON Schema."""
        return ToolDescription(
            name=self.name,
            description=self.description,
            category=self.category,
            security_level=self.level,
            parameters=parameters_schema(self.parameters),
            version=self.version,
            source=source,
            needs=tuple(self.needs),
            keywords=tuple(self.keywords),
            settings=tuple(self.settings),
            result=self.result,
            example=dict(self.example),
        )
