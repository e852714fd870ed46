"""The process that runs tools: `python -m llmspell_tools.worker`. One call at a time; the kernel ends it to stop one.

Frames: `invoke {tool, arguments, permissions, tables}` gives `progress {message, figures}` and, last,
`done {outcome}` or `error {error}`; `plugins` gives `done {tools, problems}`: what other packages bring. The last frame
says in `spent` whether the process has had enough, and ends. What a call has started and left ends with the call; and
however this process ends, its guard, which is the process that the kernel knows, ends what is left.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell_protocol.child import connect_parent
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import InvalidRequest, LlmspellError, OutOfMemory, ToolError
from llmspell_protocol.frames import Frame, FramePipe
from llmspell_protocol.incidents import incident_in_worker
from llmspell_protocol.orphans import end_left_behind, go_on_guarded
from llmspell_protocol.tools.permissions import Permissions
from llmspell_protocol.worker_memory import TOOL_BYTES, is_for_want_of_memory

if TYPE_CHECKING:
    from llmspell_tools.limits.log import BoundedLog

_LONGEST_LOG_BYTES = 2_000_000
"""What tools print in the life of one process; a new one begins a new log where the old one has grown long."""


def main() -> None:
    """Answers one frame after the other until the parent closes the pipe, or the process is spent."""
    pipe = connect_parent()
    go_on_guarded()
    # Here, while the kernel still prepares the first call.
    import llmspell_tools.contract
    import llmspell_tools.registry  # noqa: F401
    from llmspell_tools.limits.log import BoundedLog

    log = BoundedLog(_LONGEST_LOG_BYTES)
    spent = False
    try:
        while not spent:
            frame = pipe.receive()
            if frame is not None and frame["op"] in _OPS:
                spent = _answer(pipe, frame, log)
    except (EOFError, BrokenPipeError):
        pass  # The kernel has ended.
    end_left_behind()
    log.close()


def _answer(pipe: FramePipe, frame: Frame, log: BoundedLog) -> bool:
    """Does what the frame asks for; returns whether this was the last that this process does."""
    last: dict[str, Any] = {"op": "error", "id": frame["id"]}
    try:
        last |= {"op": "done", **_OPS[frame["op"]](pipe, frame)}
    except BrokenPipeError:
        raise
    except LlmspellError as error:
        last["error"] = error.to_content()
    except Exception as error:  # noqa: BLE001 - the worker's boundary: whatever it is, the kernel is told
        if is_for_want_of_memory(error):
            last["error"] = _too_large(frame).to_content()
        else:
            text = f"tool '{frame.get('tool')}' failed: {type(error).__name__}: {error}"
            last["error"] = incident_in_worker(error, text).to_content()
    end_left_behind()
    last["spent"] = log.is_full
    try:
        pipe.send(last)
    except (TypeError, ValueError, MemoryError) as error:
        problem = ToolError(
            f"tool '{frame.get('tool')}' gave what can't be sent: {error}",
            hint="a result is made of texts, numbers, lists and maps, and is not larger than a frame",
        )
        pipe.send({"op": "error", "id": frame["id"], "error": problem.to_content(), "spent": last["spent"]})
    return bool(last["spent"])


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
        outcome = failure.outcome or Outcome(operation=operation, result=None)
        error = {"message": failure.message, "code": failure.code}
        return {"outcome": to_content(outcome), "error": error, "duration_ms": _ms_since(began)}
    except RecursionError:
        raise InvalidRequest(f"tool '{tool.name}': the arguments are nested too deep") from None
    if not isinstance(outcome, Outcome):
        raise ToolError(f"tool '{tool.name}' gave no outcome, but {type(outcome).__name__}")
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
