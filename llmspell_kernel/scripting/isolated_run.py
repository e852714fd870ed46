"""A script in a context of its own: its output goes back to the requester, and its errors are the request's."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext

from llmspell_kernel.request import Content, Request
from llmspell_kernel.scripting.context import Context
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.scripting.engines import Engine
from llmspell_kernel.scripting.job import Job
from llmspell_kernel.scripting.jobs import isolated_job
from llmspell_kernel.scripting.run_output import RunOutput
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.standard_requests import ExecuteRequest


async def run_isolated(contexts: Contexts, engine: Engine, request: Request, wanted: ExecuteRequest) -> Content:
    """The reply's content. Raises as `Context.execute`, with what was printed last in `details.output`."""
    job = isolated_job(request, wanted)
    output, stopped = RunOutput(request), True
    request.outlet = output
    try:
        async with contexts.isolated(engine) as context, _debugged(contexts, request, context, job):
            result = await context.execute(request, job, output.write)
            stopped = False
    except LlmspellError as error:
        output.end(stopped=True)
        error.details.setdefault("output", request.partial.text("stdout"))
        raise
    finally:
        output.end(stopped=stopped)
    return {
        "execution_count": 0,
        "payload": [],
        "user_expressions": {},
        "engine": engine.name,
        "script": job.name,
        "script_length": len(wanted.code),
        "args_count": len(job.arguments or ()),
        "result": result.value,
        "result_repr": result.text,
        "values": result.values,
        "result_problem": result.problem,
        "exit_code": result.exit_code,
        "duration_ms": result.duration_ms,
    }


def _debugged(contexts: Contexts, request: Request, context: Context, job: Job) -> AbstractAsyncContextManager[None]:
    if not request.options.debug:
        return nullcontext()
    return contexts.debugging.debugged(request, context, job.path or job.name, job.code)
