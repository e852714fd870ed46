"""Comms: what a frontend opens, says and closes, and `comm_info_request`.

What a script is to hear is a call of its function, between cells or while one waits, and a request of its own: what
the function prints and shows belongs to the message. A comm that is opened for a target that nothing knows is closed
at once. These messages have no reply; what is told is told on IOPub.
"""

from __future__ import annotations

from typing import Any

from llmspell_kernel.flat_content import standard_content
from llmspell_kernel.request import Reply, Request
from llmspell_kernel.scripting.cell_output import CellOutput
from llmspell_kernel.scripting.comms import MOST_CONTROLS, WIDGETS, WIDGETS_CONTROL, Comm, Comms
from llmspell_kernel.scripting.context import Context
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.standard_requests import CommInfoRequest, CommMessage, CommOpen

_NOTHING = Reply({})


class CommsHandler:
    """Answers the messages of comms, each for the context that its frontend works in."""

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
        context = self._contexts.of(request)
        if wanted.target_name == WIDGETS:
            context.has_widgets = True
        return Reply({"comms": {} if context.comms is None else context.comms.info(wanted.target_name)})

    async def _opened(self, request: Request) -> Reply:
        """The script's, the one for widgets' states, or closed at once."""
        wanted = standard_content(CommOpen, request.msg_type, request.content)
        context = self._contexts.of(request)
        if wanted.target_name == WIDGETS_CONTROL:
            context.has_widgets = True
            context.controls.opened(request.sink, wanted.comm_id, wanted.target_name, of_script=False)
            context.controls.keep_newest(MOST_CONTROLS)
        elif context.comms is not None and context.comms.has_target(wanted.target_name):
            context.comms.opened(request.sink, wanted.comm_id, wanted.target_name, of_script=True)
            await _tell_script(context, context.comms, request, "open", wanted.comm_id, wanted.target_name)
        else:
            request.sink.publish("comm_close", {"comm_id": wanted.comm_id, "data": {}})
        return _NOTHING

    async def _said(self, request: Request) -> Reply:
        """On a comm that is not open it is nothing."""
        id = standard_content(CommMessage, request.msg_type, request.content).comm_id
        context = self._contexts.of(request)
        data = request.content.get("data")
        if (control := context.controls.get(id)) is not None:
            if _method(data) == "request_states":
                states = {} if context.comms is None else context.comms.widget_states()
                told = {"method": "update_states", "states": states, "buffer_paths": []}
                context.controls.say(control, told, request.sink)
        elif context.comms is not None and (comm := context.comms.get(id)) is not None:
            await _said(context, context.comms, comm, request, data)
        return _NOTHING

    async def _closed(self, request: Request) -> Reply:
        id = standard_content(CommMessage, request.msg_type, request.content).comm_id
        context = self._contexts.of(request)
        if (control := context.controls.get(id)) is not None:
            context.controls.closed(control)
        elif context.comms is not None and (comm := context.comms.get(id)) is not None:
            context.comms.closed(comm)
            if comm.of_script:
                await _tell_script(context, context.comms, request, "close", id, comm.target)
        return _NOTHING


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
