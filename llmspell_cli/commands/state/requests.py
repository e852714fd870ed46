"""What the commands about state share: which entries are meant, and asking the kernel for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import click

from llmspell_cli.options import Decorator
from llmspell_cli.session import Content, Session, document
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import InvalidRequest

_KINDS: Mapping[str, Sequence[str]] = {
    "all": ("all",),
    "session": ("session",),
    "workflow": ("workflow",),
    "component": ("agent", "tool", "hook"),
}
"""Words for several scopes."""

TO_KEEP = "to keep it: llmspell config set runtime.state_persistence.backend_type sqlite"


class Selected(NamedTuple):
    """The scope that was named, or scopes of these kinds."""

    word: str
    scope: str
    kinds: Sequence[str]

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of a request."""
        return {"scope": self.scope, "kinds": self.kinds}


scope_option: Decorator = click.option(
    "--scope", metavar="SCOPE", default="global", help="global, session, workflow, component, all, or KIND:ID."
)
key_option: Decorator = click.option("--key", "key_named", metavar="KEY", hidden=True)
"""The original's spelling of the argument."""


def selected(scope: str) -> Selected:
    """What `--scope` means."""
    kinds = _KINDS.get(scope, ())
    return Selected(scope, "global" if kinds else scope, kinds)


def one_key(key: str | None, named: str | None, wanted: Selected) -> str | None:
    """The key that the command is about, given either way.

    Raises:
        InvalidRequest: both, or a key in several scopes.
    """
    if key is not None and named is not None and key != named:
        raise InvalidRequest(f"two keys: '{key}' and '{named}'", hint="drop --key")
    key = named if key is None else key
    if key is not None and wanted.kinds:
        raise InvalidRequest(
            f"--scope {wanted.word} means several scopes, and '{key}' is a key of one", hint="--scope KIND:ID"
        )
    return key


def ask_state(opened: Session, action: str, **fields: Any) -> Content:
    """The reply's content; fields that are None are left out. Raises what the kernel answers."""
    return document(opened.ask("state_request", {"action": action, **fields}))


class Kept:
    """The entries of a selection, page by page, and where they are kept."""

    def __init__(self, opened: Session, wanted: Selected) -> None:
        self._opened = opened
        self._wanted = wanted
        self.place: Mapping[str, Any] = {}

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        after: Mapping[str, Any] | None = None
        while True:
            reply = ask_state(self._opened, "show", **self._wanted.fields, after=after)
            self.place = reply["kept"]
            yield from reply["entries"]
            after = reply["after"]
            if after is None:
                return


def tell_of_memory(output: Output, place: Mapping[str, Any]) -> None:
    """Says where nothing is kept when this kernel ends, which without a running one is with the command."""
    if place["backend"] == "memory":
        output.warning(
            f"state is kept in memory, which ends with the kernel, or with a command that has its own; {TO_KEEP}"
        )
