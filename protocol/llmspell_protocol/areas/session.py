"""`session_request`: what was asked and answered, kept by sessions: listed, shown, searched, replayed, deleted.

Which session a request is recorded in says `metadata.llmspell.session`. A session is named by its id, the beginning of
one, or its name; times are UTC, ISO 8601.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from llmspell_protocol.areas.action import Action, Empty
from llmspell_protocol.models import ChatMessage, between
from llmspell_protocol.numbers import INT32_HIGH
from llmspell_protocol.structs import Struct

SessionStatus = Literal["active", "suspended", "completed", "failed"]
SessionKind = Literal["script", "chat", "notebook", "other"]
ReplayMode = Literal["exact", "modified", "simulate", "debug"]
StepOutcome = Literal["same", "differs", "done", "recorded", "failed", "simulated", "skipped"]
"""Of a replayed step; `done` is one whose answer wasn't compared, `recorded` one that has nothing to be run again: its
answer is the recorded one."""


class SessionCreate(Struct):
    """A new session; without a name it is called after its id."""

    name: str | None = None
    description: str | None = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    """the session that it goes on from"""


class SessionList(Struct):
    """Sessions, the last used first."""

    status: SessionStatus | None = None
    tags: Sequence[str] = ()
    """only those that have all of these"""
    kind: SessionKind | None = None
    limit: int | None = between(1, INT32_HIGH)


class SessionNamed(Struct):
    """A request about one session."""

    session: str


class SessionShow(Struct):
    """One session, with as many of its steps as a message holds, those behind `after`; with none where `steps` is
    false."""

    session: str
    steps: bool = True
    after: str | None = None
    """the step before them, as `2.1`"""


class SessionDelete(Struct):
    """One session, or all."""

    session: str | None = None
    all: bool = False


class SessionSearch(Struct):
    """Words that all stand in what was asked or answered."""

    query: str
    limit: int = 20


class SessionUse(Struct):
    """Where the script's requests are recorded from here on; null: where they were before."""

    session: str | None = None


class Modification(Struct):
    """A value in place of a recorded one: `options.temperature`, `messages.1.content`; with a step in front
    (`2.options.seed`, `2.1.parameters.input`) in that step and what came of it alone."""

    path: str
    value: Any
    enabled: bool = True


class SessionReplay(Struct):
    """A session's steps asked again.

    `exact`: models and tools answer what was recorded. `modified`: the same, but what `modifications` change, and what
    comes of it, is really asked. `simulate` asks nothing. `debug` is `exact`, and a person at the client says before
    each step that it may go on (`allow_stdin`).
    """

    session: str
    mode: str = "exact"
    """`exact`, `modified`, `simulate`, `debug`"""
    from_step: int | None = None
    to_step: int | None = None
    compare_results: bool = True
    stop_on_error: bool = False
    timeout_seconds: float = 300.0
    modifications: Sequence[Modification] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    allow_stdin: bool = False
    limit: int = 500
    """so many steps at most, 1 to 1000; the reply says where the next ones begin"""


class SessionSummary(Struct):
    """One session in a list."""

    id: str
    name: str
    kind: SessionKind
    status: SessionStatus
    created_at: str
    last_activity: str
    steps: int
    """requests of clients, without those that came of them"""
    artifacts: int
    tags: Sequence[str]


class SessionDetails(SessionSummary):
    """Everything about one session."""

    description: str
    parent_session_id: str | None
    metadata: Mapping[str, Any]
    place: str
    """the file that it is kept in, or `memory`"""
    size_bytes: int
    prompt_tokens: int
    completion_tokens: int
    dropped: int
    """steps that are not recorded, since too many came at once"""


class SessionStep(Struct):
    """One request and its answer, as people read it; or a part of one, as a turn of an agent's model is."""

    step: str
    """`2`, `2.1` for what came of it, and `2.1.1` for what came of that"""
    step_name: str | None
    """of the workflow's step that it is; with its branch in front: `left/fetch`, its round behind: `fetch [2]`"""
    is_part: bool
    """whether it is part of the step above, and no request"""
    timestamp: str
    action: str
    """`execute`, `model chat`, `tool invoke`; `workflow step` is a function of a script's"""
    details: str
    """the script's, model's or tool's name"""
    status: Literal["ok", "error", "running"]
    asked: str
    answered: str
    error: str | None
    duration_ms: float | None
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None


class ArtifactLine(Struct):
    """An artifact in the list of its session's."""

    id: str
    """`artifact get` knows it by this, its number in the session"""
    type: str
    name: str
    created_at: str
    size_bytes: int


class SessionReply(Struct):
    """The session that was made or changed."""

    session: SessionDetails


class SessionListReply(Struct):
    """Sessions."""

    sessions: Sequence[SessionSummary]
    count: int
    enabled: bool
    """whether everything is recorded; a request that names a session is in any case"""
    place: str
    """where what no request has named is kept: the file, or `memory`"""
    file: str
    """where sessions are kept that requests name"""


class SessionShowReply(Struct):
    """A session with some of its steps; `after` is where the next ones begin, null: these are the last, and its
    artifacts are there."""

    session: SessionDetails
    steps: Sequence[SessionStep]
    artifacts: Sequence[ArtifactLine]
    after: str | None


class SessionConversationReply(Struct):
    """What a conversation needs to go on: that of the last model that was talked to."""

    session: SessionDetails
    model: str | None
    system: str | None
    messages: Sequence[ChatMessage]
    options: Mapping[str, Any]
    tools: Sequence[str]
    left_out: Sequence[str]
    """the steps after it that can't be read: what was asked in them was refused"""


class SessionDeleteReply(Struct):
    """The ids of the sessions that are gone."""

    deleted: Sequence[str]


class SessionMatch(Struct):
    """A step in which the words stand."""

    session: str
    name: str
    step: str
    timestamp: str
    text: str
    """around the words, which stand between `[` and `]`"""


class SessionSearchReply(Struct):
    """The best matches first."""

    matches: Sequence[SessionMatch]
    query: str
    count: int


class SessionUseReply(Struct):
    """Where the script's requests are recorded; null: in no session of its own choice."""

    session: str | None


class SessionReplayableReply(Struct):
    """What could be replayed."""

    session_id: str
    can_replay: bool
    total_steps: int
    first_timestamp: str | None
    last_timestamp: str | None
    total_duration_ms: float


class Difference(Struct):
    """Where two answers, or two requests, differ."""

    path: str
    description: str


class ReplayedStep(Struct):
    """What came of one step; `served` are the recorded answers that were given to it."""

    step: str
    action: str
    details: str
    asked: str
    """as of a step that is shown; of a long text the beginning"""
    answered: str
    """what it answers now, else what it answered"""
    status: StepOutcome
    duration_ms: float
    same: bool | None
    differences: Sequence[Difference]
    asked_otherwise: Sequence[Difference]
    """what the step asked for that was not recorded so"""
    served: int
    error: str | None


class SessionReplayReply(Struct):
    """A replay, or some steps of one; its `outcome` is `failed` where one of these is."""

    session_id: str
    correlation_id: str
    replay_mode: ReplayMode
    start_time: str
    total_duration_ms: float
    from_step: int | None
    to_step: int | None
    steps: Sequence[ReplayedStep]
    outcome: Literal["completed", "failed"]
    successful_replays: int
    failed_replays: int
    metadata: Mapping[str, Any]
    next: int | None
    """the step that another request goes on from (`from_step`), null: these were the last that were wanted"""


_ONE = {"session": "notes"}

ACTIONS: Mapping[str, Action] = {
    "list": Action(SessionList, SessionListReply, right="execute", example={"status": "active"}, looks=True),
    "create": Action(SessionCreate, SessionReply, right="execute", example={"name": "notes", "tags": ["work"]}),
    "show": Action(SessionShow, SessionShowReply, right="execute", example=_ONE, looks=True),
    "conversation": Action(SessionNamed, SessionConversationReply, right="execute", example=_ONE, looks=True),
    "search": Action(SessionSearch, SessionSearchReply, right="execute", example={"query": "paris"}, looks=True),
    "replayable": Action(SessionNamed, SessionReplayableReply, right="execute", example=_ONE, looks=True),
    "use": Action(SessionUse, SessionUseReply, right="execute", example=_ONE, from_scripts=True),
    "current": Action(Empty, SessionUseReply, right="execute", example={}, from_scripts=True),
    "replay": Action(
        SessionReplay,
        SessionReplayReply,
        right="execute",
        example={**_ONE, "mode": "simulate"},
        progress=(ReplayedStep,),
    ),
    "save": Action(SessionNamed, SessionReply, right="execute", example=_ONE),
    "suspend": Action(SessionNamed, SessionReply, right="execute", example=_ONE),
    "resume": Action(SessionNamed, SessionReply, right="execute", example=_ONE),
    "complete": Action(SessionNamed, SessionReply, right="execute", example=_ONE),
    "delete": Action(SessionDelete, SessionDeleteReply, right="execute", example=_ONE),
}
