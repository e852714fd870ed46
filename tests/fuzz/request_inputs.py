"""Requests that are wrong somewhere, made from the records of the protocol's areas and from the standard contents."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from random import Random
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgpack

from llmspell_protocol.areas import AREAS, actions
from llmspell_protocol.messages import METADATA_KEY
from llmspell_protocol.request_options import RequestOptions
from llmspell_protocol.standard_requests import (
    CommInfoRequest,
    CompleteRequest,
    ExecuteRequest,
    HistoryRequest,
    InspectRequest,
    IsCompleteRequest,
    ShutdownRequest,
)
from tests.fuzz.wrong_values import wrong_of_kind, wrong_value

STANDARD: Mapping[str, type] = {
    "execute_request": ExecuteRequest,
    "complete_request": CompleteRequest,
    "inspect_request": InspectRequest,
    "is_complete_request": IsCompleteRequest,
    "history_request": HistoryRequest,
    "comm_info_request": CommInfoRequest,
    "shutdown_request": ShutdownRequest,
}
SMALL_MODEL = "small@candle"
REQUEST_S = 15.0
"""How long a request of the trial may take by its own option."""

_KNOWN: Mapping[str, Any] = {
    "code": "return 1",
    "device": "cpu",
    "agent": "helper",
    "backend": "candle",
    "provider": "mock",
    "messages": [{"role": "user", "content": "hello you"}],
    "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    "schema": {"type": "object", "properties": {"a": {"type": "integer", "maximum": 9}}, "required": ["a"]},
    "engine": "lua",
    "keep_alive": "5m",
    "cwd": "/",
    "path": "x.lua",
}


class Sent(NamedTuple):
    """One request as it goes out: its four parts without the header, encoded."""

    msg_type: str
    encoding: str
    content: dict[str, Any]
    metadata: dict[str, Any]

    def encoded(self, part: Mapping[str, Any]) -> bytes:
        """A part in this request's encoding, whatever values it has."""
        if self.encoding == "json":
            return json.dumps(part).encode()
        packed: bytes = msgpack.packb(part, unicode_errors="surrogatepass")
        return packed


def wrong_request(random: Random) -> Sent:
    """A request that a kernel has to answer, but not with `internal`; a few are right."""
    encoding = random.choice(("json", "msgpack"))
    metadata: dict[str, Any] = {METADATA_KEY: {"timeout_s": REQUEST_S}}
    if random.random() < 0.75:
        area = random.choice(AREAS)
        name = random.choice(list(actions(area)))
        msg_type, content = f"{area}_request", {"action": name, **_content(random, actions(area)[name].request)}
    else:
        name, msg_type = "", random.choice(list(STANDARD))
        content = _content(random, STANDARD[msg_type])
    if random.random() < 0.2:
        options = {**_content(random, RequestOptions), "timeout_s": REQUEST_S}
        metadata[METADATA_KEY] = _changed(random, options, encoding)
    if random.random() < 0.95:
        for _ in range(random.choice((1, 1, 1, 1, 1, 1, 2, 4))):
            content = _changed(random, content, encoding)
        if name and isinstance(content, dict) and random.random() < 0.95:
            content["action"] = name
    _make_harmless(random, f"{msg_type.removesuffix('_request')} {name}".rstrip(), content, encoding)
    return Sent(msg_type, encoding, content, metadata)


def _content(random: Random, kind: type) -> dict[str, Any]:
    """A content that is right: what is required, and half of the rest."""
    hints = get_type_hints(kind)
    return {
        name: _right(random, name, hint)
        for name, hint in hints.items()
        if _required(kind, name) or random.random() < 0.4
    }


def _required(kind: type, name: str) -> bool:
    if not is_dataclass(kind):
        return name not in getattr(kind, "_field_defaults", {})
    (found,) = (field for field in fields(kind) if field.name == name)
    return found.default is MISSING and found.default_factory is MISSING


def _right(random: Random, name: str, hint: Any) -> Any:
    if name == "model":
        return SMALL_MODEL if random.random() < 0.08 else "mock/a"
    if name in _KNOWN:
        return copy.deepcopy(_KNOWN[name])
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _right(random, name, random.choice([one for one in inner if one is not NoneType]))
    if origin is Literal:
        return random.choice(inner)
    if origin is Sequence:
        return [_right(random, "", inner[0]) for _ in range(random.choice((0, 1, 2)))]
    if origin is Mapping:
        return {"a": _right(random, "", inner[1])}
    if is_dataclass(hint):
        assert isinstance(hint, type)
        return _content(random, hint)
    return _PLAIN.get(hint, lambda: "x")()


_PLAIN: Mapping[Any, Callable[[], Any]] = {
    str: lambda: "two words",
    bool: lambda: False,
    int: lambda: 1,
    float: lambda: 1.0,
    bytes: lambda: "aGVsbG8=",
}


def _changed(random: Random, content: Any, encoding: str) -> Any:
    """The same with one place changed, however deep it is; rather one with data that nobody checks by type."""
    places = [place for place in _places(content) if place and place != ("action",)]
    chance = random.random()
    if not places or chance < 0.05:
        return {**content, "more": wrong_value(random, encoding)} if isinstance(content, dict) else content
    free = [place for place in places if place[0] in _FREE]
    place = random.choice(free if free and random.random() < 0.4 else places)
    if chance < 0.1:
        return _with(content, place, _gone)
    wrong = wrong_of_kind if random.random() < 0.6 else _wrong_anything
    return _with(content, place, lambda value: wrong(random, value, encoding))


_FREE = frozenset({"parameters", "context", "schema", "tools", "options", "messages"})
_GONE = object()


def _gone(_value: Any) -> Any:
    return _GONE


def _wrong_anything(random: Random, _value: Any, encoding: str) -> Any:
    return wrong_value(random, encoding)


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    if len(place) > 4:
        return
    inner = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for name, item in inner:
        yield from _places(item, (*place, name))


def _with(value: Any, place: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    if not place:
        return change(value)
    new = _with(value[place[0]], place[1:], change)
    if isinstance(value, list):
        return [new if at == place[0] else item for at, item in enumerate(value) if at != place[0] or new is not _GONE]
    changed = {**value, place[0]: new}
    return {name: item for name, item in changed.items() if item is not _GONE}


def _make_harmless(random: Random, name: str, content: Any, encoding: str) -> None:
    """What would really end the kernel, install or delete something, or take long, is made wrong for sure."""
    if not isinstance(content, dict):
        return
    if name == "shutdown":
        content["restart"] = random.choice((5, "yes", [], {}, 0.5))
    elif name == "kernel drain":
        content["timeout_s"] = random.choice((-1, "x", [], {}, float("nan"), float("inf"), True))
    elif name == "event subscribe":
        content["count"] = random.choice((0, -1, "x", [], {}, 1.5, True))  # A stream of events ends only when told to.
    elif name == "model install_ollama":
        content["execute"] = random.choice((False, [], {}, 7, "x"))
    elif name == "agent delete":
        content["agent"] = random.choice(("nobody", wrong_value(random, encoding)))
    elif name == "model embed" and isinstance(content.get("input"), list) and len(content["input"]) > 100:
        content["model"] = "mock/a"  # A real model would take its time for thousands of texts.
    elif name == "model remove":
        content["model"] = random.choice(("mock/a", "", "nothing@candle", wrong_value(random, encoding)))
