"""`%%llmspell`: a cell of a Python notebook that runs in an llmspell kernel. Loaded by `%load_ext llmspell`.

Code is Lua, in the kernel's own state that cells share; with `-m MODEL` the cell is a question to a model. Lines of
errors count from the line of `%%llmspell` itself, as the notebook counts them.
"""

from __future__ import annotations

import keyword
import sys
from collections.abc import Callable
from typing import Any

from IPython.core.error import StdinNotImplementedError, UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.display import clear_output

from llmspell.connecting import connect
from llmspell.synchronous.kernel import Kernel
from llmspell_protocol.client.events import Output
from llmspell_protocol.errors import KernelUnreachable, LlmspellError, ScriptError, Unsupported

_WIDGET = "application/vnd.jupyter.widget-view+json"
"""A widget's own messages do not reach this notebook, which would show that it knows no such widget."""
_USAGE = "%%llmspell [-k KERNEL] [-m MODEL] [-o VARIABLE], and Lua, or with -m a question, below it"


class CellFailed(LlmspellError):
    """What a cell of the kernel failed of, shown as the kernel shows it and without Python's own frames."""

    def __init__(self, error: LlmspellError, shown: list[str]) -> None:
        super().__init__(error.message, hint=error.hint, details=error.details, retryable=error.retryable)
        self.code = error.code
        self._shown = shown or [f"{error.code}: {error.message}", *([f"  hint: {error.hint}"] if error.hint else [])]

    def _render_traceback_(self) -> list[str]:
        """IPython shows these lines in place of a traceback."""
        return self._shown


@magics_class
class LlmspellMagics(Magics):
    """The magic, and its connections: one a kernel, made when it is first used and again when it was lost."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._notebook = shell
        self._kernels: dict[str | None, Kernel] = {}

    @line_cell_magic
    def llmspell(self, line: str, cell: str | None = None) -> None:
        """Run Lua in an llmspell kernel, or ask a model.

        %%llmspell [-k KERNEL] [-m MODEL] [-o VARIABLE]

        -k KERNEL    an id, a connection file, host:port, a URL, or embedded; else the newest kernel that runs
        -m MODEL     the cell is a question to this model
        -o VARIABLE  keep the value, or the answer's text, in a Python variable

        `%llmspell CODE` runs what stands behind it.
        """
        options, rest = self.parse_options(line, "k:m:o:", posix=False)
        if cell is not None and rest.strip():
            raise UsageError(f"'{rest.strip()}' stands behind %%llmspell: {_USAGE}")
        text = rest if cell is None else f"\n{cell}"
        if not text.strip():
            raise UsageError(_USAGE)
        if "o" in options:
            _check_variable(options["o"])
        with _Failing() as failing:
            kernel = self._kernel(options.get("k"))
            if "m" in options:
                value: Any = _asked(kernel, options["m"], text.strip())
            else:
                show = _Shown(self._notebook, failing.shown.extend)
                # Not `execution_count`, which some versions of IPython raise before the cell runs and some behind it.
                name = f"In[{len(self._notebook.user_ns['In']) - 1}]"
                done = kernel.run_cell(text, name=name, on_output=show, on_input=self._reader)
                if "o" in options and done.problem is not None:
                    raise ScriptError(f"'{options['o']}' was not set: the value has no form as data: {done.problem}")
                value = done.result
        if "o" in options:
            self._notebook.push({options["o"]: value})

    def close(self) -> None:
        """Ends the connections."""
        for kernel in self._kernels.values():
            kernel.close()
        self._kernels.clear()

    @property
    def _reader(self) -> Callable[[str, bool], str | None] | None:
        """What answers a question of the cell's; None where the frontend takes no input, which Lua is told then."""
        # A program that runs notebooks says so with each cell; IPython at a terminal has no kernel.
        takes_input = getattr(getattr(self._notebook, "kernel", None), "_allow_stdin", True)
        return _line if takes_input else None

    def _kernel(self, target: str | None) -> Kernel:
        known = self._kernels.get(target)
        if known is not None:
            try:
                known.status()
            except KernelUnreachable:
                del self._kernels[target]  # it was restarted, as a rule
                known.close()
            else:
                return known
        kernel = self._kernels[target] = connect(target)
        return kernel


class _Failing:
    """Turns the kernel's errors into `CellFailed`; `shown` is what it has published of them."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def __enter__(self) -> _Failing:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, LlmspellError):
            raise CellFailed(error, self.shown) from None


class _Shown:
    """Shows what a cell publishes where this notebook shows its own."""

    def __init__(self, shell: Any, on_error: Callable[[list[str]], object]) -> None:
        self._shell = shell
        self._on_error = on_error

    def __call__(self, output: Output) -> None:
        content = output.content
        if output.msg_type == "stream":
            stream = sys.stderr if content.get("name") == "stderr" else sys.stdout
            stream.write(content.get("text", ""))
            stream.flush()
        elif output.msg_type in ("display_data", "execute_result", "update_display_data"):
            data = content.get("data") or {}
            self._shell.display_pub.publish(
                {kind: value for kind, value in data.items() if kind != _WIDGET},
                content.get("metadata") or {},
                transient=content.get("transient") or {},
                update=output.msg_type == "update_display_data",
            )
        elif output.msg_type == "clear_output":
            clear_output(wait=bool(content.get("wait")))  # type: ignore[no-untyped-call]
        elif output.msg_type == "error":
            self._on_error([str(line) for line in content.get("traceback") or ()])


def _asked(kernel: Kernel, model: str, question: str) -> str:
    """The model's answer, written as it comes."""
    reply = kernel.stream(question, model=model)
    with reply:
        for piece in reply:
            sys.stdout.write(piece)
            sys.stdout.flush()
    sys.stdout.write("\n")
    return reply.text


def _line(prompt: str, password: bool) -> str | None:
    """An answer of the notebook's reader; None is the end of input."""
    # Only a password needs it.
    from getpass import getpass

    try:
        return getpass(prompt) if password else input(prompt)
    except EOFError:
        return None
    except StdinNotImplementedError:
        # ipykernel's own word for it, where it is asked in another way than the one that is known here.
        raise Unsupported("input is not possible here: the frontend does not allow it (allow_stdin)") from None


def _check_variable(name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"'{name}' is not a name that a Python variable can have: {_USAGE}")
