"""What scripts show, at a terminal and in JSON: a display as its text, an update in its place where that is possible.

A terminal can change only what was written last; anywhere else an update is a line of its own. A progress bar goes to
stderr, and where that is no terminal, only its last line does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from llmspell_cli.terminal.output import room
from llmspell_cli.terminal.widths import width_of


class Displays:
    """The displays of one script or input."""

    def __init__(self) -> None:
        self._shown: list[dict[str, Any]] = []
        self._last: tuple[str, int] | None = None
        """The display that was written last, and the lines it takes up; None where something else was."""

    def begin(self) -> None:
        """A new input."""
        self._shown.clear()
        self._last = None

    @property
    def documents(self) -> list[dict[str, Any]]:
        """All of them, as they were last: `data` and `metadata` by MIME type, `display_id` where one was given."""
        return [dict(one) for one in self._shown]

    def keep(self, content: Mapping[str, Any]) -> None:
        """Takes one delta for the documents; one without a display is nothing to them."""
        display = content.get("display")
        if not display or display.get("progress") or "data" not in display:
            return
        id = _id_of(display)
        # A table of Lua's has no order.
        forms = {"data": dict(sorted(display["data"].items())), "metadata": display.get("metadata") or {}}
        if display["kind"] == "display_data":
            self._shown.append({**forms, "display_id": id} if id else forms)
        else:
            for one in self._shown:
                if one.get("display_id") == id:
                    one.update(forms)

    def text(self, content: Mapping[str, Any]) -> str:
        """What is to be written for one delta to the stream that it names."""
        display, text = content.get("display"), str(content.get("text", ""))
        before, self._last = self._last, None
        if not display or "data" not in display:
            if not text:
                self._last = before
            return text
        stream = sys.stderr if content.get("stream") == "stderr" else sys.stdout
        width = room(stream)
        if width is None or os.environ.get("TERM") == "dumb":
            return text
        return self._in_place(display, width, before)

    def _in_place(self, display: Mapping[str, Any], width: int, before: tuple[str, int] | None) -> str:
        id, shown = _id_of(display), f"{display['data'].get('text/plain', '')}\n"
        lines = sum(max(1, -(-width_of(line) // width)) for line in shown[:-1].split("\n"))
        back = ""
        if before is not None and before[0] == id and display["kind"] == "update_display_data":
            back = f"\x1b[{before[1]}F\x1b[J"
        if id:
            self._last = (id, lines)
        return back + shown


def _id_of(display: Mapping[str, Any]) -> str:
    return str((display.get("transient") or {}).get("display_id") or "")
