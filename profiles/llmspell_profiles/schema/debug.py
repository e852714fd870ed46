"""The table `[debug]`: the script-side Debug global and what it writes."""

from typing import Annotated, Literal

from llmspell_profiles.schema.table import Field, IdleTable, subtable
from llmspell_profiles.schema.values import FilePath, LogLevel, Names, Size, words

LineFormat = Literal["text", "json", "json_pretty"]
Level = Annotated[LogLevel, words(LogLevel)]


class DebugFile(IdleTable):
    """`[debug.output.file]`"""

    path: FilePath | None = Field(default=None, description="log file")
    append: bool = Field(default=True, description="append")
    max_size: Size | None = Field(default=None, ge=1, description="rotate at this size, in bytes; unset: never")
    max_files: int | None = Field(default=None, ge=1, description="rotated files kept; unset: all")


class DebugBuffer(IdleTable):
    """`[debug.output.buffer]`"""

    enabled: bool = Field(default=True, description="keep entries for scripts to read back")
    max_entries: int = Field(default=10_000, ge=1, description="how many entries")


class DebugOutput(IdleTable):
    """`[debug.output]`"""

    stdout: bool = Field(default=True, description="write to the console (on stderr)")
    colored: bool = Field(default=True, description="colour on a terminal; --no-color and NO_COLOR win")
    format: Annotated[LineFormat, words(LineFormat)] = Field(default="text", description="line format")
    file: DebugFile = subtable("a log file")
    buffer: DebugBuffer = subtable("entries in memory")


class ModuleFilters(IdleTable):
    """`[debug.module_filters]`: globs."""

    enabled: Names = Field(default=(), description="only these modules")
    disabled: Names = Field(default=(), description="never these modules")
    levels: dict[str, Level] = Field(default={}, description="a level of its own, by module")


class DebugPerformance(IdleTable):
    """`[debug.performance]`"""

    enabled: bool = Field(default=False, description="timers")
    auto_report_interval: int = Field(default=0, ge=0, description="periodic report, in seconds; 0 = off")
    include_children: bool = Field(default=True, description="nested timers")
    min_duration_ms: int = Field(default=1, ge=0, description="leave out shorter ones, in milliseconds")


class StackTraces(IdleTable):
    """`[debug.stack_trace]`"""

    enabled: bool = Field(default=False, description="capture stacks")
    on_error: bool = Field(default=True, description="with every error")
    max_depth: int = Field(default=50, ge=1, description="frames")
    include_source: bool = Field(default=True, description="file and line")


class DebugSettings(IdleTable):
    """`[debug]`"""

    enabled: bool = Field(default=False, description="the script-side Debug global")
    level: Level = Field(default="info", description="its level")
    output: DebugOutput = subtable("where entries go")
    module_filters: ModuleFilters = subtable("which modules write")
    performance: DebugPerformance = subtable("timers")
    stack_trace: StackTraces = subtable("stacks in entries")
