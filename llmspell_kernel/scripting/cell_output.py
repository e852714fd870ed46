"""What a cell prints and shows, on its way to IOPub and to the client that asked: gathered, bounded, in order.

A cell in this sense is also what a comm's message calls. Knows no Lua.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llmspell_kernel.request import Content, Request
from llmspell_kernel.scripting.defects import do_each
from llmspell_kernel.scripting.flood import BoundedOutput, Budget
from llmspell_kernel.scripting.output import IOPUB_PIECE_CHARACTERS, IOPUB_WINDOW_S, GatheredOutput

if TYPE_CHECKING:
    from llmspell_kernel.scripting.comms import Comms
    from llmspell_kernel.scripting.console_line import ConsoleLine
    from llmspell_kernel.scripting.progress import ProgressDisplays
    from llmspell_kernel.scripting.progress_text import Step
    from llmspell_kernel.scripting.widgets import WidgetBar

UPDATES_EACH_S = 0.2
"""How soon updates are shown that came when nothing more could be sent."""


class CellOutput:
    """The outlet of one cell's request, and what its output is written to; belongs to the loop.

    `widgets` gives the comms where the frontend has widgets. What is `silent` is shown to no other frontend where the
    requester reads its `deltas`, and has no progress. In a `console` progress is a line that changes.
    """

    def __init__(
        self,
        request: Request,
        *,
        silent: bool,
        deltas: bool,
        widgets: Callable[[], Comms | None] = lambda: None,
        console: bool = False,
    ) -> None:
        self._request = request
        self._silent = silent
        self._deltas = deltas
        self._iopub = not (silent and deltas)
        self._widgets = widgets
        self._budget = Budget(asyncio.get_running_loop().time)
        self._bounded = BoundedOutput(self._stream, self._budget)
        self._gathered = GatheredOutput(self._emit, IOPUB_WINDOW_S, IOPUB_PIECE_CHARACTERS)
        self._replaces = False
        """Whether the next output replaces what is there, what has not been sent of it too."""
        self._clears = False
        """Whether frontends have to be told that, before what has not been sent."""
        self._updates: dict[str, Content] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._bars: ProgressDisplays | None = None
        self._line = self._console_line() if console and self._iopub and not deltas else None
        """Progress in a console."""

    def write(self, stream: str, text: str) -> None:
        """Adds printed text."""
        if self._replaces and text:
            self._replace()
        self._gathered.write(stream, text)

    def flush(self) -> None:
        """Sends everything: what comes next follows it."""
        self._flush()
        if self._line is not None:
            self._line.leave()

    def _flush(self) -> None:
        self._gathered.flush()
        self._bounded.flush()
        self._send_updates()

    def end(self, *, stopped: bool = False) -> None:
        """Nothing more comes; `stopped` where it did not come to its end. Calling it again does nothing.

        It raises nothing: there is a reply to come, whatever could not be shown.
        """
        do_each("a cell's output", self._flush, lambda: self._end_progress(stopped), self._end_clear)

    def _end_progress(self, stopped: bool) -> None:
        if self._bars is not None:
            self._bars.end(stopped=stopped)
            self._send_updates()
        if self._line is not None:
            self._line.end()

    def _end_clear(self) -> None:
        if self._replaces:
            self._replaces = False
            self._clear(wait=True)

    def show(self, kind: str, content: Content, buffers: Sequence[bytes] = ()) -> None:
        """Shows one display, or clears; see `Outlet`."""
        if kind == "clear_output":
            self._take_clear(wait=bool(content.get("wait")))
        elif kind == "progress":
            self._take_progress(content)
        elif kind == "pass_on":
            self._gathered.pass_on()
            self._budget.count(0)
        else:
            self._display(kind, content)

    def work(self, key: str, what: Content, content: Content) -> None:
        """Shows a pull, a load, a prompt that is read, or a workflow; not to a client that reads deltas."""
        from llmspell_kernel.scripting.progress import PATIENCE_S
        from llmspell_kernel.scripting.progress_text import of_work

        if self._deltas or (bars := self._progress()) is None:
            return
        step = of_work(what, content, bars.last(key))
        if step is not None:
            bars.step(key, step, patience_s=PATIENCE_S)

    def work_ended(self, key: str, content: Content) -> None:
        """Shows how it ended, where it was shown at all."""
        if self._bars is None or (last := self._bars.last(key)) is None:
            return
        from llmspell_kernel.scripting.progress_text import ended

        if not self._bars.drop(key):
            self._bars.step(key, ended(last, content, self._bars.elapsed_s(key)))

    # Text

    def _emit(self, stream: str, text: str) -> None:
        if self._deltas:
            self._request.delta({"stream": stream, "text": text})
        elif self._request.record is not None:
            self._request.partial.add(stream, text)
        if self._iopub:
            self._bounded.write(stream, text)

    def _stream(self, stream: str, text: str) -> None:
        if self._line is not None:
            self._line.leave()
            self._line.written(text)
        self._publish("stream", {"name": stream, "text": text})

    def _publish(self, kind: str, content: Content) -> None:
        if self._clears:
            self._clears = False
            self._clear(wait=True)
        self._request.sink.publish(kind, content)

    # Displays

    def _pass_on(self) -> None:
        self._gathered.pass_on()
        self._bounded.flush()

    def _display(self, kind: str, content: Content) -> None:
        if self._replaces:
            self._replace()
        self._gathered.pass_on()
        if self._deltas:
            self._request.delta(display_delta(kind, content))
        elif self._request.record is not None:
            self._request.partial.add("stdout", f"{plain_text(content)}\n")
        if not self._iopub:
            return
        if self._budget.takes(0):
            self._bounded.flush()
            if self._line is not None:
                self._line.leave()
                self._line.written("\n")
            self._publish(kind, content)
        elif kind == "update_display_data":
            self._updates[content["transient"]["display_id"]] = content
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(UPDATES_EACH_S, self._send_updates)
        else:
            # More displays than a notebook takes: what they say is left, as text, and bounded as text is.
            self._bounded.write("stdout", f"{plain_text(content)}\n")

    def _send_updates(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._updates = self._updates, {}
        for content in waiting.values():
            self._budget.count(0)
            self._publish("update_display_data", content)

    def _take_clear(self, *, wait: bool) -> None:
        if self._deltas:
            # A terminal keeps what it has, and gets all of it.
            self._gathered.pass_on()
            self._request.delta(clear_delta(wait=wait))
        if wait:
            self._replaces = True
            return
        self._replace()
        self._replaces = self._clears = False
        self._clear(wait=False)

    def _replace(self) -> None:
        """What comes next replaces what is there: what has not been sent need not be seen."""
        self._replaces, self._clears = False, True
        self._gathered.discard()
        self._bounded.discard()

    def _clear(self, *, wait: bool) -> None:
        if self._iopub:
            self._budget.count(0)
            self._request.sink.publish("clear_output", {"wait": wait})

    # Progress

    def _take_progress(self, content: Content) -> None:
        from llmspell_kernel.scripting.progress_text import of_script

        if (bars := self._progress()) is not None:
            bars.step(content["id"], of_script(content), display_id=f"llmspell-progress-{content['id']}")

    def _progress(self) -> ProgressDisplays | None:
        if self._bars is None and not self._silent:
            # Few cells have any.
            from llmspell_kernel.scripting.progress import ProgressDisplays

            self._bars = ProgressDisplays(self._show_progress, self._widget_bar)
        return self._bars

    def _show_progress(self, kind: str, content: Content, last: bool) -> None:
        if self._replaces:
            self._replace()
        self._pass_on()
        if self._deltas:
            self._request.delta(progress_delta(kind, content, last=last))
        if self._line is not None:
            self._line.show(plain_text(content), last=last)
        elif self._iopub:
            self._budget.count(0)
            self._publish(kind, content)

    def _console_line(self) -> ConsoleLine:
        # Most frontends are notebooks.
        from llmspell_kernel.scripting.console_line import ConsoleLine

        def send(text: str) -> None:
            self._budget.count(len(text))
            self._publish("stream", {"name": "stderr", "text": text})

        return ConsoleLine(send)

    def _widget_bar(self, step: Step) -> WidgetBar | None:
        comms = self._widgets()
        if comms is None or not self._iopub or self._line is not None:
            return None
        from llmspell_kernel.scripting.widgets import MODELS, WidgetBar

        if not comms.has_room(MODELS):
            return None
        self._pass_on()
        return WidgetBar(comms, self._request.sink, step.text, step.share)


def plain_text(content: Content) -> str:
    """A display as text."""
    return str(content["data"].get("text/plain", ""))


def display_delta(kind: str, content: Content) -> Content:
    """A display for a client that reads deltas: those that know of no displays print its text."""
    return {"stream": "stdout", "text": f"{plain_text(content)}\n", "display": {"kind": kind, **content}}


def clear_delta(*, wait: bool) -> Content:
    """The wish to clear for such a client."""
    return {"stream": "stdout", "text": "", "display": {"kind": "clear_output", "wait": wait}}


def progress_delta(kind: str, content: Content, *, last: bool) -> Content:
    """Progress for such a client: what prints text has the last one alone."""
    text = f"{plain_text(content)}\n" if last else ""
    return {"stream": "stderr", "text": text, "display": {"kind": kind, "progress": True, **content}}
