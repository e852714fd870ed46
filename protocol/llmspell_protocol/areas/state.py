"""`state_request`: values that outlive the script which has set them, by scope and key.

Values are forms (`kept_values`): exact in either encoding. Clients with different keys see nothing of each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from llmspell_protocol.areas.action import Action, Empty
from llmspell_protocol.structs import Struct

ScopeKind = Literal["all", "user", "session", "agent", "tool", "workflow", "hook", "custom"]


class StatePlace(Struct):
    """One entry: `scope` is `global`, `KIND:ID` (user, session, agent, tool, workflow, hook, custom), `custom`, or any
    other text, which is `custom:TEXT`."""

    key: str
    scope: str = "global"


class StateSet(Struct):
    """A value in the place of what was there.

    `ttl_s` seconds from now it is gone. With `version` it is written only where the entry still has this one (0: where
    there is none); else `conflict`. `keep_ttl`: it is gone when the entry would have been.
    """

    key: str
    value: Any
    scope: str = "global"
    ttl_s: float | None = None
    keep_ttl: bool = False
    version: int | None = None


class StateItem(Struct):
    """A key and its value."""

    key: str
    value: Any
    scope: str | None = None
    """where it is not the request's"""


class StateSetMany(Struct):
    """Several entries in one transaction: all of them or none."""

    entries: Sequence[StateItem]
    scope: str = "global"
    ttl_s: float | None = None


class StateImport(StateSetMany):
    """Entries from elsewhere, in one transaction. Without `merge` they take the place of everything in `scope`, or in
    all scopes of these `kinds`, and in the scopes that they name."""

    merge: bool = False
    kinds: Sequence[ScopeKind] = ()


class StateDelete(StatePlace):
    """An entry's end; with `version` as in `StateSet`."""

    version: int | None = None


class StateSelection(Struct):
    """The entries of a scope, or of all scopes of some kinds."""

    scope: str = "global"
    kinds: Sequence[ScopeKind] = ()


class StateShow(StateSelection):
    """As many of these entries as a message holds, by scope and key: those behind `after`.

    Who asks on gets each entry that stays there once; one that changes meanwhile, as it is when it is read.
    """

    after: StatePlace | None = None


class StateKeys(Struct):
    """As many keys of a scope as a message holds, sorted: those behind `after`."""

    scope: str = "global"
    after: str | None = None


class StateScopes(Struct):
    """As many scopes that have entries as a message holds, sorted: those behind `after`."""

    after: str | None = None


class StateEntry(Struct):
    """One entry. `version` is another after every write, and never one that was there before."""

    scope: str
    key: str
    value: Any
    version: int
    changed_at: str
    expires_at: str | None


class StateKept(Struct):
    """Where this kernel keeps state."""

    backend: Literal["memory", "sqlite"]
    """`memory` ends with the kernel"""
    path: str | None


class StateGetReply(Struct):
    """The entry; None: there is none."""

    entry: StateEntry | None
    kept: StateKept


class StateSetReply(Struct):
    """What was written."""

    version: int


class StateDeleteReply(Struct):
    """Whether there was an entry."""

    deleted: bool


class StateCountReply(Struct):
    """How many entries were written or removed."""

    count: int
    kept: StateKept


class StateShowReply(Struct):
    """Some entries; `after` is where the next ones begin, None: these are the last."""

    entries: Sequence[StateEntry]
    count: int
    after: StatePlace | None
    kept: StateKept


class StateKeysReply(Struct):
    """Some keys, and where the next ones begin."""

    keys: Sequence[str]
    count: int
    after: str | None


class StateScopesReply(Struct):
    """Some scopes, and where the next ones begin."""

    scopes: Sequence[str]
    count: int
    after: str | None


class BackupCreate(Struct):
    """A copy of the whole state of this kernel, as it is at one moment, in a file of its own."""

    name: str | None = None
    """stands in the id: letters, digits, `.`, `_`, `-`"""


class BackupNamed(Struct):
    """A request about one backup."""

    backup: str


class BackupPrune(Struct):
    """Removes the asker's backups that the settings no longer keep; with `dry_run` only tells which."""

    dry_run: bool = False


class StateBackup(Struct):
    """One backup."""

    backup: str
    """its id"""
    created_at: str
    bytes: int
    """of the file"""
    count: int
    """of the asker's entries in it"""
    compression: Literal["zstd", "gzip", "none"]


class BackupReply(Struct):
    """The backup that was made."""

    backup: StateBackup


class BackupsReply(Struct):
    """Backups, the newest first, and the bytes of all."""

    backups: Sequence[StateBackup]
    count: int
    bytes: int


class BackupRestoreReply(Struct):
    """How many entries are there now in the place of those before."""

    backup: str
    count: int


class BackupVerifyReply(Struct):
    """Whether a backup is what was made; `problem` says why not."""

    backup: str
    valid: bool
    problem: str | None


class BackupPruneReply(Struct):
    """What was removed, or would be."""

    removed: Sequence[str]
    kept: int
    bytes: int
    """of what was removed"""


class StateMigrate(Struct):
    """Brings the asker's entries to a version of the schema directory."""

    version: int


class StateMigrateReply(Struct):
    """What was done: nothing where both versions are the same."""

    before: int
    version: int
    changed: int
    """entries"""


class StateSchemaReply(Struct):
    """The version of the asker's entries, and those that there are."""

    current: int
    versions: Sequence[int]
    targets: Sequence[int]
    """those that it can be brought to"""
    enabled: bool


_THEME = {"key": "theme"}

ACTIONS: Mapping[str, Action] = {
    "set": Action(StateSet, StateSetReply, right="execute", example={**_THEME, "value": "dark"}),
    "set_many": Action(
        StateSetMany, StateCountReply, right="execute", example={"entries": [{"key": "visits", "value": 3}]}
    ),
    "get": Action(StatePlace, StateGetReply, right="execute", example=_THEME),
    "keys": Action(StateKeys, StateKeysReply, right="execute", example={}),
    "scopes": Action(StateScopes, StateScopesReply, right="execute", example={}),
    "show": Action(StateShow, StateShowReply, right="execute", example={}),
    "import": Action(
        StateImport,
        StateCountReply,
        right="execute",
        example={"entries": [{**_THEME, "value": "light"}], "merge": True},
    ),
    "backup": Action(BackupCreate, BackupReply, right="execute", example={"name": "example"}),
    "backups": Action(Empty, BackupsReply, right="execute", example={}),
    "restore": Action(BackupNamed, BackupRestoreReply, right="execute", example={"backup": "20260131T101530.123-x"}),
    "verify": Action(BackupNamed, BackupVerifyReply, right="execute", example={"backup": "20260131T101530.123-x"}),
    "prune": Action(BackupPrune, BackupPruneReply, right="execute", example={"dry_run": True}),
    "schema": Action(Empty, StateSchemaReply, right="execute", example={}),
    "migrate": Action(StateMigrate, StateMigrateReply, right="execute", example={"version": 1}),
    "delete": Action(StateDelete, StateDeleteReply, right="execute", example=_THEME),
    "clear": Action(StateSelection, StateCountReply, right="execute", example={"kinds": ["all"]}),
}
