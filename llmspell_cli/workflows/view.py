"""Shows a workflow's steps while it runs: a tree at a terminal, a line each elsewhere, events in JSON mode."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.visible import visible
from llmspell_cli.workflows.steps import Node, Steps, path_text

if TYPE_CHECKING:
    from rich.live import Live
    from rich.tree import Tree

_REDRAW_S = 0.1
"""A quick loop has thousands of steps a second; who watches sees ten pictures."""
_LONGEST_NOTE = 200

_MARKS = {"running": "…", "done": "✓", "failed": "✗", "skipped": "-", "cancelled": "✗"}
_ASCII_MARKS = {"running": "..", "done": "ok", "failed": "XX", "skipped": "--", "cancelled": "XX"}
_COLORS = {"running": "cyan", "done": "green", "failed": "red", "skipped": "dim", "cancelled": "yellow"}
_WORDS = {"running": "started", "done": "done", "failed": "failed", "skipped": "skipped", "cancelled": "cancelled"}


class WorkflowView:
    """Shows the progress of one workflow; a context manager, so that the last picture stays and the terminal is whole.

    `watch` False shows nothing, but where the workflow can be resumed.
    """

    def __init__(self, output: Output, command: str, *, watch: bool) -> None:
        self.execution_id: str | None = None
        """Known from the first event on."""
        self._output = output
        self._command = command
        self._watch = watch
        self._steps = Steps()
        self._live: Live | None = None
        self._drawn_at = 0.0

    def __enter__(self) -> WorkflowView:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Leaves the last picture, so that other output can follow."""
        if self._live is not None:
            self._live.update(self._tree(), refresh=True)
            self._live.stop()
            self._live = None

    def show(self, content: Mapping[str, Any]) -> None:
        """Takes one progress content."""
        self.execution_id = str(content["execution_id"])
        if not self._watch:
            return
        fields = {key: value for key, value in content.items() if key != "seq"}
        if self._output.json:
            self._output.event(fields)
            return
        node = self._steps.take(content)
        if node is None:
            return
        if sys.stderr.isatty():
            self._draw()
        else:
            self._line(content, node)

    # Lines

    def _line(self, content: Mapping[str, Any], node: Node) -> None:
        kind, _, what = str(content["event"]).partition("_")
        if kind == "workflow" and content["path"]:
            return  # The step that it is tells the same.
        if kind not in ("workflow", "step"):
            return
        where = path_text([str(part) for part in content["path"]]) or f"workflow {node.name}"
        word = {"retried": "retry", "compensated": "compensated"}.get(what) or _WORDS[node.state]
        took = f"  {_duration(node.duration_ms)}" if what in ("completed", "failed") and node.duration_ms else ""
        note = f"  {node.note}" if node.note else ""
        self._output.note(f"{word:<11} {where}{took}{note}")

    # The tree

    def _draw(self) -> None:
        now = time.monotonic()
        if self._live is None:
            # rich takes 40 ms to import; only who watches at a terminal needs it.
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True, no_color=not self._output.color, highlight=False)
            self._live = Live(
                self._tree(), console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
            )
            self._live.start(refresh=True)
        elif now - self._drawn_at < _REDRAW_S:
            return
        self._live.update(self._tree(), refresh=True)
        self._drawn_at = now

    def _tree(self) -> Tree:
        from rich.tree import Tree

        tree = Tree(self._label(self._steps.root), guide_style="dim")
        self._grow(tree, self._steps.root)
        return tree

    def _grow(self, tree: Tree, node: Node) -> None:
        if node.hidden_rounds:
            from rich.text import Text

            tree.add(Text(f"{node.hidden_rounds} rounds before", style="dim"))
        for child in node.children.values():
            self._grow(tree.add(self._label(child)), child)

    def _label(self, node: Node) -> Any:
        from rich.text import Text

        utf = (sys.stderr.encoding or "").lower().startswith("utf")
        mark = (_MARKS if utf else _ASCII_MARKS)[node.state]
        label = Text(no_wrap=True, overflow="ellipsis")
        label.append(f"{mark} ", style=_COLORS[node.state])
        label.append(visible(node.name), style="bold" if node is self._steps.root else "")
        if node.kind:
            label.append(f"  {node.kind}", style="dim")
        if node.duration_ms is not None:
            label.append(f"  {_duration(node.duration_ms)}", style="dim")
        if node.note:
            label.append(f"  {visible(node.note)[:_LONGEST_NOTE]}", style="red" if node.state == "failed" else "yellow")
        return label


def _duration(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds} ms"
