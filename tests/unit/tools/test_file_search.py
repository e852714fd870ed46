"""file-search: what is found and how it is told, what is left out and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import Forbidden, InvalidRequest
from tests.support.tool_calls import Called, call_tool


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    (place / "deep" / "deeper").mkdir(parents=True)
    (place / "a.txt").write_text("one\nTwo two\nthree\nfour\nfive")
    (place / "b.md").write_text("two\r\nlast\r\n")
    (place / "deep" / "c.txt").write_text("two")
    (place / "deep" / "deeper" / "d.py").write_text("two")
    return place


def search(place: Path, **arguments: Any) -> Called:
    given = {"pattern": "two", "path": str(place), **arguments}
    return call_tool("file-search", given, read=[str(place)], directory=str(place))


def names(called: Called) -> list[str]:
    return [Path(one["file_path"]).name for one in called.result["matches"]]


def test_a_match_has_its_place_and_the_lines_around_it(place: Path) -> None:
    found = search(place, path="a.txt", context_lines=1)
    assert found.result == {
        "matches": [
            {
                "file_path": str(place / "a.txt"),
                "line_number": 2,
                "column_number": 5,
                "line_content": "Two two",
                "matched_text": "two",
                "context_before": ["one"],
                "context_after": ["three"],
            }
        ],
        "summary": {
            "total_matches": 1,
            "files_searched": 1,
            "files_skipped": 0,
            "has_matches": True,
            "truncated": False,
        },
        "skipped_files": [],
    }
    assert found.output == found.result["matches"]
    assert found.outcome is not None
    assert found.outcome.text == f"{place / 'a.txt'}:2: Two two"


def test_other_names_and_defaults(place: Path) -> None:
    found = call_tool("file-search", {"query": "TWO", "directory": "."}, read=[str(place)], directory=str(place))
    assert found.result["summary"]["has_matches"] is False
    assert found.result["summary"]["files_searched"] == 4


def test_the_pattern_is_text_or_an_expression_of_either_case(place: Path) -> None:
    assert names(search(place, pattern="t.o")) == []
    assert len(names(search(place, pattern="t.o", use_regex=True, case_sensitive=False))) == 5
    assert "no regular expression" in search(place, pattern="(", use_regex=True).said
    with pytest.raises(InvalidRequest, match="empty"):
        search(place, pattern="")


def test_which_files_are_searched(place: Path) -> None:
    assert sorted(names(search(place))) == ["a.txt", "b.md", "c.txt", "d.py"]
    assert sorted(names(search(place, recursive=False))) == ["a.txt", "b.md"]
    assert sorted(names(search(place, max_depth=1))) == ["a.txt", "b.md", "c.txt"]
    assert sorted(names(search(place, include_extensions=[".TXT", "py"]))) == ["a.txt", "c.txt", "d.py"]
    assert sorted(names(search(place, include_extensions="md"))) == ["b.md"]
    assert sorted(names(search(place, exclude_extensions=["*.txt"]))) == ["b.md", "d.py"]
    assert sorted(names(search(place, exclude_dirs=["deeper"]))) == ["a.txt", "b.md", "c.txt"]


def test_each_file_gives_so_many_matches_at_most(place: Path) -> None:
    (place / "many.txt").write_text("two two\n" * 5)
    assert names(search(place, max_matches_per_file=3)).count("many.txt") == 3
    assert names(search(place, path="many.txt")).count("many.txt") == 10


def test_what_is_too_large_or_no_text_or_no_file_is_skipped_and_told(place: Path) -> None:
    (place / "large.txt").write_text("two" * 100)
    (place / "binary").write_bytes(b"two\0")
    (place / "link.txt").symlink_to("a.txt")
    found = search(place, max_file_size=100)
    skipped = {Path(one["file_path"]).name: one["reason"] for one in found.result["skipped_files"]}
    assert set(skipped) == {"binary", "large.txt"}
    assert "more than 100" in skipped["large.txt"]
    assert found.result["summary"]["files_skipped"] == 2
    assert "link.txt" not in names(found)


def test_long_work_is_told(place: Path) -> None:
    for number in range(200):
        (place / f"{number}.txt").write_text("")
    assert search(place).progress[0][0] == "searched 200 files"


def test_what_is_missing_or_outside(place: Path) -> None:
    assert search(place, path="none").said == "none: no such file or directory"
    with pytest.raises(Forbidden, match="Path not allowed"):
        search(place, path="/etc")
    with pytest.raises(InvalidRequest, match=r"Missing required parameter 'path' \(or 'directory'\)"):
        call_tool("file-search", {"pattern": "x"})
