"""What is said of a stop, in text and as an event. Knows what was asked, no kernel."""

from __future__ import annotations

from llmspell_cli.debugger.commands import DebugCommands
from llmspell_cli.debugger.frames import numbered
from llmspell_cli.session import Content

_REASONS = {"breakpoint": "breakpoint", "exception": "error", "pause": "pause", "entry": "entry", "step": "step"}


class Stop:
    """A stop as users and programs read it; made when the script stands."""

    def __init__(self, commands: DebugCommands, event: Content) -> None:
        where, point = commands.stopped(event)
        frame = where.frames[0] if where.frames else None
        self.reason = _REASONS.get(str(event.get("reason")), str(event.get("reason")))
        self.problem = event.get("text")
        self.breakpoint = point.id if point is not None else None
        self.file = commands.places.shown(str(frame["source"]["path"])) if frame else None
        self.line = int(frame["line"]) if frame else None
        self.function = str(frame["name"]) if frame else None
        self.source = commands.source_line(frame) if frame else None
        self.watches = commands.watches()

    @property
    def text(self) -> str:
        """Lines for a terminal."""
        reason = self.reason if self.breakpoint is None else f"breakpoint {self.breakpoint}"
        lines = [f"Paused at {self.file}:{self.line} ({reason})"]
        if self.problem:
            lines.append(f"  {self.problem}")
        if self.source is not None and self.line is not None:
            lines.append(numbered(self.line, self.source))
        lines += [f"  watch {expression} = {value}" for expression, value in self.watches]
        return "\n".join(lines)

    def to_event(self) -> Content:
        """The object of an NDJSON stream."""
        return {
            "event": "stopped",
            "reason": self.reason,
            "file": self.file,
            "line": self.line,
            "function": self.function,
            "breakpoint": self.breakpoint,
            "message": self.problem,
            "watches": [{"expression": expression, "value": value} for expression, value in self.watches],
        }
