"""Who has subscribed: the subscriptions of scripts and clients, by id and by whom they belong to. Publishes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.services.correlation import new_id
from llmspell_kernel.services.events.backlog import Backlog
from llmspell_kernel.services.events.sizes import LONGEST_TYPE
from llmspell_kernel.services.events.subscription import Subscription
from llmspell_protocol.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from llmspell_kernel.scripting.contexts import ScriptFunction

MAX_SUBSCRIPTIONS = 1000
"""Subscriptions of one script or client."""


class Subscriptions:
    """The subscriptions of a kernel; belongs to the loop."""

    def __init__(self) -> None:
        self._all: dict[str, Subscription] = {}
        self._backlogs: WeakValueDictionary[str, Backlog] = WeakValueDictionary()
        """By owner, for as long as a subscription of its own has one."""

    def __bool__(self) -> bool:
        return bool(self._all)

    def __iter__(self) -> Iterator[Subscription]:
        return iter(tuple(self._all.values()))

    def add(self, pattern: str, request: Request, *, size: int, function: ScriptFunction | None) -> Subscription:
        """A subscription of the caller's; `size` is the most events that wait.

        Raises:
            InvalidRequest: the pattern is empty or too long, or there are too many.
        """
        if not pattern:
            raise InvalidRequest("Pattern cannot be empty")
        if len(pattern) > LONGEST_TYPE:
            raise InvalidRequest(f"a pattern has at most {LONGEST_TYPE} characters")
        owner = owner_of(request.caller)
        if sum(one.owner == owner for one in self._all.values()) >= MAX_SUBSCRIPTIONS:
            raise InvalidRequest(
                f"there are {MAX_SUBSCRIPTIONS} subscriptions already",
                hint="unsubscribe those that are no longer needed: Event.unsubscribe(id)",
            )
        made = Subscription(
            new_id(),
            pattern,
            owner=owner,
            key_id=request.caller.key_id,
            size=size,
            backlog=self._backlogs.setdefault(owner, Backlog()),
            of_script=request.caller.kind == "script",
            function=function,
        )
        self._all[made.id] = made
        return made

    def find(self, id: str, caller: Caller) -> Subscription:
        """The caller's subscription of this id.

        Raises:
            NotFound: there is none.
        """
        found = self._all.get(id)
        if found is None or found.owner != owner_of(caller):
            raise NotFound(f"No active subscription found: {id:.100}", details={"subscription": id[:100]})
        return found

    def seen_by(self, caller: Caller) -> Sequence[Subscription]:
        """The caller's subscriptions, oldest first; a client's that is no script: those of all with its key."""
        if caller.kind == "script":
            return self.of(owner_of(caller))
        return [one for one in self._all.values() if one.key_id == caller.key_id]

    def of(self, owner: str) -> Sequence[Subscription]:
        """Those of a script context or client, oldest first."""
        return [one for one in self._all.values() if one.owner == owner]

    def remove(self, subscription: Subscription) -> None:
        """It gets no more events."""
        self._all.pop(subscription.id, None)


def owner_of(caller: Caller) -> str:
    """Whom a subscription belongs to, and who publishes: a script's context, else a client."""
    return caller.context or caller.client
