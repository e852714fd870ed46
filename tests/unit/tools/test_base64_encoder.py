"""base64-encoder: texts and files, both alphabets, every form and error; held against the library's own."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol.errors import Forbidden, InvalidRequest
from tests.support.tool_calls import call_tool

NAME = "base64-encoder"


@given(st.text())
def test_texts_are_encoded_as_the_library_does_and_come_back(text: str) -> None:
    encoded = call_tool(NAME, {"operation": "encode", "input": text})
    expected = base64.b64encode(text.encode()).decode()
    assert encoded.result == {"output": expected, "encoded": expected, "variant": "standard", "binary": False}
    decoded = call_tool(NAME, {"operation": "decode", "input": encoded.output})
    assert decoded.result == {"output": text, "decoded": text, "variant": "standard", "binary": False}


@given(st.binary())
def test_bytes_go_in_as_hexadecimal_and_come_back_so_unless_they_are_text(data: bytes) -> None:
    given_bytes = {"operation": "encode", "input": data.hex(), "binary_input": True, "variant": "url-safe"}
    encoded = call_tool(NAME, given_bytes).output
    assert encoded == base64.urlsafe_b64encode(data).decode()
    result = call_tool(NAME, {"operation": "decode", "input": encoded, "url_safe": True}).result
    assert (bytes.fromhex(result["output"]) if result["binary"] else result["output"].encode()) == data


@pytest.mark.parametrize(
    "arguments",
    [
        {"input": "a>?"},
        {"data": "a>?"},
        {"text": "a>?"},
        {"input": "a>?", "variant": "standard"},
        {"input": "a>?", "url_safe": False},
    ],
)
def test_the_text_has_several_names(arguments: dict[str, Any]) -> None:
    assert call_tool(NAME, {"operation": "encode", **arguments}).output == "YT4/"


@pytest.mark.parametrize("named", [{"variant": "url-safe"}, {"variant": "url_safe"}, {"url_safe": True}])
def test_the_alphabet_has_several_names(named: dict[str, Any]) -> None:
    assert call_tool(NAME, {"operation": "encode", "input": "a>?", **named}).output == "YT4_"


@pytest.mark.parametrize("encoded", ["SGk=", "SGk", " S G\nk=\t", "SG\r\nk="])
def test_white_space_and_missing_padding_are_fine(encoded: str) -> None:
    assert call_tool(NAME, {"operation": "decode", "input": encoded}).output == "Hi"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"input": "a"}, "in the middle of a group"),
        ({"input": "QUJDR"}, "in the middle of a group"),
        ({"input": "QQ="}, "in the middle of a group"),
        ({"input": "===="}, "in the middle of a group"),
        ({"input": "QQ==QQ=="}, "b'='"),
        ({"input": "SGk$"}, r"b'\$' is not of its alphabet"),
        ({"input": "SGk_"}, "b'_' is not of its alphabet"),
        ({"input": "SGk+", "variant": "url-safe"}, r"b'\+' is not of its alphabet"),
        ({"input": "é"}, "not of its alphabet"),
    ],
)
def test_what_is_not_base64_is_told(arguments: dict[str, Any], why: str) -> None:
    import re

    assert re.search(why, call_tool(NAME, {"operation": "decode", **arguments}).said)


def test_bytes_that_are_not_hexadecimal_are_told() -> None:
    assert "not hexadecimal" in call_tool(NAME, {"operation": "encode", "input": "xy", "binary_input": True}).said


@pytest.mark.parametrize("size", [0, 1, 2, 3, (3 << 20) - 1, (3 << 20) + 1, 7_000_001])
def test_files_are_encoded_and_decoded_in_pieces(size: int, tmp_path: Path) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    (tmp_path / "in").write_bytes(data)
    allowed: dict[str, Any] = {"read": [str(tmp_path)], "write": [str(tmp_path)], "directory": str(tmp_path)}
    encoded = call_tool(NAME, {"operation": "encode", "input_file": "in", "output_file": "out"}, **allowed)
    written = (tmp_path / "out").read_bytes()
    assert written == base64.b64encode(data)
    assert encoded.result["file"] == {"path": str(tmp_path / "out"), "size": len(written)}
    assert encoded.outcome is not None
    assert encoded.outcome.fields["file"] == encoded.result["file"]
    # In lines, as programs of the field write it.
    (tmp_path / "lines").write_bytes(base64.encodebytes(data))
    call_tool(NAME, {"operation": "decode", "input_file": "lines", "output_file": "back"}, **allowed)
    assert (tmp_path / "back").read_bytes() == data


def test_a_file_may_become_a_text_and_a_text_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xff\x00")
    read = call_tool(NAME, {"operation": "encode", "input_file": str(tmp_path / "f")}, read=[str(tmp_path)])
    assert read.output == "/wA="
    given_text = {"operation": "decode", "input": "/wA=", "output_file": str(tmp_path / "g")}
    call_tool(NAME, given_text, write=[str(tmp_path)])
    assert (tmp_path / "g").read_bytes() == b"\xff\x00"
    assert call_tool(NAME, {"operation": "decode", "input": "/wA="}).result["binary"] is True


def test_a_failed_decoding_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "g").write_text("old")
    called = call_tool(
        NAME, {"operation": "decode", "input": "QQ==$", "output_file": str(tmp_path / "g")}, write=[str(tmp_path)]
    )
    assert "not valid base64" in called.said
    assert (tmp_path / "g").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


def test_sizes_and_places_are_limited(tmp_path: Path) -> None:
    with pytest.raises(Forbidden, match="Path not allowed"):
        call_tool(NAME, {"operation": "encode", "input_file": "/etc/passwd"}, read=[str(tmp_path)])
    with pytest.raises(Forbidden, match="Path not allowed"):
        call_tool(NAME, {"operation": "encode", "input": "x", "output_file": "/x"}, write=[str(tmp_path)])
    with pytest.raises(Forbidden, match="more than 5"):
        call_tool(
            NAME,
            {"operation": "encode", "input": "123456", "output_file": str(tmp_path / "f")},
            write=[str(tmp_path)],
            tables={"file_operations": {"max_file_size": 5}},
        )
    assert list(tmp_path.iterdir()) == []
    with open(tmp_path / "large", "wb") as file:
        file.truncate(8_000_000)
    called = call_tool(NAME, {"operation": "encode", "input_file": str(tmp_path / "large")}, read=[str(tmp_path)])
    assert "more than 10,000,000" in called.said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"input": "x"}, "Missing required parameter 'operation'"),
        ({"operation": "encode"}, "Missing required parameter 'input'"),
        ({"operation": "x", "input": "x"}, "Unknown operation: x"),
        ({"operation": "encode", "input": "x", "variant": "x"}, "Unknown variant: x"),
    ],
)
def test_what_is_wrong_with_a_call_is_told(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        call_tool(NAME, arguments)
