"""Comms: what a frontend opens, says and closes, and `comm_info_request`.

What a script is to hear is a call of its function, between cells or while one waits, and a request of its own: what
the function prints and shows belongs to the message. A comm that is opened for a target that nothing knows is closed
at once; one whose id is in use is not opened; what a client has opened ends with the client. These messages have no
reply; what is told is told on IOPub.
"""

from __future__ import annotations

from typing import Any

from llmspell_kernel.flat_content import standard_content
from llmspell_kernel.request import Content, Reply, Request
from llmspell_kernel.scripting.cell_output import CellOutput
from llmspell_kernel.scripting.comms import MOST_CONTROLS, WIDGETS, WIDGETS_CONTROL, Comm, Comms
from llmspell_kernel.scripting.context import Context
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.scripting.shells import Shells
from llmspell_protocol.errors import InvalidRequest, LlmspellError
from llmspell_protocol.standard_requests import CommInfoRequest, CommMessage, CommOpen

_NOTHING = Reply({})
_SHOWN = 64
"""Characters of a frontend's words that are shown."""


class CommsHandler:
    """Answers the messages of comms, each for the contexts of the notebook that its frontend works in.

    JupyterLab sends them through subshells that it makes for each target: a comm is found whichever of them it comes
    through, and a target that a subshell's script doesn't hear of is the main one's.
    """

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    async def __call__(self, request: Request) -> Reply:
        """Answers a message of any of the four types."""
        match request.msg_type:
            case "comm_open":
                return await self._opened(request)
            case "comm_msg":
                return await self._said(request)
            case "comm_close":
                return await self._closed(request)
            case _:
                return self._info(request)

    def _info(self, request: Request) -> Reply:
        wanted = standard_content(CommInfoRequest, request.msg_type, request.content)
        shells = self._contexts.shells(request.caller)
        if wanted.target_name == WIDGETS:
            shells.note_widgets()
        found: Content = {}
        for context in shells:
            found |= {} if context.comms is None else context.comms.info(wanted.target_name)
        return Reply({"comms": found})

    async def _opened(self, request: Request) -> Reply:
        """The script's, the one for widgets' states, or closed at once."""
        wanted = standard_content(CommOpen, request.msg_type, request.content)
        shells = self._contexts.shells(request.caller)
        id, target = wanted.comm_id, wanted.target_name
        controls = shells.main.controls
        if controls.get(id) is not None or _with_comm(shells, id) is not None:
            # Closing it would end the one that has the id.
            _tell_refusal(request, target, f"a comm with the id '{id[:_SHOWN]}' is open already")
            return _NOTHING
        ending = Request(
            id=f"{request.id}.end",
            msg_type="comm_close",
            content={"comm_id": id, "data": {}},
            caller=request.caller,
            sink=request.sink,
            header=request.header,
        )
        if target == WIDGETS_CONTROL:
            shells.note_widgets()
            controls.opened(request.sink, id, target, of_script=False, ending=ending)
            controls.keep_newest(MOST_CONTROLS)
            return _NOTHING
        for context in (self._contexts.of(request), *shells):
            comms = context.comms
            if comms is None or not comms.has_target(target):
                continue
            try:
                comms.opened(request.sink, id, target, of_script=True, ending=ending)
            except InvalidRequest as refused:
                _tell_refusal(request, target, refused.message)
                break
            await _tell_script(context, comms, request, "open", id, target)
            return _NOTHING
        request.sink.publish("comm_close", {"comm_id": id, "data": {}})
        return _NOTHING

    async def _said(self, request: Request) -> Reply:
        """On a comm that is not open it is nothing."""
        id = standard_content(CommMessage, request.msg_type, request.content).comm_id
        shells = self._contexts.shells(request.caller)
        data = request.content.get("data")
        controls = shells.main.controls
        if (control := controls.get(id)) is not None:
            if _method(data) == "request_states":
                states: Content = {}
                for context in shells:
                    states |= {} if context.comms is None else context.comms.widget_states()
                told = {"method": "update_states", "states": states, "buffer_paths": []}
                controls.say(control, told, request.sink)
        elif (found := _with_comm(shells, id)) is not None:
            await _said(*found, request, data)
        return _NOTHING

    async def _closed(self, request: Request) -> Reply:
        id = standard_content(CommMessage, request.msg_type, request.content).comm_id
        shells = self._contexts.shells(request.caller)
        controls = shells.main.controls
        if (control := controls.get(id)) is not None:
            controls.closed(control)
        elif (found := _with_comm(shells, id)) is not None:
            context, comms, comm = found
            comms.closed(comm)
            if comm.of_script:
                await _tell_script(context, comms, request, "close", id, comm.target)
        return _NOTHING


def _tell_refusal(request: Request, target: str, why: str) -> None:
    """There is no reply that could have it."""
    request.sink.publish("stream", {"name": "stderr", "text": f"open of comm '{target[:_SHOWN]}': {why}\n"})


def _with_comm(shells: Shells, id: str) -> tuple[Context, Comms, Comm] | None:
    """The comm of this id and the context whose script has it: a frontend may speak of it through any subshell."""
    for context in shells:
        comms = context.comms
        if comms is not None and (comm := comms.get(id)) is not None:
            return context, comms, comm
    return None


async def _said(context: Context, comms: Comms, comm: Comm, request: Request, data: Any) -> None:
    if comm.state is not None and _method(data) == "request_state":
        comms.say(comm, {"method": "update", "state": dict(comm.state), "buffer_paths": []}, request.sink)
        return
    comm.learn(data)
    if comm.of_script:
        await _tell_script(context, comms, request, "message", comm.id, comm.target)


async def _tell_script(context: Context, comms: Comms, request: Request, event: str, id: str, target: str) -> None:
    if comms.dispatcher is None:
        return
    data = request.content.get("data")
    arguments = [event, id, target, {} if data is None else data, [bytes(one) for one in request.buffers]]
    output = CellOutput(request, silent=False, deltas=False, widgets=context.widgets)
    request.outlet = output
    stopped = True
    try:
        await context.call(request, comms.dispatcher, arguments, output.write)
        stopped = False
    except LlmspellError as error:
        # There is no reply that could have it.
        output.write("stderr", f"{event} of comm '{target}': {error.message}\n")
        for line in error.details.get("traceback") or ():
            output.write("stderr", f"  {line}\n")
    finally:
        output.end(stopped=stopped)


def _method(data: Any) -> Any:
    return data.get("method") if isinstance(data, dict) else None
