"""The debugger of one script context: what frontends ask in the Debug Adapter Protocol, and what they are told.

It belongs to its context and follows that from worker to worker; what it knows of the script it asks the worker.
Knows requests, not how events travel: a request's sink publishes them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Content, Request
from llmspell_kernel.scripting.cell_paths import named_beside
from llmspell_kernel.scripting.context import Context
from llmspell_kernel.scripting.debugging.arguments import checked
from llmspell_kernel.scripting.debugging.breakpoints import Breakpoints
from llmspell_kernel.scripting.debugging.capabilities import (
    CAPABILITIES,
    EMPTY,
    FILTERS,
    FORWARDED,
    LOOKS,
    NAMING,
    STEPS,
)
from llmspell_kernel.scripting.debugging.owners import Owners
from llmspell_kernel.scripting.job import demand_length
from llmspell_kernel.scripting.process import ScriptProcess
from llmspell_kernel.scripting.told_texts import Texts
from llmspell_protocol.calls import EXITED
from llmspell_protocol.errors import InvalidRequest, LlmspellError, NotFound, Timeout

THREAD = 1
"""All coroutines of a context are one thread: one of them runs."""
ANSWER_S = 10.0
"""How long a command waits for a script that computes: it looks for commands now and then, in C code never."""

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*|\[\d+\])*\Z", re.ASCII)
_COMPUTES = "the script is computing and has not looked for commands"
_SHOWN = 64
"""Characters of what was given that an error shows."""
Answer = Callable[[Request, Content], Awaitable[Content | None]]


class DebugSession:
    """One context's debugger; belongs to the loop. It is started by `initialize` and ended by `disconnect`."""

    def __init__(self, context: Context) -> None:
        self.stands = False
        """Whether the script is stopped."""
        self.owners = Owners(self.end)
        self.configured = asyncio.Event()
        """Set by `configurationDone`."""
        self.context = context
        self._process: ScriptProcess | None = None
        self._breakpoints = Breakpoints()
        self._filters: dict[str, bool] = {}
        self._texts: Texts[str] = Texts()
        self._for_lab = False
        self._speaker: Request | None = None
        self._run: Request | None = None
        self._numbers = count(1)
        self._answers: dict[str, Answer] = {
            "debugInfo": self._debug_info,
            "initialize": self._initialize,
            "attach": self._attach,
            "launch": self._attach,
            "disconnect": self._disconnect,
            "terminate": self._terminate,
            "configurationDone": self._configuration_done,
            "dumpCell": self._dump_cell,
            "setBreakpoints": self._set_breakpoints,
            "setExceptionBreakpoints": self._set_exception_breakpoints,
            "source": self._source,
            "threads": self._threads,
            "pause": self._pause,
            "stopOnEntry": self._stop_on_entry,
            **dict.fromkeys(LOOKS, self._look),
            "variables": self._variables,
            "inspectVariables": self._inspect_variables,
            "richInspectVariables": self._rich_inspect_variables,
            "copyToGlobals": self._copy_to_globals,
            **dict.fromkeys(FORWARDED, self._forward),
            **dict.fromkeys(STEPS, self._step),
        }

    @property
    def started(self) -> bool:
        """Whether a client debugs."""
        return self.owners.started

    def know(self, path: str, text: str) -> None:
        """The text of a path, for breakpoints in what has not run yet."""
        self._texts.keep(path, text)
        self._tell("know", {"path": path, "source": text})

    def belongs_to(self, run: Request) -> None:
        """It debugs this isolated run alone, which hears of its events."""
        self._run = run

    async def answer(self, request: Request) -> Content:
        """The response to a request of the Debug Adapter Protocol.

        Raises:
            InvalidRequest: it is not one.
            Forbidden: what is debugged runs for another key, or for a client on another machine.
            Busy: another client debugs, which alone hears of what happens.
        """
        message = request.content
        command = message.get("command")
        if not isinstance(command, str):
            raise InvalidRequest("a debug_request needs a command")
        if command != "debugInfo":
            self._demand_origin(request.caller)
        if self.owners.heard_from(request, command):
            self._speaker = request
        # Without a `seq` of its own, which in our messages numbers the answers to one request.
        response: Content = {
            "type": "response",
            "request_seq": message.get("seq", 0),
            "command": command,
        }
        try:
            answer = self._answers.get(command)
            if answer is None:
                raise InvalidRequest(f"'{command[:_SHOWN]}' is not a command of this debugger")
            body = await answer(request, checked(command, message.get("arguments")))
        except LlmspellError as error:
            refused = {"success": False, "message": error.message, "code": error.code}
            return {**response, **refused, "body": EMPTY.get(command, {})}
        return {**response, "success": True, "body": {} if body is None else body}

    def _demand_origin(self, caller: Caller) -> None:
        """What runs has the rights of its client, which no other may use, nor see its values."""
        origins = self._process.origins if self._process is not None else self.context.origins
        own = () if self._run is None else (self._run.root.caller.origin,)
        self.owners.demand_origin(caller, (*origins, *own))

    # What the context tells (`ContextDebugger`)

    def adopt(self, process: ScriptProcess) -> None:
        """Attaches to a worker of the context."""
        self._process = process
        process.debugger = self
        self._tell("attach", {})
        for path, text in self._texts.all():
            self._tell("know", {"path": path, "source": text})
        for path in self._breakpoints.paths:
            self._tell("setBreakpoints", self._places(path))
        if self._filters:
            self._tell("setExceptionBreakpoints", self._filters)

    def worker_gone(self) -> None:
        """The worker has ended."""
        self._process = None
        if self.stands:
            self._continued()

    # What the worker tells (`Debugger`)

    def may_stop(self, request: Request) -> bool:
        """Whether what runs for this request may stop: what is the client's own, and what has its rights where it
        hears of stops on IOPub."""
        return self._run is not None or self.owners.hear_of(request.root.caller)

    def event(self, event: str, body: Content, request: Request) -> None:
        """Passes an event of the script's on."""
        if event == "stopped":
            self.stands = True
        elif event == "continued":
            self.stands = False
        elif event == "breakpoint":
            self._moved(body["breakpoint"])
        self._publish(event, body, request)

    # Commands

    async def _debug_info(self, _request: Request, _arguments: Content) -> Content:
        return {
            "isStarted": self.started,
            **NAMING,
            "breakpoints": self._breakpoints.to_content(),
            "stoppedThreads": [THREAD] if self.stands else [],
        }

    async def _initialize(self, request: Request, arguments: Content) -> Content:
        self.owners.add(request)
        self._for_lab = arguments.get("clientID") == "jupyterlab"
        self._speaker = request
        return dict(CAPABILITIES)

    async def _attach(self, request: Request, _arguments: Content) -> None:
        self._demand_started()
        self._speaker = request
        self.context.debugger = self
        if self._process is None:
            process = self.context.worker()
            if self._process is None:
                self.adopt(process)
        self._publish("initialized", {}, None)

    async def _disconnect(self, request: Request, arguments: Content) -> None:
        if arguments.get("terminateDebuggee"):
            await self._terminate(request, arguments)
        if self.owners.leave(request.caller.client):
            self.end()

    async def _terminate(self, _request: Request, _arguments: Content) -> None:
        if self._run is not None:
            self._run.cancel("interrupted by the debugger")
        else:
            self.context.interrupt()

    async def _configuration_done(self, _request: Request, _arguments: Content) -> None:
        self._demand_started()
        self.configured.set()

    async def _dump_cell(self, _request: Request, arguments: Content) -> Content:
        code = arguments["code"]
        demand_length(code)
        path = await named_beside(code.encode())
        self.know(path, code)
        return {"sourcePath": path}

    async def _set_breakpoints(self, _request: Request, arguments: Content) -> Content:
        self._demand_started()
        path = arguments["source"]["path"]
        given = arguments.get("breakpoints") or [{"line": line} for line in arguments.get("lines") or ()]
        made = self._breakpoints.replace(path, given)
        states: list[Content] = [{"id": one.id, "verified": True, "line": one.line} for one in made]
        if self._process is not None:
            states = (await self._ask("setBreakpoints", self._places(path)))["breakpoints"]
        for state in states:
            self._moved(state)
        # JupyterLab shows each by its source.
        return {"breakpoints": [{**state, "source": {"path": path}} for state in states]}

    async def _set_exception_breakpoints(self, _request: Request, arguments: Content) -> Content:
        wanted = arguments.get("filters") or []
        unknown = [one for one in wanted if one not in FILTERS]
        if unknown:
            hint = f"there are {' and '.join(FILTERS)}"
            raise InvalidRequest(f"'{unknown[0][:_SHOWN]}' is not a filter of errors", hint=hint)
        self._filters = {name: name in wanted for name in FILTERS}
        if self._process is not None:
            await self._ask("setExceptionBreakpoints", self._filters)
        return {"breakpoints": [{"verified": True} for _ in wanted]}

    async def _source(self, _request: Request, arguments: Content) -> Content:
        path = arguments["source"]["path"]
        text = self._texts.get(path)
        if text is not None:
            return {"content": text, "mimeType": "text/x-lua"}
        return {**await self._ask("source", {"path": path}), "mimeType": "text/x-lua"}

    async def _threads(self, _request: Request, _arguments: Content) -> Content:
        return {"threads": [{"id": THREAD, "name": "Lua"}]}

    async def _pause(self, _request: Request, _arguments: Content) -> None:
        await self._ask("pause", {})

    async def _stop_on_entry(self, _request: Request, _arguments: Content) -> None:
        """Ours: what `launch` has `stopOnEntry` for."""
        await self._ask("stopOnEntry", {})

    async def _step(self, request: Request, _arguments: Content) -> Content:
        if not self.stands:
            raise InvalidRequest("the script is not paused")
        return await self._ask(str(request.content["command"]), {})

    async def _forward(self, request: Request, arguments: Content) -> Content:
        return await self._ask(str(request.content["command"]), arguments)

    async def _look(self, request: Request, arguments: Content) -> Content:
        return await self._call(request, str(request.content["command"]), arguments)

    async def _variables(self, request: Request, arguments: Content) -> Content:
        return self._shown(await self._call(request, "variables", arguments))

    async def _inspect_variables(self, request: Request, _arguments: Content) -> Content:
        if self.context.pid is None:
            return {"variables": []}
        return self._shown(await self._call(request, "inspectVariables", {}))

    def _shown(self, body: Content) -> Content:
        if not self._for_lab:
            return body
        # Only where JupyterLab debugs.
        from llmspell_kernel.scripting.debugging.lab_types import for_lab

        return {"variables": [for_lab(one) for one in body["variables"]]}

    async def _rich_inspect_variables(self, request: Request, arguments: Content) -> Content:
        name = arguments["variableName"]
        if not _NAME.match(name):
            return {"data": {}, "metadata": {}}
        frame = arguments.get("frameId") if self.stands else None
        asked = {"expression": name, "context": "clipboard", "frameId": frame}
        shown = await self._call(request, "evaluate", asked)
        return {"data": {"text/plain": shown["result"]}, "metadata": {}}

    async def _copy_to_globals(self, request: Request, arguments: Content) -> None:
        source, target = arguments["srcVariableName"], arguments["dstVariableName"]
        if not (source.isidentifier() and target.isidentifier()):
            raise InvalidRequest("both have to be names")
        asked = {"from": source, "to": target, "frameId": arguments.get("srcFrameId")}
        await self._call(request, "copyToGlobals", asked)

    # The worker

    def _places(self, path: str) -> Content:
        return {"path": path, "breakpoints": [one.to_worker() for one in self._breakpoints.of(path)]}

    async def _ask(self, command: str, arguments: Mapping[str, Any]) -> Content:
        """What a command gives that runs nothing of the script's; taken back where the wait for it ends."""
        call = self._demand_process().debug(command, arguments)
        try:
            async with asyncio.timeout(ANSWER_S):
                frame = await call.last()
        except TimeoutError:
            raise Timeout(_COMPUTES) from None
        finally:
            call.leave()
        if frame["op"] == EXITED:
            raise NotFound("the script has ended")
        if frame["op"] == "error":
            raise InvalidRequest(str(frame["message"]))
        body: Content = frame["body"]
        return body

    async def _call(self, request: Request, command: str, arguments: Mapping[str, Any]) -> Content:
        """What a command gives that may run functions of the script's; once it has begun, it has limits of its own."""
        process = self._demand_process()

        def on_begin() -> None:
            begins.reschedule(None)

        def on_output(stream: str, text: str) -> None:
            if process.executes:
                process.print(stream, text)
            else:
                self._publish("output", {"category": stream, "output": text}, request)

        try:
            async with asyncio.timeout(ANSWER_S) as begins:
                return await self.context.call_debugger(process, request, command, arguments, on_output, on_begin)
        except TimeoutError:
            raise Timeout(_COMPUTES) from None

    def _demand_process(self) -> ScriptProcess:
        if self._process is None:
            raise NotFound("no script is being debugged", hint="initialize and attach are the first requests")
        return self._process

    def _tell(self, command: str, arguments: Mapping[str, Any]) -> None:
        if self._process is not None:
            self._process.debug(command, arguments)

    def end(self) -> None:
        """Detaches: what stands goes on, and nothing stops any more."""
        process, self._process = self._process, None
        self.owners.clear()
        self._breakpoints.clear()
        self._filters = {}
        self._texts.clear()
        self.configured.set()
        if process is not None:
            process.debug("detach", {})
            if self.context.debugger is self:
                self.context.debugger = None

    def _demand_started(self) -> None:
        if not self.started:
            raise InvalidRequest("the debugger was not started", hint="initialize is the first request")

    # Events

    def _moved(self, state: Content) -> None:
        for path in self._breakpoints.paths:
            if any(one.id == state.get("id") for one in self._breakpoints.of(path)) and state.get("verified"):
                self._breakpoints.moved(path, state["id"], state["line"])

    def _continued(self) -> None:
        self.stands = False
        self._publish("continued", {"threadId": THREAD, "allThreadsContinued": True}, None)

    def _publish(self, event: str, body: Content, request: Request | None) -> None:
        content = {"seq": next(self._numbers), "type": "event", "event": event, "body": body}
        root = request.root if request is not None else None
        if self._run is not None:
            self._run.delta({"debug": content})
        elif root is not None and root.options.deltas and self.owners.has(root.caller.client):
            root.delta({"debug": content})
        elif self._speaker is not None:
            self._speaker.sink.publish("debug_event", content)
