"""A cell of a context that keeps its variables, by Jupyter's rules: what is counted, published and replied."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from llmspell_kernel.request import Content, Request
from llmspell_kernel.scripting.cell_output import CellOutput
from llmspell_kernel.scripting.context import Aborted, Context
from llmspell_kernel.scripting.help_cell import helped, page, wanted_help
from llmspell_kernel.scripting.jobs import cell_job
from llmspell_kernel.scripting.outcome import Result
from llmspell_protocol.errors import Cancelled, LlmspellError
from llmspell_protocol.standard_requests import ExecuteRequest


class KeptCell(Protocol):
    """A cell in the history."""

    def ended(self, output: str) -> None:
        """It has given this."""


class CellHistory(Protocol):
    """What keeps cells for those that come later."""

    def begin(self, context: Context, request: Request, line: int, code: str) -> KeptCell | None:
        """Keeps a cell that begins; None: it is not kept. Doesn't block."""


async def run_cell(
    context: Context, request: Request, wanted: ExecuteRequest, history: Callable[[], CellHistory] | None = None
) -> Content:
    """The reply's content: the cell's error too, which has an `execution_count` beside the error's own fields."""
    console = context.typed_in == request.caller.session and not request.of_notebook
    try:
        async with context.turn(request):
            return await _run(context, request, wanted, history, console=console)
    except Aborted:
        return {"status": "aborted", "execution_count": context.execution_count}


async def _run(
    context: Context,
    request: Request,
    wanted: ExecuteRequest,
    history: Callable[[], CellHistory] | None,
    *,
    console: bool,
) -> Content:
    options = request.options
    counts = wanted.store_history and not wanted.silent
    if counts:
        context.execution_count += 1
    number = context.execution_count
    # Our own clients keep a history of their own.
    kept = None
    if history is not None and counts and not options.deltas:
        kept = history().begin(context, request, number, wanted.code)
    if not wanted.silent:
        request.sink.publish("execute_input", {"code": wanted.code, "execution_count": number})
    if options.reset:
        context.forget_variables()
    output = CellOutput(request, silent=wanted.silent, deltas=options.deltas, widgets=context.widgets, console=console)
    request.outlet = output
    if context.first_line is not None and not wanted.silent:
        output.write("stderr", f"{context.first_line}\n")
        context.first_line = None
    started, stopped = time.monotonic(), True
    try:
        asked = None if options.deltas else wanted_help(wanted.code)
        if asked is not None:
            result = Result(None, None, 0, payload=[page(await helped(context, asked))])
        else:
            result = await context.execute(request, cell_job(request, wanted, number, context.directory), output.write)
        stopped = False
    except LlmspellError as error:
        output.end(stopped=True)
        if options.deltas:
            error.details.setdefault("execution_count", number)
        if wanted.stop_on_error:
            context.abort_waiting(request)
        return {**_failed(request, error), "execution_count": number}
    finally:
        output.end(stopped=stopped)
    if result.text is not None and request.record is not None and not options.deltas:
        # The reply has no result; what is recorded of the cell has.
        request.partial.add("result", result.text)
    if result.text is not None and kept is not None:
        kept.ended(result.text)
    if result.text is not None and not wanted.silent:
        request.sink.publish(
            "execute_result",
            {"execution_count": number, **_shown(result)},
        )
    return {
        "execution_count": number,
        "payload": [*result.payload],
        "user_expressions": _expressions(result),
        "duration_ms": round((time.monotonic() - started) * 1000),
        **(_outcome(context, result) if options.deltas else {}),
    }


def _failed(request: Request, error: LlmspellError) -> Content:
    if isinstance(error, Cancelled) and request.partial:
        error.details.setdefault("partial", request.partial.content())
    reply = error.to_content()
    reply["traceback"] = _readable_traceback(error)
    shown = {key: reply[key] for key in ("ename", "evalue", "traceback")}
    request.sink.publish("error", shown)
    return reply


def _shown(result: Result) -> Content:
    """A value in all of its forms."""
    if result.bundle is None:
        return {"data": {"text/plain": result.text}, "metadata": {}}
    return {"data": {**result.bundle["data"]}, "metadata": {**result.bundle["metadata"]}}


def _outcome(context: Context, result: Result) -> Content:
    """What a client that reads no IOPub needs to know of a cell."""
    return {
        "engine": context.engine.name,
        "result": result.value,
        "result_repr": result.text,
        "values": result.values,
        "result_problem": result.problem,
        "exit_code": result.exit_code,
    }


def _readable_traceback(error: LlmspellError) -> list[str]:
    lines = [f"Error: {error.message}"]
    if error.details.get("source_line"):
        lines.append(f"  {error.details['line']} | {error.details['source_line']}")
    if error.hint is not None:
        lines.append(f"  hint: {error.hint}")
    frames = error.details.get("traceback") or ()
    if frames:
        lines += ["stack traceback:", *(f"  {frame}" for frame in frames)]
    return lines


def _expressions(result: Result) -> dict[str, Content]:
    values: dict[str, Content] = {}
    for name, value in result.expressions.items():
        if "message" in value:
            values[name] = {
                "status": "error",
                "ename": "script_error",
                "evalue": value["message"],
                "traceback": [value["message"], *value["traceback"]],
            }
        else:
            values[name] = {"status": "ok", "data": {"text/plain": value["text"]}, "metadata": {}}
    return values
