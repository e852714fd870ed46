"""file-operations: every operation under each of its names, the text of every result, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import Forbidden, InvalidRequest
from tests.support.tool_calls import Called, call_tool


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    place.mkdir()
    return place


def call(place: Path, operation: str, **arguments: Any) -> Called:
    return call_tool(
        "file-operations",
        {"operation": operation, **arguments},
        read=[str(place)],
        write=[str(place)],
        directory=str(place),
    )


def text_of(called: Called) -> str:
    """What a reader is shown; the result holds the same."""
    assert called.outcome is not None, called.failure
    assert called.result["text"] == called.outcome.text
    return str(called.outcome.text)


def test_what_is_written_is_read_untouched(place: Path) -> None:
    content = '{"result": 1}\n\n  größer\r\n'
    path = str(place / "a.json")
    written = call(place, "write", path=path, input=content)
    assert written.result == {
        "path": path,
        "bytes_written": 27,
        "content": content,
        "text": f"Wrote 27 bytes to {path}",
    }
    text_of(written)
    read = call(place, "read", path=path)
    assert read.result == {"content": content, "text": content, "size": 27, "path": path}
    assert (read.output, text_of(read)) == (content, content)


@pytest.mark.parametrize("name", ["input", "content", "data"])
def test_the_content_has_several_names_and_a_table_is_written_as_json(place: Path, name: str) -> None:
    call(place, "write", path="a", **{name: "text"})
    assert (place / "a").read_text() == "text"
    table = {"größe": [1, 2.5, None], "on": True}
    call(place, "write", path="a", **{name: table})
    assert (place / "a").read_text() == json.dumps(table, ensure_ascii=False, indent=2)
    call(place, "write", path="a", **{name: 12})
    assert (place / "a").read_text() == "12"


def test_an_append_adds_to_the_end(place: Path) -> None:
    call(place, "append", path="a", input="1")
    appended = call(place, "write", path="a", input="2", mode="append")
    assert appended.outcome is not None
    assert appended.outcome.operation == "append"
    assert text_of(appended) == "Wrote 1 bytes to a"
    assert (place / "a").read_text() == "12"
    call(place, "write", path="a", input="3", mode="overwrite")
    assert (place / "a").read_text() == "3"


def test_a_mode_may_be_permissions(place: Path) -> None:
    call(place, "write", path="a", input="x", mode="0600")
    call(place, "create_dir", path="d", mode="700")
    assert (place / "a").stat().st_mode & 0o777 == 0o600
    assert (place / "d").stat().st_mode & 0o777 == 0o700
    for mode in ("rwx", "4755", "88", ""):
        with pytest.raises(InvalidRequest, match="'mode'"):
            call(place, "write", path="b", input="x", mode=mode)
    assert not (place / "b").exists()


@pytest.mark.parametrize("operation", ["create_dir", "mkdir", "create_directory"])
def test_directories_are_made(place: Path, operation: str) -> None:
    made = call(place, operation, path="a/b")
    assert made.result == {"path": "a/b", "created": True, "text": "Created directory a/b"}
    assert (place / "a" / "b").is_dir()
    text_of(call(place, operation, path="a"))


@pytest.mark.parametrize("operation", ["list_dir", "ls", "dir", "list"])
def test_directories_are_listed(place: Path, operation: str) -> None:
    (place / "d").mkdir()
    (place / "d" / "deep").write_text("123")
    (place / "f").write_text("12")
    (place / "l").symlink_to("f")
    listed = call(place, operation, path=str(place))
    assert listed.result["entries"] == listed.result["files"]
    assert [(one["name"], one["type"]) for one in listed.result["entries"]] == [
        ("d", "directory"),
        ("f", "file"),
        ("l", "link"),
    ]
    assert listed.result["entries"][1] == {"name": "f", "path": str(place / "f"), "type": "file", "size": 2}
    assert listed.result["count"] == 3
    assert text_of(listed) == "d/\nf\nl@"
    below = call(place, operation, path=".", recursive=True)
    assert [one["name"] for one in below.result["entries"]] == ["d", "deep", "f", "l"]
    assert call(place, operation, path="none").said == "none: no such file or directory"
    assert "not a directory" in call(place, operation, path="f").said


@pytest.mark.parametrize("operation", ["copy", "cp"])
def test_files_and_directories_are_copied(place: Path, operation: str) -> None:
    (place / "d" / "e").mkdir(parents=True)
    (place / "d" / "e" / "f").write_text("deep")
    (place / "f").write_text("12")
    copied = call(place, operation, source_path="f", target_path="g")
    assert copied.result == {
        "source_path": "f",
        "target_path": "g",
        "path": "g",
        "bytes_copied": 2,
        "copied": True,
        "text": "Copied f to g",
    }
    call(place, operation, source="f", destination="d")
    call(place, operation, path="f", target="d/h")
    assert [(place / name).read_text() for name in ("g", "d/f", "d/h")] == ["12"] * 3
    assert "recursive" in call(place, operation, source="d", target="c").said
    assert call(place, operation, source="d", target="c", recursive=True).result["bytes_copied"] == 8
    assert (place / "c" / "e" / "f").read_text() == "deep"
    text_of(call(place, operation, source="d", target="d/copy", recursive=True))
    assert (place / "d" / "copy" / "e" / "f").read_text() == "deep"
    assert not (place / "d" / "copy" / "copy").exists()


@pytest.mark.parametrize("operation", ["move", "mv", "rename"])
def test_files_and_directories_are_moved(place: Path, operation: str) -> None:
    (place / "d").mkdir()
    (place / "f").write_text("12")
    moved = call(place, operation, source="f", destination="d")
    assert text_of(moved) == "Moved f to d/f"
    assert moved.result["moved"] is True
    call(place, operation, path="d", target_path="e")
    assert (place / "e" / "f").read_text() == "12"
    assert call(place, operation, source="none", target="x").failure is not None


def test_what_was_there_is_deleted(place: Path) -> None:
    (place / "d").mkdir()
    (place / "d" / "f").write_text("")
    assert "not empty" in call(place, "delete", path="d").said
    deleted = call(place, "delete", path="d", recursive=True)
    assert deleted.result == {"path": "d", "deleted": True, "entries": 2, "text": "Deleted d"}
    gone = call(place, "delete", path="d")
    assert gone.failure is not None
    assert (gone.failure.code, gone.said) == ("not_found", "d: no such file or directory")


@pytest.mark.parametrize("operation", ["metadata", "stat", "info"])
def test_what_the_system_knows_is_told(place: Path, operation: str) -> None:
    (place / "f").write_text("12")
    (place / "f").chmod(0o444)
    known = call(place, operation, path="f")
    assert {name: known.result[name] for name in ("path", "size", "is_file", "is_dir", "readonly")} == {
        "path": "f",
        "size": 2,
        "is_file": True,
        "is_dir": False,
        "readonly": True,
    }
    assert known.result["modified"].endswith("Z")
    assert set(known.result) > {"created", "accessed"}
    assert text_of(known).startswith("f: file, 2 bytes, modified 20")
    assert call(place, operation, path=".").result["is_dir"] is True


def test_whether_something_exists_is_a_boolean(place: Path) -> None:
    (place / "f").write_text("")
    found, missing = call(place, "exists", path="f"), call(place, "exists", path="g")
    assert found.result == {"path": "f", "exists": True, "text": "Path f exists"}
    assert (found.output, missing.output) == (True, False)
    assert text_of(missing) == "Path g does not exist"


def test_a_file_that_is_missing_or_no_text_is_the_operations_own_no(place: Path) -> None:
    (place / "odd").write_bytes(b"\xff\xfe")
    assert call(place, "read", path="none").said == "none: no such file or directory"
    assert "not text" in call(place, "read", path="odd").said
    assert "not a plain file" in call(place, "read", path=".").said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"operation": "read"}, "Missing required parameter 'path'"),
        ({"operation": "write", "path": "a"}, r"Missing required parameter 'input' \(or 'content', 'data'\)"),
        ({"operation": "copy", "target_path": "a"}, "Missing required parameter 'source_path'"),
        ({"operation": "move", "path": "a"}, r"'target_path' \(or 'target', 'destination'\)"),
        ({"operation": "fly", "path": "a"}, "Unknown operation: fly"),
        ({"path": "a"}, "Missing required parameter 'operation'"),
        ({"operation": "write", "path": "a", "input": "\ud800"}, "half a character"),
    ],
)
def test_what_is_missing_or_wrong_is_told(place: Path, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        call_tool("file-operations", arguments, write=[str(place)], directory=str(place))


@pytest.mark.parametrize(
    "operation", ["read", "write", "append", "delete", "mkdir", "ls", "cp", "mv", "stat", "exists"]
)
def test_what_is_outside_is_refused(place: Path, operation: str) -> None:
    outside = str(place.parent / "outside" / "x")
    with pytest.raises(Forbidden, match="Path not allowed: /") as refused:
        call(place, operation, path=outside, input="x", target_path="here")
    assert refused.value.details["permission"] in ("read", "write")
