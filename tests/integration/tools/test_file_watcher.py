"""file-watcher: real changes of real files, told as they come, until the time is over or there were enough."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import Forbidden, InvalidRequest, Unsupported
from llmspell_tools.contract import Call
from llmspell_tools.parameters import parameters_of
from llmspell_tools.registry import tool_named
from tests.support.tool_calls import Called, call_tool, default_tables


def watch(place: Path, changes: Callable[[], None] | None = None, **arguments: Any) -> list[dict[str, Any]]:
    """The events of a call; `changes` are made as soon as it watches, on another thread."""
    from llmspell_protocol.tools.permissions import Permissions

    told: list[Mapping[str, Any]] = []
    threads: list[threading.Thread] = []

    def on_progress(message: str, figures: Mapping[str, Any]) -> None:
        if message != "watching":
            told.append(figures)
        elif changes is not None:
            threads.append(threading.Thread(target=changes))
            threads[0].start()

    given = {"input": [str(place)], "timeout_ms": 20_000, "debounce_ms": 0, **arguments}
    permissions = Permissions(read=[str(place)], working_directory=str(place))
    tool = tool_named("file-watcher")
    call = Call(permissions, default_tables(tool.settings), on_progress)
    result = tool.run(parameters_of(tool.parameters, given), call).result
    for thread in threads:
        thread.join()
    assert result["events"] == told
    assert result["count"] == len(told)
    assert result["timed_out"] is (len(told) < arguments.get("max_events", 1000))
    return list(result["events"])


def kinds(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["type"], os.path.basename(one["path"])) for one in events]


def test_each_change_is_told_with_its_kind_and_path(tmp_path: Path) -> None:
    def change() -> None:
        (tmp_path / "a").touch()
        os.rename(tmp_path / "a", tmp_path / "b")
        os.unlink(tmp_path / "b")

    events = watch(tmp_path, change, max_events=3)
    assert kinds(events) == [("created", "a"), ("moved", "a"), ("deleted", "b")]
    assert events[0]["path"] == str(tmp_path / "a")
    assert events[1]["moved_to"] == str(tmp_path / "b")
    assert events[0]["is_dir"] is False
    assert events[0]["timestamp"] > 0


def test_what_is_below_is_watched_unless_it_is_not_wanted(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()

    def change() -> None:
        (tmp_path / "deep" / "a").touch()
        (tmp_path / "b").touch()

    assert kinds(watch(tmp_path, change, max_events=2)) == [("created", "a"), ("created", "b")]
    (tmp_path / "deep" / "a").unlink()
    (tmp_path / "b").unlink()
    assert kinds(watch(tmp_path, change, max_events=1, recursive=False)) == [("created", "b")]


def test_a_pattern_picks_files_and_a_file_is_watched_alone(tmp_path: Path) -> None:
    def change() -> None:
        for name in ("a.log", "b.txt", "c.txt"):
            (tmp_path / name).write_text("x")

    assert watch(tmp_path, change, max_events=1, pattern="*.txt")[0]["path"] == str(tmp_path / "b.txt")
    assert kinds(watch(tmp_path, change, max_events=1, input=str(tmp_path / "c.txt"))) == [("modified", "c.txt")]


def test_changes_that_follow_each_other_are_one(tmp_path: Path) -> None:
    def change() -> None:
        with open(tmp_path / "a", "wb", buffering=0) as file:
            file.writelines([b"x"] * 20)
        (tmp_path / "last").touch()

    events = watch(tmp_path, change, max_events=3, debounce_ms=60_000)
    assert kinds(events) == [("created", "a"), ("modified", "a"), ("created", "last")]


@pytest.mark.parametrize("name", ["input", "paths", "path"])
def test_it_ends_with_its_time(tmp_path: Path, name: str) -> None:
    given: dict[str, Any] = {name: str(tmp_path), "timeout_seconds": 0.05}
    called = call_tool("file-watcher", given, read=[str(tmp_path)])
    assert called.result["timed_out"] is True
    assert called.output == []


def test_a_link_out_of_the_place_is_not_watched(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)

    def change() -> None:
        (outside / "secret").touch()
        (inside / "own").touch()

    assert kinds(watch(inside, change, max_events=1)) == [("created", "own")]
    for path in ("link", str(outside), ".."):
        with pytest.raises(Forbidden, match="Path not allowed"):
            watch(inside, input=[path])


def test_its_limits_are_told() -> None:
    result = call_tool("file-watcher", {"operation": "config"}).result
    assert result == {
        "max_paths": 100,
        "max_events": 10_000,
        "max_timeout_seconds": 3600.0,
        "default_debounce_ms": 100,
        "default_timeout_seconds": 300,
        "default_max_events": 1000,
    }


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == "watchdog"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "watchdog", None)
    with pytest.raises(Unsupported, match="needs watchdog") as refused:
        watch(tmp_path)
    assert refused.value.hint is not None
    assert "[tools]" in refused.value.hint


def refused(**arguments: Any) -> Called:
    return call_tool("file-watcher", arguments, read=["/"])


def test_what_is_missing_or_wrong_is_told() -> None:
    assert refused(input=["/none"]).said == "/none: no such file or directory"
    with pytest.raises(InvalidRequest, match=r"Missing required parameter 'input' \(or 'paths', 'path'\)"):
        refused()
    with pytest.raises(InvalidRequest, match="timeout_seconds"):
        refused(input=["/"], timeout_seconds=10_000)
    with pytest.raises(InvalidRequest, match="Unknown operation: stop"):
        refused(operation="stop")
