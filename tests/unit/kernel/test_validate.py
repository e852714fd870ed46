"""What clients may send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from math import inf, nextafter
from typing import Any, get_args, get_type_hints

import pytest
from msgpack import ExtType
from pydantic import ValidationError

from llmspell_kernel import validate as validation
from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.validate import validate
from llmspell_protocol.areas import AREAS, actions
from llmspell_protocol.areas.action import Empty
from llmspell_protocol.areas.agent import AgentExecute
from llmspell_protocol.areas.model import ModelLoad, ModelPull
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.models import ChatMessage, ChatRequest, SamplingOptions
from tests.fuzz.wrong_values import deep
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


def test_an_empty_text_is_no_text_to_embed_and_told_by_its_number() -> None:
    assert _problems("model", action="embed", input=["one", "", " \n"]) == {
        f"input.{number}": "is empty: there is nothing to embed" for number in (1, 2)
    }


def test_unknown_keys_and_nulls_are_left_aside() -> None:
    assert _validated("model", action="pull", model="m", quantization=None, future=1) == ModelPull(model="m")


def test_every_problem_is_listed_with_its_field() -> None:
    problems = _problems("model", action="chat", messages=[{"role": "robot", "content": 5}], stream="perhaps")
    assert set(problems) == {"model", "messages.0.role", "messages.0.content", "stream"}
    assert problems["model"] == "is missing"


def test_the_message_has_the_problems_in_words() -> None:
    with pytest.raises(InvalidRequest, match="Invalid model pull request: model: is missing"):
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


@pytest.mark.parametrize("number", [0, -1, -(2**31), 2**31])
def test_a_context_that_no_model_can_have_is_refused_where_one_is_loaded(number: int) -> None:
    assert "num_ctx" in _problems("model", action="load", model="m", num_ctx=number)


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "", "cuda:٣", "cuda:" + "9" * 5000])
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


@pytest.mark.parametrize("wanted", ["Off", "", "draft", 1, True, ["ngram"]])
def test_what_is_no_word_for_drafts_is_refused_wherever_a_request_may_have_one(wanted: object) -> None:
    chat = {"action": "chat", "model": "m", "messages": [{"role": "user", "content": "hi"}]}
    for problems in (
        _problems("model", **chat, speculation=wanted),
        _problems("model", action="load", model="m", speculation=wanted),
        _problems("agent", action="create", model="m", speculation=wanted),
    ):
        assert problems == {"speculation": "must be 'auto', 'off' or 'ngram'"}


def test_a_raw_prompt_has_something_to_continue() -> None:
    assert _problems("model", action="generate", model="m", prompt="", raw=True) == {
        "prompt": "is empty: there is nothing to continue"
    }
    # As the message of a conversation it is one that says nothing.
    assert _validated("model", action="generate", model="m", prompt="").prompt == ""


@pytest.mark.parametrize("seed", [(1 << 32) - 1, 1 << 32, -1])
def test_a_seed_that_means_any_is_no_seed(seed: int) -> None:
    chat = {"action": "chat", "model": "m", "messages": [{"role": "user", "content": "hi"}]}
    options = {"options": {"seed": seed}}
    for problems in (
        _problems("model", **chat, **options),
        _problems("agent", action="create", model="m", **options),
        _problems("agent", action="execute", agent="a", input="hi", **options),
    ):
        assert problems == {"options.seed": f"must be from 0 to 4294967294, got {seed}"}
    assert _validated("model", **chat, options={"seed": (1 << 32) - 2}).options.seed == (1 << 32) - 2


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


WRONG_NUMBERS = (True, "5", b"5", [], float("nan"), float("inf"), -float("inf"), 10**30, 10**400, -(2**63) - 1)


def _fields_of(kind: type, wanted: type) -> list[str]:
    """The fields that hold such a number, with what they are in before them."""
    found = []
    for name, hint in get_type_hints(kind).items():
        inner = [hint, *get_args(hint)]
        if wanted in inner and str not in inner:
            found.append(name)
        found += [f"{name}.{one}" for each in inner if is_dataclass(each) for one in _fields_of(each, wanted)]
    return found


def _numbers() -> Iterator[tuple[str, str, str]]:
    for area in AREAS:
        for action, record in actions(area).items():
            for wanted in (int, float):
                yield from ((area, action, field) for field in _fields_of(record.request, wanted))


@pytest.mark.parametrize(("area", "action", "field"), list(_numbers()))
def test_every_number_of_every_request_is_finite_no_boolean_and_of_64_bits(area: str, action: str, field: str) -> None:
    outer, _, inner = field.partition(".")
    for wrong in WRONG_NUMBERS:
        content = {**actions(area)[action].example, outer: {inner: wrong} if inner else wrong}
        problems = _problems(area, action=action, **content)
        assert list(problems) == [field], (wrong, problems)


@pytest.mark.parametrize(
    "option", [field for field in fields(SamplingOptions) if "range" in field.metadata], ids=lambda one: one.name
)
def test_both_ends_of_an_option_s_range_are_taken_and_what_is_next_to_them_is_not(option: Field[float]) -> None:
    chat = {"action": "generate", "model": "m", "prompt": "hi"}
    low, high = option.metadata["range"]
    for end in (low, high):
        assert getattr(_validated("model", **chat, options={option.name: end}).options, option.name) == end
    whole = get_args(get_type_hints(SamplingOptions)[option.name])[0] is int
    below, above = (low - 1, high + 1) if whole else (nextafter(low, -inf), nextafter(high, inf))
    for beyond in (below, above):
        assert list(_problems("model", **chat, options={option.name: beyond})) == [f"options.{option.name}"]
    assert not whole or high <= 2**32 - 1


def _free_data() -> Iterator[tuple[str, str, str]]:
    for area in AREAS:
        for action, record in actions(area).items():
            for name, hint in get_type_hints(record.request).items():
                if "Mapping[str, typing.Any]" in str(hint):
                    yield area, action, name


@pytest.mark.parametrize(("area", "action", "field"), list(_free_data()))
def test_free_data_of_every_request_is_what_every_encoding_carries(area: str, action: str, field: str) -> None:
    for wrong in (b"x", 10**30, float("nan"), {1: 2}, deep(400, lists=True), ExtType(5, b"")):
        data = {"a": [wrong]}
        content = {**actions(area)[action].example, field: [data] if field == "tools" else data}
        (place,) = _problems(area, action=action, **content)
        assert place.startswith(field), place


def test_arguments_of_a_call_that_is_told_again_are_free_data_too() -> None:
    call = {"id": "1", "name": "f", "arguments": {"n": 10**30}}
    problems = _problems("model", action="chat", model="m", messages=[{"role": "assistant", "tool_calls": [call]}])
    assert problems == {"messages.0.tool_calls.0.arguments.n": "must be a whole number of at most 64 bits"}


@pytest.mark.parametrize("stop", [[""], ["x", ""]])
def test_an_empty_stop_text_is_refused_by_name(stop: list[str]) -> None:
    said = "an empty text would end every reply before its first word"
    for problems in (
        _problems("model", action="generate", model="m", prompt="hi", options={"stop": stop}),
        _problems("agent", action="create", model="m", options={"stop": stop}),
        _problems("agent", action="execute", agent="a", input="hi", options={"stop": stop}),
    ):
        assert problems == {"options.stop": said}


@pytest.mark.parametrize(
    "value", ["9" * 400 + "s", "9" * 400, float("nan"), float("inf"), 10**400, True, "nan", [], "1e99"]
)
def test_a_keep_alive_that_is_no_time_is_refused_once(value: object) -> None:
    ((field, message),) = _problems("model", action="load", model="m", keep_alive=value).items()
    assert (field, message[:18]) == ("keep_alive", "must be a duration")


def test_of_thousands_of_problems_a_hundred_are_told() -> None:
    with pytest.raises(InvalidRequest) as caught:
        _validated("model", action="embed", input=[5] * 10_000)
    told = caught.value.details["problems"]
    assert len(told) == 101
    assert told[-1] == {"field": "", "message": "and 9900 more problems"}


@pytest.mark.parametrize(
    "content",
    [
        {"action": "embed", "input": [5] * 10_000},
        {"action": "chat", "model": "m", "messages": [1] * 10_000},
        {"action": "chat", "model": "m", "messages": [{}] * 10_000},
        {"action": "chat", "model": "m", "messages": [{"role": "user", "images": [5] * 10_000}]},
        {"action": "chat", "model": "m", "messages": [], "options": {"stop": [5] * 10_000}},
    ],
)
def test_only_the_first_of_many_problems_are_written_down(
    content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    problems_of = validation._problems_of

    def counted(error: ValidationError) -> Iterator[Any]:
        written.append(error.error_count())
        return problems_of(error)

    monkeypatch.setattr(validation, "_problems_of", counted)
    with pytest.raises(InvalidRequest) as caught:
        _validated("model", **content)
    assert written[0] <= 200
    told = caught.value.details["problems"]
    assert len(told) == 101
    assert told[-1]["message"].endswith("9900 more problems")


def test_many_problems_far_down_are_counted() -> None:
    messages = [{"role": "user", "content": "x"}] * 200 + [{"role": "user"}] * 2_000 + [1] * 2_000
    with pytest.raises(InvalidRequest) as caught:
        _validated("model", action="chat", model="m", messages=messages)
    assert caught.value.details["problems"] == [{"field": "", "message": "2000 problems"}]
