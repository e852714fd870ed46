"""file-converter: encodings, line endings and indentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmspell_protocol.errors import Forbidden, InvalidRequest
from tests.support.tool_calls import Called, call_tool


def convert(place: Path, data: bytes, operation: str, **arguments: Any) -> tuple[Called, bytes]:
    """The call, and what the file holds after it."""
    (place / "a.txt").write_bytes(data)
    inside = [str(place)]
    called = call_tool(
        "file-converter",
        {"operation": operation, "path": "a.txt", **arguments},
        read=inside,
        write=inside,
        directory=inside[0],
    )
    return called, (place / arguments.get("target_path", "a.txt")).read_bytes()


@pytest.mark.parametrize(
    ("source", "target"),
    [("cp1252", "utf-8"), ("utf-8", "latin-1"), ("utf-16", "utf-8"), ("utf-8", "utf-16-le"), ("utf-8", "utf-8-sig")],
)
def test_an_encoding_is_converted(tmp_path: Path, source: str, target: str) -> None:
    text = "Grüße aus Köln, schöne Straße, Äpfel und Öl.\r\n" * 5
    called, data = convert(tmp_path, text.encode(source), "encoding", from_encoding=source, to_encoding=target)
    assert data == text.encode(target)
    assert called.result == {
        "path": "a.txt",
        "target_path": "a.txt",
        "from_encoding": source,
        "to_encoding": target,
        "bytes_written": len(data),
        "changed": True,
    }
    assert called.output == "a.txt"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_the_encoding_is_found_out(tmp_path: Path, encoding: str) -> None:
    text = "Grüße aus Köln, schöne Straße, Äpfel und Öl für die Küche über dem Fluß.\n" * 5
    _, data = convert(tmp_path, text.encode(encoding), "encoding")
    assert data.decode() == text


def test_characters_that_an_encoding_lacks_are_told(tmp_path: Path) -> None:
    called, data = convert(tmp_path, "a\n€".encode(), "encoding", to_encoding="latin-1")
    assert "latin-1 has no '€' (line 2)" in called.said
    assert data == "a\n€".encode()
    for name in ("nothing", "zlib", "base64"):
        assert convert(tmp_path, b"a", "encoding", to_encoding=name)[0].said
    assert "no text in utf-8" in convert(tmp_path, b"\xff\xff", "encoding", from_encoding="utf-8")[0].said


@pytest.mark.parametrize(("ending", "made"), [("lf", b"\n"), ("crlf", b"\r\n"), ("CR", b"\r")])
def test_line_endings_are_made_the_same(tmp_path: Path, ending: str, made: bytes) -> None:
    called, data = convert(tmp_path, b"a\r\nb\nc\r\rd", "line_endings", line_ending=ending)
    assert data == made.join([b"a", b"b", b"c", b"", b"d"])
    assert (called.result["lines"], called.result["line_ending"]) == (4, ending.lower())
    again, _ = convert(tmp_path, data, "line_endings", line_ending=ending)
    assert again.result["changed"] is False


def test_the_encoding_stays_with_other_conversions(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        _, data = convert(tmp_path, "ä\r\n".encode(encoding), "line_endings")
        assert data == "ä\n".encode(encoding)


@pytest.mark.parametrize(
    ("arguments", "given_", "made"),
    [
        ({}, "\ta\n\t\tb\tc\n  \td\n", "    a\n        b\tc\n    d\n"),
        ({"tab_size": 2}, "\ta", "  a"),
        ({"convert_to_spaces": False}, "    a\n      b\n\t  c", "\ta\n\t  b\n\t  c"),
        ({"convert_to_spaces": False, "tab_size": 8}, "        a", "\ta"),
    ],
)
def test_indentation_goes_to_spaces_or_tabs(tmp_path: Path, arguments: dict[str, Any], given_: str, made: str) -> None:
    called, data = convert(tmp_path, given_.encode(), "indentation", **arguments)
    assert data.decode() == made
    assert called.result["lines_changed"] == sum(
        one != other for one, other in zip(given_.split("\n"), made.split("\n"), strict=True)
    )


def test_the_result_may_go_elsewhere(tmp_path: Path) -> None:
    _, data = convert(tmp_path, b"a\r\n", "line_endings", target_path="b.txt")
    assert (data, (tmp_path / "a.txt").read_bytes()) == (b"a\n", b"a\r\n")


def test_what_is_no_text_is_left_alone(tmp_path: Path) -> None:
    called, data = convert(tmp_path, b"\x7fELF\0\0\r\n", "line_endings")
    assert "zero characters" in called.said
    assert data == b"\x7fELF\0\0\r\n"


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="'operation'"):
        call_tool("file-converter", {"path": "a"})
    with pytest.raises(InvalidRequest, match="Unknown operation: case"):
        call_tool("file-converter", {"operation": "case", "path": "a"})
    with pytest.raises(InvalidRequest, match="'path'"):
        call_tool("file-converter", {"operation": "encoding"})
    with pytest.raises(InvalidRequest, match="line_ending"):
        convert(tmp_path, b"a", "line_endings", line_ending="lfcr")
    (tmp_path / "a").write_text("a")
    with pytest.raises(Forbidden):
        call_tool("file-converter", {"operation": "encoding", "path": str(tmp_path / "a")}, read=[str(tmp_path)])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_utf_16_and_back_is_the_same(tmp_path: Path, text: str) -> None:
    _, wide = convert(tmp_path, text.encode(), "encoding", from_encoding="utf-8", to_encoding="utf-16")
    _, back = convert(tmp_path, wide, "encoding", from_encoding="utf-16")
    assert back.decode() == text.removeprefix("\ufeff")
