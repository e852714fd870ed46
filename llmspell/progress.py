"""How far long work is, while a call waits for it: bars in notebooks and at terminals, or what a caller brings.

A display is made for a call when its first step comes, so that nothing is shown of what takes no time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Protocol

from llmspell.results import decoded
from llmspell_protocol.areas.model import PullStep
from llmspell_protocol.areas.rag import RagProgress
from llmspell_protocol.areas.stream import LoadingStep, PrefillStep
from llmspell_protocol.areas.tool import ToolProgress

Step = PullStep | LoadingStep | PrefillStep | ToolProgress | RagProgress
"""What a kernel tells of its work before the reply."""


class Display(Protocol):
    """Shows the steps of one call."""

    def show(self, step: Step) -> None:
        """The newest step."""

    def close(self) -> None:
        """There are no more: the call has ended, or its text begins."""


MakeDisplay = Callable[[str], Display]
"""A display for a call; the text says what is worked on (a model's name)."""
Wanted = Literal["auto"] | MakeDisplay | None
"""`auto`: bars where a person looks (a notebook, a terminal), else none; or what makes a display; or none."""


def chosen(progress: Wanted) -> MakeDisplay | None:
    """What makes the displays of a client."""
    if progress != "auto":
        return progress
    return Bar if in_notebook() or (sys.stderr is not None and sys.stderr.isatty()) else None


def in_notebook() -> bool:
    """Whether this program is a notebook's kernel."""
    # Not imported: where it isn't there yet, this is no notebook.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


class Following:
    """The display of one call, made when it is needed; without `make` nothing is shown."""

    def __init__(self, make: MakeDisplay | None, about: str) -> None:
        self._make = make
        self._about = about
        self._display: Display | None = None

    def __enter__(self) -> Following:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def show(self, content: Mapping[str, Any]) -> None:
        """A step as it came."""
        if self._make is None:
            return
        if self._display is None:
            self._display = self._make(self._about)
        self._display.show(step_of(content))

    def close(self) -> None:
        """Ends the display; the next step would begin another one."""
        if self._display is not None:
            self._display.close()
            self._display = None


def step_of(content: Mapping[str, Any]) -> Step:
    """The class of a step by what it says."""
    if "stage" in content:
        return decoded(RagProgress, content)
    phase = content.get("phase")
    if phase == "loading":
        return decoded(LoadingStep, content)
    if phase == "prefill":
        return decoded(PrefillStep, content)
    if phase is not None:
        return decoded(PullStep, content)
    return decoded(ToolProgress, content)


class Bar:
    """A bar of tqdm: a widget in notebooks that have widgets, text elsewhere. It goes when the work is done."""

    def __init__(self, about: str) -> None:
        self._about = about
        self._bar: Any = None
        self._unit = ""

    def show(self, step: Step) -> None:
        """Draws the step."""
        if isinstance(step, PullStep):
            self._draw(f"{self._about}: {step.phase}", step.bytes_downloaded, step.bytes_total, "B")
        elif isinstance(step, PrefillStep):
            self._draw(f"{self._about}: reading", step.processed, step.total, "tokens")
        elif isinstance(step, LoadingStep):
            self._draw(f"{self._about}: {step.notice or 'loading'}", 0, None, "")
        elif isinstance(step, RagProgress):
            self._draw(f"{self._about}: {step.stage}", step.documents_done, step.documents, "documents")
        else:
            self._draw(f"{self._about}: {step.message}", 0, None, "")

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _draw(self, text: str, done: int, total: int | None, unit: str) -> None:
        if self._bar is not None and unit != self._unit:
            self.close()  # another kind of work, counted otherwise
        if self._bar is None:
            form = None if unit else "{desc}"
            self._bar = _bar_class()(
                total=total, unit=unit or "it", unit_scale=unit == "B", unit_divisor=1000, leave=False, bar_format=form
            )
            self._unit = unit
        self._bar.total = total
        self._bar.set_description(text, refresh=False)
        self._bar.n = done
        self._bar.refresh()


def _bar_class() -> Any:
    """tqdm's class for this place. Its own choice (`tqdm.auto`) warns in a notebook without widgets."""
    # It takes 20 ms, and most calls show nothing.
    from importlib.util import find_spec

    if in_notebook() and find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm_notebook

        return tqdm_notebook
    from tqdm import tqdm

    return tqdm
