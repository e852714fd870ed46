"""A conversation with a model as the client keeps it: messages, options, one turn at a time. Knows no terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llmspell_cli.chat.tool_use import ToolUse
from llmspell_cli.json_file import read_json, write_json
from llmspell_cli.session import Content, Session, document
from llmspell_cli.terminal.text import short_time
from llmspell_protocol.client.sync import OnInput
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.model_options import option_from_text, unknown_option
from llmspell_protocol.request_options import RequestOptions

MAX_TOOL_CALLS = 25
"""Of one turn of a chat; a small model may call one wrong tool after the other."""

Sampling = dict[str, float | int | list[str]]
Message = dict[str, Any]

UNANSWERED = "unanswered"
"""The key, true, of a message of the user without a reply."""

SAMPLING: dict[str, type] = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "min_p": float,
    "repeat_penalty": float,
    "repeat_last_n": int,
    "seed": int,
    "max_tokens": int,
    "num_ctx": int,
    "num_beams": int,
    "stop": str,
}
"""Options of a turn and the type of each value; `stop` may be given several times."""
USUAL: dict[str, str] = {"temperature": "0.7", "top_p": "0.9", "top_k": "40", "repeat_penalty": "1.1"}
"""What models of candle have where neither the conversation nor the configuration says otherwise."""


class Conversation:
    """Messages so far and how the next reply is made. `model` None is the kernel's default."""

    def __init__(
        self,
        model: str | None,
        *,
        system: str | None = None,
        sampling: Sampling | None = None,
        schema: dict[str, Any] | None = None,
        think: bool | None = None,
        tools: ToolUse | None = None,
    ) -> None:
        self.model = model
        self.system = system
        self.sampling: Sampling = dict(sampling or {})
        self.schema = schema
        self.think = think
        self.tools = ToolUse() if tools is None else tools
        """Tools that the model may call; without any it is asked alone."""
        self.session: str | None = None
        """The session that each turn is recorded in; None leaves that to the kernel."""
        self.messages: list[Message] = []
        self.last: Content | None = None
        """The last whole reply: usage, timings, finish reason."""
        self.unfinished: str | None = None
        """What came of the last reply where it was cancelled or failed; None where it is whole."""

    def turn(
        self,
        opened: Session,
        text: str,
        *,
        images: Sequence[str] = (),
        stream: bool = True,
        timeout_s: float | None = None,
        on_delta: Callable[[Content], None] | None = None,
        on_progress: Callable[[Content], None] | None = None,
        on_input: OnInput | None = None,
    ) -> Content:
        """Sends the text (and `images`, files in base64) as the user's message and returns the reply; both join.

        Of a reply that is cancelled or fails, what has come stays. Where nothing came the message stays alone,
        `unanswered`: later requests leave it out, since templates refuse two messages of one side in a row, and one
        that was too long would be so again.

        With tools, their calls and results join too, before the answer; `on_input` answers questions about them, and
        without it none is asked.

        Raises:
            Interrupted: Ctrl-C.
            LlmspellError: what the kernel answered.
        """
        pieces: list[str] = []

        def take(content: Content) -> None:
            pieces.append(content.get("text", ""))
            if on_delta is not None:
                on_delta(content)

        asked: Message = {"role": "user", "content": text, **({"images": list(images)} if images else {})}
        try:
            if self.tools:
                reply = opened.ask(
                    "agent_request",
                    {**self._request(asked, stream), "action": "answer", **self._tool_fields(on_input)},
                    on_delta=take,
                    on_progress=on_progress,
                    on_input=on_input,
                    request_options=self.tools.request_options(interactive=on_input is not None, session=self.session),
                    timeout_s=timeout_s,
                )
            else:
                reply = opened.ask(
                    "model_request",
                    self._request(asked, stream),
                    on_delta=take,
                    on_progress=on_progress,
                    request_options=_recorded_in(self.session),
                    timeout_s=timeout_s,
                )
        except BaseException:
            come = self.unfinished = "".join(pieces)
            # An empty reply is not a message; some models' templates and vendors refuse it.
            if come.strip():
                self.messages += [asked, {"role": "assistant", "content": come}]
            else:
                self.messages.append({**asked, UNANSWERED: True})
            raise
        self.last, self.unfinished = document(reply), None
        self.messages += [asked, *_remembered(self.last)]
        return self.last

    def retry(self, opened: Session, **settings: Any) -> Content:
        """Answers the message that was typed last again, as `turn` does; where nothing comes, all is as before.

        Raises:
            InvalidRequest: there is none.
            Interrupted, LlmspellError: as `turn`.
        """
        before = list(self.messages)
        asked = self.undo()
        if asked is None:
            raise InvalidRequest("there is no message to answer again")
        try:
            return self.turn(opened, asked["content"], images=asked.get("images", ()), **settings)
        except BaseException:
            if self.messages[-1].get(UNANSWERED):
                self.messages = before
            raise

    def restore(self, messages: list[Message], *, system: str | None, sampling: Sampling) -> None:
        """Goes on behind earlier messages; a system prompt and options that are there already stay.

        A last message of the user's that has no reply is `unanswered`.
        """
        if messages and messages[-1]["role"] == "user":
            messages[-1][UNANSWERED] = True
        self.messages = messages
        self.system = self.system if self.system is not None else system
        self.sampling = {**{name: value for name, value in sampling.items() if name in SAMPLING}, **self.sampling}

    def undo(self) -> Message | None:
        """Takes the last message back, with its reply, and returns it; None when there is none."""
        while self.messages:
            message = self.messages.pop()
            if message["role"] == "user":
                return message
        return None

    @property
    def unanswered(self) -> int:
        """How many messages have no reply."""
        return sum(UNANSWERED in message for message in self.messages)

    def set(self, name: str, value: str) -> None:
        """Sets one sampling option from its text.

        Raises:
            InvalidRequest: unknown, not a number, or out of its range.
        """
        _demand_known(name)
        self.sampling[name] = option_from_text(name, value)

    def unset(self, name: str) -> None:
        """Has one sampling option be as the model has it.

        Raises:
            InvalidRequest: unknown.
        """
        _demand_known(name)
        self.sampling.pop(name, None)

    def option(self, name: str) -> str:
        """A sampling option's value as text; `-` where it is as the model has it.

        Raises:
            InvalidRequest: unknown.
        """
        _demand_known(name)
        value = self.sampling.get(name)
        if value is None:
            return "-"
        return ", ".join(value) if isinstance(value, list) else str(value).removesuffix(".0")

    def save(self, path: str) -> None:
        """Writes the conversation as JSON.

        Raises:
            InvalidRequest: the file can't be written.
        """
        state = {"model": self.model, "system": self.system, "options": self.sampling, "messages": self.messages}
        write_json(path, state)

    def load(self, path: str) -> None:
        """Reads a conversation that `save` wrote; the model stays where the file has none.

        Raises:
            NotFound, InvalidRequest: no such file, or no conversation in it.
        """
        try:
            state = read_json(path)
        except InvalidRequest as error:
            raise InvalidRequest(
                f"{path} is not a saved conversation", hint=error.message, details={"file": path}
            ) from None
        messages, options = state.get("messages"), state.get("options") or {}
        model, system = state.get("model"), state.get("system")
        if (
            not isinstance(messages, list)
            or not all(_is_message(one) for one in messages)
            or not isinstance(options, dict)
            or not isinstance(model, str | None)
            or not isinstance(system, str | None)
        ):
            raise InvalidRequest(f"{path} is not a saved conversation", details={"file": path})
        self.messages = messages
        self.model = model or self.model
        self.system = system
        self.sampling = {name: value for name, value in options.items() if name in SAMPLING}

    def _request(self, asked: Message, stream: bool) -> Content:
        answered = [message for message in self.messages if UNANSWERED not in message]
        system = [{"role": "system", "content": self.system}] if self.system else []
        return {
            "action": "chat",
            "model": self.model or "",
            "messages": [*system, *answered, asked],
            "options": self.sampling or None,
            "schema": self.schema,
            "think": self.think,
            "stream": stream,
        }

    def _tool_fields(self, on_input: OnInput | None) -> Content:
        return {
            "model": self.model or None,
            "tools": self.tools.names,
            "max_tool_calls": MAX_TOOL_CALLS,
            "allow_stdin": on_input is not None,
        }


def _recorded_in(session: str | None) -> RequestOptions | None:
    return None if session is None else RequestOptions(session=session)


def _remembered(reply: Content) -> list[Message]:
    """What a reply adds to the conversation: the answer, and before it calls of tools with their results."""
    if not reply.get("tool_calls"):
        return [{"role": "assistant", "content": reply["message"]["content"]}]
    kept = ("role", "content", "tool_calls", "tool_call_id", "name")
    return [
        {name: message[name] for name in kept if message.get(name)} | _content(message) for message in reply["messages"]
    ]


def _content(message: Message) -> Message:
    return {"content": message.get("content") or ""}


def _demand_known(name: str) -> None:
    if name not in SAMPLING:
        raise unknown_option(name, SAMPLING)


def _is_message(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and isinstance(one.get("content"), str)
        and one.get("role") in ("user", "assistant", "tool")
    )


def stats_line(reply: Content) -> str:
    """`prompt 24 tokens (0 cached), reply 4 tokens, first token 38 ms, 71.2 tokens/s`."""
    usage, timings = reply["usage"], reply["timings"]
    parts = [
        f"prompt {usage['prompt_tokens']} tokens ({usage['cached_tokens']} cached)",
        f"reply {usage['completion_tokens']} tokens",
    ]
    if timings.get("first_token_ms") is not None:
        parts.append(f"first token {short_time(timings['first_token_ms'])}")
    if timings.get("tokens_per_second") is not None:
        parts.append(f"{timings['tokens_per_second']:.1f} tokens/s")
    if timings.get("draft_tokens"):
        parts.append(f"{timings['accepted_tokens']} of {timings['draft_tokens']} drafted tokens accepted")
    if reply.get("finish_reason") not in ("stop", None):
        parts.append(f"ended by {reply['finish_reason']}")
    return ", ".join(parts)
