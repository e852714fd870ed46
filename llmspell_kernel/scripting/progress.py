"""Progress as displays that change: at most five times a second each, and a last time with how it ended.

Knows no sockets and no Lua: `show` gets display messages.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from functools import partial

from llmspell_kernel.request import Content
from llmspell_kernel.scripting.defects import do_each
from llmspell_kernel.scripting.progress_text import Step
from llmspell_kernel.scripting.widgets import VIEW, WidgetBar

EACH_S = 0.2
PATIENCE_S = 0.5
"""Work that is over by then is not shown at all."""

Show = Callable[[str, Content, bool], None]
"""Gets the type of a display message, its content, and whether it is the last one of that display."""
MakeWidget = Callable[[Step], "WidgetBar | None"]
"""A bar that shows this, where the frontend has widgets."""


class _Bar:
    __slots__ = ("began", "display_id", "new", "shown", "step", "timer", "widget")

    def __init__(self, display_id: str, step: Step, began: float) -> None:
        self.display_id = display_id
        self.step = step
        self.began = began
        self.new = True
        """Whether the step has not been shown yet."""
        self.shown = False
        self.timer: asyncio.TimerHandle | None = None
        self.widget: WidgetBar | None = None


class ProgressDisplays:
    """The displays of one cell or script; belongs to the loop."""

    def __init__(self, show: Show, make_widget: MakeWidget) -> None:
        self._show_message = show
        self._make_widget = make_widget
        self._bars: dict[str, _Bar] = {}

    def step(self, key: str, step: Step, *, display_id: str | None = None, patience_s: float = 0.0) -> None:
        """Shows how far what has this key is; for the first time after `patience_s`."""
        loop = asyncio.get_running_loop()
        bar = self._bars.get(key)
        if bar is None:
            bar = _Bar(display_id or f"llmspell-progress-{uuid.uuid4().hex}", step, loop.time())
            self._bars[key] = bar
            if patience_s and step.state == "running":
                bar.timer = loop.call_later(patience_s, self._time_is_over, bar)
                return
        bar.step, bar.new = step, True
        if step.state != "running":
            self._end(key, bar)
        elif bar.timer is None:
            self._show(bar)
            bar.timer = loop.call_later(EACH_S, self._time_is_over, bar)

    def last(self, key: str) -> Step | None:
        """The step that was told last of what has this key."""
        bar = self._bars.get(key)
        return None if bar is None else bar.step

    def elapsed_s(self, key: str) -> float:
        """Seconds since it was told first."""
        return asyncio.get_running_loop().time() - self._bars[key].began

    def drop(self, key: str) -> bool:
        """Forgets what was never shown; False where it was."""
        bar = self._bars.get(key)
        if bar is None or bar.shown:
            return bar is None
        if bar.timer is not None:
            bar.timer.cancel()
        del self._bars[key]
        return True

    def end(self, *, stopped: bool) -> None:
        """Nothing more comes: every display shows the last step, or that it was `stopped` there."""
        ends = [partial(self._end_one, key, bar, stopped) for key, bar in self._bars.items()]
        do_each("a progress display", *ends)

    def _end_one(self, key: str, bar: _Bar, stopped: bool) -> None:
        if stopped and bar.step.state == "running":
            bar.step, bar.new = bar.step._replace(state="stopped"), True
        if bar.shown or not bar.timer:
            self._end(key, bar)
        else:
            self.drop(key)

    def _end(self, key: str, bar: _Bar) -> None:
        del self._bars[key]
        if bar.timer is not None:
            bar.timer.cancel()
        if bar.widget is not None:
            bar.widget.update(bar.step.text, bar.step.share, failed=bar.step.state in ("failed", "stopped"))
        if bar.new or bar.widget is not None or not bar.shown:
            # A notebook that is opened again has no widget that runs: what stays is text.
            self._publish(bar, widget=None, last=True)
        if bar.widget is not None:
            bar.widget.close()

    def _time_is_over(self, bar: _Bar) -> None:
        bar.timer = None
        if bar.new:
            self._show(bar)
            bar.timer = asyncio.get_running_loop().call_later(EACH_S, self._time_is_over, bar)

    def _show(self, bar: _Bar) -> None:
        if bar.widget is not None:
            bar.widget.update(bar.step.text, bar.step.share)
            bar.new = False
            return
        if not bar.shown:
            bar.widget = self._make_widget(bar.step)
        self._publish(bar, bar.widget)

    def _publish(self, bar: _Bar, widget: WidgetBar | None, *, last: bool = False) -> None:
        data: Content = {"text/plain": bar.step.drawn, "text/html": bar.step.html}
        if widget is not None:
            data[VIEW] = widget.view
        kind = "update_display_data" if bar.shown else "display_data"
        content: Content = {"data": data, "metadata": {}, "transient": {"display_id": bar.display_id}}
        bar.shown, bar.new = True, False
        self._show_message(kind, content, last)
