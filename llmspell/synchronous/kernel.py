# Written from llmspell/asynchronous/kernel.py by `make schemas`.
"""A running kernel as a Python program sees it: ask its models, run scripts in it, and what it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Unpack, overload

from llmspell.progress import MakeDisplay
from llmspell.requests import Asked, Permissions, Prompt, chat_content, generate_content, script_options, script_source
from llmspell.results import Answer, CellResult, ScriptResult, Vectors
from llmspell.synchronous.agents import Agents
from llmspell.synchronous.asking import Asking
from llmspell.synchronous.models import Models
from llmspell.synchronous.rag import Rag
from llmspell.synchronous.reply import Reply
from llmspell.synchronous.tools import Tools
from llmspell_protocol.areas.kernel import KernelStatusReply
from llmspell_protocol.client.events import Delta, Event, Output
from llmspell_protocol.client.sync import Client, OnInput
from llmspell_protocol.errors import ScriptError
from llmspell_protocol.request_options import RequestOptions

OnOutput = Callable[[str, str], object]
"""Is told what a script prints: (`stdout` or `stderr`, text)."""


class Kernel:
    """A connection to a running kernel; made by `connect`.

    It belongs to the thread that made it. A request that is left (Ctrl-C, a task that is cancelled) is cancelled at the
    kernel, and the connection stays usable.
    """

    def __init__(
        self,
        client: Client,
        *,
        make_display: MakeDisplay | None = None,
        session: str | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._client = client
        self._on_close = on_close
        self._asking = Asking(client, make_display, session)
        self.models = Models(self._asking)
        """The models: `list`, `info`, `ps`, `pull`, `load`, `unload`."""
        self.agents = Agents(self._asking)
        """Conversations that the kernel remembers: `create`, `list`."""
        self.tools = Tools(self._asking)
        """Tools: `list`, `info`, `invoke`."""
        self.rag = Rag(self._asking)
        """Documents: `ingest`, `search`, `ask`, `stream`, and what keeps them in order."""

    def __repr__(self) -> str:
        state = "closed" if self._asking.closed else "lost" if self._client.lost is not None else "connected"
        return f"<Kernel {self.id} at {self.address}, {state}>"

    def __enter__(self) -> Kernel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def id(self) -> str | None:
        """The kernel's id, as `llmspell kernel status` shows it."""
        return self._client.info.id

    @property
    def address(self) -> str:
        """Where it listens, for people: `127.0.0.1:9555`."""
        return self._client.info.address

    @property
    def is_connected(self) -> bool:
        """Whether requests can be sent: neither closed nor lost."""
        return not self._asking.closed and self._client.lost is None

    @overload
    def chat(self, prompt: Prompt, *, stream: Literal[False] = False, **asked: Unpack[Asked]) -> Answer: ...

    @overload
    def chat(self, prompt: Prompt, *, stream: Literal[True], **asked: Unpack[Asked]) -> Reply[Answer]: ...

    def chat(self, prompt: Prompt, *, stream: bool = False, **asked: Unpack[Asked]) -> Answer | Reply[Answer]:
        """Asks a model: a question, or a list of messages (`{"role": "user", "content": "…"}`); the answer, whole.

        With `stream=True` the same as `stream`. The keyword arguments are those of `Asked`.

        Raises:
            ModelNotFound, ModelError: there is no such model, or it could not do it.
            Timeout: `timeout_s` is over.
            LlmspellError: whatever else the kernel answered.
        """
        reply = self.stream(prompt, **asked)
        return reply if stream else reply.result()

    def stream(self, prompt: Prompt, **asked: Unpack[Asked]) -> Reply[Answer]:
        """The same, its text as it comes: iterate over what this returns. Errors are raised there."""
        return self._reply(chat_content(prompt, asked), asked)

    @overload
    def generate(
        self, prompt: str, *, raw: bool = False, stream: Literal[False] = False, **asked: Unpack[Asked]
    ) -> Answer: ...

    @overload
    def generate(
        self, prompt: str, *, raw: bool = False, stream: Literal[True], **asked: Unpack[Asked]
    ) -> Reply[Answer]: ...

    def generate(
        self, prompt: str, *, raw: bool = False, stream: bool = False, **asked: Unpack[Asked]
    ) -> Answer | Reply[Answer]:
        """Answers one text, or (`raw`) continues it as it is, without the model's chat template. Raises as `chat`."""
        reply = self._reply(generate_content(prompt, raw, asked), asked)
        return reply if stream else reply.result()

    def embed(
        self,
        texts: str | Sequence[str],
        *,
        model: str | None = None,
        normalize: bool = True,
        timeout_s: float | None = None,
    ) -> Vectors:
        """One vector a text; `model` absent: the kernel's embedding model. Raises as `chat`."""
        wanted = {
            "action": "embed",
            "input": [texts] if isinstance(texts, str) else list(texts),
            "model": model,
            "normalize": normalize,
        }
        return self._asking.ask(Vectors, "model_request", wanted, about=model or "", timeout_s=timeout_s)

    def run_script(
        self,
        script: str | Path,
        *,
        args: Sequence[str] = (),
        name: str | None = None,
        model: str | None = None,
        allow: Permissions | None = None,
        on_output: OnOutput | None = None,
        on_input: OnInput | None = None,
        timeout_s: float | None = None,
    ) -> ScriptResult:
        """Runs Lua code, or the file of a `Path`, in a state of its own, as `llmspell run` does.

        `args` are the script's words, `model` is the default of the agents it makes, `allow` what it may touch.
        `on_output` is told what it prints when it prints it; `on_input` answers what it reads, which is else empty.

        Raises:
            ScriptError: the script failed, or its result has no form as data; `details` has the line, and `output` what
                it had printed.
            LlmspellError: it could not be run.
        """
        code, file_name, path = script_source(script)
        options = script_options(
            args=args,
            name=name or file_name,
            path=path,
            model=model,
            allow=allow,
            local=self._client.info.loopback,
            asks=on_input is not None,
        )
        printed: dict[str, list[str]] = {"stdout": [], "stderr": []}

        def take(event: Event) -> None:
            if isinstance(event, Delta):
                stream, text = event.content.get("stream", "stdout"), event.content.get("text", "")
                printed[stream].append(text)
                if on_output is not None:
                    on_output(stream, text)

        pending = self._asking.send(
            "execute_request", _code(code, store=False), options=options, timeout_s=timeout_s, on_input=on_input
        )
        content = (self._asking.followed(pending, "", take)).content
        output = "".join(printed["stdout"])
        if (problem := content.get("result_problem")) is not None:
            raise ScriptError(f"the script's result has no form as data: {problem}", details={"output": output})
        return ScriptResult(
            result=content.get("result"),
            result_repr=content.get("result_repr"),
            output=output,
            errors="".join(printed["stderr"]),
            exit_code=int(content.get("exit_code") or 0),
            duration_ms=float(content.get("duration_ms") or 0),
        )

    def run_cell(
        self,
        code: str,
        *,
        name: str | None = None,
        on_output: Callable[[Output], object] | None = None,
        on_input: OnInput | None = None,
        timeout_s: float | None = None,
    ) -> CellResult:
        """Runs Lua code as a notebook's cell: variables stay for the next one.

        `on_output` is told of streams and displays as they come (`msg_type`, `content`: Jupyter's); `name` is what the
        cell is called in errors. Raises as `run_script`.
        """
        self._subscribe()
        shown: list[Output] = []

        def take(event: Event) -> None:
            if isinstance(event, Output):
                shown.append(event)
                if on_output is not None:
                    on_output(event)

        pending = self._asking.send(
            "execute_request",
            _code(code, store=True),
            options=RequestOptions(deltas=True, name=name),
            timeout_s=timeout_s,
            on_input=on_input,
            output=True,
        )
        content = (self._asking.followed(pending, "", take)).content
        return CellResult(
            result=content.get("result"),
            result_repr=content.get("result_repr"),
            execution_count=int(content.get("execution_count") or 0),
            outputs=tuple(shown),
            problem=content.get("result_problem"),
        )

    def status(self) -> KernelStatusReply:
        """The kernel's state, places and figures."""
        return self._asking.ask(KernelStatusReply, "kernel_request", {"action": "status"})

    def close(self) -> None:
        """Ends the connection; the kernel cancels what is unfinished and goes on."""
        if self._asking.closed:
            return
        self._asking.closed = True
        self._client.close()
        if self._on_close is not None:
            self._on_close()

    def _reply(self, content: Mapping[str, Any], asked: Mapping[str, Any]) -> Reply[Answer]:
        pending = self._asking.send("model_request", content, timeout_s=asked.get("timeout_s"))
        return Reply(self._asking, pending, Answer, asked.get("model") or "model")

    def _subscribe(self) -> None:
        if not self._client.core.welcomed:
            self._client.subscribe()


def _code(code: str, *, store: bool) -> dict[str, Any]:
    return {"code": code, "silent": False, "store_history": store, "allow_stdin": False}
