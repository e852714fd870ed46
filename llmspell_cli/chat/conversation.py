"""A conversation with a model as the client keeps it: messages, options, one turn at a time. Knows no terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmspell_cli.endings import Interrupted
from llmspell_cli.json_file import read_json, write_json
from llmspell_cli.session import Content, Session, document
from llmspell_protocol.errors import InvalidRequest

Sampling = dict[str, float | int | list[str]]

SAMPLING: dict[str, type] = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "min_p": float,
    "repeat_penalty": float,
    "seed": int,
    "max_tokens": int,
    "num_ctx": int,
    "num_beams": int,
    "stop": str,
}
"""Options of a turn and the type of each value; `stop` may be given several times."""


class Conversation:
    """Messages so far and how the next reply is made. `model` None is the kernel's default."""

    def __init__(
        self,
        model: str | None,
        *,
        system: str | None = None,
        sampling: Sampling | None = None,
        schema: dict[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.system = system
        self.sampling: Sampling = dict(sampling or {})
        self.schema = schema
        self.messages: list[dict[str, Any]] = []
        self.last: Content | None = None
        """The last whole reply: usage, timings, finish reason."""

    def turn(
        self,
        opened: Session,
        text: str,
        *,
        stream: bool = True,
        timeout_s: float | None = None,
        on_delta: Callable[[Content], None] | None = None,
        on_progress: Callable[[Content], None] | None = None,
    ) -> Content:
        """Sends the text as the user's message and returns the reply, which joins the conversation.

        An interrupted reply joins it as far as it came; where nothing came, and after any other error, the message is
        dropped.

        Raises:
            Interrupted: Ctrl-C.
            LlmspellError: what the kernel answered.
        """
        self.messages.append({"role": "user", "content": text})
        pieces: list[str] = []

        def take(content: Content) -> None:
            pieces.append(content.get("text", ""))
            if on_delta is not None:
                on_delta(content)

        try:
            reply = opened.ask(
                "model_request", self._request(stream), on_delta=take, on_progress=on_progress, timeout_s=timeout_s
            )
        except BaseException as error:
            come = "".join(pieces)
            # An empty reply is not a message; some models' templates and vendors refuse it.
            if come and isinstance(error, Interrupted):
                self.messages.append({"role": "assistant", "content": come})
            else:
                self.messages.pop()
            raise
        self.last = document(reply)
        self.messages.append({"role": "assistant", "content": self.last["message"]["content"]})
        return self.last

    def undo(self) -> str | None:
        """Takes the last exchange back and returns its question; None when there is none."""
        question = None
        while self.messages and question is None:
            message = self.messages.pop()
            question = message["content"] if message["role"] == "user" else None
        return question

    def set(self, name: str, value: str) -> None:
        """Sets one sampling option from its text; without text the option is as the model has it.

        Raises:
            InvalidRequest: unknown, not a number, or out of its range.
        """
        kind = SAMPLING.get(name)
        if kind is None:
            wrong = f"unknown option '{name}'" if name else "name an option"
            raise InvalidRequest(wrong, hint=f"one of {', '.join(SAMPLING)}")
        if not value:
            self.sampling.pop(name, None)
            return
        self.sampling[name] = [value] if kind is str else _in_range(name, value, kind)

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
        state = read_json(path)
        messages, options = state.get("messages"), state.get("options") or {}
        model, system = state.get("model"), state.get("system")
        if (
            not isinstance(messages, list)
            or not all(_is_message(one) for one in messages)
            or not isinstance(options, dict)
            or not isinstance(model, str | None)
            or not isinstance(system, str | None)
        ):
            raise InvalidRequest(f"{path} is no saved conversation", details={"file": path})
        self.messages = messages
        self.model = model or self.model
        self.system = system
        self.sampling = {name: value for name, value in options.items() if name in SAMPLING}

    def _request(self, stream: bool) -> Content:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return {
            "action": "chat",
            "model": self.model or "",
            "messages": [*system, *self.messages],
            "options": self.sampling or None,
            "schema": self.schema,
            "stream": stream,
        }


def _in_range(name: str, value: str, kind: type) -> float | int:
    # Needed by few chats, and a chat's start pays for imports.
    from dataclasses import fields

    from llmspell_protocol.models import SamplingOptions
    from llmspell_protocol.numbers import WrongNumber, demand_range, number, whole

    try:
        wanted = whole(int(value)) if kind is int else number(float(value))
    except ValueError:
        raise InvalidRequest(f"{name} is a number, not '{value}'") from None
    try:
        demand_range(wanted, *next(one for one in fields(SamplingOptions) if one.name == name).metadata["range"])
    except WrongNumber as problem:
        raise InvalidRequest(f"{name} {problem}") from None
    return wanted


def _is_message(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("content"), str) and one.get("role") in ("user", "assistant")


def stats_line(reply: Content) -> str:
    """`prompt 24 tokens (0 cached), reply 4 tokens, first token 38 ms, 71.2 tokens/s`."""
    usage, timings = reply["usage"], reply["timings"]
    parts = [
        f"prompt {usage['prompt_tokens']} tokens ({usage['cached_tokens']} cached)",
        f"reply {usage['completion_tokens']} tokens",
    ]
    if timings.get("first_token_ms") is not None:
        parts.append(f"first token {timings['first_token_ms']:.0f} ms")
    if timings.get("tokens_per_second") is not None:
        parts.append(f"{timings['tokens_per_second']:.1f} tokens/s")
    if timings.get("draft_tokens"):
        parts.append(f"{timings['accepted_tokens']} of {timings['draft_tokens']} drafted tokens accepted")
    if reply.get("finish_reason") not in ("stop", None):
        parts.append(f"ended by {reply['finish_reason']}")
    return ", ".join(parts)
