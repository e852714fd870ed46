"""How far an ingest, a rebuild or an answer is: a bar at a terminal, a line each 10 % in a pipe, events for programs.

Knows the contents of `rag_progress`, not what they are about.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.progress import ProgressView
from llmspell_cli.terminal.text import duration, size

_STEPS = 10
"""Lines of a pipe."""


class RagProgressView:
    """Shows the progress of one request; use as a context manager, so that a bar is put away."""

    def __init__(self, output: Output, command: str) -> None:
        self._output = output
        self._command = command
        self._view = ProgressView(output, command, None)
        self._step = 0
        self.told: set[str] = set()
        """Warnings that people have seen."""

    def __enter__(self) -> RagProgressView:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Puts the bar away, so that other output can follow."""
        self._view.clear()

    def show(self, content: Mapping[str, Any]) -> None:
        """Takes one progress content; its warning stays on the screen."""
        if content.get("warning"):
            self.clear()
            self._output.warning(str(content["warning"]))
            if not self._output.json:
                self.told.add(str(content["warning"]))
        if self._output.json:
            fields = {key: value for key, value in content.items() if key not in ("seq", "stage", "warning")}
            event = {"event": "progress", "command": self._command, "model": None, "phase": content["stage"]}
            self._output.side_event({**event, **fields})
        elif sys.stderr.isatty():
            done = part_done(content)
            percent = None if done is None else 100 * done
            self._view.show({"phase": content["stage"], "percent_complete": percent, "amounts": amounts(content)})
        else:
            self._line(content)

    def _line(self, content: Mapping[str, Any]) -> None:
        done = part_done(content)
        step = 0 if done is None else int(done * _STEPS)
        # What has no rate yet is over in a moment, most likely.
        if step <= self._step or not content.get("rate"):
            return
        self._step = step
        parts = [f"{100 * (done or 0):3.0f} %", *amounts({**content, "current": None})]
        self._output.note(f"{self._command}  {'   '.join(parts)}")


def part_done(content: Mapping[str, Any]) -> float | None:
    """0 to 1, by bytes where these are known, else by documents; None where neither is."""
    for done, whole in (("bytes_done", "bytes"), ("documents_done", "documents")):
        if content.get(whole):
            return min(1.0, float(content[done]) / float(content[whole]))
    return None


def amounts(content: Mapping[str, Any]) -> list[str]:
    """The numbers beside a bar: `12 of 98 documents`, `230 passages/s`, `eta 14s`, the document, `4.1 MB of 9.8 MB`."""
    parts = []
    if content.get("documents") is not None:
        parts.append(f"{content['documents_done']} of {content['documents']} documents")
    elif content.get("documents_done"):
        parts.append(f"{content['documents_done']} documents")
    if content.get("rate"):
        parts.append(f"{content['rate']:.{0 if content['rate'] >= 10 else 1}f} passages/s")
    if content.get("eta_s") is not None:
        parts.append(f"eta {duration(content['eta_s'])}")
    if content.get("current"):
        parts.append(str(content["current"]))
    if content.get("bytes"):
        parts.append(f"{size(content['bytes_done'])} of {size(content['bytes'])}")
    return parts
