"""Recorded answers, given in the place of handlers to what a replayed step asks, in the order of the record.

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
from llmspell_kernel.services.sessions.turns import Turns
from llmspell_profiles.credentials.redaction import Redactor
from llmspell_protocol.areas import AREA_OF
from llmspell_protocol.areas.session import Difference, Modification
from llmspell_protocol.errors import NotFound, error_from_content

_MOST_TOLD = 20


class Served:
    """The answers below one step, `label`.

    Each request is answered by a step that stands where it stands: below the step that its parent was found to be.
    `asks_otherwise`: what has no recorded answer, or is changed, is really asked; and so is what remembers earlier
    requests, an agent for one: those before it may have been changed.
    """

    def __init__(
        self,
        recorded: Sequence[Step],
        *,
        label: str,
        changes: Sequence[Modification],
        redactor: Redactor,
        asks_otherwise: bool,
    ) -> None:
        self.count = 0
        self._left = list(recorded)
        self._root = label
        self._labels: dict[Request, str] = {}
        """The steps that requests were found to be."""
        self._has_parts = any(step.is_part for step in recorded)
        """Without, it is of a version that recorded none."""
        self._turns = Turns()
        self._changes = changes
        self._redactor = redactor
        self._asks_otherwise = asks_otherwise
        self._otherwise: list[Difference] = []
        self._chosen: str | None = None
        """The session that the script has chosen: what a replay asks is recorded nowhere, so that this is all of it."""

    @property
    def only_recorded(self) -> bool:
        """Whether nothing is done but what the record can answer."""
        return not self._asks_otherwise

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
            request.content = self._changed(request)
            return await handler(request)
        if step is None:
            return await self._unknown(request, handler, "was not asked when it was recorded")
        changed = self._changed(request)
        if changed != request.content:
            request.content = changed
            return await handler(request)
        found = self._compared(step, asked)
        if found and self._asks_otherwise:
            return await handler(request)
        if step.reply is None:
            return await self._unknown(request, handler, "had no answer when it was recorded")
        self.count += 1
        # What came of it comes no more.
        self._left = [one for one in self._left if not one.label.startswith(f"{step.label}.")]
        if step.is_part:
            await self._turns.wait(step.ended_at)
        return _recorded(request, step)

    async def run(self, part: Request, handler: Handler) -> Reply:
        """The handler's reply; what is asked otherwise is told."""
        asked = self._redactor.value(part.content)
        step = self._taken(part, asked)
        changed = self._changed(part)
        if changed != part.content:
            part.content = changed
        elif step is not None:
            self._compared(step, asked)
        elif self._has_parts:
            self._tell_unknown(part, "was not asked when it was recorded")
        return await handler(part)

    def _compared(self, step: Step, asked: Mapping[str, Any]) -> Sequence[Difference]:
        found = differences(step.content, asked)
        self._tell([Difference(path=f"{step.label}.{one.path}", description=one.description) for one in found])
        return found

    def _changed(self, request: Request) -> dict[str, Any]:
        return modified(request.content, self._labels.get(request) or self._around(request), self._changes)

    def _around(self, request: Request) -> str:
        """The step that a request came of."""
        above = request.parent
        while above is not None:
            if above in self._labels:
                return self._labels[above]
            above = above.parent
        return self._root

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
        """The step that answers: the next one of this kind there that was asked so, else the next one of this kind.

        Scripts ask several things at once, and so do agents and workflows, whose order is theirs.
        """
        around, kind = self._around(request), (request.msg_type, request.action)
        of_kind = [step for step in self._left if step.above == around and (step.msg_type, step.action) == kind]
        same = next((step for step in of_kind if not differences(step.content, asked)), None)
        found = same if same is not None else next(iter(of_kind), None)
        if found is not None:
            self._left.remove(found)
            self._labels[request] = found.label
        return found

    async def _unknown(self, request: Request, handler: Handler, why: str) -> Reply:
        if self._has_parts or request.task is not None:  # What was dispatched is no part.
            self._tell_unknown(request, why)
        if self._asks_otherwise:
            return await handler(request)
        name = _name(request.msg_type, request.action)
        raise NotFound(f"the replay has no recorded answer: {name} {why}", hint="--mode modified asks it really")

    def _tell_unknown(self, request: Request, why: str) -> None:
        self._tell([Difference(path=_name(request.msg_type, request.action), description=why)])

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


def _name(msg_type: str, action: str) -> str:
    return f"{msg_type.removesuffix('_request')} {action}".rstrip()
