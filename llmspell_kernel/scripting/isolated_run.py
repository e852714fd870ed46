"""A script in a context of its own: its output goes back to the requester, and its errors are the request's."""

from __future__ import annotations

from llmspell_kernel.request import Content, Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.scripting.engines import Engine
from llmspell_kernel.scripting.jobs import isolated_job
from llmspell_kernel.scripting.output import GatheredOutput
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.standard_requests import ExecuteRequest

DELTA_CHARACTERS = 64 * 1024


async def run_isolated(contexts: Contexts, engine: Engine, request: Request, wanted: ExecuteRequest) -> Content:
    """The reply's content. Raises as `Context.execute`, with what was printed last in `details.output`."""
    job = isolated_job(request, wanted)

    def emit(stream: str, text: str) -> None:
        request.delta({"stream": stream, "text": text})

    output = GatheredOutput(emit, 0, DELTA_CHARACTERS)
    request.flush = output.flush
    try:
        async with contexts.isolated(engine) as context:
            result = await context.execute(request, job, output.write)
    except LlmspellError as error:
        output.flush()
        error.details.setdefault("output", request.partial.text("stdout"))
        raise
    finally:
        output.flush()
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
        "exit_code": result.exit_code,
        "duration_ms": result.duration_ms,
    }
