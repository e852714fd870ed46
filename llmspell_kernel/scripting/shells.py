"""The contexts of one notebook: the main one and its subshells (JEP 91), each with variables and a turn of its own.

Knows no requests: a subshell is named by its id.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from llmspell_kernel.scripting.context import Context
from llmspell_protocol.errors import Busy, NotFound

MOST_SUBSHELLS = 64
"""Each may start a process of its own; JupyterLab makes one for each kind of comm."""


class Shells:
    """A main context and subshells by id, oldest first; `make` gives a new context. Belongs to the loop.

    A subshell lasts until it is deleted or the notebook is restarted, whatever becomes of the client that made it.
    """

    def __init__(self, main: Context, make: Callable[[], Context]) -> None:
        self.main = main
        self._make = make
        self._subshells: dict[str, Context] = {}

    def __iter__(self) -> Iterator[Context]:
        """The main context, then the subshells."""
        yield self.main
        yield from tuple(self._subshells.values())

    @property
    def subshells(self) -> Sequence[str]:
        """The ids of the subshells, oldest first."""
        return tuple(self._subshells)

    def of(self, subshell: str | None) -> Context:
        """The context of a subshell; None is the main one.

        Raises:
            NotFound: there is no such subshell (any more).
        """
        if subshell is None:
            return self.main
        try:
            return self._subshells[subshell]
        except KeyError:
            raise NotFound(
                f"there is no subshell '{subshell[:_SHOWN]}'",
                hint="list_subshell_request tells which there are",
                details={"subshell_id": subshell[:_SHOWN]},
            ) from None

    def create(self) -> str:
        """A new subshell's id; its worker starts when it is first needed.

        Raises:
            Busy: there are too many.
        """
        if len(self._subshells) >= MOST_SUBSHELLS:
            raise Busy(f"there are {MOST_SUBSHELLS} subshells already", hint="delete those that nothing needs any more")
        id = os.urandom(16).hex()
        self._subshells[id] = context = self._make()
        context.has_widgets = self.main.has_widgets
        return id

    def note_widgets(self) -> None:
        """A frontend shows widgets: it has asked for them, through whichever subshell."""
        for context in self:
            context.has_widgets = True

    def delete(self, subshell: str) -> None:
        """Ends a subshell: what runs in it is interrupted, its variables are gone. Raises as `of`."""
        context = self.of(subshell)
        del self._subshells[subshell]
        context.end()

    def interrupt(self) -> bool:
        """Interrupts what runs in any of them; False if nothing does."""
        interrupted = [context.interrupt() for context in self]  # all of them, not up to the first
        return any(interrupted)

    def end(self) -> None:
        """Ends all of them: cells that run or wait are told, variables and counts are gone."""
        for subshell in self.subshells:
            self.delete(subshell)
        self.main.end()


_SHOWN = 64
"""Characters of an id that an error shows."""
