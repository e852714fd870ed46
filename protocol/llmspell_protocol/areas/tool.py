"""`tool_request`: tools that act in the world: those that come with llmspell, of packages, MCP servers and scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from llmspell_protocol.areas.action import Action, Empty
from llmspell_protocol.structs import Struct
from llmspell_protocol.tools.description import Category, Level, Need


class ToolList(Struct):
    """All tools, or those of one category."""

    category: Category | None = None


class ToolSearch(Struct):
    """Words that are looked for in names, keywords and descriptions."""

    query: str
    category: Category | None = None


class ToolNamed(Struct):
    """A request about one tool; case, `_` for `-` and the usual other names don't matter."""

    tool: str


class ToolInvoke(Struct):
    """One call. A context's own tools (of scripts) come before all others."""

    tool: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    allow_stdin: bool = False
    """A person at the client answers where the call lacks a permission."""


class ToolRegister(Struct):
    """A function of a script as a tool, for as long as the script's context lives.

    `execute` stands for the function (`{"$fn": id}`); it gets the parameters and returns the result. `parameters` is
    the JSON Schema of an object.
    """

    name: str
    description: str
    execute: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    category: Category = "utility"
    security_level: Level = "safe"


class ToolSummary(Struct):
    """One tool in a list."""

    name: str
    description: str
    version: str
    category: Category
    security_level: Level
    source: str
    """`builtin`, `plugin PACKAGE`, `script`, `mcp NAME`, `agent`"""
    needs: Sequence[Need]
    """the permissions that a call may need"""


class ToolDetails(ToolSummary):
    """Everything about one tool."""

    parameters: Mapping[str, Any]
    """JSON Schema; `x-also` are a parameter's other names"""
    result: str
    """the shape of what comes back, by operation, in words"""
    keywords: Sequence[str]
    settings: Sequence[str]
    """the tables of `[tools]` that it reads"""
    example: Mapping[str, Any]


class ToolListReply(Struct):
    """Tools by name; `problems` are sources that could not be asked."""

    tools: Sequence[ToolSummary]
    count: int
    category: Category | None = None
    problems: Sequence[str] = ()


class ToolSearchReply(Struct):
    """Tools, the best match first."""

    matches: Sequence[ToolSummary]
    query: str
    count: int


class ToolInfoReply(Struct):
    """One tool."""

    tool: ToolDetails


class ToolProblem(Struct):
    """Why a call that was right could not do what it asked for."""

    message: str
    code: str


class ToolProgress(Struct):
    """How far a call is."""

    message: str
    figures: Mapping[str, Any]


class ToolInvokeReply(Struct):
    """What a call gave. `success` false: the operation itself said no, and `error` why.

    `result` is the operation's result in the tool's shape, `output` its primary value, `text` what a reader or a model
    is shown; `fields` stand beside `result` in the envelope of scripts.
    """

    tool: str
    operation: str
    success: bool
    result: Any
    output: Any
    text: str
    message: str
    error: ToolProblem | None
    metadata: Mapping[str, Any]
    media: Sequence[Mapping[str, Any]]
    fields: Mapping[str, Any]
    duration_ms: float
    """of the tool's own work"""


class ToolTestReply(Struct):
    """Whether a tool's example works; `details` has the call and what it gave."""

    tool: str
    success: bool
    message: str
    details: Mapping[str, Any]


class ToolPermission(Struct):
    """What may be touched of one kind, and where that was allowed."""

    permission: Need
    names: Sequence[str]
    """what the caller's own calls may touch: paths, hosts, programs or variables; `*` is everything of the kind"""
    script_names: Sequence[str]
    """the same of calls that scripts make, and the agents of scripts"""
    setting: str
    """what allows it for every call"""
    flag: str
    """what allows it for one command"""


class ToolPermissionsReply(Struct):
    """What the tools may touch that the caller and its scripts call."""

    permissions: Sequence[ToolPermission]
    approval: str
    """`tools.approval`: the level from which on a model's calls need a person's word"""


class ToolPermit(Struct):
    """A permission that a script lacks by itself: a person is asked for it."""

    permission: Need
    name: str
    """an absolute path, a host or a program"""


class ToolPermitReply(Struct):
    """What the person said."""

    granted: bool


class ToolRegisterReply(Struct):
    """The tool that was registered or taken back."""

    tool: str


_CALCULATOR = {"tool": "calculator"}
_SUM = {**_CALCULATOR, "parameters": {"input": "2 + 3"}}

ACTIONS: Mapping[str, Action] = {
    "list": Action(ToolList, ToolListReply, right="execute", example={"category": "utility"}),
    "search": Action(ToolSearch, ToolSearchReply, right="execute", example={"query": "math"}),
    "info": Action(ToolNamed, ToolInfoReply, right="execute", example=_CALCULATOR),
    "permissions": Action(Empty, ToolPermissionsReply, right="execute", example={}),
    "invoke": Action(ToolInvoke, ToolInvokeReply, right="execute", example=_SUM, progress=(ToolProgress,)),
    "test": Action(ToolNamed, ToolTestReply, right="execute", example=_CALCULATOR, progress=(ToolProgress,)),
    "permit": Action(
        ToolPermit,
        ToolPermitReply,
        right="execute",
        example={"permission": "read", "name": "/etc/hostname"},
        from_scripts=True,
    ),
    "register": Action(
        ToolRegister,
        ToolRegisterReply,
        right="execute",
        example={"name": "double", "description": "Doubles a number.", "execute": {"$fn": 1}},
        from_scripts=True,
    ),
    "unregister": Action(ToolNamed, ToolRegisterReply, right="execute", example={"tool": "double"}, from_scripts=True),
}
