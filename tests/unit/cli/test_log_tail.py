"""The end of a log and what is added to it, over real files."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from llmspell_cli.kernels.log_tail import Entry, Follower, Wanted, entries, last_entries

ALL = Wanted()


def line(second: int, level: str = "INFO", text: str = "x") -> str:
    return f"2025-10-12T10:15:{second:02d}.000Z [{level}] {text}"


def write(path: Path, *lines: str) -> Path:
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(text + "\n" for text in lines))
    return path


def shown(found: list[Entry]) -> list[str]:
    return [text for entry in found for text in entry.lines]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kernel-a.log"


def test_a_traceback_belongs_to_the_entry_above_it() -> None:
    first, second = entries([line(1), "  Traceback:", "    boom", line(2)])
    assert first.lines == (line(1), "  Traceback:", "    boom")
    assert second.lines == (line(2),)
    parsed = first.parsed()
    assert parsed is not None
    assert (parsed.ts, parsed.level, parsed.message) == ("2025-10-12T10:15:01.000Z", "info", "x")
    assert parsed.traceback == "Traceback:\n  boom"


def test_lines_that_nothing_began_are_kept_where_everything_is_shown() -> None:
    (alone, _) = entries(["malloc: corrupted", line(1)])
    assert alone.parsed() is None
    assert ALL(alone)
    assert not Wanted(level="error")(alone)


def test_the_last_entries_are_counted_by_entries(path: Path) -> None:
    write(path, line(1), line(2, "ERROR"), "  where", line(3))
    assert shown(last_entries(path, ALL, 2)) == [line(2, "ERROR"), "  where", line(3)]
    assert last_entries(path, ALL, 0) == []
    assert len(last_entries(path, ALL, None)) == 3
    assert last_entries(path.with_name("nosuch.log"), ALL, 5) == []


def test_a_level_lets_through_itself_and_what_is_more_important(path: Path) -> None:
    write(path, *(line(at, level) for at, level in enumerate(("TRACE", "DEBUG", "INFO", "WARN", "ERROR"))))
    assert [len(last_entries(path, Wanted(level=level), 9)) for level in ("trace", "info", "warn", "error")] == [
        5,
        3,
        2,
        1,
    ]


def test_json_lines_are_read_as_well(path: Path) -> None:
    write(
        path, '{"ts": "2025-10-12T10:15:01.000Z", "level": "warn", "target": "a.b", "message": "m", "request_id": "r"}'
    )
    (entry,) = last_entries(path, Wanted(level="warn"), 5)
    parsed = entry.parsed()
    assert parsed is not None
    assert (parsed.target, parsed.message, parsed.request_id) == ("a.b", "m", "r")


def test_rotated_files_are_read_when_the_newest_has_too_few(path: Path) -> None:
    for number, seconds in ((2, (1, 2)), (1, (3, 4))):
        with gzip.open(path.with_name(f"{path.name}.{number}.gz"), "wt", encoding="utf-8") as packed:
            packed.writelines(line(second) + "\n" for second in seconds)
    write(path, line(5))
    assert shown(last_entries(path, ALL, 4)) == [line(second) for second in (2, 3, 4, 5)]
    assert shown(last_entries(path, Wanted(since="2025-10-12T10:15:03.500Z"), None)) == [line(4), line(5)]


def test_a_long_log_is_read_from_its_end(path: Path) -> None:
    write(
        path, line(0, "ERROR", "first"), *(line(at % 60, text="y" * 200) for at in range(2000)), line(59, text="last")
    )
    assert [entry.head.message for entry in last_entries(path, ALL, 1) if entry.head] == ["last"]
    assert [entry.head.message for entry in last_entries(path, Wanted(level="error"), 3) if entry.head] == ["first"]
    assert len(last_entries(path, ALL, 1500)) == 1500


def test_what_is_added_is_seen_in_whole_lines(path: Path) -> None:
    write(path, line(1))
    with Follower(path) as follower:
        assert follower.look() == []
        with path.open("a", encoding="utf-8") as file:
            file.write(line(2) + "\n" + line(3)[:10])
            file.flush()
            assert shown(follower.look()) == [line(2)]
            file.write(line(3)[10:] + "\n")
        assert shown(follower.look()) == [line(3)]


def test_a_rotation_loses_nothing(path: Path) -> None:
    write(path, line(1))
    with Follower(path) as follower:
        write(path, line(2))
        path.rename(path.with_name(path.name + ".1"))
        write(path, line(3))
        assert shown(follower.look()) == [line(2), line(3)]
        write(path, line(4))
        assert shown(follower.look()) == [line(4)]


def test_what_is_written_while_it_is_rotated_is_not_lost(path: Path) -> None:
    class RotatedWhenLookedAt(type(path)):  # type: ignore[misc]
        """Between the last reading of the old file and the look at its name a line came, and a rotation."""

        def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
            if not (old := path.with_name(path.name + ".1")).exists():
                write(path, line(2))
                path.rename(old)
                write(path, line(3))
            return path.stat(follow_symlinks=follow_symlinks)

    write(path, line(1))
    with Follower(RotatedWhenLookedAt(path)) as follower:
        assert shown(follower.look()) == [line(2), line(3)]


def test_a_log_that_is_not_there_yet_is_waited_for(path: Path) -> None:
    with Follower(path) as follower:
        assert follower.look() == []
        write(path, line(1))
        assert shown(follower.look()) == [line(1)]


def test_a_log_that_was_emptied_is_read_from_its_beginning(path: Path) -> None:
    write(path, line(1), line(2))
    with Follower(path) as follower:
        path.write_text(line(3) + "\n", encoding="utf-8")
        assert shown(follower.look()) == [line(3)]
