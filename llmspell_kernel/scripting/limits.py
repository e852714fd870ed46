"""What a script may use: read from the settings once for each worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from llmspell_protocol.request_options import EVERYTHING

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings


class ScriptLimits(NamedTuple):
    """The limits of one script worker; times are of one execution."""

    stdlib: str
    max_memory_bytes: int
    compute_s: float
    """Time that the script computes by itself; waiting for the kernel's answers is not counted."""
    wall_s: float
    file_access: bool
    pull_addresses: bool = False
    programs: Sequence[str] = ()
    """What every script may run."""
    variables: Sequence[str] = ()
    """The environment variables of its client that every script may read."""
    max_output_bytes: int = 1_048_576
    """What is kept of a program's output."""
    read: Sequence[str] = ()
    """What every script may read, beside what is below its directories."""
    write: Sequence[str] = ()
    hosts: Sequence[str] = ()
    """Hosts whose addresses every script may pull from."""
    sessions: bool = False
    """Whether there are the globals Session and Artifact."""
    rag: bool = False
    """Whether there is the global RAG."""
    values: Mapping[str, str] = MappingProxyType({})
    """Of `variables` those that the kernel's own environment has: a client sends what its options name alone."""

    @classmethod
    def from_settings(cls, settings: Settings, environment: Mapping[str, str] = MappingProxyType({})) -> ScriptLimits:
        """The limits in force: where two settings limit the same thing, the smaller one.

        `environment` is the kernel's own.
        """
        lua, runtime = settings.engines.lua, settings.runtime
        limits = cls(
            stdlib=lua.stdlib,
            max_memory_bytes=min(lua.max_memory_bytes, runtime.security.max_memory_bytes),
            compute_s=lua.timeout_ms / 1000,
            wall_s=min(float(runtime.script_timeout_seconds), runtime.security.max_execution_time_ms / 1000),
            file_access=runtime.security.allow_file_access,
            pull_addresses=runtime.security.allow_pull_addresses,
            sessions="sessions" in runtime.given and runtime.sessions.enabled,
            rag="rag" in settings.given and settings.rag.enabled,
        )
        if "tools" not in settings.given:
            # The tables of tools are read where a file has one: without, the defaults above are theirs too.
            return limits
        kept = settings.tools.permissions
        variables = variables_of(settings)
        return limits._replace(
            programs=programs_of(settings),
            variables=variables,
            values=named(environment, variables),
            read=kept.read,
            write=kept.write,
            hosts=kept.net,
            max_output_bytes=settings.tools.system.max_output_size,
        )


def programs_of(settings: Settings) -> tuple[str, ...]:
    """The programs that the settings allow every call and script to run."""
    system = settings.tools.system
    may_run = settings.runtime.security.allow_process_spawn and system.allow_process_execution
    return (*(system.allowed_commands if may_run else ()), *settings.tools.permissions.run)


def variables_of(settings: Settings) -> tuple[str, ...]:
    """The environment variables that the settings allow every call and script to read."""
    return (*settings.tools.system.allowed_env_vars, *settings.tools.permissions.env)


def named(environment: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """The variables of an environment that are among the names; `*` is all."""
    if not names:
        return {}
    return {name: value for name, value in environment.items() if name in names or EVERYTHING in names}
