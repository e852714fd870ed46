"""From a request's content to the dataclass of its action: the one place where what clients send is checked.

Knows types and ranges; whether a model or an agent exists is the services' business. A field of one name (`options`,
`device`, `messages`) means the same in every class that has it, so that no class is imported to be told from others.
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import islice
from typing import TYPE_CHECKING, Any

from llmspell_kernel.exact_content import Inexact, exact
from llmspell_kernel.field_checks import problems_of_fields
from llmspell_kernel.flat_content import invalid
from llmspell_kernel.problem_words import said
from llmspell_kernel.request import Request
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.numbers import WrongNumber, demand_range

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

    from llmspell_protocol.models import ChatRequest, SamplingOptions

_DEVICE = re.compile(r"auto|cpu|metal|cuda(:[0-9]{1,3})?")

_MANY = 1_000
"""Problems that are looked at one by one."""
_FIRST = 100
_NAMED = 10
"""So many unknown options are named; a suggestion for each of thousands would hold the loop."""
_NO_IMAGE = b"\0not base64"


def validate(request: Request, kind: type) -> Any:
    """The content of one of our own requests as its class.

    Keys that the class doesn't have are ignored, so that newer clients can talk to older kernels.

    Raises:
        InvalidRequest: fields are missing or wrong; `details.problems` lists every one.
    """
    what = f"Invalid {request.msg_type.removesuffix('_request')} {request.action} request"
    return validated(request.content, kind, request.action, what=what)


def validated(given: Mapping[str, Any], kind: type, action: str, *, what: str) -> Any:
    """The same for a content that no request has brought; `what` begins the error's message."""
    if not fields(kind):
        return kind()
    content = {key: value for key, value in given.items() if key != "action" and value is not None}
    problems = dict(islice(problems_of_fields(kind, content), _MANY))
    if "messages" in content:
        content["messages"] = _with_image_bytes(content["messages"])
    if isinstance(content.get("images"), list | tuple):
        content["images"] = [_image_bytes(image) for image in content["images"]]
    problems |= _unknown_options(content.get("options"))
    if not problems:
        try:
            value: Any = exact(kind, content)
        except Inexact:
            pass
        else:
            problems = dict(_problems(value, action))
            if not problems:
                return value
            raise invalid(what, list(problems.items()), separator=": ")
    # What has the form of its class is answered without.
    from pydantic import ValidationError

    count = 0
    try:
        value = _adapter(kind).validate_python(content)
    except ValidationError as error:
        first = _of_first_items(kind, content) if error.error_count() > _MANY else error
        for problem in _problems_of(first):
            # A union of types has a problem for each of them, below the field's own place.
            loc = [str(part) for part in problem["loc"]]
            if ".".join(loc[:-1]) not in problems:
                problems[".".join(loc)] = said(problem)
        count = 0 if first is error else error.error_count()
    else:
        if not problems:
            problems = dict(_problems(value, action))
        if not problems:
            return value
    raise invalid(what, list(problems.items()), separator=": ", count=max(count, len(problems)))


def restored(content: Mapping[str, Any], kind: type) -> Any:
    """What was once shown as content, as its class again; Raises `InvalidRequest` where it can't be."""
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_python(content)
    except ValidationError as error:
        first = next(_problems_of(error))
        place = ".".join(map(str, first["loc"]))
        raise InvalidRequest(f"what was recorded is no {kind.__name__}: {place}: {first['msg']}") from None


def _unknown_options(options: Any) -> dict[str, str]:
    """What is wrong with the names of a request's options: one that there is not would change what is done."""
    if not isinstance(options, dict):
        return {}
    from llmspell_protocol.model_options import meant_by, option_names

    known = option_names()
    problems = {}
    for name in islice((name for name in options if name not in known), _NAMED):
        meant = meant_by(name)
        shown = str(name)[:_FIRST]
        also = f"; did you mean '{meant}'?" if meant else ""
        problems[f"options.{shown}"] = f"there is no such option{also}"
    return problems


def _problems_of(error: ValidationError | None) -> Iterator[Any]:
    if error is not None:
        yield from error.errors(include_url=False, include_context=False, include_input=False)


def _of_first_items(kind: type, content: dict[str, Any]) -> ValidationError | None:
    """The problems of a content whose lists end early: to write down a million of them holds the loop for seconds."""
    from pydantic import ValidationError

    try:
        _adapter(kind).validate_python(_with_short_lists(content))
    except ValidationError as error:
        return error
    return None


def _with_short_lists(value: Any, levels: int = 4) -> Any:
    if not levels:
        return value
    if isinstance(value, dict):
        return {name: _with_short_lists(item, levels - 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_short_lists(item, levels - 1) for item in value[:_FIRST]]
    return value


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
    yield from _out_of_range(value, "")
    options = getattr(value, "options", None)
    if options is not None:
        yield from _problems_of_options(options)
    device = getattr(value, "device", None)
    if device is not None and _DEVICE.fullmatch(device.lower()) is None:
        yield "device", f"'{device}' is not one of auto, cpu, cuda, cuda:N, metal"
    if any(image.startswith(_NO_IMAGE) for turn in getattr(value, "messages", ()) for image in turn.images):
        yield "messages.images", "must be bytes, or base64 in a JSON message"
    if any(image.startswith(_NO_IMAGE) for image in getattr(value, "images", ())):
        yield "images", "must be bytes, or base64 in a JSON message"
    if hasattr(value, "prompt"):
        yield from _problems_of_chat(value, action)
    if action == "embed":
        for number, text in enumerate(value.input):
            if not text.strip():
                yield f"input.{number}", "is empty: there is nothing to embed"


def _out_of_range(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """The numbers outside of the range that their field names."""
    for one in fields(value):
        number = getattr(value, one.name)
        if number is None or "range" not in one.metadata:
            continue
        try:
            demand_range(number, *one.metadata["range"])
        except WrongNumber as problem:
            yield f"{place}{one.name}", str(problem)


def _problems_of_options(options: SamplingOptions) -> Iterator[tuple[str, str]]:
    yield from _out_of_range(options, "options.")
    if "" in (options.stop or ()):
        yield "options.stop", "an empty text would end every reply before its first word"


def _problems_of_chat(wanted: ChatRequest, action: str) -> Iterator[tuple[str, str]]:
    if action == "chat" and not wanted.messages:
        yield "messages", "is missing"
    if action == "generate" and wanted.prompt is None:
        yield "prompt", "is missing"
    if wanted.messages and wanted.prompt is not None:
        yield "prompt", "can't be given together with messages"
    if wanted.raw and wanted.prompt is None:
        yield "raw", "needs prompt"
    if wanted.raw and wanted.prompt == "":
        yield "prompt", "is empty: there is nothing to continue"
