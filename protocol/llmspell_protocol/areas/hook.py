"""`hook_request`: functions that are called at points of the kernel's work, and what they have counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from llmspell_protocol.areas.action import Action, Empty
from llmspell_protocol.structs import Struct


class HookRegister(Struct):
    """A function of a script that is called at a point, for as long as the script's context lives.

    `execute` stands for the function (`{"$fn": id}`); it gets the point's context and returns what is to become of the
    work.
    """

    point: str
    execute: Mapping[str, Any]
    priority: str = "normal"
    """`highest`, `high`, `normal`, `low` or `lowest`; lower runs later"""
    name: str | None = None
    description: str | None = None
    tags: Sequence[str] = ()


class HookNamed(Struct):
    """A request about one hook of the script's."""

    hook: str


class HookList(Struct):
    """The hooks of all points, or of one; further fields choose among them."""

    point: str | None = None
    language: str | None = None
    priority: str | None = None
    tag: str | None = None


class HookFire(Struct):
    """Reaches a point of the script's own (`custom:NAME`)."""

    point: str
    data: Mapping[str, Any] = field(default_factory=dict)


class HookSummary(Struct):
    """One hook. `failures` are those of all its calls; `enabled` is false once five in a row have switched it off."""

    id: str
    name: str
    hook_point: str
    priority: str
    language: str
    """`lua`, or `native` for a built-in one of the configuration"""
    version: str
    description: str | None
    tags: Sequence[str]
    enabled: bool
    calls: int
    failures: int
    total_ms: float


class HookReply(Struct):
    """The hook that was registered."""

    hook: HookSummary


class HookUnregisterReply(Struct):
    """Whether there was such a hook."""

    removed: bool


class HookListReply(Struct):
    """Hooks by point, in the order in which they are called."""

    hooks: Sequence[HookSummary]
    count: int


class HookFireReply(Struct):
    """What the hooks said: `continue`, `modified`, `skip`, `cancel`, `redirect`, `replace` or `retry`."""

    verdict: str
    data: Any
    """the data as they left it; what replaces it"""
    reason: str


class HookStatsReply(Struct):
    """What was counted: by hook, and by what the built-in hooks count themselves."""

    hooks: Sequence[HookSummary]
    builtin: Mapping[str, Mapping[str, Any]]
    """`metrics`, `cost_tracking`, `caching`, … where the configuration has them"""


ACTIONS: Mapping[str, Action] = {
    "register": Action(
        HookRegister,
        HookReply,
        right="execute",
        example={"point": "BeforeToolExecution", "execute": {"$fn": 1}},
        from_scripts=True,
    ),
    "unregister": Action(HookNamed, HookUnregisterReply, right="execute", example={"hook": "none"}),
    "list": Action(HookList, HookListReply, right="execute", example={}, looks=True),
    "fire": Action(
        HookFire, HookFireReply, right="execute", example={"point": "custom:checkpoint", "data": {"step": 1}}
    ),
    "stats": Action(Empty, HookStatsReply, right="execute", example={}, looks=True),
}
