"""Beside dispatch: which requests are recorded in which session, handed to the database's thread without waiting.

A client has one session of its own for its connection where everything is recorded, called after the first request in
it; a request may name another one. What a script asks belongs to what it runs for. Knows requests, no tables.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from llmspell_kernel.request import Content, Request
from llmspell_kernel.services.sessions.reading import kind_of, title_of
from llmspell_kernel.services.sessions.records import PART, Begun, Closed, Ended, Opened, Rested, Target
from llmspell_protocol.areas import AREA_OF, actions

if TYPE_CHECKING:
    from llmspell_kernel.services.sessions.writing import Writing

_NEVER = frozenset({"session", "artifact", "event", "hook", "kernel"})
"""Areas whose requests are about sessions, or about the kernel: those of scripts alone are recorded."""
_OF_THE_RECORD = frozenset({"use", "current"})
"""Actions about where requests are recorded; they are no part of what is."""
_BUFFERS_BYTES = 4 << 20
"""Vectors beyond this are not kept."""


class Recorder:
    """Records requests; belongs to the loop. `default` is where sessions are kept that no request has named, or None
    where those are not recorded; `named` where the others are."""

    def __init__(self, default: Callable[[], Writing | None], named: Callable[[], Writing]) -> None:
        self._default = default
        self._named = named
        self._own: dict[str, tuple[Writing, Target]] = {}
        """The session of each client."""
        self._named_by: dict[str, set[tuple[Writing, Target]]] = {}
        """What each client has named."""
        self._chosen: dict[tuple[str, str], tuple[Writing, Target]] = {}
        """What scripts have chosen, by their context and key: clients with different keys may share a context."""

    def begin(self, request: Request) -> Recorded | None:
        """What is to hear of the reply; None: the request isn't recorded."""
        if request.parent is not None:
            return self._below(request, request.parent)
        if not _of_clients(request):
            return None
        place = self._place_of(request)
        return None if place is None else Recorded(request, *place, request.options.metadata())

    def _below(self, request: Request, parent: Request) -> Recorded | None:
        # What a replay asks is no part of any session.
        if not _of_scripts(request) or parent.msg_type == "session_request":
            return None
        above = parent.record
        place = self._chosen_by(request)
        if isinstance(above, Recorded) and above.target.key_id != request.caller.key_id:
            above = None
        if isinstance(above, Recorded) and (place is None or place[1] == above.target):
            return Recorded(request, above.writing, above.target, request.options.metadata(), above)
        # What a script has chosen another session for begins there, and isn't below the script's own step.
        return None if place is None else Recorded(request, *place, request.options.metadata())

    def choose(self, context: str, key_id: str, place: tuple[Writing, Target] | None) -> None:
        """Where the requests that a context makes for a key are recorded from here on; None: where they were before."""
        if place is None:
            self._chosen.pop((context, key_id), None)
        else:
            self._chosen[context, key_id] = place

    def chosen(self, context: str, key_id: str) -> Target | None:
        """What a script has chosen."""
        place = self._chosen.get((context, key_id))
        return None if place is None else place[1]

    def forget(self, owner: str) -> None:
        """A client or script context has ended: its own session is complete."""
        for one in [one for one in self._chosen if one[0] == owner]:
            del self._chosen[one]
        for writing, target in self._named_by.pop(owner, ()):
            writing.put(Rested(target))
        own = self._own.pop(owner, None)
        if own is not None:
            writing, target = own
            writing.put(Closed(target))

    def deleted(self, ids: Collection[str]) -> None:
        """Sessions are gone: what their clients and scripts ask from here on is recorded as if they had none."""
        self._own = {owner: place for owner, place in self._own.items() if place[1].id not in ids}
        self._chosen = {owner: place for owner, place in self._chosen.items() if place[1].id not in ids}

    def close(self) -> None:
        """All clients are gone."""
        for owner in {*self._own, *self._named_by}:
            self.forget(owner)

    def _chosen_by(self, request: Request) -> tuple[Writing, Target] | None:
        context = request.caller.context
        # What is asked about sessions and of the kernel is no part of what a script has chosen a session for.
        if AREA_OF.get(request.msg_type) in _NEVER:
            return None
        return None if context is None else self._chosen.get((context, request.caller.key_id))

    def _place_of(self, request: Request) -> tuple[Writing, Target] | None:
        key_id = request.caller.key_id
        name = request.options.session
        content, options = request.content, request.options.metadata()
        kind = kind_of(request.msg_type, options, content)
        if name is not None:
            place = self._named(), Target(key_id, None, ref=name, name=name, kind=kind)
            self._named_by.setdefault(request.caller.client, set()).add(place)
            return place
        writing = self._default()
        if writing is None:
            return None
        client = request.caller.client
        own = self._own.get(client)
        if own is None or own[0] is not writing:
            title = title_of(request.msg_type, content, options)
            target = Target(key_id, str(uuid.uuid4()), name=title, kind=kind)
            own = self._own[client] = (writing, target)
            writing.put(Opened(target))
        return own


class Recorded:
    """One request that is recorded, until its reply."""

    __slots__ = ("_began", "_dropped", "_request", "step", "target", "writing")

    def __init__(
        self,
        request: Request,
        writing: Writing,
        target: Target,
        options: dict[str, Any],
        above: Recorded | None = None,
    ) -> None:
        self.step = uuid.uuid4().hex
        self.target = target
        self.writing = writing
        self._request: Request | None = request
        self._began = time.monotonic()
        if "env" in options:
            options["env"] = dict.fromkeys(options["env"], "***")
        self._dropped: bool = above is not None and above._dropped
        if self._dropped:
            # Without what it came of it would have no place.
            writing.drop(target)
            return
        parent = None if above is None else above.step
        begun = Begun(
            target, self.step, parent, request.msg_type, request.action, request.content, options, time.time()
        )
        self._dropped = not writing.put(begun)

    def below(self, part: Request, step: str | None) -> Recorded:
        """Begins the record of a part."""
        options = {PART: True} if step is None else {PART: True, "step": step}
        return Recorded(part, self.writing, self.target, options, self)

    def answered(self, content: Content, buffers: Sequence[bytes]) -> None:
        """The request has its reply."""
        request, self._request = self._request, None
        if request is None or self._dropped:
            return
        printed = request.partial.content() if request.msg_type == "execute_request" else {}
        small = sum(map(len, buffers)) <= _BUFFERS_BYTES
        self.writing.put(
            Ended(
                *(self.target, self.step, content, buffers if small else (), printed),
                (time.monotonic() - self._began) * 1000,
            )
        )


def _of_clients(request: Request) -> bool:
    """Whether a client's request is recorded: what takes a while, not what looks something up."""
    if request.msg_type == "execute_request":
        return not request.content.get("silent")
    area = AREA_OF.get(request.msg_type)
    return area is not None and area not in _NEVER and actions(area)[request.action].is_turn


def _of_scripts(request: Request) -> bool:
    """Whether what a script asks is recorded: everything, since a replay answers with it."""
    if request.msg_type not in AREA_OF:
        return False
    return request.msg_type != "session_request" or request.action not in _OF_THE_RECORD
