"""One call of a tool's own code in the test's process, with the permissions and settings that the test gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from llmspell_protocol.tools.permissions import Permissions
from llmspell_tools.contract import Call, Outcome, ToolFailure
from llmspell_tools.parameters import parameters_of
from llmspell_tools.registry import tool_named


class Called(NamedTuple):
    """What a call gave: an outcome, or the operation's own no; and what it told meanwhile."""

    outcome: Outcome | None
    failure: ToolFailure | None
    progress: Sequence[tuple[str, Mapping[str, Any]]]

    @property
    def result(self) -> Any:
        """The result of a call that did what it was asked for."""
        assert self.failure is None, self.failure.message
        assert self.outcome is not None
        return self.outcome.result

    @property
    def output(self) -> Any:
        """Its primary value."""
        assert self.failure is None, self.failure.message
        assert self.outcome is not None
        return self.outcome.result if self.outcome.output is None else self.outcome.output

    @property
    def said(self) -> str:
        """Why the operation said no."""
        assert self.failure is not None
        return self.failure.message


def call_tool(
    name: str,
    arguments: Mapping[str, Any],
    *,
    read: Sequence[str] = (),
    write: Sequence[str] = (),
    net: Sequence[str] = (),
    blocked: Sequence[str] = (),
    run: Sequence[str] = (),
    env: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    directory: str | None = None,
    tables: Mapping[str, Mapping[str, Any]] | None = None,
) -> Called:
    """Calls a tool; errors of the protocol are raised. Tables that are not given have the settings' defaults."""
    progress: list[tuple[str, Mapping[str, Any]]] = []
    tool = tool_named(name)
    permissions = Permissions(
        read=tuple(read),
        write=tuple(write),
        net=tuple(net),
        blocked=tuple(blocked),
        run=tuple(run),
        env=tuple(env),
        variables=variables or {},
        working_directory=directory,
    )
    given = {**default_tables(tool.settings), **(tables or {})}
    call = Call(permissions, given, lambda message, figures: progress.append((message, figures)))
    try:
        outcome = tool.run(parameters_of(tool.parameters, arguments), call)
    except ToolFailure as failure:
        return Called(None, failure, progress)
    return Called(outcome, None, progress)


def default_tables(names: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The tables of `[tools]` as they are without a configuration."""
    from llmspell_profiles.schema.tools import ToolsSettings

    settings = ToolsSettings.check({}, None)
    return {name: getattr(settings, name).as_data() for name in names}
