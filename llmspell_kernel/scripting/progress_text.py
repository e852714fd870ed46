"""How far work is, as people read it: what a script's `Progress` says, and what requests tell of pulls, loads, prefill
and workflows. Text and HTML; knows no messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Literal, NamedTuple

WIDTH = 24
"""Characters of a drawn bar."""
_LONGEST = 200
_MOST = 1e300
_UNITS = ("B", "kB", "MB", "GB", "TB")

State = Literal["running", "done", "failed", "stopped"]


class Step(NamedTuple):
    """How far it is. Without a total it is not known when it will be done."""

    label: str
    value: float | None = None
    total: float | None = None
    unit: str = ""
    """`bytes` are written as kB, MB and so on."""
    more: str = ""
    """what else there is to say"""
    state: State = "running"
    seconds: float | None = None
    """how long it took, once that is over"""

    @property
    def share(self) -> float | None:
        """From 0 to 1; None where that is not known."""
        if self.state == "done":
            return 1.0
        if self.value is None or not self.total or self.total <= 0:
            return None
        return min(1.0, max(0.0, self.value / self.total))

    @property
    def text(self) -> str:
        """In one line, without a bar: beside one that is drawn."""
        return " · ".join(part for part in (self.label, *self._numbers) if part)

    @property
    def drawn(self) -> str:
        """In one line of a terminal, with a bar of characters where one says something."""
        share = self.share
        bar = "" if share is None or self.state != "running" else _bar(share)
        return "  ".join(part for part in (self.label, bar, *self._numbers) if part)

    @property
    def html(self) -> str:
        """As HTML."""
        share = self.share
        value = "" if share is None else f' value="{share:.4f}"'
        bar = f'<progress max="1"{value} style="width: 20em; vertical-align: middle"></progress> '
        color = ' style="color: #c00"' if self.state == "failed" else ""
        drawn = bar if self.state == "running" or share is not None else ""
        return f"<div>{drawn}<span{color}>{escape(self.text)}</span></div>"

    @property
    def _numbers(self) -> list[str]:
        share = self.share
        parts = [f"{100 * share:.0f} %" if share is not None and self.state != "done" else ""]
        if self.value is not None:
            parts.append(amount(self.value, self.total, self.unit))
        parts.append(self.more[:_LONGEST])
        parts.append({"running": "", "done": "✓", "failed": "✗ failed", "stopped": "✗ stopped"}[self.state])
        if self.seconds is not None and self.state != "running":
            parts.append(seconds(self.seconds))
        return parts


def amount(value: float, total: float | None, unit: str) -> str:
    """`39.3 MB of 98.4 MB`, `3 of 10 files`, `3 files`."""
    if unit == "bytes":
        return size(value) if not total else f"{size(value)} of {size(total)}"
    shown = number(value) if not total else f"{number(value)} of {number(total)}"
    return f"{shown} {unit}".rstrip()


def number(value: float) -> str:
    """A number without more digits than it needs."""
    return f"{int(value):,}" if abs(value) < 1e15 and value == int(value) else f"{value:.4g}"


def size(size_bytes: float) -> str:
    """Bytes with a unit."""
    value, unit = float(size_bytes), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    form = ".4g" if abs(value) >= 1e6 else ".0f" if unit == 0 else ".1f"
    return f"{value:{form}} {_UNITS[unit]}"


def seconds(value: float) -> str:
    """A duration: `3.2 s`, `41 s`, `2 min 5 s`."""
    if not value < 1e15:
        return f"{value:.4g} s"
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def _bar(share: float) -> str:
    full = round(share * WIDTH)
    return f"[{'#' * full}{'.' * (WIDTH - full)}]"


def of_script(content: Mapping[str, Any]) -> Step:
    """What a script's `Progress` says."""
    return Step(
        label=str(content.get("label") or "")[:_LONGEST],
        value=_known(content.get("value")),
        total=_known(content.get("total")),
        unit=str(content.get("unit") or "")[:_LONGEST],
        more=str(content.get("message") or ""),
        state=content["state"],
    )


def _known(value: Any) -> float | None:
    """A number that can be shown and divided; None for what is none, as infinity and 'not a number' are."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _MOST:
        return None
    return value


def of_work(asked: Mapping[str, Any], told: Mapping[str, Any], before: Step | None) -> Step | None:
    """What the progress of a request says; None where that is nothing to be shown.

    `asked` is the request's content, `before` what was shown of it last.
    """
    phase = told.get("phase")
    model = str(asked.get("model") or "the model")
    if phase == "loading":
        return Step(f"Loading {model}", more=str(told.get("notice") or ""))
    if phase == "prefill":
        processed, total = _known(told.get("processed")), _known(told.get("total"))
        return Step("Reading the prompt", processed, total, "tokens", _left(told))
    if phase is not None and "bytes_total" in told:
        total = _known(told["bytes_total"]) if phase != "resolving" else None
        return Step(
            f"Pulling {model}",
            _known(told.get("bytes_downloaded")) if total else None,
            total or None,
            "bytes",
            ", ".join(
                part for part in (str(phase) if phase != "downloading" else "", _rate(told), _left(told)) if part
            ),
        )
    if told.get("execution_id") and told.get("event"):
        return _of_workflow(told, before)
    return None


def _of_workflow(told: Mapping[str, Any], before: Step | None) -> Step | None:
    event = str(told["event"])
    label = before.label if before is not None else "Workflow"
    done = 0.0 if before is None or before.value is None else before.value
    if event == "workflow_started" and before is None:
        return Step(f"Workflow {told.get('workflow') or ''}".rstrip(), 0, None, "steps")
    if event in ("step_completed", "step_failed"):
        done += 1
    what = f"{event.replace('_', ' ')}: {told['step']}" if told.get("step") else event.replace("_", " ")
    if told.get("iteration") is not None:
        total = told.get("total")
        what = f"round {told['iteration'] + 1}{f' of {total}' if total else ''}"
    return Step(label, done, None, "steps", what)


def ended(step: Step, reply: Mapping[str, Any], took_s: float) -> Step:
    """What is shown of a request that has this reply."""
    if reply.get("status") == "error":
        cancelled = reply.get("code") == "cancelled"
        said = "" if cancelled else str(reply.get("message") or reply.get("evalue") or "")
        return step._replace(state="stopped" if cancelled else "failed", more=said, seconds=took_s)
    value = step.total if step.total is not None else step.value
    return step._replace(state="done", more="", value=value, seconds=took_s)


def _rate(told: Mapping[str, Any]) -> str:
    rate = _known(told.get("bytes_per_second"))
    return f"{size(rate)}/s" if rate else ""


def _left(told: Mapping[str, Any]) -> str:
    left = _known(told.get("eta_s"))
    return "" if left is None else f"{seconds(left)} left"
