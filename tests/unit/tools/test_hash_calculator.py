"""hash-calculator: every algorithm, form and error, of texts and files; hashes are held against hashlib's."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol.errors import Forbidden, InvalidRequest, NotFound
from tests.support.tool_calls import call_tool

NAME = "hash-calculator"
ALGORITHMS = ["md5", "sha1", "sha256", "sha384", "sha512", "blake2b"]


@given(st.text(), st.sampled_from(ALGORITHMS))
def test_hashes_are_hashlib_s(text: str, algorithm: str) -> None:
    expected = hashlib.new(algorithm, text.encode()).hexdigest()
    called = call_tool(NAME, {"operation": "hash", "input": text, "algorithm": algorithm})
    assert called.result == {"algorithm": algorithm, "hash": expected, "format": "hex"}
    assert called.output == expected


@pytest.mark.parametrize(
    "arguments",
    [
        {"input": "test"},
        {"data": "test"},
        {"text": "test"},
        {"operation": "hash", "algorithm": "SHA-256", "input": "test"},
        {"algorithm": "Sha_256", "input": "test", "input_type": "string"},
        {"parameters": {"input": "test"}},
    ],
)
def test_a_text_and_its_hash_have_several_names(arguments: dict[str, Any]) -> None:
    assert call_tool(NAME, arguments).output == hashlib.sha256(b"test").hexdigest()


def test_a_hash_may_be_base64() -> None:
    called = call_tool(NAME, {"input": "test", "format": "base64"})
    assert base64.b64decode(called.output) == hashlib.sha256(b"test").digest()


@pytest.mark.parametrize("arguments", [{"input_type": "file", "file": "f"}, {"file_path": "f"}, {"path": "f"}])
def test_a_file_is_hashed_in_pieces(arguments: dict[str, Any], tmp_path: Path) -> None:
    data = bytes(range(256)) * 12_345
    (tmp_path / "f").write_bytes(data)
    called = call_tool(NAME, arguments, read=[str(tmp_path)], directory=str(tmp_path))
    assert called.output == hashlib.sha256(data).hexdigest()


def test_a_long_file_tells_how_far_it_is(tmp_path: Path) -> None:
    with open(tmp_path / "f", "wb") as file:
        file.truncate(40 << 20)
    called = call_tool(NAME, {"file": str(tmp_path / "f"), "algorithm": "md5"}, read=[str(tmp_path)])
    assert called.progress[0] == ("hashed 33,554,432 bytes", {"bytes": 32 << 20})


def test_a_hash_is_verified() -> None:
    expected = hashlib.sha256(b"test").hexdigest()
    right = call_tool(NAME, {"operation": "verify", "input": "test", "expected_hash": expected.upper()})
    assert right.result == {"verified": True, "algorithm": "sha256", "expected": expected, "actual": expected}
    assert right.output is True
    wrong = call_tool(NAME, {"operation": "verify", "input": "tEst", "expected_hash": expected})
    assert wrong.result["verified"] is wrong.output is False
    assert wrong.result["actual"] == hashlib.sha256(b"tEst").hexdigest()
    as_base64 = base64.b64encode(bytes.fromhex(expected)).decode()
    called = call_tool(
        NAME, {"operation": "verify", "input": "test", "expected_hash": as_base64, "expected_format": "base64"}
    )
    assert called.result["verified"] is True
    assert called.result["expected"] == as_base64


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, r"Missing required parameter 'input' \(or 'data', 'text'\)"),
        ({"operation": "x", "input": ""}, "Unknown operation: x"),
        ({"algorithm": "crc32", "input": ""}, "Unknown algorithm: crc32"),
        ({"input": {}}, "Parameter 'input"),
        ({"input_type": "file"}, "Missing required parameter 'file'"),
        ({"operation": "verify", "input": ""}, "Missing required parameter 'expected_hash'"),
        ({"operation": "verify", "input": "", "expected_hash": "xyz"}, "expected_hash is not hex"),
        (
            {"operation": "verify", "input": "", "expected_hash": "é", "expected_format": "base64"},
            "expected_hash is not base64",
        ),
        ({"input": "", "format": "x"}, "Unknown format: x"),
    ],
)
def test_what_is_wrong_with_a_call_is_told(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        call_tool(NAME, arguments)


def test_a_missing_file_and_one_that_may_not_be_read_are_errors(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        call_tool(NAME, {"file": str(tmp_path / "none")}, read=[str(tmp_path)])
    with pytest.raises(Forbidden, match="Path not allowed"):
        call_tool(NAME, {"file": "/etc/passwd"}, read=[str(tmp_path)])


def test_a_directory_and_too_large_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    assert "not a plain file" in call_tool(NAME, {"file": str(tmp_path / "d")}, read=[str(tmp_path)]).said
    (tmp_path / "f").write_bytes(b"123456")
    with pytest.raises(Forbidden, match="more than 5"):
        call_tool(
            NAME,
            {"file": str(tmp_path / "f")},
            read=[str(tmp_path)],
            tables={"file_operations": {"max_file_size": 5}},
        )
