"""`agent_request`: conversations that the kernel remembers. An agent belongs to a connection or a script's context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from llmspell_protocol.areas.action import Action, Empty
from llmspell_protocol.areas.agent_contexts import (
    ContextCreate,
    ContextKey,
    ContextNamed,
    ContextReply,
    ContextValue,
    MemoryKey,
    MemoryValue,
    ValueReply,
)
from llmspell_protocol.areas.stream import AgentDelta, LoadingStep, PrefillStep
from llmspell_protocol.areas.tool import ToolProgress
from llmspell_protocol.models import CalledTool, ChatMessage, ChatResult, SamplingOptions, Speculation
from llmspell_protocol.structs import Struct
from llmspell_protocol.tools.description import Category, Level

ToolMode = Literal["auto", "native", "schema"]
"""How a model is given tools: in its template's own way, by a JSON Schema that its replies have to fit, or the first
where the model has it."""
Strategy = Literal["sequential", "parallel", "vote", "custom"]
StateOperation = Literal["show", "initialize", "start", "pause", "resume", "stop", "terminate", "fail", "recover"]
Limit = Literal["max_tool_calls", "max_recursion_depth", "max_execution_time", "max_tokens_total", "failed_calls"]


class AgentCreate(Struct):
    """An agent: a model, a system prompt and a conversation that the kernel remembers.

    `max_conversation_length` is counted in messages; the oldest go first and the system prompt stays. `model` absent:
    the default model of `provider` or, without one, of the default provider. `max_execution_time_s` is the longest that
    one turn may take. `device` and `speculation` are what its model has to be loaded with, as in `ModelLoad`. An agent
    of `type` `basic` needs no model: it answers with its input.

    `tools` are names of tools that its model may call, in one turn at most `max_tool_calls` times; agents that are
    called as tools may call others `max_recursion_depth` levels deep. `max_tokens_total` bounds the tokens of all
    prompts and replies of one turn together, `max_conversation_tokens` those of the conversation that a prompt repeats:
    counted by the model's tokenizer, or about four characters a token where its backend tells none.
    What the conversation loses is put into a few sentences by the model where `summarize` is set.
    """

    name: str | None = None
    type: Literal["llm", "basic"] = "llm"
    model: str | None = None
    provider: str | None = None
    description: str | None = None
    system_prompt: str | None = None
    options: SamplingOptions = field(default_factory=SamplingOptions)
    schema: Mapping[str, Any] | None = None
    device: str | None = None
    speculation: Speculation | None = None
    max_conversation_length: int = 100
    max_conversation_tokens: int | None = None
    summarize: bool = False
    max_execution_time_s: float = 300.0
    max_tokens_total: int | None = None
    tools: Sequence[str] = ()
    tool_mode: ToolMode = "auto"
    max_tool_calls: int = 100
    max_recursion_depth: int = 10


class AgentExecute(Struct):
    """One turn.

    `parameters` and `context` are put below the input as a readable block; `options` go before the agent's own, one
    by one; `remember` false leaves the conversation as it was. `allow_stdin` says that a person at the client answers
    an `input_request`: calls of tools that need a person's word (`tools.approval`) are refused without.
    """

    agent: str
    input: str
    images: Sequence[bytes] = ()
    """what the model is shown beside the text in this turn: whole files, in JSON messages as base64"""
    parameters: Mapping[str, Any] | None = None
    context: Mapping[str, Any] | None = None
    options: SamplingOptions = field(default_factory=SamplingOptions)
    context_id: str | None = None
    """its values stand among those of `context`"""
    stream: bool = True
    remember: bool = True
    allow_stdin: bool = False


class AgentCompose(Struct):
    """An agent that is made of others (ids or names): what it is asked, they answer.

    `sequential`: the answer of one is the next one's input. `parallel`: all answers, one below the other. `vote`: the
    most frequent answer, which has to have `threshold` of the votes (0 to 1) where that is set. `custom`: what the
    function `execute` (`{"$fn": id}`) of a script returns for the input and the agents' names. `fallback_agent`
    answers where the others fail, or their votes are tied.
    """

    name: str
    agents: Sequence[str]
    strategy: Strategy = "sequential"
    description: str | None = None
    execute: Mapping[str, Any] | None = None
    fallback_agent: str | None = None
    threshold: float | None = None
    timeout_ms: float | None = None


class AgentWrap(Struct):
    """An agent as a tool, which its owner's other agents and scripts can call with `text`.

    Each call is a conversation of its own. Without `tool_name` the tool is called like the agent, with `_tool` behind.
    """

    agent: str
    tool_name: str | None = None
    description: str | None = None
    category: Category = "utility"
    security_level: Level = "safe"


class AgentState(Struct):
    """A step of an agent's states, or (`show`) none: it only tells. `reason` of `fail` is the error."""

    agent: str
    operation: StateOperation = "show"
    reason: str | None = None


class AgentAnswer(Struct):
    """One turn with tools over a conversation that the client keeps: no agent is made, and nothing is remembered.

    `messages` end with the one to be answered, a user's; the other fields are those of `create` and `execute`.
    """

    messages: Sequence[ChatMessage]
    tools: Sequence[str]
    model: str | None = None
    options: SamplingOptions = field(default_factory=SamplingOptions)
    schema: Mapping[str, Any] | None = None
    think: bool | None = None
    stream: bool = True
    tool_mode: ToolMode = "auto"
    max_tool_calls: int = 100
    max_execution_time_s: float = 300.0
    max_tokens_total: int | None = None
    allow_stdin: bool = False


class AgentNamed(Struct):
    """A request about one agent, by id or by name."""

    agent: str


class AgentSummary(Struct):
    """One agent; `turns` counts what it was asked, `messages` what it remembers."""

    id: str
    name: str
    type: str
    model: str
    provider: str
    description: str
    turns: int
    messages: int
    busy: bool
    created_at: str


class AgentDetails(AgentSummary):
    """One agent with its settings and its conversation."""

    system_prompt: str
    options: Mapping[str, Any]
    schema: Mapping[str, Any] | None
    device: str | None
    speculation: Speculation | None
    max_conversation_length: int
    max_conversation_tokens: int | None
    summarize: bool
    max_execution_time_s: float
    max_tokens_total: int | None
    tools: Sequence[str]
    tool_mode: ToolMode
    max_tool_calls: int
    max_recursion_depth: int
    history: Sequence[Mapping[str, Any]]
    """`role` and `content` of each message, and `tool_calls` or the tool's `name` where it has some"""
    summary: str | None
    """of what the conversation has lost"""
    members: Sequence[str]
    """ids of the agents that a composite is made of"""


class AgentReply(Struct):
    """The agent that was made or deleted."""

    agent: AgentSummary


class Dropped(Struct):
    """What the conversation lost in this turn."""

    messages: int
    summarized: bool
    """whether the model still reads a summary of them"""


class AgentExecuteReply(ChatResult):
    """One turn's answer; `text` is the message's. `usage` and `timings` are the sums of all that the model was asked.

    A turn that a `limit` ended has no answer, but the last that the model said, and is not remembered; `failed_calls`
    alone has one and is.
    """

    agent: AgentSummary
    text: str
    tool_calls: Sequence[CalledTool] = ()
    """in the order in which the model asked for them"""
    tool_mode: ToolMode | None = None
    """how the model was given its tools: `native` or `schema`"""
    limit: Limit | None = None
    """the limit that ended the turn. `failed_calls`: three replies in a row had no call that succeeded, and the model
    was asked for `text` without tools"""
    dropped: Dropped | None = None


class AgentAnswerReply(ChatResult):
    """The turn's answer, and in `messages` what it adds to the conversation: calls, their results, the answer last."""

    text: str
    messages: Sequence[ChatMessage]
    tool_calls: Sequence[CalledTool] = ()
    tool_mode: ToolMode | None = None
    limit: Limit | None = None


class AgentWrapReply(Struct):
    """The tool's name."""

    tool: str


class AgentTransition(Struct):
    """One change of an agent's state."""

    before: str
    after: str
    timestamp: str
    elapsed_s: float
    """in the state before"""
    reason: str | None


class AgentStateReply(Struct):
    """An agent's state and how it came there."""

    state: str
    """`Uninitialized`, `Initializing`, `Ready`, `Running`, `Paused`, `Terminating`, `Terminated`, `Error`,
    `Recovering`"""
    healthy: bool
    history: Sequence[AgentTransition]
    total_transitions: int
    error_count: int
    recovery_attempts: int
    last_error: str | None
    uptime_s: float
    seconds_in_state: Mapping[str, float]


class AgentMetricsReply(Struct):
    """What an agent was asked and did; averages and rates are null before the first turn has ended."""

    agent_id: str
    requests_total: int
    requests_failed: int
    requests_active: int
    tool_invocations: int
    tool_failures: int
    prompt_tokens: int
    completion_tokens: int
    memory_bytes: int
    """of its conversation, as text"""
    avg_execution_time_ms: float | None
    success_rate: float | None
    """0 to 1"""
    error_rate: float | None


class AgentSavedReply(Struct):
    """Whether there was a saved conversation (`load`, `discard`), and how many messages the agent has now."""

    agent: AgentSummary
    found: bool
    messages: int


class AgentListReply(Struct):
    """The caller's agents, oldest first."""

    agents: Sequence[AgentSummary]
    count: int


class AgentInfoReply(Struct):
    """Everything about one agent."""

    agent: AgentDetails


class AgentResetReply(Struct):
    """The agent, and how many messages it forgot."""

    agent: AgentSummary
    removed: int


_HELPER = {"agent": "helper"}
_CONTEXT = {"context": "notes"}
_MEMORY = {"scope": {"type": "global"}, "key": "found"}

ACTIONS: Mapping[str, Action] = {
    "create": Action(
        AgentCreate,
        AgentReply,
        right="execute",
        example={"name": "helper", "model": "mock/a", "system_prompt": "Be brief.", "options": {"temperature": 0.5}},
    ),
    "execute": Action(
        AgentExecute,
        AgentExecuteReply,
        right="execute",
        example={**_HELPER, "input": "hello", "parameters": {"tone": "kind"}},
        progress=(LoadingStep, PrefillStep, ToolProgress),
        delta=AgentDelta,
    ),
    "answer": Action(
        AgentAnswer,
        AgentAnswerReply,
        right="execute",
        example={"model": "mock/a", "tools": ["calculator"], "messages": [{"role": "user", "content": "hello"}]},
        progress=(LoadingStep, PrefillStep, ToolProgress),
        delta=AgentDelta,
    ),
    "list": Action(Empty, AgentListReply, right="execute", example={}),
    "info": Action(AgentNamed, AgentInfoReply, right="execute", example=_HELPER),
    "reset": Action(AgentNamed, AgentResetReply, right="execute", example=_HELPER),
    "state": Action(AgentState, AgentStateReply, right="execute", example={**_HELPER, "operation": "initialize"}),
    "metrics": Action(AgentNamed, AgentMetricsReply, right="execute", example=_HELPER),
    "save": Action(AgentNamed, AgentSavedReply, right="execute", example=_HELPER),
    "load": Action(AgentNamed, AgentSavedReply, right="execute", example=_HELPER),
    "discard": Action(AgentNamed, AgentSavedReply, right="execute", example=_HELPER),
    "wrap": Action(AgentWrap, AgentWrapReply, right="execute", example=_HELPER),
    "compose": Action(AgentCompose, AgentReply, right="execute", example={"name": "both", "agents": ["helper"]}),
    "context_create": Action(
        ContextCreate, ContextReply, right="execute", example={**_CONTEXT, "data": {"tone": "kind"}}
    ),
    "context_set": Action(ContextValue, ContextReply, right="execute", example={**_CONTEXT, "key": "a", "value": 1}),
    "context_get": Action(ContextKey, ValueReply, right="execute", example={**_CONTEXT, "key": "a"}),
    "context_remove": Action(ContextNamed, ContextReply, right="execute", example=_CONTEXT),
    "memory_set": Action(MemoryValue, ValueReply, right="execute", example={**_MEMORY, "value": [1]}),
    "memory_get": Action(MemoryKey, ValueReply, right="execute", example=_MEMORY),
    "delete": Action(AgentNamed, AgentReply, right="execute", example=_HELPER),
}
