"""`execute_request`: a cell of the shared context, with Jupyter's rules, or an isolated run, whose output goes back
to the requester."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from llmspell_kernel.context import Content, Reply, Request
from llmspell_kernel.scripting.contexts import Aborted, Contexts
from llmspell_kernel.scripting.outcome import Result
from llmspell_kernel.scripting.output import IOPUB_PIECE_CHARACTERS, IOPUB_WINDOW_S, GatheredOutput
from llmspell_kernel.scripting.process import Job
from llmspell_protocol.errors import Cancelled, InvalidRequest, LlmspellError, Unsupported

MAX_CODE_CHARACTERS = 10_000_000
DELTA_CHARACTERS = 64 * 1024
ALLOWED_ENVIRONMENT = ("MODEL", "MODEL_SPEC")
"""Variables of the client's that a script may read."""

_ENGINES = {"lua"}
_KEPT_OUTPUT_CHARACTERS = 64 * 1024


class ExecuteHandler:
    """Answers `execute_request`."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    async def __call__(self, request: Request) -> Reply:
        """Runs the code and returns the reply; an isolated run raises its error, a cell's reply holds it.

        A cell's error reply has an `execution_count` beside the error's own fields, which only this handler knows.
        """
        code = _text(request.content, "code")
        if len(code) > MAX_CODE_CHARACTERS:
            raise InvalidRequest(f"the code has {len(code)} characters; at most {MAX_CODE_CHARACTERS} are allowed")
        engine = request.wishes.get("engine") or "lua"
        if engine not in _ENGINES:
            raise Unsupported(f"Script engine '{engine}' is not available yet.", hint="available engines: lua")
        if request.wishes.get("isolated"):
            return await self._isolated(request, code)
        try:
            async with self._contexts.turn(request):
                return await self._cell(request, code)
        except Aborted:
            return Reply({"status": "aborted", "execution_count": self._contexts.execution_count})

    async def _isolated(self, request: Request, code: str) -> Reply:
        job = _isolated_job(request, code)
        kept = _Tail()

        def emit(stream: str, text: str) -> None:
            kept.add(text)
            request.delta({"stream": stream, "text": text})

        output = GatheredOutput(emit, 0, DELTA_CHARACTERS)
        try:
            result = await self._contexts.run_isolated(request, job, output.write)
        except LlmspellError as error:
            output.flush()
            error.details.setdefault("output", kept.text)
            raise
        finally:
            output.flush()
        return Reply(
            {
                "execution_count": 0,
                "payload": [],
                "user_expressions": {},
                "engine": "lua",
                "script": job.name,
                "script_length": len(code),
                "args_count": len(job.arguments or ()),
                "result": result.value,
                "result_repr": result.text,
                "exit_code": result.exit_code,
                "duration_ms": result.duration_ms,
            }
        )

    async def _cell(self, request: Request, code: str) -> Reply:
        contexts, content = self._contexts, request.content
        silent = bool(content.get("silent", False))
        if not silent and content.get("store_history", True):
            contexts.execution_count += 1
        number = contexts.execution_count
        if not silent:
            request.sink.publish("execute_input", {"code": code, "execution_count": number})
        if request.wishes.get("reset"):
            contexts.forget_variables()
        to_requester = bool(request.wishes.get("deltas"))
        emit = _emitter(silent=silent, to_requester=to_requester)
        output = GatheredOutput(
            lambda stream, text: emit(request, stream, text), IOPUB_WINDOW_S, IOPUB_PIECE_CHARACTERS
        )
        started = time.monotonic()
        try:
            result = await contexts.run_shared(request, _cell_job(request, code, number), output.write)
        except LlmspellError as error:
            output.flush()
            if to_requester:
                error.details.setdefault("execution_count", number)
            return Reply({**self._failed(request, error), "execution_count": number})
        finally:
            output.flush()
        if result.text is not None and not silent:
            request.sink.publish(
                "execute_result",
                {"execution_count": number, "data": {"text/plain": result.text}, "metadata": {}},
            )
        return Reply(
            {
                "execution_count": number,
                "payload": [],
                "user_expressions": _expressions(result),
                "duration_ms": round((time.monotonic() - started) * 1000),
                **(_outcome(result) if to_requester else {}),
            }
        )

    def _failed(self, request: Request, error: LlmspellError) -> Content:
        if request.content.get("stop_on_error", True):
            self._contexts.abort_waiting(request)
        if isinstance(error, Cancelled) and request.partial:
            error.details.setdefault("partial", request.partial.content())
        reply = error.to_content()
        reply["traceback"] = _readable_traceback(error)
        shown = {key: reply[key] for key in ("ename", "evalue", "traceback")}
        request.sink.publish("error", shown)
        return reply


def _to_iopub(request: Request, stream: str, text: str) -> None:
    request.sink.publish("stream", {"name": stream, "text": text})


def _to_requester(request: Request, stream: str, text: str) -> None:
    request.delta({"stream": stream, "text": text})


def _emitter(*, silent: bool, to_requester: bool) -> Callable[[Request, str, str], None]:
    """Where a cell's output goes; what is silent is no other frontend's business."""
    if not to_requester:
        return _to_iopub
    return _to_requester if silent else _to_both


def _outcome(result: Result) -> Content:
    """What a client that reads no IOPub needs to know of a cell."""
    return {"engine": "lua", "result": result.value, "result_repr": result.text, "exit_code": result.exit_code}


def _to_both(request: Request, stream: str, text: str) -> None:
    _to_iopub(request, stream, text)
    request.delta({"stream": stream, "text": text})


def _readable_traceback(error: LlmspellError) -> list[str]:
    lines = [f"Error: {error.message}"]
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


def _cell_job(request: Request, code: str, number: int) -> Job:
    expressions = request.content.get("user_expressions") or {}
    if not isinstance(expressions, Mapping) or not all(isinstance(text, str) for text in expressions.values()):
        raise InvalidRequest("user_expressions has to map names to expressions")
    directory = _directory(request, "cwd")
    if directory is None and request.caller.local:
        # A frontend starts its kernel in the notebook's directory; a daemon's place in the root says nothing.
        directory = os.getcwd() if os.getcwd() != "/" else None
    words = _words(request) if "args" in request.wishes else None
    name = request.wishes.get("name")
    return Job(
        code=code,
        name=name if isinstance(name, str) and name else f"In[{number}]",
        cell=True,
        data=bool(request.wishes.get("deltas")),
        script=_script_name(request),
        arguments=words,
        script_directory=_script_directory(request, directory),
        working_directory=directory,
        environment=_environment(request),
        stdin="ask" if request.content.get("allow_stdin", True) else "error",
        expressions=expressions,
    )


def _isolated_job(request: Request, code: str) -> Job:
    directory = _directory(request, "cwd")
    return Job(
        code=code,
        name=_script_name(request) or "script",
        script=_script_name(request),
        arguments=_words(request),
        script_directory=_script_directory(request, directory),
        working_directory=directory,
        environment=_environment(request),
        stdin="ask" if request.content.get("allow_stdin") else "none",
    )


def _script_name(request: Request) -> str:
    name = request.wishes.get("name")
    return name if isinstance(name, str) else ""


def _directory(request: Request, wish: str) -> str | None:
    value = request.wishes.get(wish)
    if value is None or not request.caller.local:
        return None
    if not isinstance(value, str) or not os.path.isabs(value):
        raise InvalidRequest(f"metadata.llmspell.{wish} has to be an absolute path")
    return value


def _script_directory(request: Request, working_directory: str | None) -> str | None:
    path = request.wishes.get("path")
    if path is None or not request.caller.local:
        return None
    if not isinstance(path, str):
        raise InvalidRequest("metadata.llmspell.path has to be a path")
    full = os.path.join(working_directory or "", path)
    if not os.path.isabs(full):
        raise InvalidRequest("metadata.llmspell.path has to be absolute, or given together with cwd")
    return os.path.dirname(full)


def _words(request: Request) -> list[str]:
    words = request.wishes.get("args") or []
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
        raise InvalidRequest("metadata.llmspell.args has to be a list of strings")
    return list(words)


def _environment(request: Request) -> dict[str, str]:
    given = request.wishes.get("env") or {}
    if not isinstance(given, Mapping):
        raise InvalidRequest("metadata.llmspell.env has to map names to strings")
    return {name: str(given[name]) for name in ALLOWED_ENVIRONMENT if given.get(name) is not None}


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    if not isinstance(value, str):
        raise InvalidRequest(f"execute_request needs the text '{key}'")
    return value


class _Tail:
    """The last part of a text that grows without end."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, piece: str) -> None:
        self.text = (self.text + piece)[-_KEPT_OUTPUT_CHARACTERS:]
