"""The process that runs tools: `python -m llmspell_tools.worker`. One call at a time; the kernel ends it to stop one.

Frames: `invoke {tool, arguments, permissions, tables}` gives `progress {message, figures}` and, last,
`done {outcome}` or `error {error}`; `plugins` gives `done {tools, problems}`: what other packages bring.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from llmspell_protocol.child import connect_parent
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import InvalidRequest, LlmspellError, OutOfMemory
from llmspell_protocol.frames import Frame, FramePipe
from llmspell_protocol.incidents import incident_in_worker
from llmspell_protocol.orphans import adopt_orphans
from llmspell_protocol.tools.permissions import Permissions
from llmspell_protocol.worker_memory import TOOL_BYTES, is_for_want_of_memory


def main() -> None:
    """Answers one frame after the other until the parent closes the pipe."""
    pipe = connect_parent()
    adopt_orphans()
    # Here, while the kernel still prepares the first call.
    import llmspell_tools.contract
    import llmspell_tools.registry  # noqa: F401

    while (frame := pipe.receive()) is not None:
        if frame["op"] in _OPS:
            _answer(pipe, frame)


def _answer(pipe: FramePipe, frame: Frame) -> None:
    try:
        answer = {"op": "done", **_OPS[frame["op"]](pipe, frame)}
        pipe.send({**answer, "id": frame["id"]})
        return
    except LlmspellError as error:
        content = error.to_content()
    except (TypeError, ValueError) as error:
        # Raised by `send`, or a defect of the tool: both are the tool's.
        content = incident_in_worker(error, f"the tool gave what can't be sent: {error}").to_content()
    except Exception as error:  # noqa: BLE001 - the worker's boundary: whatever it is, the kernel is told
        if is_for_want_of_memory(error):
            content = _too_large(frame).to_content()
        else:
            text = f"tool '{frame.get('tool')}' failed: {type(error).__name__}: {error}"
            content = incident_in_worker(error, text).to_content()
    pipe.send({"op": "error", "id": frame["id"], "error": content})


def _invoke(pipe: FramePipe, frame: Frame) -> Mapping[str, Any]:
    from llmspell_tools.contract import Call, Outcome, ToolFailure
    from llmspell_tools.parameters import parameters_of
    from llmspell_tools.registry import tool_named

    def on_progress(message: str, figures: Mapping[str, Any]) -> None:
        pipe.send({"op": "progress", "id": frame["id"], "message": message, "figures": dict(figures)})

    tool = tool_named(frame["tool"])
    wanted = parameters_of(tool.parameters, frame["arguments"])
    call = Call(Permissions(**frame["permissions"]), frame["tables"], on_progress)
    began = time.perf_counter()
    try:
        outcome = tool.run(wanted, call)
    except ToolFailure as failure:
        operation = str(getattr(wanted, "operation", None) or "")
        outcome = Outcome(operation=operation, result=None)
        error = {"message": failure.message, "code": failure.code}
        return {"outcome": to_content(outcome), "error": error, "duration_ms": _ms_since(began)}
    except RecursionError:
        raise InvalidRequest(f"tool '{tool.name}': the arguments are nested too deep") from None
    return {"outcome": to_content(outcome), "error": None, "duration_ms": _ms_since(began)}


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)


def _plugins(_pipe: FramePipe, _frame: Frame) -> Mapping[str, Any]:
    from llmspell_tools.registry import plugin_entries, plugin_tool

    tools, problems = [], []
    for entry in plugin_entries():
        package = entry.dist.name if entry.dist is not None else entry.value
        try:
            tools.append(to_content(plugin_tool(entry).describe(f"plugin {package}")))
        except LlmspellError as error:
            problems.append(error.to_content())
    return {"tools": tools, "problems": problems}


_OPS = {"invoke": _invoke, "plugins": _plugins}


def _too_large(frame: Frame) -> OutOfMemory:
    return OutOfMemory(
        f"tool '{frame.get('tool')}' took more memory than it may ({TOOL_BYTES / 1e6:,.0f} MB)",
        hint="give it less at once",
        details={"limit_bytes": TOOL_BYTES},
    )


if __name__ == "__main__":
    main()
