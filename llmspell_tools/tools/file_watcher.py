"""file-watcher: waits for changes of files, and tells each; ends with its time or after so many events."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from llmspell_protocol.errors import Unsupported
from llmspell_protocol.extras import install_command
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.limits.files import Files
from llmspell_tools.parameters import ToolParameters, missing, parameter

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent

_LONGEST_S = 3600.0
_MOST_EVENTS = 10_000
_MOST_PATHS = 100
_KINDS = {"created": "created", "modified": "modified", "deleted": "deleted", "moved": "moved"}
"""Of watchdog's events those that change something: opening and closing do not."""


class Parameters(ToolParameters):
    """What `file-watcher` is called with."""

    operation: Literal["watch", "config"] = parameter("watch: wait for changes; config: the limits", "watch")
    input: list[str] | None = parameter(
        "the directories and files that are watched", None, also=("paths", "path"), max_length=_MOST_PATHS
    )
    recursive: bool = parameter("whether what is below directories is watched as well", True)
    pattern: str | None = parameter("only files whose name, or path, is like this: *.txt", None)
    debounce_ms: int = parameter("changes of one file that follow within so many milliseconds are one", 100, ge=0)
    timeout_seconds: float = parameter("how long it waits", 300, ge=0, le=_LONGEST_S)
    timeout_ms: int | None = parameter("the same in milliseconds, which wins", None, ge=0, le=int(_LONGEST_S * 1000))
    max_events: int = parameter("after so many events it ends", 1000, ge=1, le=_MOST_EVENTS)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """One path needs no list."""
        if isinstance(given.get("input"), str):
            given["input"] = [given["input"]]
        return given


class _Watched(NamedTuple):
    """One directory, held open; `seen` is its path as the system tells events, `shown` as the caller named it."""

    seen: str
    shown: str
    only: str | None
    """the one file in it that is meant"""


class _Event(NamedTuple):
    kind: str
    path: str
    is_directory: bool
    moved_to: str | None


def run(wanted: Parameters, call: Call) -> Outcome:
    """Watches until the time is over or there were enough events."""
    if wanted.operation == "config":
        return _config()
    if not wanted.input:
        raise missing("input", "paths", "path")
    limit_s = wanted.timeout_seconds if wanted.timeout_ms is None else wanted.timeout_ms / 1000
    events: list[dict[str, Any]] = []
    began = time.monotonic()
    with ExitStack() as stack:
        watched = [_held(path, call.files, stack) for path in wanted.input]
        for event in stack.enter_context(closing(_events(watched, wanted, call, began + limit_s))):
            told = {"type": event.kind, "path": event.path, "is_dir": event.is_directory, "timestamp": time.time()}
            if event.moved_to is not None:
                told["moved_to"] = event.moved_to
            events.append(told)
            call.progress(f"{event.kind}: {event.path}", **told)
            if len(events) >= wanted.max_events:
                break
    enough = len(events) >= wanted.max_events
    result: dict[str, Any] = {
        "events": events,
        "count": len(events),
        "paths": list(wanted.input),
        "pattern": wanted.pattern,
        "timed_out": not enough,
        "duration_ms": round((time.monotonic() - began) * 1000),
    }
    return Outcome(
        operation="watch",
        result=result,
        output=events,
        text="\n".join(f"{one['type']}: {one['path']}" for one in events),
        message=f"{len(events)} changes in {result['duration_ms'] / 1000:.3g} s",
    )


def _config() -> Outcome:
    fields = Parameters.model_fields
    result = {
        "max_paths": _MOST_PATHS,
        "max_events": _MOST_EVENTS,
        "max_timeout_seconds": _LONGEST_S,
        **{f"default_{name}": fields[name].default for name in ("debounce_ms", "timeout_seconds", "max_events")},
    }
    return Outcome(operation="config", result=result, message="Limits of the watcher")


def _held(path: str, files: Files, stack: ExitStack) -> _Watched:
    """The directory of a path, by its descriptor: what gets its name later is not what is watched."""
    whole = files.absolute(path)
    entry = files.entry(whole)
    only = entry.name if entry is not None and entry.kind == "file" else None
    shown = os.path.dirname(whole) if only is not None else whole
    descriptor = stack.enter_context(files.directory(shown))
    # With the dot it is the directory; without, a link, which is not followed.
    by_descriptor = f"/proc/self/fd/{descriptor}/."
    return _Watched(by_descriptor if os.path.isdir(by_descriptor) else shown, shown, only)


def _events(watched: list[_Watched], wanted: Parameters, call: Call, deadline: float) -> Generator[_Event]:
    """Changes as they come, those of one file that follow each other as one."""
    try:
        from watchdog.events import FileSystemEventHandler
        from watchdog.observers import Observer
    except ImportError:
        raise Unsupported(
            "file-watcher needs watchdog, which is not installed",
            hint=f"install the tools: {install_command('tools')}",
            details={"tool": "file-watcher", "extra": "tools"},
        ) from None
    # Bounded: what comes faster than it is told must not fill the memory.
    found: queue.Queue[_Event] = queue.Queue(10 * _MOST_EVENTS)

    class Handler(FileSystemEventHandler):
        def __init__(self, place: _Watched) -> None:
            self._place = place

        def on_any_event(self, event: FileSystemEvent) -> None:
            one = _event(event, self._place, wanted)
            if one is not None:
                try:
                    found.put_nowait(one)
                except queue.Full:
                    pass  # By then there are more than the caller gets.

    observer = Observer()
    for place in watched:
        observer.schedule(Handler(place), place.seen, recursive=wanted.recursive and place.only is None)
    try:
        observer.start()
    except OSError as error:
        raise ToolFailure(f"it can't be watched: {(error.strerror or str(error)).lower()}") from None
    call.progress("watching", paths=[place.shown for place in watched])
    try:
        yield from _debounced(found, wanted.debounce_ms / 1000, deadline)
    finally:
        observer.stop()
        observer.join()


def _debounced(found: queue.Queue[_Event], rest_s: float, deadline: float) -> Iterator[_Event]:
    told: dict[_Event, float] = {}
    while (left := deadline - time.monotonic()) > 0:
        try:
            event = found.get(timeout=left)
        except queue.Empty:
            return
        now = time.monotonic()
        if now - told.get(event, -rest_s - 1) > rest_s:
            told[event] = now
            yield event
        if len(told) > _MOST_EVENTS:
            told = {one: when for one, when in told.items() if now - when <= rest_s}


def _event(event: FileSystemEvent, place: _Watched, wanted: Parameters) -> _Event | None:
    """The event in the caller's words; None where it is not meant."""
    kind = _KINDS.get(event.event_type)
    if kind is None or (event.is_directory and kind == "modified"):
        return None  # A directory is modified by each change in it, which is told by itself.
    path, target = _shown(event.src_path, place), _shown(event.dest_path, place)
    names = [one for one in (path, target) if one]
    if place.only is not None and place.only not in map(os.path.basename, names):
        return None
    if wanted.pattern is not None and not any(_is_like(one, wanted.pattern) for one in names):
        return None
    return _Event(kind, path, event.is_directory, target or None)


def _shown(path: str | bytes, place: _Watched) -> str:
    text = os.fsdecode(path)
    return place.shown.rstrip("/") + text.removeprefix(place.seen) if text else ""


def _is_like(path: str, pattern: str) -> bool:
    return fnmatchcase(os.path.basename(path), pattern) or fnmatchcase(path, pattern)


TOOL = Tool(
    name="file-watcher",
    description="Waits for changes of files and directories, for a time or a number of them. Each is told as it comes.",
    category="filesystem",
    level="restricted",
    parameters=Parameters,
    run=run,
    needs=("read",),
    settings=("file_operations",),
    result=(
        "watch: {events: [{type, path, is_dir, timestamp, moved_to?}], count, paths, pattern, timed_out, duration_ms}, "
        "type created, modified, deleted or moved; config: {max_paths, max_events, max_timeout_seconds, default_…}"
    ),
    keywords=("watch", "monitor", "changes", "inotify"),
)
