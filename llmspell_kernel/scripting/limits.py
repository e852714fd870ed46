"""What a script may use: read from the settings once for each worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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

    @classmethod
    def from_settings(cls, settings: Settings) -> ScriptLimits:
        """The limits in force: where two settings limit the same thing, the smaller one."""
        lua, runtime = settings.engines.lua, settings.runtime
        return cls(
            stdlib=lua.stdlib,
            max_memory_bytes=min(lua.max_memory_bytes, runtime.security.max_memory_bytes),
            compute_s=lua.timeout_ms / 1000,
            wall_s=min(float(runtime.script_timeout_seconds), runtime.security.max_execution_time_ms / 1000),
            file_access=runtime.security.allow_file_access,
            pull_addresses=runtime.security.allow_pull_addresses,
        )
