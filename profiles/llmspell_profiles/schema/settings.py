"""The settings schema: one frozen tree, whose fields carry type, default, range and meaning of every key.

Knows neither files nor variables; `loader.py` fills it, everything else only reads it. Tables that a start seldom
needs are in modules of their own, which are imported when they are mentioned or read.
"""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from llmspell_profiles.schema.providers import ProvidersSettings
from llmspell_profiles.schema.table import Field, Later, Table, later_table, rule, subtable
from llmspell_profiles.schema.values import (
    Allows,
    AutoOrSize,
    Before,
    Duration,
    High,
    Idle,
    LogLevel,
    NeedsTrust,
    SecurityLevel,
    Size,
    at_odds,
    auto_or,
    keeping,
    words,
    wrong,
)
from llmspell_protocol.loopback import is_loopback

if TYPE_CHECKING:
    from llmspell_profiles.schema.debug import DebugSettings
    from llmspell_profiles.schema.events import EventsSettings
    from llmspell_profiles.schema.hooks import HooksSettings
    from llmspell_profiles.schema.javascript import JavaScriptSettings
    from llmspell_profiles.schema.mcp import McpSettings
    from llmspell_profiles.schema.rag import RagSettings
    from llmspell_profiles.schema.sessions import SessionsSettings
    from llmspell_profiles.schema.state import StateSettings
    from llmspell_profiles.schema.tools import ToolsSettings
else:
    DebugSettings = Annotated[Any, Later("debug", "DebugSettings")]
    EventsSettings = Annotated[Any, Later("events", "EventsSettings")]
    HooksSettings = Annotated[Any, Later("hooks", "HooksSettings")]
    JavaScriptSettings = Annotated[Any, Later("javascript", "JavaScriptSettings")]
    McpSettings = Annotated[Any, Later("mcp", "McpSettings")]
    RagSettings = Annotated[Any, Later("rag", "RagSettings")]
    SessionsSettings = Annotated[Any, Later("sessions", "SessionsSettings")]
    StateSettings = Annotated[Any, Later("state", "StateSettings")]
    ToolsSettings = Annotated[Any, Later("tools", "ToolsSettings")]

BUILTIN_ENGINES = ("lua", "javascript")
StdlibLevel = Literal["None", "Basic", "Standard", "All"]
Transport = Literal["tcp", "ipc"]
Curve = Literal["auto", "required", "off"]
Hmac = Literal["always"]
LogFormat = Literal["text", "json"]
Autostart = Literal["never", "ask", "always"]


def _engine_name(value: object) -> object:
    if not isinstance(value, str):
        return value
    name = value.casefold()
    return "javascript" if name == "js" else name if name in BUILTIN_ENGINES else value


class LuaSettings(Table):
    """`[engines.lua]`"""

    stdlib: Annotated[StdlibLevel, words(StdlibLevel)] = Field(
        default="Standard", description="how much of Lua's library a script gets; never more than the sandbox permits"
    )
    max_memory_bytes: Annotated[Size, High(1_000_000_000)] = Field(
        default=50_000_000, ge=1, description="memory of one Lua state, in bytes"
    )
    enable_debug: Annotated[bool, Idle()] = Field(default=False, description="line hooks and debug.traceback")
    timeout_ms: Annotated[int, High(300_000)] = Field(
        default=30_000, ge=1, description="time a script may compute without calling out, in milliseconds"
    )
    security_level: Annotated[SecurityLevel, words(SecurityLevel), Idle()] = Field(
        default="Safe", description="sandbox strength"
    )


class EnginesSettings(Table):
    """`[engines]`; a further table is for the engine of that name, from a plug-in."""

    OTHERS: ClassVar[Any] = dict[str, Any]
    FREE_TABLES: ClassVar[bool] = True

    lua: LuaSettings = subtable("the Lua engine")
    javascript: JavaScriptSettings = later_table("the JavaScript engine")

    @property
    def names(self) -> tuple[str, ...]:
        """The engines that have settings: the builtin ones, then the others."""
        return (*BUILTIN_ENGINES, *self.others)


class RuntimeSecuritySettings(Table):
    """`[runtime.security]`"""

    allow_file_access: Annotated[bool, Allows] = Field(
        default=False, description="scripts may write below their own directories too; one run: --allow-write"
    )
    allow_network_access: Annotated[bool, Allows] = Field(
        default=True, description="network tools of scripts reach what tools.http_request allows; not model providers"
    )
    allow_pull_addresses: Annotated[bool, Allows] = Field(
        default=False,
        description="scripts pull models from public https and pypi addresses too; names and hf.co/… they always may",
    )
    allow_process_spawn: Annotated[bool, Allows] = Field(
        default=False, description="scripts may run programs; needs tools.system.allow_process_execution too"
    )
    max_memory_bytes: Annotated[Size, High(2_000_000_000)] = Field(
        default=50_000_000,
        ge=1,
        description="per script, all engines; the smaller of this and the engine's limit holds",
    )
    max_execution_time_ms: int = Field(
        default=300_000, ge=1, description="per script, in milliseconds; the smallest of the time limits holds"
    )


class RuntimeSettings(Table):
    """`[runtime]`"""

    max_concurrent_scripts: Annotated[int, High(100)] = Field(
        default=10, ge=1, description="isolated scripts side by side"
    )
    script_timeout_seconds: Annotated[int, High(3600)] = Field(
        default=300, ge=1, description="wall time of one script, in seconds"
    )
    enable_streaming: Annotated[bool, Idle()] = Field(default=True, description="stream by default")
    log_level: Annotated[LogLevel, words(LogLevel)] = Field(
        default="info", description="the kernel's log; a command shows warnings, and more with --trace"
    )
    security: RuntimeSecuritySettings = subtable("what scripts may do")
    state_persistence: StateSettings = later_table("scripts' state")
    sessions: SessionsSettings = later_table("recorded sessions")


class KernelSecuritySettings(Table):
    """`[kernel.security]`"""

    hmac: Annotated[Hmac, words(Hmac)] = Field(
        default="always", description="messages are signed; there is no way to switch it off"
    )
    curve: Annotated[Curve, words(Curve)] = Field(
        default="auto", description="encryption: auto = on for non-loopback tcp, required = on for every tcp socket"
    )
    allow_remote: Annotated[bool, Allows] = Field(default=False, description="permit a non-loopback host")


class KernelSettings(Table):
    """`[kernel]`"""

    host: Annotated[str, NeedsTrust()] = Field(
        default="127.0.0.1", description="address for tcp; not loopback: needs security.allow_remote"
    )
    port: int = Field(
        default=9555,
        ge=0,
        le=65_531,
        description="shell; iopub, stdin, control, heartbeat follow at +1 to +4; 0 = five consecutive free ports",
    )
    transport: Annotated[Transport, words(Transport)] = Field(default="tcp", description="kind of sockets")
    max_clients: int = Field(default=64, ge=1, description="connected sessions; one more gets busy")
    idle_timeout_seconds: int = Field(
        default=0, ge=0, description="end after this time without client and work, in seconds; 0 = never"
    )
    drain_timeout_seconds: int = Field(
        default=30, ge=0, description="how long running work may finish at shutdown, in seconds"
    )
    log_rotate_size: Size = Field(
        default=10_485_760, ge=1, description="rotate the kernel's log at this size, in bytes"
    )
    log_rotate_count: int = Field(default=5, ge=0, description="rotated, compressed files kept")
    log_format: Annotated[LogFormat, words(LogFormat)] = Field(
        default="text", description="lines of the kernel's log file: for people, or one JSON object each"
    )
    history_cells: Annotated[int, keeping(10_000, or_none=True)] = Field(
        default=10_000,
        ge=0,
        description="cells of notebooks and consoles that are kept of each key, in history.db; 0: none is recorded",
    )
    security: KernelSecuritySettings = subtable("signing, encryption and remote access")

    @rule
    def _remote_is_allowed_and_encrypted(self) -> None:
        if self.security.allow_remote and self.security.curve == "off":
            raise at_odds('"off" is not allowed with allow_remote', "security.curve")
        if self.transport == "tcp" and not self.security.allow_remote and not is_loopback(self.host):
            raise wrong(f"'{self.host}' is not a loopback address; it needs kernel.security.allow_remote", "host")


class ModelsSettings(Table):
    """`[models]`"""

    memory_budget_bytes: Annotated[AutoOrSize, auto_or("a size", at_least=1)] = Field(
        default="auto", description="all loaded models, in bytes; auto = 80 % of what is available at start"
    )
    keep_alive: Duration = Field(
        default=300.0, description="idle time before a model is unloaded, in seconds; 0 = at once, -1 = never"
    )
    max_queue: int = Field(default=512, ge=1, description="waiting requests of a model; one more gets busy")
    pin: tuple[str, ...] = Field(default=(), description="model specs: loaded at start, never evicted")
    embedding: str | None = Field(
        default=None, description="model of `embed` when none is named; unset: an installed embedding model"
    )
    stream_window_ms: Annotated[AutoOrSize, auto_or("an integer", at_most=200)] = Field(
        default="auto",
        description="how long a worker may gather tokens into one delta; auto: 0 with spare cores, 50 without",
    )
    prompt_cache_bytes: Annotated[AutoOrSize, auto_or("a size")] = Field(
        default="auto",
        description="memory per model for finished prompts; auto = a tenth of the budget, at most the weights' size",
    )
    worker_memory_bytes: Annotated[AutoOrSize, auto_or("a size", at_least=1)] = Field(
        default="auto",
        description="memory of one model's process, at most: past it it is ended; auto = what is expected, and slack",
    )


class CliSettings(Table):
    """`[cli]`"""

    connect: Annotated[str, NeedsTrust(lambda value: value == "embedded")] = Field(
        default="auto",
        description="the kernel of commands: auto = the newest that runs, else one of their own; embedded = always one "
        "of their own; else a target as --connect takes it",
    )
    autostart: Annotated[Autostart, words(Autostart)] = Field(
        default="never",
        description="whether chat, embed and model load start a kernel in the background where none runs; ask = at a "
        "terminal",
    )


class Settings(Table):
    """The whole configuration."""

    default_engine: Annotated[str, Before(_engine_name), Idle()] = Field(
        default="lua", description="engine when the command names none"
    )
    extends: str | None = Field(default=None, description="builtin profile that the file is laid over")
    engines: EnginesSettings = subtable("script engines")
    providers: ProvidersSettings = subtable("model providers by name")
    runtime: RuntimeSettings = subtable("running scripts")
    kernel: KernelSettings = subtable("the kernel's sockets and limits")
    models: ModelsSettings = subtable("loaded models")
    cli: CliSettings = subtable("how commands find their kernel")
    hooks: HooksSettings = later_table("hooks")
    events: EventsSettings = later_table("the event bus")
    debug: DebugSettings = later_table("what scripts write while they are debugged")
    tools: ToolsSettings = later_table("what tools may do")
    mcp: McpSettings = later_table("servers that bring tools by the Model Context Protocol")
    rag: RagSettings = later_table("retrieval from documents")

    @rule
    def _default_engine_has_settings(self) -> None:
        if self.default_engine not in self.engines.names:
            listed = ", ".join(self.engines.names)
            raise wrong(f"'{self.default_engine}' is not one of {listed}", "default_engine")
