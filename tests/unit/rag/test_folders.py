"""Which files below a directory are documents, and why the others are not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.beneath import NotBeneath, Places
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.rag.reading import Found, Skipped, Walk
from llmspell_rag.documents.folders import walk


def made(top: Path, *names: str) -> None:
    """Files with something in them."""
    for name in names:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")


def wanted_of(top: Path, wanted: dict[str, Any]) -> Walk:
    """What is looked for below a directory."""
    return Walk(paths=[str(top)], beneath=[str(top)], **wanted)


def found(top: Path, **wanted: Any) -> list[str]:
    """The paths of what is taken, from the top."""
    every = walk(str(top), wanted_of(top, wanted), Places([str(top)]))
    return [os.path.relpath(one.path, top) for one in every if isinstance(one, Found)]


def skipped(top: Path, **wanted: Any) -> dict[str, str]:
    """The reasons of what is skipped."""
    every = walk(str(top), wanted_of(top, wanted), Places([str(top)]))
    return {os.path.relpath(one.path, top): one.reason for one in every if isinstance(one, Skipped)}


def test_known_kinds_come_sorted_with_size_and_time_and_are_not_read(tmp_path: Path) -> None:
    made(tmp_path, "b.md", "a/z.py", "a/b/c.txt", "README")
    (tmp_path / "b.md").chmod(0)
    assert found(tmp_path) == ["README", "a/b/c.txt", "a/z.py", "b.md"]
    last = list(walk(str(tmp_path), wanted_of(tmp_path, {}), Places([str(tmp_path)])))[-1]
    time = (tmp_path / "b.md").stat().st_mtime_ns
    assert last == Found(path=str(tmp_path / "b.md"), size=4, mtime_ns=time, media_type="text/markdown")


def test_what_is_no_document_is_told_with_the_reason(tmp_path: Path) -> None:
    made(tmp_path, "a.png", "noending", "ok.md")
    (tmp_path / "empty.md").touch()
    (tmp_path / "large.md").write_text("x" * 100)
    os.mkfifo(tmp_path / "pipe.md")
    assert found(tmp_path, largest_bytes=50) == ["ok.md"]
    reasons = skipped(tmp_path, largest_bytes=50)
    assert reasons == {
        "a.png": "files that end with .png are no kind of document that is known; include takes them as text",
        "empty.md": "it is empty",
        "large.md": "it has 100 bytes, more than 50",
        "noending": "files without an ending are no kind of document that is known; include takes them as text",
        "pipe.md": "it is no plain file",
    }


def test_names_that_are_not_utf_8_are_told_so_that_they_can_be_read(tmp_path: Path) -> None:
    made(tmp_path, "ok.md")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md")).write_text("coffee")
    below = Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xff"))
    below.mkdir()
    (below / "x.md").write_text("x")
    assert found(tmp_path) == ["ok.md"]
    said = "its name is not UTF-8: rename it"
    assert skipped(tmp_path) == {"caf\\xe9.md": said, "d\\xff": said}


def test_globs_include_and_exclude(tmp_path: Path) -> None:
    made(tmp_path, "a.md", "docs/b.md", "docs/deep/c.md", "docs/d.txt", "docs/old/e.md", "x.odd")
    assert found(tmp_path, include=["*.md"]) == ["a.md", "docs/b.md", "docs/deep/c.md", "docs/old/e.md"]
    assert found(tmp_path, include=["docs/**"], exclude=["old/", "*.txt"]) == ["docs/b.md", "docs/deep/c.md"]
    assert found(tmp_path, include=["/a.md", "*.odd"]) == ["a.md", "x.odd"]
    with pytest.raises(InvalidRequest, match="exclude: "):
        found(tmp_path, exclude=["\\"])


def test_ignore_files_count_in_their_directory_and_inner_ones_stand_above_outer_ones(tmp_path: Path) -> None:
    made(
        tmp_path,
        "a.md",
        "b.log",
        "build/c.md",
        "in/b.log",
        "in/d.md",
        "in/keep.log",
        "in/secret.md",
        "top.md",
        "in/top.md",
    )
    (tmp_path / ".gitignore").write_text("*.log\nbuild/\n/top.md\n\\\n")
    (tmp_path / "in" / ".gitignore").write_text("!keep.log\n")
    (tmp_path / "in" / ".llmspellignore").write_text("secret.md\n")
    assert found(tmp_path) == ["a.md", "in/d.md", "in/keep.log", "in/top.md"]
    (tmp_path / "in" / ".ignore").write_text("keep.log\nsecret.md")
    (tmp_path / "in" / ".llmspellignore").write_text("!secret.md\n")
    assert found(tmp_path) == ["a.md", "in/d.md", "in/secret.md", "in/top.md"]


def test_hidden_files_are_left_out_unless_they_are_wanted(tmp_path: Path) -> None:
    made(tmp_path, ".hidden.md", ".config/a.md", ".git/b.md", "c.md")
    assert found(tmp_path) == ["c.md"]
    assert found(tmp_path, hidden=True) == [".config/a.md", ".hidden.md", "c.md"]


def test_links_are_not_followed_and_told(tmp_path: Path) -> None:
    top = tmp_path / "top"
    made(top, "a.md")
    made(tmp_path, "outside/secret.md")
    (top / "loop").symlink_to(top)
    (top / "out").symlink_to(tmp_path / "outside")
    (top / "out.md").symlink_to(tmp_path / "outside/secret.md")
    (top / "same.md").symlink_to("a.md")
    (top / "nowhere.md").symlink_to("gone")
    assert found(top) == ["a.md"]
    assert skipped(top) == {
        "loop": "it is a link: what it leads to is taken where it is",
        "nowhere.md": "it is a link: what it leads to is taken where it is",
        "out": "it is a link out of the directory",
        "out.md": "it is a link out of the directory",
        "same.md": "it is a link: what it leads to is taken where it is",
    }


def test_a_file_that_is_named_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    made(tmp_path, "x.odd", ".hidden")
    assert found(tmp_path / "x.odd") == ["."]
    assert found(tmp_path / ".hidden") == ["."]
    (tmp_path / "link").symlink_to("x.odd")
    assert found(tmp_path / "link") == ["."]


def test_what_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    made(tmp_path, "in/a.md", "out/b.md")
    (tmp_path / "in" / "away").symlink_to(tmp_path / "out")
    places = Places([str(tmp_path / "in")])
    for path in (tmp_path / "out", tmp_path / "out" / "b.md", tmp_path / "in" / "away"):
        with pytest.raises(NotBeneath):
            list(walk(str(path), wanted_of(path, {}), places))
    with pytest.raises(FileNotFoundError):
        list(walk(str(tmp_path / "in" / "gone"), wanted_of(tmp_path, {}), places))
