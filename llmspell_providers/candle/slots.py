"""Which slot a request gets: the one whose cache holds the beginning of its conversation. Pure bookkeeping.

An engine's own choice goes by the share of the new prompt that a slot has read, so conversations that begin with the
same system prompt push each other out of one slot while the others stay empty. Here a slot is taken over only by its
own conversation, else an empty one is used, else the least recently used.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_REMEMBERED = 64
"""Conversations that lost their slot and may still be in the engine's prompt cache."""


@dataclass(frozen=True, slots=True)
class Talk:
    """A prompt in comparable pieces: what stands before the conversation, and its turns (or a raw prompt's lines)."""

    head: str
    turns: tuple[str, ...]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Talk:
        """The conversation of an OpenAI-style request."""
        if "prompt" in body:
            return cls("", tuple(body["prompt"].splitlines(keepends=True)))
        messages = body["messages"]
        system = "".join(_turn(message) for message in messages if message["role"] == "system")
        turns = tuple(_turn(message) for message in messages if message["role"] != "system")
        return cls(f"{body.get('tools', '')}{system}", turns)

    def answered(self, text: str) -> Talk:
        """The conversation with the assistant's answer."""
        return Talk(self.head, (*self.turns, _turn({"role": "assistant", "content": text})))

    def shared(self, other: Talk) -> float:
        """How much of this conversation, 0 to 1 by its characters, is the beginning of the other one.

        0 where not one turn is shared: the same head alone does not make it the same conversation.
        """
        if self.head != other.head:
            return 0.0
        pairs = zip(self.turns, other.turns, strict=False)
        turns = [one for one, two in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)]
        if not turns:
            return 0.0
        return (len(self.head) + sum(map(len, turns))) / (len(self.head) + sum(map(len, self.turns)))


def _turn(message: Mapping[str, Any]) -> str:
    calls = [call["function"] for call in message.get("tool_calls", ())]
    return f"{message['role']}\n{message['content']}\n{calls or ''}"


@dataclass(slots=True)
class Slot:
    """One slot of the engine; `tokens` counts those in its cache when its conversation was last answered."""

    number: int
    talk: Talk | None = None
    tokens: int = 0
    busy: bool = False
    last_used: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes: `known_tokens` of its prompt should be there already.

    With `saves` the engine must choose (it takes the same slot, the least recently used one): only then does it move
    what the slot holds into its prompt cache, and look there for this conversation.
    """

    slot: Slot
    known_tokens: int
    saves: bool = False


class SlotTable:
    """The slots of one engine; used under one lock by the engine's threads.

    `keeps_evicted` says that the engine has a prompt cache for conversations that lose their slot.
    """

    def __init__(self, count: int, *, keeps_evicted: bool) -> None:
        self.slots = [Slot(number) for number in range(count)]
        self._evicted: deque[tuple[Talk, int]] = deque(maxlen=_REMEMBERED if keeps_evicted else 0)
        self._keeps_evicted = keeps_evicted
        self._clock = 0

    def take(self, talk: Talk) -> Place | None:
        """The place for a conversation, its slot marked busy; None when all are."""
        idle = [slot for slot in self.slots if not slot.busy]
        if not idle:
            return None
        shares = {slot.number: slot.talk.shared(talk) if slot.talk else 0.0 for slot in idle}
        slot = max(idle, key=lambda one: shares[one.number])
        if shares[slot.number] > 0:
            slot.busy = True
            return Place(slot, int(slot.tokens * shares[slot.number]))
        slot = min(idle, key=lambda one: (one.talk is not None, one.last_used))
        slot.busy = True
        if slot.talk is None or not self._keeps_evicted:
            return Place(slot, 0)
        known = max((int(tokens * old.shared(talk)) for old, tokens in self._evicted), default=0)
        self._evicted.append((slot.talk, slot.tokens))
        return Place(slot, known, saves=True)

    def give_back(self, slot: Slot, talk: Talk, tokens: int) -> None:
        """Frees a slot whose cache now holds `tokens` tokens of `talk`."""
        self._clock += 1
        slot.talk, slot.tokens, slot.busy, slot.last_used = talk, tokens, False, self._clock

    def overwrite(self, count: int) -> None:
        """The engine has used its `count` least recently used idle slots for something that leaves no conversation."""
        for slot in sorted((slot for slot in self.slots if not slot.busy), key=lambda slot: slot.last_used)[:count]:
            self._clock += 1
            slot.talk, slot.tokens, slot.last_used = None, 0, self._clock

    def forget_idle(self) -> list[int]:
        """Counts idle slots as empty, and conversations in the engine's prompt cache as gone; returns their numbers."""
        self._evicted.clear()
        idle = [slot for slot in self.slots if not slot.busy]
        for slot in idle:
            slot.talk, slot.tokens = None, 0
        return [slot.number for slot in idle]
