"""How deep agents may call agents, told by the requests that they call for."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.services.agents.nesting import Nestings, turn_within
from llmspell_protocol.errors import InvalidRequest, ToolError
from tests.support.agent_scenes import AgentScene
from tests.support.recording_sink import RecordingSink


def request_of(parent: Request | None = None) -> Request:
    """A request such as a script's function makes inside another."""
    return Request("r", "agent_request", {"action": "execute"}, Caller("c", "s"), RecordingSink(), parent=parent)


def test_the_strictest_of_all_above_says_how_deep_it_may_go() -> None:
    scene = AgentScene()
    agents = [scene.agent(name=f"a{depth}", max_recursion_depth=most) for depth, most in enumerate((5, 1, 9, 9))]
    nestings = Nestings()
    with ExitStack() as stack:
        request = None
        for agent in agents[:3]:
            request = request_of(request_of(request))  # a script's own request may stand between
            stack.enter_context(nestings.enter(request, agent, apart=False))
        with (
            pytest.raises(ToolError, match="max_recursion_depth") as caught,
            nestings.enter(request_of(request), agents[3], apart=False),
        ):
            pass
        assert caught.value.details["limit"] == "max_recursion_depth"
    with nestings.enter(request_of(), agents[3], apart=False):
        pass


def test_an_agent_does_not_wait_for_itself_and_may_call_itself_apart() -> None:
    scene = AgentScene()
    ada, eve = scene.agent(name="ada"), scene.agent(name="eve")
    nestings = Nestings()
    top = request_of()
    with (
        nestings.enter(top, ada, apart=False),
        turn_within(top, eve, "hi") as part,
        nestings.enter(part, eve, apart=True),
    ):
        inner = request_of(part)
        with pytest.raises(InvalidRequest, match="within a turn of its own"), nestings.enter(inner, ada, apart=False):
            pass
        with nestings.enter(inner, ada, apart=True):
            pass
        with nestings.enter(inner, eve, apart=False):  # its turn above holds nothing
            pass


def test_a_part_is_a_child_of_the_whole_for_as_long_as_it_runs() -> None:
    scene = AgentScene()
    top = request_of()
    with turn_within(top, scene.agent(), "hi") as part:
        assert (part.root, top.children) == (top, {part})
        part.sink.delta({"text": "hidden"})
        part.sink.progress({"phase": "loading"})
    assert top.children == set()
    assert isinstance(top.sink, RecordingSink)
    assert top.sink.sent == [("progress", {"phase": "loading"})]
