"""The table `[events]`: the event bus, what it lets in and where events go."""

from collections.abc import Sequence
from typing import Annotated

from llmspell_profiles.schema.table import Field, Table, rule, subtable
from llmspell_profiles.schema.values import FilePath, High, Names, Url, wrong


def _disjoint(included: Sequence[str], excluded: Sequence[str], names: tuple[str, str]) -> None:
    both = [pattern for pattern in excluded if pattern in included]
    if both:
        raise wrong(f"'{both[0]}' is in {names[0]} too", names[1])


class EventFiltering(Table):
    """`[events.filtering]`: globs."""

    include_types: Names = Field(default=("*",), description="event types let in")
    exclude_types: Names = Field(default=(), description="event types kept out")
    include_components: Names = Field(default=("*",), description="components let in")
    exclude_components: Names = Field(default=(), description="components kept out")

    @rule
    def _nothing_is_let_in_and_kept_out(self) -> None:
        _disjoint(self.include_types, self.exclude_types, ("include_types", "exclude_types"))
        _disjoint(self.include_components, self.exclude_components, ("include_components", "exclude_components"))


class EventExport(Table):
    """`[events.export]`"""

    NEEDS_TRUST = True

    stdout: bool = Field(default=False, description="NDJSON on stderr in JSON mode, else on stdout")
    file: FilePath | None = Field(default=None, description="NDJSON file")
    webhook: Url | None = Field(default=None, description="POST per batch")
    pretty_json: bool = Field(default=False, description="indented")


class EventsSettings(Table):
    """`[events]`"""

    enabled: bool = Field(default=True, description="the event bus")
    buffer_size: Annotated[int, High(1_000_000)] = Field(
        default=10_000, ge=1, description="queued events; the oldest are dropped and counted"
    )
    emit_timing_events: bool = Field(default=True, description="duration_ms in events of work that has ended")
    emit_state_events: bool = Field(default=False, description="an event for each change of state")
    emit_debug_events: bool = Field(default=False, description="an event for each call of a hook")
    max_events_per_second: Annotated[int | None, High(100_000)] = Field(
        default=None, ge=1, description="rate limit; unset: none"
    )
    filtering: EventFiltering = subtable("which events are let in")
    export: EventExport = subtable("where events go")
