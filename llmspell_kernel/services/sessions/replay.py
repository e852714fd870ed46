"""Recorded steps asked again: what is served from the record, what is really asked, and what comes out otherwise.

A script runs again in a context of its own, without the permissions that it had; a workflow and a turn with tools run
again in their engines. What they ask for is answered with what was recorded. Any other step has its recorded answer.
Knows sessions and requests, no tables.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from llmspell_kernel.request import Content, Request, Submit
from llmspell_kernel.services.sessions.comparison import differences
from llmspell_kernel.services.sessions.modifications import demand_paths, modified
from llmspell_kernel.services.sessions.reading import read
from llmspell_kernel.services.sessions.served import Served
from llmspell_kernel.services.sessions.service import SessionsService
from llmspell_kernel.services.sessions.showing import shown_step
from llmspell_kernel.services.sessions.steps import UNREADABLE, Step
from llmspell_kernel.services.sessions.varying import without_what_varies
from llmspell_kernel.times import time_text
from llmspell_protocol.areas.session import (
    Difference,
    Modification,
    ReplayedStep,
    SessionReplay,
    SessionReplayableReply,
    SessionReplayReply,
)
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.request_options import RequestOptions

log = logging.getLogger(__name__)

MODES = ("exact", "modified", "simulate", "debug")
MOST_STEPS = 1000
"""Of one reply; with its differences each may be some kilobytes."""
_KEPT_OPTIONS = frozenset({"isolated", "shows_value", "name", "args", "engine", "model", "path", "cwd"})
"""Of a recorded request's options what a replay has too; permissions and variables are not among them."""

_UNANSWERED = "had no answer when it was recorded"


@dataclass(slots=True)
class _Outcome:
    """How a step went."""

    content: Mapping[str, Any] | None = None
    served: int = 0
    asked_otherwise: Sequence[Difference] = field(default_factory=list)
    error: str | None = None
    is_recorded: bool = False
    """whether nothing was run: the content is the record's"""


class Replays:
    """Replays sessions; belongs to the loop."""

    def __init__(self, sessions: SessionsService, submit: Submit) -> None:
        self._sessions = sessions
        self._submit = submit

    async def replayable(self, session: str, key_id: str) -> SessionReplayableReply:
        """What there is to be replayed. Raises as `SessionsService.show`."""
        details = await self._sessions.show(session, key_id)
        roots = await self._sessions.times(details.id, key_id)
        return SessionReplayableReply(
            session_id=details.id,
            can_replay=any(has_reply for *_, has_reply in roots),
            total_steps=len(roots),
            first_timestamp=time_text(roots[0][0]) if roots else None,
            last_timestamp=time_text(roots[-1][0]) if roots else None,
            total_duration_ms=sum(duration_ms or 0.0 for _, duration_ms, _ in roots),
        )

    async def replay(self, request: Request, wanted: SessionReplay) -> SessionReplayReply:
        """Replays the steps that are wanted, one after the other; each is told as progress.

        Raises:
            InvalidRequest: an unknown mode, steps that there are not, or paths that lead nowhere.
            SessionNotFound: there is no such session.
            Timeout: it took longer than `timeout_seconds`.
        """
        _demand(wanted)
        key_id = request.caller.key_id
        details = await self._sessions.show(wanted.session, key_id)
        # Of each step only what came of it is read: all of a long session may be more than fits into memory.
        places = await self._sessions.places(details.id, key_id)
        roots = [list(tree) for _, tree in groupby(places, key=lambda place: place.numbers[0])]
        first, last = wanted.from_step or 1, min(wanted.to_step or len(roots), len(roots))
        if roots and first > len(roots):
            raise InvalidRequest(
                f"session '{details.name}' has {len(roots)} steps; there is no step {first}",
                details={"session": details.id, "steps": len(roots)},
            )
        began, started_at = time.monotonic(), time.time()
        replayed: list[ReplayedStep] = []
        end = min(last, first - 1 + wanted.limit)
        following = end + 1 if end < last else None
        for tree in roots[first - 1 : end]:
            root, *below = await self._sessions.steps(details.id, key_id, tree)
            left = wanted.timeout_seconds - (time.monotonic() - began)
            step = await self._step(request, wanted, root, below, left)
            replayed.append(step)
            request.progress(to_content(step))
            if step.status == "failed" and wanted.stop_on_error:
                following = None
                break
        failed = sum(step.status == "failed" for step in replayed)
        return SessionReplayReply(
            session_id=details.id,
            correlation_id=str(uuid.uuid4()),
            replay_mode=wanted.mode,  # type: ignore[arg-type]  # `_demand` has looked
            start_time=time_text(started_at),
            total_duration_ms=round((time.monotonic() - began) * 1000, 3),
            from_step=wanted.from_step,
            to_step=wanted.to_step,
            steps=replayed,
            outcome="failed" if failed else "completed",
            successful_replays=sum(step.status in ("same", "differs", "done", "recorded") for step in replayed),
            failed_replays=failed,
            metadata=wanted.metadata,
            next=following,
        )

    async def _step(
        self, request: Request, wanted: SessionReplay, root: Step, below: Sequence[Step], left_s: float
    ) -> ReplayedStep:
        shown = shown_step(root)
        if wanted.mode == "simulate":
            return _told(root, _Outcome(served=_answers_to(root, below)), 0.0, status="simulated", same=None)
        if wanted.mode == "debug" and wanted.allow_stdin:
            answer = await request.ask_person(
                f"step {root.label}: {shown.action} {shown.details}".rstrip() + " [Enter] "
            )
            if answer is None or answer.strip().lower() in ("s", "skip"):
                return _told(root, _Outcome(), 0.0, status="skipped", same=None)
        began = time.monotonic()
        outcome = await self._run(request, wanted, root, below, left_s)
        duration_ms = (time.monotonic() - began) * 1000
        if outcome.error is not None:
            return _told(root, outcome, duration_ms, status="failed", same=False)
        if outcome.is_recorded:
            return _told(root, outcome, duration_ms, status="recorded", same=None)
        if not wanted.compare_results:
            return _told(root, outcome, duration_ms, status="done", same=None)
        before, now = (without_what_varies(one, root.msg_type) for one in (root.reply, outcome.content))
        found = differences(before, now)
        return _told(root, outcome, duration_ms, status="differs" if found else "same", same=not found, found=found)

    async def _run(
        self, request: Request, wanted: SessionReplay, root: Step, below: Sequence[Step], left_s: float
    ) -> _Outcome:
        changes: Sequence[Modification] = wanted.modifications if wanted.mode == "modified" else ()
        if not root.is_readable:
            return _Outcome(error=UNREADABLE)
        asked = modified(root.content, root.label, changes)
        served = Served(
            below,
            label=root.label,
            changes=changes,
            redactor=self._sessions.redaction(),
            asks_otherwise=wanted.mode == "modified",
        )
        runs_again = _runs_again(root, below)
        if not runs_again and asked == root.content and root.reply is not None:
            # A model's or tool's own step: its answer is what was recorded.
            return _Outcome(content=root.reply, served=1, is_recorded=True)
        if root.msg_type != "execute_request" and root.reply is None and wanted.mode != "modified":
            told = Difference(path=root.label, description=_UNANSWERED)
            return _Outcome(asked_otherwise=[told], error=f"the replay has no recorded answer: it {_UNANSWERED}")
        sink = _Kept()
        again = Request(
            id=f"{request.id}.replay.{root.label}",
            msg_type=root.msg_type,
            content=asked,
            caller=request.caller,
            sink=sink,
            raw_options=_options(root, left_s),
            parent=request,
            header=request.header,
        )
        again.answers = served if runs_again else None
        task = self._submit(again)
        try:
            await asyncio.shield(asyncio.wait((task,)))
        except asyncio.CancelledError:
            again.cancel("the replay was cancelled")
            raise
        content = dict(sink.content)
        if root.msg_type == "execute_request" and (printed := again.partial.content()):
            content["printed"] = printed
        content = self._sessions.redaction().value(content)
        return _Outcome(
            content=content,
            served=served.count,
            asked_otherwise=served.otherwise(),
            error=_error_of(root, content),
        )


class _Kept:
    """A sink that keeps the reply."""

    def __init__(self) -> None:
        self.content: Content = {}

    def progress(self, content: Content) -> None:
        """Is not kept: a replay compares replies."""

    def delta(self, content: Content) -> None:
        """What is printed is kept with the request."""

    def reply(self, content: Content, buffers: Sequence[bytes] = ()) -> None:
        """Keeps the reply."""
        self.content = content

    def publish(
        self, msg_type: str, content: Content, metadata: Content | None = None, buffers: Sequence[bytes] = ()
    ) -> None:
        """It has no frontend."""

    async def ask(self, prompt: str, *, password: bool = False) -> str | None:
        """It has no person to be asked."""
        return None


def _demand(wanted: SessionReplay) -> None:
    if wanted.mode not in MODES:
        raise InvalidRequest(f"Unknown replay mode: {wanted.mode}. Expected: {', '.join(MODES)}")
    for name, number in (("from_step", wanted.from_step), ("to_step", wanted.to_step)):
        if number is not None and number < 1:
            raise InvalidRequest(f"{name} has to be at least 1")
    if not 1 <= wanted.limit <= MOST_STEPS:
        raise InvalidRequest(f"limit has to be 1 to {MOST_STEPS}")
    if not wanted.timeout_seconds > 0:
        raise InvalidRequest("timeout_seconds has to be more than 0")
    if wanted.modifications and wanted.mode != "modified":
        raise InvalidRequest(f"mode {wanted.mode} changes nothing", hint="modifications need mode modified")
    demand_paths(wanted.modifications)


def _options(root: Step, left_s: float) -> dict[str, Any]:
    kept = {name: value for name, value in root.options.items() if name in _KEPT_OPTIONS}
    if root.msg_type == "execute_request":
        # A notebook's cell runs alone too: what earlier cells left is not there.
        kept["isolated"] = True
    options = RequestOptions(**kept, interactive=False, timeout_s=max(left_s, 0.001))
    return options.metadata()


def _runs_again(root: Step, below: Sequence[Step]) -> bool:
    """Whether a step is run again, since what it asks for has answers: a script, and what brings all that its engine
    needs. What an agent remembers, or a workflow that a client has kept, is no part of the record."""
    if root.msg_type == "execute_request":
        return True
    is_whole = (root.msg_type, root.action) == ("agent_request", "answer") or (
        (root.msg_type, root.action) == ("workflow_request", "execute") and root.content.get("definition") is not None
    )
    return is_whole and any(step.is_part for step in below)


def _answers_to(root: Step, below: Sequence[Step]) -> int:
    """How many recorded answers a step that goes as it went is given."""
    if not _runs_again(root, below):
        return 1
    engines = {root.label}
    count = 0
    for step in below:
        if step.above in engines:
            if step.is_part and step.msg_type in ("agent_request", "workflow_request"):
                engines.add(step.label)
            else:
                count += 1
    return count


def _error_of(root: Step, content: Mapping[str, Any]) -> str | None:
    """What went wrong in the replay, where it had not gone wrong in the same way before."""
    now = read(root.msg_type, root.content, root.options, content)
    before = read(root.msg_type, root.content, root.options, root.reply)
    return now.error if now.error != before.error and content.get("status") == "error" else None


_SHOWN = 400
"""Characters of what was asked and answered that a step of a replay shows."""


def _beginning(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _told(
    root: Step,
    outcome: _Outcome,
    duration_ms: float,
    *,
    status: Any,
    same: bool | None,
    found: Sequence[Difference] = (),
) -> ReplayedStep:
    now = root if outcome.content is None else root._replace(reply=outcome.content)
    shown = shown_step(now)
    return ReplayedStep(
        step=root.label,
        action=shown.action,
        details=shown.details,
        asked=_beginning(shown.asked),
        answered=_beginning(shown.answered),
        status=status,
        duration_ms=round(duration_ms, 3),
        same=same,
        differences=found,
        asked_otherwise=outcome.asked_otherwise,
        served=outcome.served,
        error=outcome.error,
    )
