"""Frames of the real jupyter_client, in both its encodings, read by our wire; and ours, read by it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from jupyter_client.session import Session, json_packer, json_unpacker, msgpack_packer, msgpack_unpacker

from llmspell_protocol.messages import HeaderFactory, Message
from llmspell_protocol.wire import DELIMITER, Wire, WireError

KEY = b"one key for both"
PACKERS = {"json": (json_packer, json_unpacker), "msgpack": (msgpack_packer, msgpack_unpacker)}

CONTENTS: list[dict[str, Any]] = [
    {},
    {"code": "return 1 + 1", "silent": False, "user_expressions": {"x": "y"}, "stop_on_error": True},
    {"text": "grüße 🎉 \u0000 \u2028", "numbers": [0, -1, 2**53, 1.5, 1e-300], "nested": {"a": [{"b": None}]}},
    {"{": "a brace first", "": "an empty name"},
]


def session(encoding: str) -> Session:
    theirs = Session(key=KEY, packer=encoding, unpacker=encoding)
    assert (theirs.pack, theirs.unpack) == PACKERS[encoding]
    return theirs


@pytest.mark.parametrize("encoding", PACKERS)
@pytest.mark.parametrize("content", CONTENTS)
def test_what_jupyter_client_sends_we_read(encoding: str, content: dict[str, Any]) -> None:
    theirs = session(encoding)
    parent = theirs.msg("execute_request")["header"]
    sent = theirs.msg("execute_reply", content=content, parent=parent, metadata={"llmspell": {"timeout_s": 3}})
    came = Wire(KEY).unpack([*theirs.serialize(sent, ident=[b"client", b"relay"]), b"buffer"])
    assert came.identities == [b"client", b"relay"]
    assert came.content == content
    assert came.options == {"timeout_s": 3}
    assert came.buffers == [b"buffer"]
    assert came.encoding == encoding
    assert (came.msg_id, came.msg_type, came.parent_id) == (sent["msg_id"], "execute_reply", parent["msg_id"])
    assert came.header["session"] == theirs.session


@pytest.mark.parametrize("encoding", PACKERS)
@pytest.mark.parametrize("content", CONTENTS)
def test_what_we_send_jupyter_client_reads(encoding: str, content: dict[str, Any]) -> None:
    header = HeaderFactory()
    sent = Message(
        header("execute_reply"),
        content,
        parent_header=header("execute_request"),
        metadata={"a": 1},
        buffers=[b"buffer"],
        identities=[b"client"],
        encoding=encoding,
    )
    theirs = session(encoding)
    identities, frames = theirs.feed_identities(Wire(KEY).pack(sent))
    came = theirs.deserialize(frames)
    assert identities == [b"client"]
    assert came["content"] == content
    assert came["metadata"] == {"a": 1}
    assert [bytes(buffer) for buffer in came["buffers"]] == [b"buffer"]
    assert came["header"]["msg_id"] == sent.msg_id
    assert came["parent_header"]["msg_id"] == sent.parent_id
    date = came["header"]["date"]
    written = datetime.fromisoformat(date) if isinstance(date, str) else date
    assert abs((datetime.now(UTC) - written).total_seconds()) < 60


@pytest.mark.parametrize("encoding", PACKERS)
def test_an_answer_to_jupyter_client_carries_its_header_back_unchanged(encoding: str) -> None:
    theirs = session(encoding)
    sent = theirs.msg("kernel_info_request")
    ours = Wire(KEY)
    request = ours.unpack(theirs.serialize(sent))
    answer = Message(
        HeaderFactory()("kernel_info_reply"), {"status": "ok"}, parent_header=request.header, encoding=request.encoding
    )
    came = theirs.deserialize(theirs.feed_identities(ours.pack(answer))[1])
    for field in ("msg_id", "session", "username", "version", "msg_type"):
        assert came["parent_header"][field] == sent["header"][field], field


@pytest.mark.parametrize("encoding", PACKERS)
def test_neither_side_takes_the_other_s_message_with_another_key(encoding: str) -> None:
    theirs = session(encoding)
    with pytest.raises(WireError, match="signature"):
        Wire(b"another").unpack(theirs.serialize(theirs.msg("kernel_info_request")))
    frames = Wire(b"another").pack(Message(HeaderFactory()("kernel_info_reply"), {}, encoding=encoding))
    with pytest.raises(ValueError, match="Invalid Signature"):
        theirs.deserialize(frames[1:])


def test_the_delimiter_is_jupyter_s() -> None:
    assert session("json").serialize(Session().msg("x"))[0] == DELIMITER
