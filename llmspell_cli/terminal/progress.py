"""Progress of a request on stderr: a bar on a terminal, a line each 10 % elsewhere, one event a line in JSON mode.

What says how far it is has a bar; what doesn't has a sign that moves and the seconds since it began.

Knows the contents of progress messages (`phase` and its numbers), not where they come from.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import size
from llmspell_cli.terminal.visible import visible

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

QUIET_PHASES = ("queued", "loading", "prefill")
"""Phases of a reply: shown as a bar at a terminal, and not at all elsewhere."""

_SILENT = ("resolving", "complete")
"""Phases without a line of their own, unless there were lines before."""
_WIDE = 100
"""Columns from which on there is room for a drawn bar beside the numbers."""
_BAR_WIDTH = 24
_LABEL_WIDTH = 32
_MOVES_A_SECOND = 4


class ProgressView:
    """Shows the progress of one request; use as a context manager, so that a bar is put away."""

    def __init__(self, output: Output, command: str, model: str | None) -> None:
        self._output = output
        self._command = command
        self._model = model
        self._step = -1
        self._phase = ""
        self._bars: Bars | None = None
        self._task: Any = None
        self._drawn = False
        self._moving = False
        """Whether what is shown is a sign that moves."""

    def __enter__(self) -> ProgressView:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, content: Mapping[str, Any]) -> None:
        """Takes one progress content; its notice stays on the screen."""
        notice = content.get("notice")
        if notice and not self._output.json:
            self.clear()
            self._output.note(str(notice))
        if self._output.json:
            fields = {key: value for key, value in content.items() if key != "seq"}
            self._output.side_event({"event": "progress", "command": self._command, "model": self._model, **fields})
        elif sys.stderr.isatty():
            self._draw(content)
        elif content.get("phase") not in QUIET_PHASES:
            self._line(content)

    def clear(self) -> None:
        """Puts the bar away, so that other output can follow."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _line(self, content: Mapping[str, Any]) -> None:
        phase = str(content.get("phase", ""))
        # The line of another phase has no number, so that a second one would say nothing.
        step = int(percent(content) or 0) // 10 if phase == "downloading" else 0
        if (phase == self._phase and step <= self._step) or (phase in _SILENT and not self._phase):
            return
        self._output.note(self._text(content))
        self._phase, self._step = phase, step

    def _text(self, content: Mapping[str, Any]) -> str:
        done = percent(content)
        parts = [self._label, str(content.get("phase", ""))]
        if content.get("phase") == "downloading":
            parts += [f"{done:3.0f} %" if done is not None else "", *amounts(content)]
        return "  ".join(parts[:2]) + "".join(f"   {part}" for part in parts[2:] if part)

    def _draw(self, content: Mapping[str, Any]) -> None:
        done = percent(content)
        if self._bars is None or self._moving != (done is None):
            self.clear()
            self._make_bars(moving=done is None)
        bars = self._bars
        assert bars is not None
        phase = str(content.get("phase", ""))
        bars.update(
            self._task,
            description=visible(phase),
            completed=done if done is not None else 0,
            amounts="  ".join(self._fitting(phase, [*map(visible, amounts(content))], bars.console.width)),
        )
        # The first drawing is the start; a bar must not show up empty.
        bars.refresh() if self._drawn else bars.start()
        self._drawn = True

    def _fitting(self, phase: str, parts: list[str], width: int) -> list[str]:
        """The amounts that a line has room for, the most important first."""
        room = width - len(self._label) - len(phase) - len("100 %") - 4 - (_BAR_WIDTH + 1 if width >= _WIDE else 0)
        while parts and len("  ".join(parts)) > room:
            parts = parts[:-1]
        return parts

    @property
    def _label(self) -> str:
        name = visible(self._model or self._command)
        return name if len(name) <= _LABEL_WIDTH else "…" + name[1 - _LABEL_WIDTH :]

    def _make_bars(self, *, moving: bool) -> None:
        # rich takes 40 ms to import; only a terminal needs it.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn

        console = Console(stderr=True, no_color=not self._output.color, highlight=False)
        columns: list[ProgressColumn]
        if moving:
            signs = "dots" if console.encoding.startswith("utf") else "line"
            columns = [SpinnerColumn(signs, style="none"), TextColumn("{task.elapsed:.0f} s")]
        else:
            columns = [BarColumn(bar_width=_BAR_WIDTH)] if console.width >= _WIDE else []
            columns.append(TextColumn("{task.percentage:>3.0f} %"))
        self._bars = Progress(
            TextColumn(self._label, markup=False),
            TextColumn("{task.description}", markup=False),
            *columns,
            TextColumn("{task.fields[amounts]}", markup=False),
            console=console,
            # A bar is drawn when something is new: no thread that wakes up ten times a second beside a model.
            auto_refresh=moving,
            refresh_per_second=_MOVES_A_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._moving = moving
        self._drawn = False
        self._task = self._bars.add_task("", total=100, amounts="")


def percent(content: Mapping[str, Any]) -> float | None:
    """How much of the phase is done; None where that is not known."""
    if content.get("percent_complete") is not None:
        return float(content["percent_complete"])
    total = content.get("total")
    return 100 * float(content.get("processed", 0)) / float(total) if total else None


def amounts(content: Mapping[str, Any]) -> list[str]:
    """The numbers beside a bar: `39.3 of 98.4 MB`, `4.1 MB/s`, `eta 14 s`; or `1024 of 2700 tokens`.

    A caller with numbers of its own has them as `amounts`.
    """
    if "amounts" in content:
        return list(content["amounts"])
    parts = []
    if content.get("processed") is not None:
        parts.append(f"{content['processed']} of {content.get('total')} tokens")
    elif content.get("bytes_total"):
        done, _, unit = size(content.get("bytes_downloaded", 0)).partition(" ")
        whole, _, of_unit = size(content["bytes_total"]).partition(" ")
        parts.append(f"{done} of {whole} {of_unit}" if unit == of_unit else f"{done} {unit} of {whole} {of_unit}")
    if content.get("bytes_per_second"):
        parts.append(f"{size(content['bytes_per_second'])}/s")
    if content.get("eta_s") is not None:
        parts.append(f"eta {content['eta_s']:.0f} s")
    return parts
