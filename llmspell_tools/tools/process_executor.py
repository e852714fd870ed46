"""process-executor: runs one program, by permission, without a shell, to its end or to the end of its time."""

from __future__ import annotations

import shlex
from typing import Any

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.parameters import ToolParameters, missing, parameter


class Parameters(ToolParameters):
    """What `process-executor` is called with."""

    executable: str | None = parameter("the program: a name that is allowed, or the path that it leads to", None)
    command: str | None = parameter(
        "in place of `executable` and `arguments`: both in one line, with quotes as a shell reads them, and no shell",
        None,
    )
    arguments: list[str] = parameter("the program's arguments", [], also=("args",))
    working_directory: str | None = parameter("where it runs; one that can be read", None, also=("cwd", "directory"))
    environment: dict[str, str] = parameter(
        "variables that it gets beside the few that it always has", {}, also=("env",)
    )
    timeout_ms: int | None = parameter(
        "how long it may run, in milliseconds; not longer than tools.system.command_timeout_seconds", None, ge=1
    )

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """One argument may come without a list; an empty table of Lua is an empty list."""
        arguments = given.get("arguments")
        if isinstance(arguments, str | int | float) and not isinstance(arguments, bool):
            given["arguments"] = [str(arguments)]
        elif arguments == {}:
            given["arguments"] = []
        return given


def run(wanted: Parameters, call: Call) -> Outcome:
    """Runs the program; a status other than 0 is a failure that shows what was printed."""
    program, arguments = _words(wanted)
    ran = call.programs.run(
        program,
        arguments,
        directory=wanted.working_directory,
        variables=wanted.environment,
        timeout_s=None if wanted.timeout_ms is None else wanted.timeout_ms / 1000,
    )
    stdout, stderr = ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace")
    duration_ms = round(ran.seconds * 1000)
    success = ran.exit_code == 0 and not ran.timed_out
    result = {
        "executable": program,
        "arguments": arguments,
        "exit_code": ran.exit_code,
        "success": success,
        "stdout": stdout,
        "stderr": stderr,
        "output": stdout,
        "execution_time_ms": duration_ms,
        "timed_out": ran.timed_out,
        "truncated": ran.truncated,
    }
    said = f"{program} {_ending(ran.exit_code)}"
    if ran.timed_out:
        said = f"{program} timed out after {ran.seconds:.3g}s, and was ended"
    outcome = Outcome(operation="execute", result=result, output=stdout, text=stdout if success else None, message=said)
    if success:
        return outcome
    last = stderr.strip().rpartition("\n")[2]
    raise ToolFailure(
        f"{said}: {last}" if last and not ran.timed_out else said,
        code="timeout" if ran.timed_out else "tool_error",
        outcome=outcome,
    )


def _words(wanted: Parameters) -> tuple[str, list[str]]:
    if wanted.executable is not None:
        return wanted.executable, list(wanted.arguments)
    if wanted.command is None:
        raise missing("executable", "command")
    try:
        words = shlex.split(wanted.command)
    except ValueError as error:
        raise InvalidRequest(f"command: {wanted.command}: {str(error).lower()}") from None
    if not words:
        raise InvalidRequest("command: there is no program in it")
    return words[0], [*words[1:], *wanted.arguments]


def _ending(code: int) -> str:
    # Seldom needed, and a tool's import should be short.
    from llmspell_protocol.exit_status import ending

    return f"ended {ending(code)}"


TOOL = Tool(
    name="process-executor",
    description=(
        "Runs a program with arguments, without a shell. Its environment is built and not inherited; its output is "
        "kept up to tools.system.max_output_size, and it ends with all that it started when its time is over."
    ),
    category="system",
    level="restricted",
    parameters=Parameters,
    run=run,
    needs=("run",),
    settings=("system",),
    result=(
        "{executable, arguments, exit_code, success, stdout, stderr, output, execution_time_ms, timed_out, truncated}; "
        "exit_code is negative where a signal ended it"
    ),
    keywords=("command", "program", "run", "execute", "shell"),
)
