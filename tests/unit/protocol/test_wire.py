"""Messages become signed frames and come back; everything else is dropped with a reason and nothing but a reason."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import msgpack
import pytest

from llmspell_protocol.client.core import ClientCore
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.messages import HeaderFactory, Message
from llmspell_protocol.wire import DELIMITER, Wire, WireError, decode_part, encode_part

KEY = b"a secret of the kernel and its clients"
ENCODINGS = ["json", "msgpack"]


def a_message(encoding: str = "msgpack", **content: Any) -> Message:
    header = HeaderFactory()
    return Message(
        header("model_request"),
        {"action": "list", **content},
        parent_header=header("execute_request"),
        metadata={"llmspell": {"timeout_s": 3}},
        buffers=[b"\x00\x01", b""],
        identities=[b"conn.1"],
        encoding=encoding,
    )


def reason_of(wire: Wire, frames: list[bytes]) -> str:
    with pytest.raises(WireError) as caught:
        wire.unpack(frames)
    return caught.value.reason


def signed(*parts: bytes) -> list[bytes]:
    return [DELIMITER, Wire(KEY).sign(parts), *parts]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_message_comes_back_as_it_was(encoding: str) -> None:
    sent = a_message(encoding, text="grüße 🎉", number=1.5, nothing=None, nested={"list": [1, 2, {"a": True}]})
    came = Wire(KEY).unpack(Wire(KEY).pack(sent))
    for field in ("header", "parent_header", "metadata", "content", "buffers", "identities", "encoding"):
        assert getattr(came, field) == getattr(sent, field), field
    assert came.options == {"timeout_s": 3}
    assert came.parent_id == sent.parent_header["msg_id"]


def test_the_encoding_is_recognised_by_the_first_byte() -> None:
    frames = Wire(KEY).pack(a_message("json"))
    assert frames[3][:1] == b"{"
    assert json.loads(frames[6])["action"] == "list"
    assert msgpack.unpackb(Wire(KEY).pack(a_message("msgpack"))[6])["action"] == "list"


def test_an_answer_may_use_another_encoding_than_its_message_came_in() -> None:
    came = Wire(KEY).unpack(Wire(KEY).pack(a_message("msgpack")))
    assert Wire(KEY).unpack(Wire(KEY).pack(came, "json")).content == came.content


def test_another_key_is_no_key() -> None:
    assert reason_of(Wire(b"another"), Wire(KEY).pack(a_message())) == "signature"
    assert reason_of(Wire(KEY), Wire(b"").pack(a_message())) == "signature"


def test_without_a_key_nothing_is_signed_or_checked() -> None:
    frames = Wire(b"").pack(a_message())
    assert frames[2] == b""
    wire = Wire(b"")
    assert wire.unpack(frames).content == wire.unpack(frames).content


@pytest.mark.parametrize("part", range(3, 7))
def test_one_changed_byte_in_any_signed_part_is_noticed(part: int) -> None:
    frames = Wire(KEY).pack(a_message())
    frames[part] = frames[part][:-1] + bytes([frames[part][-1] ^ 1])
    assert reason_of(Wire(KEY), frames) == "signature"


def test_a_message_is_taken_once() -> None:
    wire, frames = Wire(KEY), Wire(KEY).pack(a_message())
    wire.unpack(frames)
    assert reason_of(wire, frames) == "replay"


def test_a_forged_copy_does_not_use_up_the_true_one() -> None:
    wire, frames = Wire(KEY), Wire(KEY).pack(a_message())
    assert reason_of(wire, [*frames[:6], b"\x80"]) == "signature"
    assert wire.unpack(frames).content["action"] == "list"


def test_more_bytes_than_allowed_are_refused_before_anything_is_decoded() -> None:
    frames = Wire(KEY).pack(a_message(text="x" * 2000))
    assert reason_of(Wire(KEY, max_message_bytes=2000), frames) == "size"
    assert Wire(KEY, max_message_bytes=3000).unpack(frames).msg_type == "model_request"


@pytest.mark.parametrize(
    "frames",
    [[], [b""], [DELIMITER], [b"id", b"id"], [DELIMITER, b"", b"{}", b"{}", b"{}"], Wire(KEY).pack(a_message())[:6]],
)
def test_too_few_frames_are_no_message(frames: list[bytes]) -> None:
    assert reason_of(Wire(KEY), frames) == "frames"


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"{",
        b"{}}",
        b"[]",
        b"null",
        b"\xc0",
        b"\x90",
        b"\x81\x90\x00",  # a map whose key is a list
        b"\x81\xa1\xff\x00",  # a text that is not UTF-8
        b"\xdf\xff\xff\xff\xff",  # a map of four thousand million items, none of which comes
        b"\xc1",
        b"\x80\x80",
        b'{"a":' * 100_000,
        b"\x81\xa1a" * 100_000,
        '{"a": "\xff"}'.encode("latin-1"),
        b'{"a": "\xed\xa0\x80"}',  # a surrogate in the form of UTF-8
    ],
)
def test_a_well_signed_part_that_is_no_map_is_dropped(part: bytes) -> None:
    assert reason_of(Wire(KEY), signed(part, b"{}", b"{}", b"{}")) == "encoding"


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"msg_id": "1", "msg_type": "x_request"},
        {"msg_id": 1, "msg_type": "x_request", "session": "s"},
        {"msg_id": "1", "msg_type": "x_request", "session": "s", "extra": b"bytes can't be echoed in JSON"},
        {"msg_id": "1", "msg_type": "x_request", "session": "s", 5: "nor can this key"},
    ],
)
def test_a_header_that_can_not_be_answered_is_dropped(header: dict[Any, Any]) -> None:
    assert reason_of(Wire(KEY), signed(msgpack.packb(header), b"\x80", b"\x80", b"\x80")) == "header"


def test_unknown_fields_of_a_header_are_no_reason_to_drop_it() -> None:
    header = {**HeaderFactory()("x_request"), "subshell_id": None, "later": {"version": [1, 2]}}
    came = Wire(KEY).unpack(signed(encode_part(header, "json"), b"{}", b"{}", b"{}"))
    assert came.header == header
    assert came.parent_id is None


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_a_model_or_script_may_say_can_always_be_sent(encoding: str) -> None:
    content = {"text": "half a \ud83d pair", "not a number": float("nan"), "infinite": float("inf"), "large": 2**70}
    came = decode_part(encode_part(content, encoding))
    assert came["text"] == "half a \ufffd pair"
    assert came["large"] == (2**70 if encoding == "json" else None)
    if encoding == "json":
        assert came["infinite"] is None


def test_half_a_pair_that_comes_in_as_json_becomes_a_substitute_and_a_whole_pair_its_character() -> None:
    # Nothing behind the socket could send, store or tokenize the half.
    assert decode_part(rb'{"half \ud83d": "\uD83D", "whole": "\ud83d\ude42"}') == {
        "half \ufffd": "\ufffd",
        "whole": "🙂",
    }


def test_a_value_that_no_message_has_is_the_caller_s_mistake() -> None:
    for encoding in ENCODINGS:
        with pytest.raises(TypeError, match="object can't be sent"):
            encode_part({"what": object()}, encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_damage_to_the_frames_raises_anything_but_wire_error(encoding: str) -> None:
    seed = 20
    randomly = random.Random(seed)
    original = Wire(KEY).pack(a_message(encoding, text="some text", list=[1, 2, 3]))
    reasons: set[str] = set()
    for _ in range(3000):
        frames = list(original)
        for _ in range(randomly.randint(1, 3)):
            frames = damaged(frames, randomly)
        if randomly.random() < 0.7:
            frames = resigned(frames)
        try:
            Wire(KEY).unpack(frames)
        except WireError as error:
            reasons.add(error.reason)
    assert {"frames", "signature", "encoding"} <= reasons <= {"frames", "signature", "encoding", "header"}


def damaged(frames: list[bytes], randomly: random.Random) -> list[bytes]:
    at = randomly.randrange(len(frames)) if frames else 0
    match randomly.randrange(5):
        case 0 if frames:
            return frames[:at] + frames[at + 1 :]
        case 1 if frames:
            return [*frames[:at], frames[at], *frames[at:]]
        case 2 if frames and frames[at]:
            place = randomly.randrange(len(frames[at]))
            changed = bytearray(frames[at])
            changed[place] = randomly.randrange(256)
            return [*frames[:at], bytes(changed), *frames[at + 1 :]]
        case 3 if frames:
            return [*frames[:at], frames[at][: randomly.randrange(len(frames[at]) + 1)], *frames[at + 1 :]]
        case _:
            return [*frames[:at], randomly.randbytes(randomly.randrange(40)), *frames[at:]]


def resigned(frames: list[bytes]) -> list[bytes]:
    """The frames with a good signature, so that the damage reaches the decoding."""
    if DELIMITER not in frames:
        return frames
    at = frames.index(DELIMITER)
    return [*frames[: at + 1], Wire(KEY).sign(frames[at + 2 : at + 6]), *frames[at + 2 :]]


@pytest.mark.parametrize("number", [2**64, 10**30, -(10**30), 10**400])
def test_an_integer_that_msgpack_lacks_is_null_in_an_answer_and_itself_in_json(number: int) -> None:
    content = {"usage": {"seed": number}, "list": (number, 1)}
    assert decode_part(encode_part(content, "msgpack")) == {"usage": {"seed": None}, "list": [None, 1]}
    assert decode_part(encode_part(content, "json")) == {"usage": {"seed": number}, "list": [number, 1]}


@pytest.mark.parametrize(
    ("encoding", "number", "problem"),
    [
        ("msgpack", 10**30, "options.seed: must be a whole number of at most 64 bits"),
        ("json", float("nan"), "options.seed: must be a finite number"),
        ("json", float("inf"), "options.seed: must be a finite number"),
    ],
)
def test_a_request_keeps_its_numbers_or_is_not_sent(encoding: str, number: float, problem: str) -> None:
    core = ClientCore(KEY, encoding=encoding)
    with pytest.raises(InvalidRequest, match=re.escape(problem)):
        core.request("model_request", {"action": "chat", "options": {"seed": number}})


def test_making_texts_whole_changes_no_number() -> None:
    content = decode_part(b'{"text": "\\ud83d", "timeout_s": NaN, "seed": 1000000000000000000000000000000}')
    assert content["text"] == "\ufffd"
    assert content["timeout_s"] != content["timeout_s"]
    assert content["seed"] == 10**30


def test_a_number_of_thousands_of_digits_does_not_make_a_message_unreadable() -> None:
    assert decode_part(b'{"action": "chat", "seed": ' + b"9" * 6000 + b"}") == {"action": "chat", "seed": float("inf")}
