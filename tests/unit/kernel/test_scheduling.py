"""What code schedules that may run for a request: of that request, or of none and then in an empty context."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path
from typing import Any

import pytest
import zmq

from llmspell_kernel.doors.keyed_wire import KeyedWire
from llmspell_kernel.doors.outbox import Outgoing
from llmspell_kernel.doors.router import Router
from llmspell_kernel.identity import Caller, KeyRing
from llmspell_kernel.request import Request, handled_request, handling
from llmspell_protocol.messages import HeaderFactory, Message
from llmspell_protocol.wire import Wire
from tests.support.recording_sink import RecordingSink

ROOT = Path(__file__).parents[3]
SCHEDULES = {"call_soon", "call_later", "call_at", "call_soon_threadsafe", "add_reader", "create_task", "ensure_future"}
OF_A_REQUEST = {
    "llmspell_kernel/dispatch.py": "a request's own task",
    "llmspell_kernel/pins.py": "what a reload has asked for",
    "llmspell_kernel/services/agents/called_tools.py": "a turn's calls",
    "llmspell_kernel/services/workflows/branches.py": "a workflow's branches",
    "llmspell_kernel/services/workflows/checkpoints.py": "an execution's own journal",
    "llmspell_kernel/services/agents/composite_answers.py": "the turns of a composite's agents",
    "llmspell_kernel/services/rag/ingest.py": "an ingest's documents",
    "llmspell_kernel/services/rag/writing.py": "an ingest's batches",
    "llmspell_kernel/scripting/cell_output.py": "an execution's displays",
    "llmspell_kernel/scripting/flood.py": "an execution's output",
    "llmspell_kernel/scripting/progress.py": "an execution's progress",
    "llmspell_kernel/scripting/clock.py": "an execution's time",
    "llmspell_kernel/scripting/output.py": "an execution's output",
    "llmspell_kernel/scripting/scope.py": "an execution's questions",
    "llmspell_providers/ollama/chat.py": "a chat's own look at the memory",
    "llmspell_providers/candle/process.py": "a call that was told to stop",
    "llmspell_providers/candle/loading.py": "the load's own hold",
    "llmspell_providers/residency/residency.py": "the load, for the request that needed it first",
}
OUTSIDE = {
    "llmspell_kernel/embedded.py": "another thread's",
    "llmspell_kernel/doors/channels.py": "the kernel's own end",
    "llmspell_kernel/services/events/export.py": "a thread's",
    "llmspell_providers/ollama/daemon.py": "another thread's",
    "protocol/llmspell_protocol/child.py": "in contexts of their own, or nothing that logs",
}
HEADERS = HeaderFactory()


def scheduled_plainly(path: Path) -> list[int]:
    """The lines of a module that schedule something in the context which they run in."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SCHEDULES
    ]


def test_whoever_schedules_says_for_whom() -> None:
    plain = {
        str(path.relative_to(ROOT)): lines
        for room in ("llmspell_kernel", "llmspell_providers", "protocol/llmspell_protocol")
        for path in sorted((ROOT / room).rglob("*.py"))
        if not {"client", "pulls"} & set(path.relative_to(ROOT).parts) and (lines := scheduled_plainly(path))
    }
    unsaid = {path: lines for path, lines in plain.items() if path not in OF_A_REQUEST | OUTSIDE}
    assert not unsaid, "schedule with of_no_request, or say above which request it is for"
    assert not (OF_A_REQUEST.keys() | OUTSIDE.keys()) - plain.keys(), "these schedule nothing any more"


@pytest.mark.parametrize("what", ["message", "gone"])
def test_what_a_send_of_a_request_finds_is_not_of_that_request(what: str) -> None:
    """A socket is looked at after each send, and clients are found gone by one."""
    seen: list[str | None] = []

    async def main(context: zmq.Context[Any]) -> None:
        done = asyncio.Event()

        def note(*_: object) -> None:
            seen.append(handled_request.get())
            done.set()

        with context.socket(zmq.ROUTER) as bound, context.socket(zmq.DEALER) as client:
            bound.set(zmq.ROUTER_MANDATORY, 1)
            bound.bind("inproc://scheduling")
            client.set(zmq.ROUTING_ID, b"client")
            client.connect("inproc://scheduling")
            router = Router("shell", bound, KeyedWire(KeyRing(b"key")), note, note, note)
            router.open(None, tells_of_ends=False)
            request = Request(
                id="r-1", msg_type="x", content={}, caller=Caller("client", "session"), sink=RecordingSink()
            )
            with handling(request):
                if what == "message":
                    client.send_multipart(Wire(b"key").pack(Message(HEADERS("kernel_info_request"), {})))
                to = b"client" if what == "message" else b"nobody"
                router.send(Outgoing(Message(HEADERS("x_reply"), {}, identities=[to])))
            async with asyncio.timeout(20):
                await done.wait()
            router.close()

    with zmq.Context() as context:
        asyncio.run(main(context))
    assert seen == [None]
