"""Files that commands write where users say: whole or as they were before, and with the right mode."""

from __future__ import annotations

import os
import resource
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmspell_cli.json_file import read_json, write_json, write_private
from llmspell_protocol.errors import InvalidRequest

LONG = "x" * 200_000


@contextmanager
def short_files() -> Iterator[None]:
    """As on a disk that becomes full in the middle of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_new_file_is_its_owners_alone_and_one_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    new, old = tmp_path / ("n" * 255), tmp_path / "old.json"
    old.write_text("before")
    old.chmod(0o640)
    for file in (new, old):
        write_json(str(file), {"a": 1})
        assert read_json(str(file)) == {"a": 1}
    assert (mode(new), mode(old)) == (0o600, 0o640)
    assert sorted(tmp_path.iterdir()) == [new, old]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text("before")
    for path in (file, tmp_path / "new.json"):
        with short_files(), pytest.raises(InvalidRequest, match=r"can't write .*: File too large"):
            write_private(str(path), LONG)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("state.json", "before")]


def test_what_reads_the_old_file_goes_on_reading_it_whole(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text("before")
    with file.open() as reader:
        write_private(str(file), "after")
        assert reader.read() == "before"
    assert file.read_text() == "after"


def test_links_stay_and_what_they_lead_to_is_written(tmp_path: Path) -> None:
    real, link, to_nothing = tmp_path / "real", tmp_path / "link", tmp_path / "to_nothing"
    real.write_text("before")
    link.symlink_to(real)
    to_nothing.symlink_to(tmp_path / "made")
    second = tmp_path / "second"
    os.link(real, second)
    for path, text in ((link, "by the link"), (second, "by the other name")):
        write_private(str(path), text)
        assert (real.read_text(), second.read_text(), link.is_symlink()) == (text, text, True)
    write_private(str(to_nothing), "new")
    assert (to_nothing.is_symlink(), (tmp_path / "made").read_text(), mode(tmp_path / "made")) == (True, "new", 0o600)


def test_pipes_and_devices_get_the_text(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_private(str(pipe), "text")
    reader.join(60)
    assert read == ["text"]
    assert pipe.is_fifo()
    write_private("/dev/null", "text")
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("name", "why"), [("nowhere/x", "No such file or directory"), ("", "Is a directory"), ("file/x", "Not a directory")]
)
def test_a_place_where_nothing_can_be_written_is_told(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match=f"can't write .*: {why}"):
        write_private(f"{tmp_path}/{name}", "text")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_be_written_in_a_directory_that_may_not_is_written_and_one_that_may_not_is_told(
    tmp_path: Path,
) -> None:
    file, closed = tmp_path / "state.json", tmp_path / "closed.json"
    file.write_text("before")
    closed.write_text("before")
    closed.chmod(0o400)
    with pytest.raises(InvalidRequest, match="Permission denied"):
        write_private(str(closed), "after")
    tmp_path.chmod(0o500)
    try:
        write_private(str(file), "after")
    finally:
        tmp_path.chmod(0o700)
    assert (file.read_text(), closed.read_text()) == ("after", "before")
