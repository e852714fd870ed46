"""The kernel that a conversation is held with: when it goes, the conversation stays and another takes over.

The same one again if it runs (by its id, with new ports and a new key perhaps), else one of the conversation's own.
Knows sessions, not what is asked in them.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from types import TracebackType

from llmspell_cli.connect import connected, run_directory, session
from llmspell_cli.invocation import EMBEDDED, Options
from llmspell_cli.session import Session
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.output import Output
from llmspell_protocol.discovery import resolve
from llmspell_protocol.errors import LlmspellError

HINT = "your next message or /retry connects again, or goes on with a kernel of its own; /save keeps the conversation"
"""What to do after an error that says that the kernel has gone."""
_LOOK_S = 0.002
"""How long a look at a connection may take that has ended meanwhile."""


class KernelLink:
    """Use as a context manager, whose value is the link; `session` is always one that stands."""

    def __init__(self, options: Options, output: Output) -> None:
        self._options = options
        self._output = output
        self._stack = ExitStack()
        self._session: Session | None = None
        self.interrupts: Interrupts | None = None
        """Those of the command, once it talks."""

    def __enter__(self) -> KernelLink:
        self._session = self._stack.enter_context(session(self._options, self._output, needs_model=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    @property
    def session(self) -> Session:
        """The session; where its kernel has gone, a new one, which is told.

        Raises:
            LlmspellError: no kernel can be started.
        """
        opened = self._session
        if opened is None or opened.client.wait_for_loss(_LOOK_S):
            opened = self._session = self._anew(opened)
        opened.interrupts = self.interrupts
        return opened

    @property
    def place(self) -> str:
        """Where the conversation is held."""
        opened = self._session
        if opened is None or opened.client.lost is not None:
            return "gone (the next message looks for one)"
        return "its own" if opened.mode == "embedded" else _name(opened)

    def _anew(self, gone: Session | None) -> Session:
        self._session = None
        self._stack.close()
        if gone is not None and gone.mode == "connected":
            for target in (gone.client.info.id, self._options.connect):
                try:
                    info = resolve(target, str(run_directory()), os.environ) if target else gone.client.info
                    opened = self._stack.enter_context(connected(info))
                except LlmspellError:
                    continue
                self._output.note(f"Connected to kernel {_name(opened)} again")
                return opened
            self._output.note(f"Kernel {_name(gone)} is gone; going on with one of this chat's own")
        own = self._options._replace(connect=None, connect_named=False, unnamed=EMBEDDED)
        return self._stack.enter_context(session(own, self._output))


def _name(opened: Session) -> str:
    return opened.client.info.id or opened.client.info.address
