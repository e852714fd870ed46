"""From an `execute_request` to the job that a script worker runs: names, places, arguments, environment, input."""

from __future__ import annotations

from llmspell_kernel.request import Request
from llmspell_kernel.scripting.job import Job
from llmspell_kernel.scripting.places import cell_directory, script_directory, script_path, working_directory
from llmspell_kernel.scripting.rights import granted
from llmspell_protocol.standard_requests import ExecuteRequest


def cell_job(request: Request, wanted: ExecuteRequest, number: int, place: str | None = None) -> Job:
    """The job of the cell with this number; `place` is its notebook's directory.

    Raises:
        InvalidRequest: a place that is not absolute, or no path.
    """
    options = request.options
    directory = cell_directory(request, place)
    return Job(
        code=wanted.code,
        name=options.name or f"In[{number}]",
        cell=True,
        shows_value=True,
        data=options.deltas,
        script=options.name or "",
        arguments=options.args,
        script_directory=script_directory(request, directory),
        working_directory=directory,
        environment=request.options.env or {},
        rights=granted(request),
        stdin="error" if wanted.allow_stdin is False else "ask",
        expressions=wanted.user_expressions or {},
        frontend=not options.deltas,
        number=number if wanted.store_history and not wanted.silent and not options.deltas else 0,
        path=script_path(request),
        debugged=not wanted.silent,
    )


def isolated_job(request: Request, wanted: ExecuteRequest) -> Job:
    """The job of a script in a context of its own. Raises as `cell_job`."""
    options = request.options
    directory = working_directory(request)
    return Job(
        code=wanted.code,
        name=options.name or "script",
        shows_value=options.shows_value,
        script=options.name or "",
        arguments=options.args or (),
        script_directory=script_directory(request, directory),
        working_directory=directory,
        environment=request.options.env or {},
        rights=granted(request),
        stdin="ask" if wanted.allow_stdin else "none",
        path=script_path(request) or options.name or "script",
    )


def debugger_job(request: Request, place: str | None = None) -> Job:
    """What a debug request runs with: what a cell of its client's would be granted. Raises as `cell_job`."""
    directory = cell_directory(request, place)
    return Job(
        code="",
        name="debugger",
        script_directory=script_directory(request, directory),
        working_directory=directory,
        environment=request.options.env or {},
        rights=granted(request),
    )
