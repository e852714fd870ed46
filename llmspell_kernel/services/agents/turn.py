"""One turn: the model is asked, the tools that it calls are done and told, until it answers or a limit is reached.

Nothing is remembered here: a turn that was done says what is to be. Knows neither requests nor senders.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import fields, replace

from llmspell_kernel.services.agents.agent import BASIC_MODEL, Agent
from llmspell_kernel.services.agents.called_tools import CalledTools
from llmspell_kernel.services.agents.chats import Chats, together
from llmspell_kernel.services.agents.conversation import Conversation, newest, newest_tokens
from llmspell_kernel.services.agents.dialects import Dialect, Native, Plain, Schema, WithoutTools, with_ids
from llmspell_kernel.services.agents.shortening import shortened
from llmspell_kernel.services.agents.summary import summary_of, with_summary
from llmspell_kernel.services.agents.tool_names import OfferedTools
from llmspell_kernel.services.agents.toolbox import Toolbox
from llmspell_kernel.services.agents.turn_result import OnChunk, TurnResult
from llmspell_protocol.areas.agent import AgentExecute, Limit
from llmspell_protocol.errors import ContextLengthExceeded, LlmspellError, SchemaViolation, Unsupported
from llmspell_protocol.models import (
    CalledTool,
    ChatChunk,
    ChatMessage,
    ChatRequest,
    ChatResult,
    SamplingOptions,
    Timings,
    ToolEvent,
    Usage,
)
from llmspell_providers.token_estimate import estimated_tokens

MOST_FAILED_REPLIES = 3
"""Replies in a row whose calls may all fail: a small model repeats a call that can't be done for as long as it may."""


class Turn:
    """One turn of an agent; `run` once."""

    def __init__(
        self,
        agent: Agent,
        wanted: AgentExecute,
        *,
        chats: Chats,
        toolbox: Toolbox,
        client: str,
        on_chunk: OnChunk,
        conversation: Conversation,
        message: ChatMessage | None = None,
    ) -> None:
        self._agent = agent
        self._conversation = conversation
        self._wanted = wanted
        self._chats = chats
        self._toolbox = toolbox
        self._client = client
        self._on_chunk = on_chunk
        self._message = message or ChatMessage(role="user", content=_user_text(wanted), images=tuple(wanted.images))
        self._said: list[ChatMessage] = []
        self._results: list[ChatResult] = []
        self._asked_before = 0
        """Replies that were summaries."""
        self._calls: CalledTools | None = None
        self._ids: set[str] = set()
        self._dialect: Dialect = WithoutTools()
        self._kept: list[ChatMessage] = []
        self._summary = conversation.summary
        self._is_bounded = False
        """Whether the budget, and not the agent's `max_tokens`, is what bounds the reply."""
        self.limit: Limit | None = None

    @property
    def has_replies(self) -> bool:
        """Whether the model has finished a reply to the user's message."""
        return len(self._results) > self._asked_before

    @property
    def said(self) -> Sequence[ChatMessage]:
        """What the turn adds to the conversation behind the user's message: calls, their results, the answer last."""
        return tuple(self._said)

    @property
    def listed(self) -> Sequence[CalledTool]:
        """The calls so far."""
        return () if self._calls is None else self._calls.listed(self.limit)

    async def run(self, deadline: asyncio.Timeout) -> None:
        """Asks until there is an answer or a limit is reached; raises what the model's backend raises.

        The turn is inside `deadline`, which is put off by the time that a person takes to answer.
        """
        self._deadline = deadline
        if self._agent.type == BASIC_MODEL:
            self._results.append(_echo(self._message.content, self._on_chunk))
            self._kept = list(self._conversation.messages)
            self._said.append(self._results[-1].message)
            return
        await self._take_tools()
        await self._fit_conversation()
        try:
            await self._loop()
        except ContextLengthExceeded as error:
            if not self._kept:
                raise
            raise _no_longer_fits(self._agent.name, error) from error

    def result(self) -> TurnResult:
        """What the turn gave, after `run`, or after a limit has ended it."""
        result = together(self._results)
        # Half a call is no text, and neither is a summary.
        nothing = ChatMessage(role="assistant")
        last = result.message if self.has_replies and self._dialect.streams else nothing
        said = next((message for message in reversed(self._said) if message.role == "assistant"), last)
        return TurnResult(
            result=replace(result, message=replace(said, tool_calls=())),
            tool_calls=self.listed,
            tool_mode=None if self._calls is None else self._dialect.mode,
            limit=self.limit,
            dropped=len(self._conversation.messages) - len(self._kept),
            summarized=bool(self._summary),
        )

    def remember(self) -> int:
        """Adds the turn to the conversation; returns how many messages that pushed out."""
        conversation, most = self._conversation, self._agent.max_conversation_length
        # Reasoning is for the reader; models are not trained to see that of earlier turns again.
        # Images are of their turn alone: a conversation is text, in memory and on disk.
        turn = [replace(self._message, images=()), *(replace(message, reasoning=None) for message in self._said)]
        too_long = len(turn) > most >= 2
        whole = [*self._kept, *([turn[0], turn[-1]] if too_long else turn)]
        # What will be summarized goes when the model is asked next.
        conversation.messages = whole if self._agent.summarize else newest(whole, most)
        conversation.summary = self._summary
        return len(self._kept) + len(turn) - len(conversation.messages)

    async def _take_tools(self) -> None:
        agent = self._agent
        if not agent.tools:
            return
        offered = OfferedTools([await self._toolbox.find(name) for name in dict.fromkeys(agent.tools)])
        self._calls = CalledTools(
            offered,
            self._toolbox,
            agent=agent.name,
            most=agent.max_tool_calls,
            waiting=self._clock_stands,
            fits=self._chats.demand_fit,
            on_event=self._tell,
        )
        self._offered = offered
        uses_schema = agent.tool_mode == "schema" or (agent.tool_mode == "auto" and agent.lacks_calls)
        self._dialect = Schema(offered, agent.schema) if uses_schema else Native(offered)

    async def _fit_conversation(self) -> None:
        """Leaves out what the prompt has no room for, oldest first; the system prompt stays."""
        agent = self._agent
        before = self._conversation.messages
        kept = newest(before, agent.max_conversation_length - 1)
        if agent.max_conversation_tokens is not None:
            kept = await newest_tokens(kept, agent.max_conversation_tokens, self._count)
        gone = before[: len(before) - len(kept)]
        if gone and agent.summarize:
            request = self._request(summary_of(self._summary, gone))
            result = await self._ask(replace(request, schema=None, stream=False), is_shown=False)
            self._summary = result.message.content.strip()
            self._asked_before = 1
        self._kept = kept

    async def _count(self, text: str) -> int:
        try:
            return len(await self._chats.tokenize(self._agent.model, text))
        except Unsupported:
            return estimated_tokens(text)  # The field's description says so.

    async def _loop(self) -> None:
        failed_replies = 0
        while True:
            message = await self._next()
            if message is None:
                return
            if not message.tool_calls:
                self._said.append(message)
                return
            assert self._calls is not None
            message = replace(message, tool_calls=with_ids(message.tool_calls, self._ids))
            told = await self._calls.run(message.tool_calls)
            self._said.append(message)
            self._said += [
                ChatMessage(role="tool", content=text, tool_call_id=call.id, name=call.name)
                for call, text in zip(message.tool_calls, told, strict=True)
            ]
            if self._calls.limit is not None:
                self.limit = self._calls.limit
                return
            failed_replies = failed_replies + 1 if self._calls.all_failed else 0
            if failed_replies == MOST_FAILED_REPLIES:
                await self._answer_without_tools()
                return

    async def _answer_without_tools(self) -> None:
        """Asks for an answer from what there is: the model's calls lead nowhere."""
        is_native = self._dialect.mode == "native"
        self._dialect = Plain() if is_native else Schema(OfferedTools(()), self._agent.schema)
        message = await self._next()
        if message is not None:
            self._said.append(replace(message, tool_calls=()))
            self.limit = "failed_calls"

    async def _next(self) -> ChatMessage | None:
        """The model's next reply as calls or an answer; None where a limit allows no more."""
        if self._spent():
            self.limit = "max_tokens_total"
            return None
        try:
            result = await self._asked_either_way()
        except SchemaViolation as error:
            if not self._is_bounded or error.details.get("finish_reason") != "length":
                raise
            self.limit = "max_tokens_total"
            if self._results:
                return None
            # There is no reply whose figures the turn could have.
            error.hint, error.details["limit"] = "raise max_tokens_total", self.limit
            raise
        if self._is_bounded and result.finish_reason == "length":
            self.limit = "max_tokens_total"
            return None
        message = self._dialect.read(result.message)
        if message.tool_calls or not self._needs_schema():
            if not message.tool_calls and not self._dialect.streams:
                self._on_chunk(ChatChunk(text=message.content))
            return message
        # The calls are done; now the answer in its form.
        self._dialect = Plain()
        return await self._next()

    async def _asked_either_way(self) -> ChatResult:
        """A reply; a model that turns out to have no place for tools is asked by a schema from here on."""
        try:
            return await self._asked()
        except Unsupported as error:
            is_open = self._agent.tool_mode == "auto" and isinstance(self._dialect, Native)
            if not is_open or error.details.get("operation") != "tools":
                raise
        self._agent.lacks_calls = True
        self._dialect = Schema(self._offered, self._agent.schema)
        return await self._asked()

    def _needs_schema(self) -> bool:
        """Whether the answer has been asked for without the schema that it has to fit."""
        return self._agent.schema is not None and isinstance(self._dialect, Native)

    async def _asked(self) -> ChatResult:
        """A reply to everything so far; results of tools that do not fit are shortened."""
        while True:
            request = self._dialect.request(self._request(self._prompt()))
            is_shown = self._dialect.streams and not self._needs_schema()
            try:
                return await self._ask(request, is_shown=is_shown)
            except ContextLengthExceeded as error:
                shorter = shortened(self._said, error)
                if shorter is None:
                    raise
                self._said = shorter

    async def _ask(self, request: ChatRequest, *, is_shown: bool) -> ChatResult:
        async with aclosing(self._chats.chat(request, client=self._client)) as chunks:
            async for chunk in chunks:
                if chunk.result is not None:
                    self._results.append(chunk.result)
                    return chunk.result
                self._on_chunk(chunk if is_shown else replace(chunk, text="", tool_calls=()))
        raise AssertionError(f"the answer of {self._agent.model} ended without a result")

    def _prompt(self) -> list[ChatMessage]:
        system_prompt = with_summary(self._agent.system_prompt, self._summary)
        system = [ChatMessage(role="system", content=system_prompt)] if system_prompt else []
        return [*system, *self._kept, self._message, *self._said]

    def _request(self, messages: Sequence[ChatMessage]) -> ChatRequest:
        agent = self._agent
        options = merged(agent.options, self._wanted.options)
        left = self._left()
        self._is_bounded = left is not None and (options.max_tokens is None or options.max_tokens > left)
        if left is not None and self._is_bounded:
            options = replace(options, max_tokens=max(1, left))
        return ChatRequest(
            model=agent.model,
            messages=messages,
            schema=agent.schema,
            options=options,
            stream=self._wanted.stream,
            device=agent.device,
            speculation=agent.speculation,
            think=agent.think,
        )

    def _left(self) -> int | None:
        """Tokens that the turn may still take; None: as many as it wants."""
        most = self._agent.max_tokens_total
        if most is None:
            return None
        return most - sum(one.usage.prompt_tokens + one.usage.completion_tokens for one in self._results)

    def _spent(self) -> bool:
        """Whether the next prompt alone, which repeats the last one and its reply, is more than is left."""
        left = self._left()
        if left is None or not self._results:
            return False
        last = self._results[-1].usage
        return left <= last.prompt_tokens + last.completion_tokens

    @contextmanager
    def _clock_stands(self) -> Iterator[None]:
        when, clock = self._deadline.when(), asyncio.get_running_loop().time
        began = clock()
        self._deadline.reschedule(None)
        try:
            yield
        finally:
            self._deadline.reschedule(None if when is None else when + clock() - began)

    def _tell(self, event: ToolEvent) -> None:
        self._on_chunk(ChatChunk(tool=event))


def merged(base: SamplingOptions, over: SamplingOptions) -> SamplingOptions:
    """The options of `base` with those in their place that `over` has."""
    given = {item.name: getattr(over, item.name) for item in fields(over) if getattr(over, item.name) is not None}
    return replace(base, **given)


def _user_text(wanted: AgentExecute) -> str:
    blocks = [wanted.input]
    for title, values in (("Parameters", wanted.parameters), ("Context", wanted.context)):
        if values:
            lines = (f"- {key}: {_readable(value)}" for key, value in values.items())
            blocks.append("\n".join((f"{title}:", *lines)))
    return "\n\n".join(blocks)


def _readable(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _echo(text: str, on_chunk: OnChunk) -> ChatResult:
    on_chunk(ChatChunk(text=text))
    return ChatResult(
        message=ChatMessage(role="assistant", content=text),
        finish_reason="stop",
        usage=Usage(),
        timings=Timings(),
        model=BASIC_MODEL,
        backend=BASIC_MODEL,
    )


def _no_longer_fits(name: str, error: ContextLengthExceeded) -> LlmspellError:
    num_ctx = error.details.get("num_ctx")
    return ContextLengthExceeded(
        f"The conversation of agent '{name}' no longer fits: {error.message}",
        hint="clear the agent's history, or give it a smaller max_conversation_length"
        + (f", or a larger context: num_ctx = {num_ctx}" if num_ctx is not None else ""),
        details=error.details,
    )
