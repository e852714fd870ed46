"""One piece of code to run, and the fields that a worker's frames say it with. Knows no requests and no process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from llmspell_kernel.scripting.limits import ScriptLimits, named
from llmspell_kernel.scripting.rights import NO_RIGHTS, Rights
from llmspell_protocol.errors import InvalidRequest

MAX_CODE_CHARACTERS = 10_000_000
ALLOWED_ENVIRONMENT = ("MODEL", "MODEL_SPEC")
"""Variables of the client's that every script may read."""


def demand_length(code: str) -> None:
    """Makes sure that code is not too long to be run.

    Raises:
        InvalidRequest: it is.
    """
    if len(code) > MAX_CODE_CHARACTERS:
        raise InvalidRequest(f"the code has {len(code)} characters; at most {MAX_CODE_CHARACTERS} are allowed")


class Job(NamedTuple):
    """One piece of code to run; without directories the script can't read files."""

    code: str
    name: str
    """The chunk's name, as error positions show it."""
    cell: bool = False
    """A notebook's cell: its result may be anything."""
    shows_value: bool = False
    """A last statement that is an expression is the result."""
    data: bool = False
    """A cell whose result is wanted as plain data too, where it has such a form."""
    script: str = ""
    arguments: Sequence[str] | None = None
    """The words for ARGS and arg; None leaves those of the context as they are."""
    script_directory: str | None = None
    working_directory: str | None = None
    environment: Mapping[str, str] = MappingProxyType({})
    """The client's variables; which of them the script may read, its rights say."""
    rights: Rights = NO_RIGHTS
    stdin: str = "none"
    """What reading gives: `none` (end of input), `error`, or `ask` (the client that started the script)."""
    expressions: Mapping[str, str] = MappingProxyType({})
    frontend: bool = False
    """A Jupyter frontend has sent it, which takes payloads."""
    number: int = 0
    """Under which its code and value are found later, as `In[number]` and `Out[number]`; 0: they are not."""
    path: str | None = None
    """The absolute path of the script's file, as a debugger names it."""
    debugged: bool = True
    """Whether a debugger that is attached may stop it."""


def job_fields(job: Job) -> dict[str, Any]:
    """What a worker is told of the job itself."""
    return {
        "code": job.code,
        "name": job.name,
        "cell": job.cell,
        "shows_value": job.shows_value,
        "data": job.data,
        "script": job.script,
        "arguments": None if job.arguments is None else list(job.arguments),
        "script_directory": job.script_directory,
        "working_directory": job.working_directory,
        "stdin": job.stdin,
        "expressions": dict(job.expressions),
        "frontend": job.frontend,
        "number": job.number,
        "path": job.path,
    }


def rights_fields(job: Job, limits: ScriptLimits) -> dict[str, Any]:
    """What the settings allow every script, and what this execution was granted."""
    rights = job.rights
    variables = (*ALLOWED_ENVIRONMENT, *limits.variables, *rights.env)
    environment = {**limits.values, **named(job.environment, variables)}
    return {
        "file_access": limits.file_access,
        "read": [*limits.read, *rights.read],
        "write": [*limits.write, *rights.write],
        "programs": [*limits.programs, *rights.run],
        "max_output_bytes": limits.max_output_bytes,
        "variables": list(variables),
        "environment": environment,
    }
