"""Script contexts without a kernel around them: real workers, and a stand-in for dispatch that tests tell what to
answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from llmspell_kernel.flat_content import request_options
from llmspell_kernel.handlers.comms import CommsHandler
from llmspell_kernel.handlers.complete import CompleteHandler
from llmspell_kernel.handlers.debug import DebugHandler
from llmspell_kernel.handlers.execute import ExecuteHandler
from llmspell_kernel.handlers.inspect import InspectHandler
from llmspell_kernel.handlers.is_complete import IsCompleteHandler
from llmspell_kernel.identity import CONNECTION_KEY, Caller
from llmspell_kernel.request import Content, Handler, Reply, Request
from llmspell_kernel.scripting.cell import run_cell
from llmspell_kernel.scripting.context import Context
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.scripting.engines import LUA, Engine
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.errors import Cancelled, LlmspellError, NotFound
from llmspell_protocol.standard_requests import ExecuteRequest

Answer = Callable[[Request], Awaitable[Content]]


class Frontend:
    """A sink that keeps what it is sent, answers questions from a list, and tells when something arrived."""

    def __init__(self, lines: Sequence[str] = ()) -> None:
        self.published: list[tuple[str, Content]] = []
        self.deltas: list[Content] = []
        self.replies: list[Content] = []
        self.asked: list[tuple[str, str]] = []
        """Each question, and what had been printed by then."""
        self._lines = list(lines)
        self._arrival = asyncio.Event()

    def progress(self, content: Content) -> None:
        self._arrival.set()

    def delta(self, content: Content) -> None:
        self.deltas.append(content)
        self._arrival.set()

    def reply(self, content: Content, buffers: Sequence[bytes] = ()) -> None:
        self.replies.append(content)
        self._arrival.set()

    def publish(
        self, msg_type: str, content: Content, metadata: Content | None = None, buffers: Sequence[bytes] = ()
    ) -> None:
        self.published.append((msg_type, content))
        self._arrival.set()

    async def ask(self, prompt: str, *, password: bool = False) -> str | None:
        self.asked.append((prompt, self.output))
        return self._lines.pop(0) if self._lines else None

    @property
    def output(self) -> str:
        """Everything printed so far, on IOPub or as deltas."""
        streams = [content for kind, content in self.published if kind == "stream"]
        return "".join(content["text"] for content in [*streams, *self.deltas])

    def of(self, kind: str) -> list[Content]:
        """The published messages of one type."""
        return [content for its_kind, content in self.published if its_kind == kind]

    async def until(self, condition: Callable[[Frontend], bool], timeout_s: float = 60) -> None:
        """Waits until something that arrived makes the condition true."""
        async with asyncio.timeout(timeout_s):
            while not condition(self):
                self._arrival.clear()
                await self._arrival.wait()


class ScriptHarness:
    """The two handlers over real contexts; `answers` says what a script's requests get."""

    def __init__(self, settings: Mapping[str, Any], engine: Engine = LUA) -> None:
        self.settings = Settings.check(settings)
        self.answers: dict[str, Answer] = {}
        self.requests: list[Request] = []
        self.ended: list[str] = []
        self.buffers: Sequence[bytes] = ()
        """What goes with the answers."""
        self.contexts = Contexts(
            lambda: self.settings, self.submit, None, engine=engine, on_context_end=self.ended.append
        )
        self._handlers: Mapping[str, Handler] = {
            "execute_request": ExecuteHandler(self.contexts),
            "complete_request": CompleteHandler(self.contexts),
            "inspect_request": InspectHandler(self.contexts),
            "is_complete_request": IsCompleteHandler(self.contexts),
            **dict.fromkeys(("comm_info_request", "comm_open", "comm_msg", "comm_close"), CommsHandler(self.contexts)),
            "debug_request": DebugHandler(self.contexts),
        }
        self._numbers = count(1)

    def submit(self, request: Request) -> asyncio.Task[None]:
        """What dispatch does for a request: run its handler and reply once."""
        task = asyncio.get_running_loop().create_task(self._run(request))
        request.task = task
        if request.parent is not None:
            request.parent.children.add(request)
            siblings = request.parent.children
            task.add_done_callback(lambda _: siblings.discard(request))
        return task

    def start(
        self,
        code: str,
        *,
        content: Mapping[str, Any] | None = None,
        client: str = "client",
        local: bool = True,
        key: str = CONNECTION_KEY,
        lines: Sequence[str] = (),
        msg_type: str = "execute_request",
        frontend: Frontend | None = None,
        **options: Any,
    ) -> tuple[Request, Frontend]:
        """Sends a request and returns at once."""
        frontend = frontend or Frontend(lines)
        request = Request(
            id=f"request-{next(self._numbers)}",
            msg_type=msg_type,
            content={"code": code, **(content or {})},
            caller=Caller(client=client, session=client, local=local, key_id=key),
            sink=frontend,
            raw_options=options,
        )
        self.submit(request)
        return request, frontend

    async def cell(self, code: str, **options: Any) -> Frontend:
        """Runs a cell of the shared context to its reply."""
        request, frontend = self.start(code, **options)
        assert request.task is not None
        await asyncio.wait_for(request.task, 60)
        return frontend

    async def cell_in(self, context: Context, code: str) -> Frontend:
        """Runs a cell of another context, as a request that names a subshell would."""
        frontend = Frontend()
        request = Request("cell-in", "execute_request", {}, Caller(client="client", session="client"), frontend)
        reply = await asyncio.wait_for(run_cell(context, request, ExecuteRequest(code=code)), 60)
        request.reply({"status": "ok", **reply})
        return frontend

    async def run(self, code: str, **options: Any) -> Frontend:
        """Runs a script in isolation to its reply."""
        return await self.cell(code, isolated=True, **options)

    async def value(self, code: str, **options: Any) -> Any:
        """What a script returns; an error of its own fails the test."""
        reply = (await self.run(code, **options)).replies[0]
        assert reply["status"] == "ok", reply
        return reply["result"]

    async def failure(self, code: str, **options: Any) -> Content:
        """The error reply of a script that has to fail."""
        reply = (await self.run(code, **options)).replies[0]
        assert reply["status"] == "error", reply
        return reply

    async def _run(self, request: Request) -> None:
        try:
            request.options = request_options(request.raw_options)
            reply = await self._handler(request)
            request.reply({"status": "ok", **reply.content}, reply.buffers)
        except LlmspellError as error:
            request.reply(error.to_content())
        except asyncio.CancelledError:
            request.reply(Cancelled(f"cancelled: {request.cancel_reason}").to_content())
        finally:
            for child in tuple(request.children):
                child.cancel("its parent ended")

    async def _handler(self, request: Request) -> Reply:
        if request.msg_type in self._handlers:
            return await self._handlers[request.msg_type](request)
        self.requests.append(request)
        answer = self.answers.get(f"{request.msg_type.removesuffix('_request')} {request.action}")
        if answer is None:
            raise NotFound(f"no handler for {request.msg_type} {request.action}")
        return Reply(await answer(request), self.buffers)


@asynccontextmanager
async def script_harness(engine: Engine = LUA, **settings: Any) -> AsyncIterator[ScriptHarness]:
    """A harness whose workers have ended when the block is left."""
    harness = ScriptHarness(settings, engine)
    try:
        yield harness
    finally:
        await harness.contexts.close()


def answering(**content: Any) -> Answer:
    """An answer that is always the same."""

    async def answer(_request: Request) -> Content:
        return content

    return answer


def run(body: Callable[[ScriptHarness], Awaitable[None]], *, engine: Engine = LUA, **settings: Any) -> None:
    """Runs a test's body with a harness of its own, on a loop of its own."""

    async def main() -> None:
        async with script_harness(engine, **settings) as harness:
            await body(harness)

    asyncio.run(main())
