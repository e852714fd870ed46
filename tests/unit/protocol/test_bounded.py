"""How many values an input may hold: counted before memory is spent on them, whatever their shape and encoding."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from llmspell_protocol import bounded
from llmspell_protocol.bounded import TooManyValues, unpack
from llmspell_protocol.bounded_json import load_json
from llmspell_protocol.frames import FrameBuffer, pack_frame
from llmspell_protocol.messages import HeaderFactory, Message
from llmspell_protocol.wire import DELIMITER, MAX_HEADER_BYTES, MAX_PARTS_BYTES, Wire, WireError, encode_part

ENCODERS: dict[str, tuple[Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    "json": (lambda value: json.dumps(value, separators=(",", ":")).encode(), load_json),
    "msgpack": (msgpack.packb, unpack),
}
SHAPES: dict[str, Callable[[int], Any]] = {
    "empty maps": lambda number: [{}] * number,
    "empty lists": lambda number: [[]] * number,
    "nothings": lambda number: [None] * number * 5,
    "texts": lambda number: ["ab"] * number * 5,
    "a map": lambda number: dict.fromkeys(map(str, range(number * 4)), 0),
    "lists of lists": lambda number: [[[0] * 3] * 4] * number,
    "pairs": lambda number: [{"a": {"b": []}}] * number,
}
FEW, MANY = 1_000, 300_000
KEY = b"key"


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_few_are_taken_and_many_are_not(encoding: str, shape: str) -> None:
    encode, decode = ENCODERS[encoding]
    few = {"x": SHAPES[shape](FEW), "long": "y" * bounded.UNCOUNTED_BYTES}
    assert decode(encode(few)) == few
    with pytest.raises(TooManyValues):
        decode(encode({"x": SHAPES[shape](MANY)}))


@pytest.mark.parametrize("encoding", ENCODERS)
def test_what_stands_in_texts_does_not_count(encoding: str) -> None:
    encode, decode = ENCODERS[encoding]
    for text in (",[{" * MANY * 2, '\\",[{"' * MANY, '"' * MANY * 10, "\\" * MANY * 10, '\\\\",' * MANY):
        assert decode(encode({"x": text, text[:5]: 1}))["x"] == text


def test_random_json_is_counted_as_the_values_that_come_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "UNCOUNTED_BYTES", 0)
    dice = random.Random(45)
    letters = ['"', "\\", ",", "[", "{", "ü", "\n", "a"]

    def value(depth: int) -> Any:
        kind = dice.randrange(6 if depth else 4)
        if kind == 4:
            return [value(depth - 1) for _ in range(dice.randrange(5))]
        if kind == 5:
            return {"".join(dice.choices(letters, k=3)): value(depth - 1) for _ in range(3)}
        return [None, 1.5, True, "".join(dice.choices(letters, k=dice.randrange(9)))][kind]

    def containers(one: Any) -> int:
        if isinstance(one, dict):
            return 1 + sum(map(containers, one.values()))
        return 1 + sum(map(containers, one)) if isinstance(one, list) else 0

    for _ in range(500):
        made = {"x": value(4)}
        number = containers(made)
        data = json.dumps(made, ensure_ascii=dice.random() < 0.5).encode()
        monkeypatch.setattr(bounded, "MAX_CONTAINERS", number)
        assert load_json(data) == made
        monkeypatch.setattr(bounded, "MAX_CONTAINERS", number - 1)
        with pytest.raises(TooManyValues):
            load_json(data)


@pytest.mark.parametrize("data", [b'{"a', b'{"a\\', b'{"' + b'\\"' * 100_000, b'{"' + b'"\\' * 100_000, b"[" * 200_000])
def test_unfinished_json_is_refused_as_such_or_as_too_much(data: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        load_json(data)


@pytest.mark.parametrize(
    "head", [b"\xdc\xff\xff", b"\xdd\x00\x0f\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xdf\x7f\xff\xff\xff"]
)
@pytest.mark.parametrize("depth", [1, 500, 5_000])
def test_announced_lengths_cost_nothing(head: bytes, depth: int) -> None:
    with pytest.raises((ValueError, msgpack.UnpackException)):
        unpack(head * depth + b"\xc0" * 100_000)


def test_a_request_that_holds_too_much_has_its_header_and_a_problem() -> None:
    message = Message(HeaderFactory()("model_request"), {"x": [{}] * MANY}, encoding="msgpack")
    came = Wire(KEY, requests=True).unpack(Wire(KEY).pack(message))
    assert (came.header, came.content) == (message.header, {})
    assert str(bounded.MAX_CONTAINERS) in came.problem
    assert Wire(KEY).unpack(Wire(KEY).pack(message)).content == message.content, "answers of a kernel are not bounded"


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@pytest.mark.parametrize("part", [2, 3])
@pytest.mark.parametrize("length", [5_000, 500_000])
def test_a_request_that_is_nested_too_deep_has_its_header_and_a_problem(encoding: str, part: int, length: int) -> None:
    header = HeaderFactory()("model_request")
    parts = [encode_part(one, encoding) for one in (header, {}, {}, {})]
    opened, closed = (b'{"a":' + b"[" * length, b"]" * length + b"}") if encoding == "json" else (b"\x81\xa1a", b"\x01")
    parts[part] = opened + closed if encoding == "json" else opened + b"\x91" * length + closed
    wire = Wire(KEY, requests=True)
    came = wire.unpack([DELIMITER, wire.sign(parts), *parts])
    assert (came.header["msg_id"], came.content) == (header["msg_id"], {})
    assert came.problem
    parts = [parts[part], *parts[1:part], b"{}", *parts[part + 1 :]]
    with pytest.raises(WireError, match=r"header|size|encoding"):
        wire.unpack([DELIMITER, wire.sign(parts), *parts])


def test_the_four_parts_are_smaller_than_what_buffers_carry() -> None:
    def request(text: int, buffer: int) -> list[bytes]:
        header = HeaderFactory()("model_request")
        return Wire(KEY).pack(Message(header, {"x": "y" * text}, buffers=[bytes(buffer)]))

    kernel = Wire(KEY, requests=True)
    assert kernel.unpack(request(1 << 20, MAX_PARTS_BYTES + (1 << 20))).problem == ""
    with pytest.raises(WireError, match="size"):
        kernel.unpack(request(MAX_PARTS_BYTES, 0))
    header = {**HeaderFactory()("model_request"), "username": "u" * MAX_HEADER_BYTES}
    with pytest.raises(WireError, match="size"):
        kernel.unpack(Wire(KEY).pack(Message(header, {})))


def test_size_is_looked_at_before_the_signature() -> None:
    parts = [b"{}", b"{}", b"{}", b" " * MAX_PARTS_BYTES]
    with pytest.raises(WireError, match="size"):
        Wire(KEY, requests=True).unpack([DELIMITER, b"forged", *parts])


def test_a_frame_of_endless_maps_is_refused_and_one_of_many_numbers_is_taken() -> None:
    numbers = {"op": "tokens", "tokens": list(range(2_000_000))}
    assert list(FrameBuffer().feed(pack_frame(numbers))) == [numbers]
    with pytest.raises(TooManyValues):
        list(FrameBuffer().feed(pack_frame({"op": "request", "content": [{}] * 1_100_000})))
