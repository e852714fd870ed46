"""Values that the agents of one owner share: contexts with parents, and memory by scope. Knows no agent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from llmspell_protocol.areas.agent_contexts import ContextCreate, Inheritance, MemoryScope
from llmspell_protocol.errors import Busy, InvalidRequest, NotFound

MOST = 10_000
"""Contexts, values of one context, and values of shared memory, that an owner may have."""


DEEPEST = 100
"""Contexts that inherit from each other."""


class _Context:
    def __init__(self, data: dict[str, Any], about: Mapping[str, Any], parent: _Context | None = None) -> None:
        self.data = data
        self.about = about
        self.parent = parent
        self.depth: int = 1 if parent is None else parent.depth + 1
        if self.depth > DEEPEST:
            raise InvalidRequest(
                f"more than {DEEPEST} contexts would inherit from each other", hint="make it with inheritance 'copy'"
            )

    def get(self, key: str) -> Any:
        if key in self.data or self.parent is None:
            return self.data.get(key)
        return self.parent.get(key)

    def all(self) -> dict[str, Any]:
        return {**(self.parent.all() if self.parent else {}), **self.data}


class SharedData:
    """Contexts and shared memory of all owners; belongs to the loop."""

    def __init__(self) -> None:
        self._contexts: dict[str, dict[str, _Context]] = {}
        self._memory: dict[str, dict[tuple[str, str, str], Any]] = {}

    def create(self, wanted: ContextCreate, owner: str) -> str:
        """A new context; returns its id.

        Raises:
            NotFound: there is no such parent.
            Busy: the owner has too many.
        """
        own = self._contexts.setdefault(owner, {})
        if len(own) >= MOST:
            raise Busy(f"there are {len(own)} contexts already", hint="remove those that are no longer needed")
        about = {name: getattr(wanted, name) for name in ("conversation_id", "user_id", "session_id", "scope")}
        id = wanted.context or f"context_{os.urandom(8).hex()}"
        own[id] = self._made(wanted, None if wanted.parent is None else self._find(wanted.parent, owner), about)
        return id

    def set(self, id: str, key: str, value: Any, owner: str) -> None:
        """Puts a value into a context; raises `Busy` where it has too many."""
        data = self._find(id, owner).data
        if len(data) >= MOST and key not in data:
            raise Busy(f"context '{id}' has {len(data)} values already", hint="begin another context")
        data[key] = value

    def get(self, id: str, key: str, owner: str) -> Any:
        """A context's value, or where it inherits its parent's; None where there is none."""
        return self._find(id, owner).get(key)

    def all(self, id: str, owner: str) -> Mapping[str, Any]:
        """All values of a context, those that it inherits included."""
        return self._find(id, owner).all()

    def remove(self, id: str, owner: str) -> None:
        """Ends a context; those that inherit from it keep its values."""
        self._find(id, owner)
        del self._contexts[owner][id]

    def set_memory(self, scope: MemoryScope, key: str, value: Any, owner: str) -> None:
        """Puts a value into shared memory; raises `Busy` where there are too many."""
        own = self._memory.setdefault(owner, {})
        place = (scope.type, scope.id or "", key)
        if value is None:
            own.pop(place, None)
            return
        if len(own) >= MOST and place not in own:
            raise Busy(f"there are {len(own)} shared values already", hint="set those to nil that are no longer needed")
        own[place] = value

    def get_memory(self, scope: MemoryScope, key: str, owner: str) -> Any:
        """A value of shared memory; None where there is none."""
        return self._memory.get(owner, {}).get((scope.type, scope.id or "", key))

    def forget(self, owner: str) -> None:
        """A client or script context has ended."""
        self._contexts.pop(owner, None)
        self._memory.pop(owner, None)

    def _find(self, id: str, owner: str) -> _Context:
        found = self._contexts.get(owner, {}).get(id)
        if found is None:
            raise NotFound(f"there is no agent context '{id}'", details={"context": id})
        return found

    def _made(self, wanted: ContextCreate, parent: _Context | None, about: Mapping[str, Any]) -> _Context:
        kind: Inheritance = wanted.inheritance
        data = dict(wanted.data)
        if parent is None or kind == "isolate":
            return _Context(data, about)
        if kind == "share":
            parent.data.update(data)
            return _Context(parent.data, about, parent.parent)
        if kind == "copy":
            return _Context({**parent.all(), **data}, about)
        return _Context(data, about, parent)
