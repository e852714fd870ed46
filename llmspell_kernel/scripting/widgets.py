"""A progress bar as a widget: the models of ipywidgets' that it is made of, and their messages.

Written from the protocol (version 2.1.0) and the model states of @jupyter-widgets/base 2.0 and controls 2.0; ipywidgets
itself is not needed. Knows nothing of what the bar is for.
"""

from __future__ import annotations

import uuid
from typing import Any

from llmspell_kernel.request import Content, Sink
from llmspell_kernel.scripting.comms import WIDGETS, Comm, Comms

VIEW = "application/vnd.jupyter.widget-view+json"
_BASE = ("@jupyter-widgets/base", "2.0.0")
_CONTROLS = ("@jupyter-widgets/controls", "2.0.0")


MODELS = 8
"""Of one bar, each with a comm."""


class WidgetBar:
    """A label beside a bar. `share` is from 0 to 1, None where it is not known how far the work is."""

    def __init__(self, comms: Comms, sink: Sink, text: str, share: float | None) -> None:
        self._comms = comms
        self._sink = sink
        self._open: list[Comm] = []
        bar_layout = self._model(_layout(width="20em"))
        self._bar = self._model(
            {
                **_control("FloatProgressModel", "ProgressView"),
                "bar_style": _style(share),
                "max": 1.0,
                "min": 0.0,
                "value": _value(share),
                "orientation": "horizontal",
                "description": "",
                "description_allow_html": False,
                "layout": _reference(bar_layout),
                "style": _reference(
                    self._model({**_named("ProgressStyleModel", "StyleView", _CONTROLS), "description_width": ""})
                ),
            }
        )
        self._label = self._model(
            {
                **_control("LabelModel", "LabelView"),
                "value": text,
                "placeholder": "\u200b",
                "description": "",
                "description_allow_html": False,
                "layout": _reference(self._model(_layout())),
                "style": _reference(
                    self._model({**_named("LabelStyleModel", "StyleView", _CONTROLS), "description_width": ""})
                ),
            }
        )
        self._box = self._model(
            {
                **_control("HBoxModel", "HBoxView"),
                "box_style": "",
                "children": [_reference(self._bar), _reference(self._label)],
                "layout": _reference(self._model(_layout())),
            }
        )

    @property
    def view(self) -> Content:
        """What a display has of it, under `VIEW`."""
        return {"model_id": self._box.id, "version_major": 2, "version_minor": 0}

    def update(self, text: str, share: float | None, *, failed: bool = False) -> None:
        """Shows how far the work is."""
        style = "danger" if failed else _style(share)
        self._say(self._bar, {"value": _value(share), "bar_style": style})
        self._say(self._label, {"value": text})

    def close(self) -> None:
        """Ends its comms; frontends take it off the screen."""
        for comm in reversed(self._open):
            if self._comms.get(comm.id) is comm:
                self._comms.close(comm, sink=self._sink)
        self._open.clear()

    def _model(self, state: dict[str, Any]) -> Comm:
        comm = self._comms.open(self._sink, uuid.uuid4().hex, WIDGETS, {"state": state, "buffer_paths": []})
        self._open.append(comm)
        return comm

    def _say(self, comm: Comm, state: dict[str, Any]) -> None:
        changed = {key: value for key, value in state.items() if comm.state is None or comm.state.get(key) != value}
        if changed:
            self._comms.say(comm, {"method": "update", "state": changed, "buffer_paths": []}, self._sink)


def _style(share: float | None) -> str:
    # A bar that doesn't say how far it is is a full one in another colour, as tqdm's is.
    return "info" if share is None else "success" if share >= 1 else ""


def _value(share: float | None) -> float:
    return 1.0 if share is None else min(1.0, max(0.0, share))


def _reference(comm: Comm) -> str:
    return f"IPY_MODEL_{comm.id}"


def _named(model: str, view: str, module: tuple[str, str], view_module: tuple[str, str] = _BASE) -> dict[str, Any]:
    return {
        "_model_module": module[0],
        "_model_module_version": module[1],
        "_model_name": model,
        "_view_count": None,
        "_view_module": view_module[0],
        "_view_module_version": view_module[1],
        "_view_name": view,
    }


def _control(model: str, view: str) -> dict[str, Any]:
    return {**_named(model, view, _CONTROLS, _CONTROLS), "_dom_classes": [], "tabbable": None, "tooltip": None}


def _layout(**values: Any) -> dict[str, Any]:
    return {**_named("LayoutModel", "LayoutView", _BASE), **values}
