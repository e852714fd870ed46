"""The comms of one script worker: which are open, whom they belong to, and what frontends may open.

A comm ends with the worker whose script it belongs to. Knows neither handlers nor Lua; what comes for a script is
passed on by what has the worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_kernel.request import Content, Request, Sink
from llmspell_kernel.scripting.function_key import FUNCTION_KEY
from llmspell_protocol.errors import InvalidRequest

WIDGETS = "jupyter.widget"
"""The target of widgets' models: https://github.com/jupyter-widgets/ipywidgets (messages.md of its schema package)."""
WIDGETS_CONTROL = "jupyter.widget.control"
"""The one over which a frontend asks for all of their states at once; only frontends with widgets open it."""
WIDGETS_VERSION = "2.1.0"
MOST_OPEN = 10_000
MOST_CONTROLS = 64
_SHOWN = 64
"""Characters of an id that an error shows."""


class Comm:
    """One that is open. `state` is the widget's where it is one, as it was told last.

    What a client has opened ends with it: `ending` is the request that says so in its place.
    """

    __slots__ = ("ending", "id", "of_script", "sink", "state", "target")

    def __init__(self, id: str, target: str, sink: Sink, *, of_script: bool, ending: Request | None = None) -> None:
        self.ending = ending
        self.id = id
        self.target = target
        self.sink = sink
        self.of_script = of_script
        self.state: dict[str, Any] | None = {} if target == WIDGETS else None

    def learn(self, data: Any) -> None:
        """Keeps what a message says of a widget's state."""
        if self.state is not None and isinstance(data, Mapping) and isinstance(data.get("state"), Mapping):
            self.state.update(data["state"])


class Comms:
    """All of one worker; belongs to the loop."""

    def __init__(self) -> None:
        self.dispatcher: int | None = None
        """The function of the script's that hears what frontends say."""
        self._targets: set[str] = set()
        self._open: dict[str, Comm] = {}
        self._of_script = 0
        """How many of them a script has, or hears."""

    def info(self, target: str | None) -> Content:
        """The open ones, of one target or all, as `comm_info_reply` has them."""
        return {
            comm.id: {"target_name": comm.target}
            for comm in self._open.values()
            if target is None or comm.target == target
        }

    def get(self, id: str) -> Comm | None:
        """The open comm of this id."""
        return self._open.get(id)

    def keep_newest(self, most: int) -> None:
        """Forgets the oldest ones beyond so many: frontends that are gone don't say that they are."""
        for id in list(self._open)[: max(0, len(self._open) - most)]:
            self.closed(self._open[id])

    def of_client(self, client: str) -> list[Comm]:
        """Those that this client has opened."""
        return [one for one in self._open.values() if one.ending is not None and one.ending.caller.client == client]

    def has_room(self, more: int) -> bool:
        """Whether the kernel may open so many more by itself."""
        return len(self._open) - self._of_script + more <= MOST_OPEN

    def has_target(self, name: str) -> bool:
        """Whether the script hears of comms that frontends open with this target."""
        return name in self._targets

    def widget_states(self) -> Content:
        """The states of all widgets, as the control comm tells them."""
        return {
            comm.id: {
                "model_name": comm.state.get("_model_name"),
                "model_module": comm.state.get("_model_module"),
                "model_module_version": comm.state.get("_model_module_version"),
                "state": dict(comm.state),
            }
            for comm in self._open.values()
            if comm.state is not None
        }

    # From the kernel's side

    def open(
        self,
        sink: Sink,
        id: str,
        target: str,
        data: Any,
        *,
        metadata: Content | None = None,
        buffers: Sequence[bytes] = (),
        of_script: bool = False,
    ) -> Comm:
        """Opens one towards the frontends.

        Raises:
            InvalidRequest: too many are open, or this one is.
        """
        comm = self.opened(sink, id, target, of_script=of_script)
        comm.learn(data)
        content = {"comm_id": id, "target_name": target, "data": data}
        sink.publish("comm_open", content, metadata or _metadata(target), buffers)
        return comm

    def opened(self, sink: Sink, id: str, target: str, *, of_script: bool, ending: Request | None = None) -> Comm:
        """Notes one that a frontend has opened, whose client ends it by `ending`. Raises as `open`."""
        if id in self._open:
            raise InvalidRequest(f"a comm with the id '{id[:_SHOWN]}' is open already")
        if not (self._of_script < MOST_OPEN if of_script else self.has_room(1)):
            raise InvalidRequest(f"{MOST_OPEN} comms are open already", hint="close those that are not needed")
        comm = self._open[id] = Comm(id, target, sink, of_script=of_script, ending=ending)
        self._of_script += of_script
        return comm

    def say(
        self,
        comm: Comm,
        data: Any,
        sink: Sink | None = None,
        metadata: Content | None = None,
        buffers: Sequence[bytes] = (),
    ) -> None:
        """Says something to the frontends."""
        comm.learn(data)
        content = {"comm_id": comm.id, "data": data}
        (sink or comm.sink).publish("comm_msg", content, metadata or _metadata(comm.target), buffers)

    def close(self, comm: Comm, data: Any = None, sink: Sink | None = None, buffers: Sequence[bytes] = ()) -> None:
        """Ends one and tells the frontends."""
        self.closed(comm)
        content = {"comm_id": comm.id, "data": {} if data is None else data}
        (sink or comm.sink).publish("comm_close", content, None, buffers)

    def closed(self, comm: Comm) -> None:
        """Notes the end of one."""
        if self._open.get(comm.id) is comm:
            del self._open[comm.id]
            self._of_script -= comm.of_script

    def end(self) -> None:
        """The worker ends, and with it every comm; the frontends are told."""
        self._targets.clear()
        for comm in tuple(self._open.values()):
            self.close(comm)

    # From the script's side

    def take(self, request: Request, kind: str, content: Content, buffers: Sequence[bytes]) -> None:
        """What a script says: `comm_open`, `comm_msg`, `comm_close` or `comm_target`, for this request.

        A message on a comm that was closed meanwhile is dropped, as Jupyter has it.
        """
        sink = request.root.sink if request.root.outlet is not None else None
        if FUNCTION_KEY in (content.get("fn") or {}):
            self.dispatcher = content["fn"][FUNCTION_KEY]
        if kind == "comm_target":
            (self._targets.add if content["registered"] else self._targets.discard)(content["target_name"])
            return
        id, data = content["comm_id"], content.get("data")
        data = {} if data is None else data
        metadata = content.get("metadata")
        if kind == "comm_open":
            target = content["target_name"]
            self.open(sink or request.root.sink, id, target, data, metadata=metadata, buffers=buffers, of_script=True)
            return
        comm = self._open.get(id)
        if comm is None:
            return
        if kind == "comm_msg":
            self.say(comm, data, sink, metadata, buffers)
        else:
            self.close(comm, data, sink, buffers)


def _metadata(target: str) -> Content | None:
    return {"version": WIDGETS_VERSION} if target == WIDGETS else None
