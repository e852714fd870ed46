"""What a script in a context of its own prints and shows, on its way to the client that runs it. Knows no Lua."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmspell_kernel.request import Content, Request
from llmspell_kernel.scripting.cell_output import clear_delta, display_delta, progress_delta
from llmspell_kernel.scripting.defects import do_each
from llmspell_kernel.scripting.output import GatheredOutput

if TYPE_CHECKING:
    from llmspell_kernel.scripting.progress import ProgressDisplays

DELTA_CHARACTERS = 64 * 1024


class RunOutput:
    """The outlet of a script's request, and what its output is written to; belongs to the loop."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._gathered = GatheredOutput(self._emit, 0, DELTA_CHARACTERS)
        self._bars: ProgressDisplays | None = None

    def write(self, stream: str, text: str) -> None:
        """Adds printed text."""
        self._gathered.write(stream, text)

    def flush(self) -> None:
        """Sends everything."""
        self._gathered.flush()

    def end(self, *, stopped: bool = False) -> None:
        """Nothing more comes; `stopped` where it did not come to its end. It raises nothing, as that of a cell."""
        do_each("a script's output", self.flush, lambda: self._end_progress(stopped))

    def _end_progress(self, stopped: bool) -> None:
        if self._bars is not None:
            self._bars.end(stopped=stopped)

    def show(self, kind: str, content: Content, buffers: Sequence[bytes] = ()) -> None:
        """Shows one display; clearing is told, and takes nothing away that was printed."""
        if kind == "progress":
            self._take_progress(content)
            return
        self._gathered.pass_on()
        if kind == "clear_output":
            self._request.delta(clear_delta(wait=bool(content.get("wait"))))
        elif kind != "pass_on":
            self._request.delta(display_delta(kind, content))

    def work(self, key: str, what: Content, content: Content) -> None:
        """Is not shown: a command that waits says so by itself."""

    def work_ended(self, key: str, content: Content) -> None:
        """Is not shown."""

    def _emit(self, stream: str, text: str) -> None:
        self._request.delta({"stream": stream, "text": text})

    def _take_progress(self, content: Content) -> None:
        # Few scripts have any.
        from llmspell_kernel.scripting.progress import ProgressDisplays
        from llmspell_kernel.scripting.progress_text import of_script

        if self._bars is None:
            self._bars = ProgressDisplays(self._show_progress, lambda _step: None)
        self._bars.step(content["id"], of_script(content), display_id=f"llmspell-progress-{content['id']}")

    def _show_progress(self, kind: str, content: Content, last: bool) -> None:
        self._gathered.pass_on()
        self._request.delta(progress_delta(kind, content, last=last))
