"""What a request may ask for beside its content: `metadata.llmspell`, one class for the clients and the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

PERMISSIONS = ("read", "write", "net", "run", "env")
"""What an execute can allow its script; also the names of the commands' options, `--allow-read` and so on."""
EVERYTHING = "*"
"""In a permission: whatever there is."""
LONGEST_SESSION = 200
"""Characters of a session's name."""


class RequestOptions(NamedTuple):
    """Options of any request, of an execute (`isolated` … `env`), or of a shutdown (`drain_s`)."""

    timeout_s: float | None = None
    """The kernel ends the request with `timeout` after this time, which is more than 0."""
    detach: bool = False
    """Go on when the client vanishes."""
    isolated: bool = False
    """A context of its own, and output to the requester alone."""
    shows_value: bool = False
    """An isolated run's last statement, where it is an expression, is its result, as a cell's always is."""
    deltas: bool = False
    """Output as `execute_delta` too, beside IOPub, and the result as data in the reply."""
    reset: bool = False
    """The context forgets its variables before the code runs."""
    model: str | None = None
    """Default model of the agents that the script makes."""
    engine: str | None = None
    """The language of the code; None is the kernel's default."""
    name: str | None = None
    """The script's name, as error positions show it."""
    args: Sequence[str] | None = None
    """The script's arguments; None leaves those of the context as they are."""
    path: str | None = None
    """Where the script is, absolute or below `cwd`; for callers on the kernel's machine."""
    cwd: str | None = None
    """Where it runs, absolute; for callers on the kernel's machine."""
    env: Mapping[str, str] | None = None
    """Environment variables for the script, which may read MODEL, MODEL_SPEC and what it has permission for."""
    allow: Mapping[str, Sequence[str]] | None = None
    """Permissions for this execution, by kind (`PERMISSIONS`): absolute paths, hosts, programs, variables, or `*`."""
    interactive: bool = True
    """A person sits at the client and can be asked for permission, where the content says `allow_stdin`; false where
    its input is data."""
    session: str | None = None
    """The session that it is recorded in: an id or a name (1 to `LONGEST_SESSION` characters, not blanks alone); one
    that there is not begins."""
    debug: bool = False
    """An isolated run waits for a debugger: it tells `process` as an event (`execute_delta {"debug": …}`), and begins
    with the debugger's `configurationDone`."""
    debugs: str | None = None
    """Of a debug_request: the msg_id of the isolated run that it is about; None is the frontend's own context."""
    drain_s: float | None = None
    """How long running work may go on."""

    def metadata(self) -> dict[str, Any]:
        """The options as they travel: those that are not as they are by default."""
        return {name: value for name, value in self._asdict().items() if value != self._field_defaults[name]}


NO_OPTIONS = RequestOptions()
