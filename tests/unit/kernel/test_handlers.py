"""Handlers of our own requests have what the records of their actions say, and nothing else answers in its place."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from typing import Any, get_type_hints

import pytest

from llmspell_kernel.active_requests import ActiveRequests
from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.clients import Clients
from llmspell_kernel.dispatch import Dispatcher
from llmspell_kernel.drain import Drain
from llmspell_kernel.handlers.agent import AgentHandler
from llmspell_kernel.handlers.artifact import ArtifactHandler
from llmspell_kernel.handlers.event import EventHandler
from llmspell_kernel.handlers.hook import HookHandler
from llmspell_kernel.handlers.kernel import KernelHandler
from llmspell_kernel.handlers.model import ModelHandler
from llmspell_kernel.handlers.notebook import NotebookHandler
from llmspell_kernel.handlers.rag import RagHandler
from llmspell_kernel.handlers.session import SessionHandler
from llmspell_kernel.handlers.state import StateHandler
from llmspell_kernel.handlers.tool import ToolHandler
from llmspell_kernel.handlers.workflow import WorkflowHandler
from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_protocol.areas import AREAS, actions
from llmspell_protocol.areas.action import Empty
from llmspell_protocol.areas.kernel import KernelLogs, KernelLogsReply
from llmspell_protocol.rights import SCRIPT_CAPABILITIES, Capability
from tests.support.recording_sink import RecordingSink

HANDLERS: dict[str, type[AreaHandler]] = {
    "model": ModelHandler,
    "agent": AgentHandler,
    "kernel": KernelHandler,
    "tool": ToolHandler,
    "event": EventHandler,
    "hook": HookHandler,
    "state": StateHandler,
    "workflow": WorkflowHandler,
    "session": SessionHandler,
    "artifact": ArtifactHandler,
    "rag": RagHandler,
    "notebook": NotebookHandler,
}


@dataclass(frozen=True)
class Half(AreaHandler):
    """A handler of `kernel_request` that is not finished."""

    lines: int

    async def logs(self, request: Request, wanted: KernelLogs) -> KernelLogsReply:
        return KernelLogsReply(lines=[f"line {number}" for number in range(self.lines)][-wanted.lines :])


def _methods(handler: type) -> dict[str, Any]:
    return {name.removesuffix("_"): method for name, method in vars(handler).items() if not name.startswith("_")}


def test_every_area_has_a_handler() -> None:
    assert set(HANDLERS) == set(AREAS)


@pytest.mark.parametrize("area", AREAS)
def test_a_handler_has_one_method_an_action_and_no_other(area: str) -> None:
    assert set(_methods(HANDLERS[area])) == set(actions(area))


@pytest.mark.parametrize("area", AREAS)
def test_a_method_takes_and_returns_what_the_action_s_record_says(area: str) -> None:
    for name, method in _methods(HANDLERS[area]).items():
        assert inspect.iscoroutinefunction(method), name
        hints = get_type_hints(method)
        record = actions(area)[name]
        assert hints == {"request": Request, "wanted": record.request, "return": record.reply}, name


def _answered(
    capabilities: frozenset[Capability] | None = None, *, draining: bool = False, max_clients: int = 1, **content: Any
) -> dict[str, Any]:
    async def body() -> RecordingSink:
        requests, clients = ActiveRequests(), Clients(limit=max_clients)
        drain = Drain(requests)
        handlers = {"kernel_request": Half(3), "model_request": Half(3)}
        dispatcher = Dispatcher(handlers, requests=requests, clients=clients, drain=drain)
        clients.came("client")
        if draining:
            drain.begin(0)
        sink = RecordingSink()
        caller = Caller("client", "session")
        if capabilities is not None:
            caller = caller._replace(capabilities=capabilities)
        msg_type = content.pop("msg_type", "kernel_request")
        await dispatcher.submit(Request(id="1", msg_type=msg_type, content=content, caller=caller, sink=sink))
        return sink

    ((kind, answer),) = asyncio.run(body()).sent
    assert kind == "reply"
    return answer


def test_the_reply_class_becomes_the_content() -> None:
    answer = _answered(action="logs", lines=2)
    assert {key: answer[key] for key in ("status", "lines")} == {"status": "ok", "lines": ["line 1", "line 2"]}


def test_an_action_without_a_method_is_internal_and_nothing_else_answers() -> None:
    for action in actions("kernel"):
        if action != "logs":
            answer = _answered(action=action, **actions("kernel")[action].example)
            assert (answer["status"], answer["code"]) == ("error", "internal")
            assert answer["message"] == f"internal error in kernel_request {action}"


@pytest.mark.parametrize("action", ["dance", "", "__init__", "_reply", None, 7])
def test_an_action_that_does_not_exist_is_named_with_those_that_do(action: object) -> None:
    answer = _answered(action=action)
    assert answer["code"] == "invalid_request"
    named = action if isinstance(action, str) else ""
    assert answer["message"] == f"kernel_request has no action '{named}'"
    assert answer["hint"] == f"actions: {', '.join(sorted(actions('kernel')))}"


def test_a_right_is_that_of_the_action_s_record() -> None:
    answer = _answered(SCRIPT_CAPABILITIES, action="logs")
    assert (answer["code"], answer["details"]["capability"]) == ("forbidden", "admin")


def test_what_only_looks_is_answered_while_the_kernel_drains_and_when_it_is_full() -> None:
    assert _answered(draining=True, action="logs")["status"] == "ok"
    assert _answered(max_clients=0, action="logs")["status"] == "ok"
    for model in ({"action": "list"}, {"action": "load", "model": "m"}):
        assert _answered(draining=True, msg_type="model_request", **model)["code"] == "busy"
        assert _answered(max_clients=0, msg_type="model_request", **model)["code"] == "busy"


def test_looking_and_steering_is_said_by_each_action() -> None:
    looks = {(area, name) for area in AREAS for name, record in actions(area).items() if record.looks}
    assert looks == {
        *(("model", "status"), ("model", "ps"), ("workflow", "cancel"), ("hook", "list"), ("hook", "stats")),
        *(("event", name) for name in ("subscribe", "subscriptions", "stats")),
        *(("kernel", name) for name in actions("kernel")),
        *(("session", name) for name in ("list", "show", "conversation", "search", "replayable")),
        *(("artifact", name) for name in ("get", "query")),
        *(("notebook", name) for name in ("list", "close")),
    }


def test_requests_without_fields_share_a_class() -> None:
    assert actions("model")["ps"].request is actions("kernel")["status"].request is Empty
