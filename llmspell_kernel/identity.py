"""Who asks and what they may: the key of a message decides both. Knows neither sockets nor requests.

Of our own requests each action has its right (`llmspell_protocol`); those of standard messages stand here. Dispatch
checks them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from llmspell_protocol.errors import Forbidden
from llmspell_protocol.request_options import EVERYTHING
from llmspell_protocol.rights import ALL_CAPABILITIES, SCRIPT_CAPABILITIES, Capability

CONNECTION_KEY = "conn"
"""The id of the key in the connection file."""

_STANDARD_RIGHTS: Mapping[str, Capability | None] = {"kernel_info_request": None, "shutdown_request": "admin"}
"""The right of each standard message; those that are not named need `execute`."""


def standard_right(msg_type: str, *, notebook: bool = False) -> Capability | None:
    """The right that a message of Jupyter's needs; None is anyone's.

    Through a notebook's door a shutdown ends no kernel, only what the same door has begun.
    """
    if notebook and msg_type == "shutdown_request":
        return "execute"
    return _STANDARD_RIGHTS.get(msg_type, "execute")


class Key(NamedTuple):
    """A secret that signs messages in both directions, and what those may do who have it."""

    id: str
    secret: bytes
    """Empty is unsigned, which only a kernel inside a command allows."""
    capabilities: frozenset[Capability] = ALL_CAPABILITIES


class KeyRing:
    """The keys of one door: the connection file's, which has the `capabilities`, and `others`."""

    def __init__(
        self,
        connection_secret: bytes,
        others: Iterable[Key] = (),
        *,
        capabilities: frozenset[Capability] = ALL_CAPABILITIES,
    ) -> None:
        self._connection = Key(CONNECTION_KEY, connection_secret, capabilities)
        self._others = {key.id.encode(): key for key in others}

    @property
    def connection(self) -> Key:
        """The connection file's key."""
        return self._connection

    def of_route(self, route: bytes) -> Key:
        """The key of a client by its routing id, `<key id>.<random>`; the connection's for ids of any other form."""
        if not self._others:
            return self._connection
        key_id, dot, _random = route.partition(b".")
        return self._others.get(key_id, self._connection) if dot else self._connection


Reach = Literal["files", "private", "public"]
"""What a pull may open besides the catalog, the hub and Ollama's library, which the right to pull opens: paths of this
machine, addresses of this machine and its network, addresses of the public internet."""
EVERYWHERE: frozenset[Reach] = frozenset({"files", "private", "public"})
PUBLIC: frozenset[Reach] = frozenset({"public"})


class Caller(NamedTuple):
    """Who asks and what they may; resolved once a request, by the door that it came through or from its parent.

    `client` is one connection or script context (queues are fair between these); `session` is Jupyter's; `local` says
    whether paths in a request mean files on this machine, and `reach` what a pull may open; of public addresses those
    of `hosts`.
    """

    client: str
    session: str
    kind: Literal["client", "script"] = "client"
    key_id: str = CONNECTION_KEY
    context: str | None = None
    capabilities: frozenset[Capability] = ALL_CAPABILITIES
    local: bool = True
    reach: frozenset[Reach] = EVERYWHERE
    hosts: tuple[str, ...] = (EVERYTHING,)
    notebook: str | None = None
    """The notebook whose door it came through, which has contexts of its own; None: the kernel's own door."""

    @property
    def sender(self) -> str:
        """Key and session together: what may cancel a request; empty where there is no session."""
        return f"{self.key_id}.{self.session}" if self.session else ""

    @property
    def origin(self) -> tuple[str, bool]:
        """Key and place: those who have both in common may see and change what runs for the other."""
        return self.key_id, self.local

    @property
    def grants(self) -> bool:
        """Whether it may permit a script what is this machine's: a client here with all rights, or a notebook."""
        return self.kind == "client" and self.local and (self.may("admin") or self.notebook is not None)

    def may(self, capability: Capability | None) -> bool:
        """Whether the caller has the capability; None is anyone's."""
        return capability is None or capability in self.capabilities

    def demand(self, capability: Capability | None, what: str) -> None:
        """Raises `Forbidden` unless the caller has the capability."""
        if not self.may(capability):
            raise Forbidden(
                f"{what} needs the right '{capability}', which this {self.kind} does not have",
                details={"capability": capability, "request": what},
            )


def client_caller(key: Key, *, client: str, session: str, local: bool, notebook: str | None = None) -> Caller:
    """A client that has signed with this key; `client` is its name among those of all doors.

    Only who may do everything, and is on this machine, is shown what this machine alone sees; and notebooks, whose
    doors such a client has opened.
    """
    reach = EVERYWHERE if local and ("admin" in key.capabilities or notebook is not None) else PUBLIC
    return Caller(
        client=client,
        session=session,
        key_id=key.id,
        capabilities=key.capabilities,
        local=local,
        reach=reach,
        notebook=notebook,
    )


def script_caller(parent: Caller, context: str, *, file_access: bool, hosts: tuple[str, ...] = ()) -> Caller:
    """A script of that context, running for `parent`: it has its parent's rights and no more than scripts may have.

    Its pulls take names; paths by a setting, public addresses by a setting or of the hosts that it was granted;
    addresses of this machine's network never.
    """
    granted: set[Reach] = set()
    if file_access:
        granted.add("files")
    if hosts:
        granted.add("public")
    return parent._replace(
        kind="script",
        client=context,
        context=context,
        capabilities=parent.capabilities & SCRIPT_CAPABILITIES,
        local=parent.local and file_access,
        reach=parent.reach & granted,
        hosts=hosts,
    )
