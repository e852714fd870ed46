"""Recorded answers, given in the place of handlers to what a replayed script asks, in the order of the record.

What is asked otherwise than it was recorded is told; whether it is then really asked, or fails, the replay says.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_kernel.request import Handler, Reply, Request
from llmspell_kernel.services.sessions.comparison import differences
from llmspell_kernel.services.sessions.modifications import modified
from llmspell_kernel.services.sessions.steps import Step
from llmspell_profiles.credentials.redaction import Redactor
from llmspell_protocol.areas import AREA_OF
from llmspell_protocol.areas.session import Difference, Modification
from llmspell_protocol.errors import NotFound, error_from_content

_VARIES = frozenset({"seq", "timings", "duration_ms", "execution_time_ms", "usage", "correlation_id"})
"""What is another each time, and says nothing about the answer."""
_MOST_TOLD = 20


class Served:
    """The answers below one step.

    `asks_otherwise`: what has no recorded answer, or is changed, is really asked; and so is what remembers earlier
    requests, an agent for one: those before it may have been changed.
    """

    def __init__(
        self,
        recorded: Sequence[Step],
        *,
        number: int,
        changes: Sequence[Modification],
        redactor: Redactor,
        asks_otherwise: bool,
    ) -> None:
        self.count = 0
        self._left = list(recorded)
        self._number = number
        self._changes = changes
        self._redactor = redactor
        self._asks_otherwise = asks_otherwise
        self._otherwise: list[Difference] = []
        self._chosen: str | None = None
        """The session that the script has chosen: what a replay asks is recorded nowhere, so that this is all of it."""

    async def answer(self, request: Request, handler: Handler) -> Reply:
        """The recorded reply, or what the handler gives.

        Raises:
            NotFound: nothing was recorded that could answer.
            LlmspellError: the recorded error, or the handler's.
        """
        if request.msg_type == "session_request" and request.action in ("use", "current"):
            return self._choice(request)
        asked = self._redactor.value(request.content)
        step = self._taken(request, asked)
        if self._asks_otherwise and not _forgets(request):
            request.content = modified(request.content, self._number, self._changes)
            return await handler(request)
        if step is None:
            return await self._unknown(request, handler, "was not asked when it was recorded")
        changed = modified(request.content, self._number, self._changes)
        if changed != request.content:
            request.content = changed
            return await handler(request)
        found = differences(step.content, asked)
        if found:
            self._tell([Difference(path=f"{step.label}.{one.path}", description=one.description) for one in found])
            if self._asks_otherwise:
                return await handler(request)
        if step.reply is None:
            return await self._unknown(request, handler, "had no answer when it was recorded")
        self.count += 1
        # What came of it comes no more.
        self._left = [one for one in self._left if not one.label.startswith(f"{step.label}.")]
        return _recorded(request, step)

    def _choice(self, request: Request) -> Reply:
        if request.action == "use":
            session = request.content.get("session")
            self._chosen = session if isinstance(session, str) else None
        return Reply({"session": self._chosen})

    def otherwise(self) -> list[Difference]:
        """What was asked otherwise, or not at all."""
        unasked = [
            Difference(path=step.label, description=f"{_name(step.msg_type, step.action)} was not asked again")
            for step in self._left
        ]
        return [*self._otherwise, *unasked][:_MOST_TOLD]

    def _taken(self, request: Request, asked: Mapping[str, Any]) -> Step | None:
        """The step that answers: the next one of this kind that was asked so, else the next one of this kind.

        Scripts ask several things at once, whose order is theirs.
        """
        of_kind = [step for step in self._left if (step.msg_type, step.action) == (request.msg_type, request.action)]
        same = next((step for step in of_kind if not differences(step.content, asked)), None)
        found = same if same is not None else next(iter(of_kind), None)
        if found is not None:
            self._left.remove(found)
        return found

    async def _unknown(self, request: Request, handler: Handler, why: str) -> Reply:
        name = _name(request.msg_type, request.action)
        self._tell([Difference(path=name, description=why)])
        if self._asks_otherwise:
            return await handler(request)
        raise NotFound(f"the replay has no recorded answer: {name} {why}", hint="--mode modified asks it really")

    def _tell(self, found: Sequence[Difference]) -> None:
        self._otherwise = [*self._otherwise, *found][:_MOST_TOLD]


def _forgets(request: Request) -> bool:
    """Whether the answer depends on nothing but the request."""
    return request.msg_type == "model_request" or (request.msg_type, request.action) == ("tool_request", "invoke")


def _recorded(request: Request, step: Step) -> Reply:
    content = {key: value for key, value in (step.reply or {}).items() if key not in ("seq", "printed")}
    if content.get("status") == "error":
        raise error_from_content(content)
    text = content.get("text")
    message = content.get("message")
    if text is None and isinstance(message, Mapping):
        text = message.get("content")
    if isinstance(text, str) and text and request.content.get("stream") is not False and _streams(request):
        request.delta({"text": text})
    content.pop("status", None)
    return Reply(content, [base64.b64decode(one) for one in step.buffers])


def _streams(request: Request) -> bool:
    # The area was imported when the request was dispatched.
    from llmspell_protocol.areas import actions

    return actions(AREA_OF[request.msg_type])[request.action].delta is not None


def without_what_varies(value: Any) -> Any:
    """A reply's content without times and counts."""
    if isinstance(value, Mapping):
        return {key: without_what_varies(one) for key, one in value.items() if key not in _VARIES}
    if isinstance(value, (list, tuple)):
        return [without_what_varies(one) for one in value]
    return value


def _name(msg_type: str, action: str) -> str:
    return f"{msg_type.removesuffix('_request')} {action}".rstrip()
