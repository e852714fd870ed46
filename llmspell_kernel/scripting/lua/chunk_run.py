"""From an `execute` frame to the run of its code, and from how that ended to the fields of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmspell_kernel.scripting.lua.files import Files
from llmspell_kernel.scripting.lua.reach import Lent, nothing
from llmspell_kernel.scripting.lua.sandbox import Sandbox, ScriptFailure
from llmspell_protocol.frames import Frame

if TYPE_CHECKING:
    from llmspell_kernel.scripting.lua.debugger.attachment import Attachment
    from llmspell_kernel.scripting.lua.programs import Programs


def run_chunk(sandbox: Sandbox, frame: Frame) -> dict[str, Any]:
    """Runs the code of an `execute` frame and returns what `done` has to say; raises `ScriptFailure`."""
    sandbox.prepare(
        **lent_by(frame)._asdict(),
        payloads=frame["frontend"],
        has_frontend=frame["cell"],
    )
    words = frame["arguments"]
    if words is not None:
        sandbox.set_arguments(frame["script"], words)
    value = sandbox.execute(
        frame["code"],
        frame["name"],
        words or (),
        shows_value=frame["shows_value"],
        is_rich=frame["cell"],
        number=frame["number"],
        path=frame["path"],
    )
    data = value.data if frame["data"] or not frame["cell"] else None
    if value.problem is not None and not frame["cell"]:
        if not frame["shows_value"]:
            raise ScriptFailure(f"the script's result has no form as data: {value.problem}", frame["name"])
        data = value.first
    answer = {"op": "done", "value": data, "text": value.text, "values": value.count, "problem": value.problem}
    if value.bundle is not None:
        answer["bundle"] = value.bundle
    if sandbox.host.payloads:
        answer["payload"] = list(sandbox.host.payloads.values())
    if frame["expressions"]:
        answer["expressions"] = {name: _evaluate(sandbox, text) for name, text in frame["expressions"].items()}
    return answer


def call_function(sandbox: Sandbox, frame: Frame, debugger: Attachment | None) -> dict[str, Any]:
    """Calls the function of an `invoke` frame; fails as `run_chunk`."""
    # The number 0 is no script's: it evaluates expressions of workflows.
    function = sandbox.host.offered.get(frame["fn"]) if frame["fn"] else sandbox.evaluator()
    if function is None:
        raise ScriptFailure(f"function {frame['fn']} is not there any more", kind="not_found")
    if debugger is not None and debugger.stands:
        function = debugger.apart(function)
    reach = sandbox.host.reach
    with reach.lending(reach.last if frame["lent"] else nothing()):
        return {"op": "done", "value": sandbox.call(function, frame["arguments"])}


def call_debugger(debugger: Attachment, sandbox: Sandbox, frame: Frame) -> dict[str, Any]:
    """Gives the debugger the command of a `debug_call` frame; fails as `run_chunk`."""
    with sandbox.host.reach.lending(lent_by(frame)):
        return {"op": "done", "body": debugger.call(frame["command"], frame["arguments"])}


def lent_by(frame: Frame) -> Lent:
    """What a frame says may be reached."""
    files = Files(
        frame["script_directory"],
        frame["working_directory"],
        frame["file_access"],
        read=frame["read"],
        write=frame["write"],
    )
    return Lent(files, frame["environment"], frame["variables"], _programs(frame), frame["asks"])


def _evaluate(sandbox: Sandbox, expression: str) -> dict[str, Any]:
    try:
        value = sandbox.evaluate(expression)
    except ScriptFailure as failure:
        if failure.kind == "stopped":
            raise
        return {"message": failure.message, "traceback": list(failure.traceback)}
    return {"text": value.text if value.text is not None else "nil"}


def _programs(frame: Frame) -> Programs | None:
    if not frame["programs"]:
        return None
    from llmspell_kernel.scripting.lua.programs import Programs

    return Programs(frame["programs"], frame["working_directory"], frame["environment"], frame["max_output_bytes"])


def failure_fields(failure: ScriptFailure) -> dict[str, Any]:
    """The fields of an `error` frame."""
    cause = failure.cause
    return {
        "kind": failure.kind,
        "message": failure.message,
        "script": failure.script,
        "line": failure.line,
        "source_line": failure.source_line,
        "traceback": list(failure.traceback),
        "hint": failure.hint,
        "cause": None if cause is None else {key: cause.get(key) for key in ("code", "message", "hint", "details")},
    }
