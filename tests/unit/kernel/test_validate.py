"""What clients may send."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.validate import validate
from llmspell_protocol.areas import AREAS, actions
from llmspell_protocol.areas.action import Empty
from llmspell_protocol.areas.agent import AgentExecute
from llmspell_protocol.areas.model import ModelLoad, ModelPull
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.models import ChatMessage, ChatRequest, SamplingOptions
from tests.support.recording_sink import RecordingSink


def _validated(area: str, **content: Any) -> Any:
    caller = Caller(client="me", session="s")
    request = Request(id="1", msg_type=f"{area}_request", content=content, caller=caller, sink=RecordingSink())
    return validate(request, actions(area)[content["action"]].request)


def _problems(area: str, **content: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        _validated(area, **content)
    return {problem["field"]: problem["message"] for problem in caught.value.details["problems"]}


def test_content_becomes_the_class_of_its_action() -> None:
    assert _validated("model", action="pull", model="m") == ModelPull(model="m")
    assert _validated("model", action="load", model="m", keep_alive="5m") == ModelLoad(model="m", keep_alive="5m")
    assert _validated("model", action="ps") == Empty()


def test_a_chat_has_messages_and_options_as_objects() -> None:
    request = _validated(
        "model",
        action="chat",
        model="m",
        messages=[{"role": "user", "content": "hi"}],
        options={"temperature": 1, "stop": ["x"]},
    )
    assert request == ChatRequest(
        model="m",
        messages=request.messages,
        options=SamplingOptions(temperature=1.0, stop=request.options.stop),
    )
    assert list(request.messages) == [ChatMessage(role="user", content="hi")]


def test_images_are_bytes_or_in_json_base64() -> None:
    def chat(image: object) -> dict[str, Any]:
        return {"action": "chat", "model": "m", "messages": [{"role": "user", "images": [image]}]}

    for image in (b"\x89PNG", "iVBORw=="):
        assert list(_validated("model", **chat(image)).messages[0].images) == [b"\x89PNG"[:4]]
    assert _problems("model", **chat("/etc/passwd!")) == {
        "messages.images": "must be bytes, or base64 in a JSON message"
    }


def test_unknown_keys_and_nulls_are_left_aside() -> None:
    assert _validated("model", action="pull", model="m", quantization=None, future=1) == ModelPull(model="m")


def test_every_problem_is_listed_with_its_field() -> None:
    problems = _problems("model", action="chat", messages=[{"role": "robot", "content": 5}], stream="perhaps")
    assert set(problems) == {"model", "messages.0.role", "messages.0.content", "stream"}
    assert problems["model"] == "Field required"


def test_the_message_has_the_problems_in_words() -> None:
    with pytest.raises(InvalidRequest, match="Invalid model pull request: model: Field required"):
        _validated("model", action="pull")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("temperature", 2.5), ("temperature", -1), ("top_p", 1.1), ("max_tokens", 0), ("seed", -1)),
        *(("repeat_penalty", 0), ("num_beams", 0), ("num_beams", 65)),
    ],
)
def test_options_out_of_range_are_refused(option: str, value: float) -> None:
    chat = {"action": "chat", "model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert list(_problems("model", **chat, options={option: value})) == [f"options.{option}"]
    assert list(_problems("agent", action="execute", agent="a", input="hi", options={option: value})) == [
        f"options.{option}"
    ]


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", ""])
def test_a_word_that_is_no_device_is_refused_wherever_a_request_may_have_one(device: str) -> None:
    chat = {"action": "chat", "model": "m", "messages": [{"role": "user", "content": "hi"}]}
    for problems in (
        _problems("model", **chat, device=device),
        _problems("model", action="load", model="m", device=device),
        _problems("agent", action="create", model="m", device=device),
    ):
        assert problems == {"device": f"'{device}' is not one of auto, cpu, cuda, cuda:N, metal"}


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "metal", "CPU"])
def test_every_word_for_a_device_is_taken(device: str) -> None:
    assert _validated("model", action="load", model="m", device=device).device == device


def test_a_large_limit_is_said_in_digits() -> None:
    with pytest.raises(InvalidRequest, match=r"options.max_tokens: must be from 1 to 2147483647, got 0"):
        _validated("model", action="generate", model="m", prompt="hi", options={"max_tokens": 0})


def test_a_chat_needs_messages_and_a_generate_needs_a_prompt() -> None:
    assert list(_problems("model", action="chat", model="m")) == ["messages"]
    assert list(_problems("model", action="generate", model="m")) == ["prompt"]
    both = {"messages": [{"role": "user", "content": "hi"}], "prompt": "hi"}
    assert list(_problems("model", action="generate", model="m", **both)) == ["prompt"]


def test_a_text_is_no_list_of_texts() -> None:
    assert list(_problems("model", action="embed", input="one text")) == ["input"]


@pytest.mark.parametrize(("area", "action"), [(area, action) for area in AREAS for action in actions(area)])
def test_the_example_of_every_action_is_one_of_its_class(area: str, action: str) -> None:
    record = actions(area)[action]
    assert type(_validated(area, action=action, **record.example)) is record.request


def test_an_agent_s_options_are_objects_too() -> None:
    execute = _validated("agent", action="execute", agent="a", input="hi", options={"max_tokens": 5})
    assert isinstance(execute, AgentExecute)
    assert execute.options == SamplingOptions(max_tokens=5)
