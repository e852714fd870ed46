"""From a request's content to the dataclass of its action: the one place where what clients send is checked.

Knows types and ranges; whether a model or an agent exists is the services' business.
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llmspell_kernel.context import Request
from llmspell_protocol.actions import actions_of
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.messages import area_of
from llmspell_protocol.models import ChatRequest, SamplingOptions
from llmspell_protocol.requests import CONTENTS

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "top_k": (0, 1 << 31),
    "min_p": (0, 1),
    "repeat_penalty": (0.01, 100),
    "repeat_last_n": (-1, 1 << 31),
    "seed": (0, (1 << 32) - 1),
    "max_tokens": (1, 1 << 31),
    "num_ctx": (1, 1 << 31),
    "num_beams": (1, 64),
}
"""What sampling options may be; repeat_last_n -1 is the whole context."""

_DEVICE = re.compile(r"auto|cpu|metal|cuda(:\d+)?")

_NO_IMAGE = b"\0not base64"


def validate(request: Request) -> Any:
    """The content of one of our own requests as the class that `CONTENTS` names for its action.

    Keys that the class doesn't have are ignored, so that newer clients can talk to older kernels.

    Raises:
        InvalidRequest: no such action, or fields that are missing or wrong; `details.problems` lists every one.
    """
    area = area_of(request.msg_type)
    kind = CONTENTS.get((area, request.action))
    if kind is None:
        actions = ", ".join(actions_of(area))
        raise InvalidRequest(f"{request.msg_type} has no action '{request.action}'", hint=f"actions: {actions}")
    # Only what is used: a worker or a client that imports this package needs no pydantic.
    from pydantic import ValidationError

    content = {key: value for key, value in request.content.items() if key != "action" and value is not None}
    if kind is ChatRequest:
        content["messages"] = _with_image_bytes(content.get("messages", ()))
    try:
        value = _adapter(kind).validate_python(content)
    except ValidationError as error:
        problems = [
            (".".join(str(part) for part in problem["loc"]), problem["msg"])
            for problem in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    else:
        problems = list(_problems(value, request.action))
        if not problems:
            return value
    raise _invalid(f"{area} {request.action}", problems)


@functools.cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    """Built at the first request of its kind, since building all of them would delay the first answer."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _with_image_bytes(messages: Any) -> Any:
    """The messages with images as bytes; JSON has no bytes, so that they come as base64 there."""
    if not isinstance(messages, list | tuple):
        return messages
    return [
        {**turn, "images": [_image_bytes(image) for image in turn["images"]]}
        if isinstance(turn, dict) and isinstance(turn.get("images"), list | tuple)
        else turn
        for turn in messages
    ]


def _image_bytes(image: Any) -> Any:
    if not isinstance(image, str):
        return image
    try:
        return base64.b64decode(image, validate=True) or _NO_IMAGE
    except ValueError:
        return _NO_IMAGE


def _problems(value: Any, action: str) -> Iterator[tuple[str, str]]:
    options = getattr(value, "options", None)
    if isinstance(options, SamplingOptions):
        for name, (low, high) in _RANGES.items():
            number = getattr(options, name)
            if number is not None and not low <= number <= high:
                yield f"options.{name}", f"must be from {low:.10g} to {high:.10g}, got {number:.10g}"
    device = getattr(value, "device", None)
    if device is not None and _DEVICE.fullmatch(device.lower()) is None:
        yield "device", f"'{device}' is not one of auto, cpu, cuda, cuda:N, metal"
    if isinstance(value, ChatRequest):
        if any(image.startswith(_NO_IMAGE) for turn in value.messages for image in turn.images):
            yield "messages.images", "must be bytes, or base64 in a JSON message"
        if action == "chat" and not value.messages:
            yield "messages", "Field required"
        if action == "generate" and value.prompt is None:
            yield "prompt", "Field required"
        if value.messages and value.prompt is not None:
            yield "prompt", "can't be given together with messages"
        if value.raw and value.prompt is None:
            yield "raw", "needs prompt"


def _invalid(what: str, problems: list[tuple[str, str]]) -> InvalidRequest:
    text = "; ".join(f"{field}: {message}" if field else message for field, message in problems)
    return InvalidRequest(
        f"Invalid {what} request: {text}",
        details={"problems": [{"field": field, "message": message} for field, message in problems]},
    )
