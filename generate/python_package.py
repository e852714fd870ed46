"""Writes `docs/reference/python-package.md`: what `import llmspell` offers, from its signatures and docstrings.

python -m generate.python_package           writes what has changed
python -m generate.python_package --check   changes nothing; exit status 1 and the name where something would
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import ForwardRef

import llmspell
from generate.files import ROOT, GeneratedFiles
from generate.markdown import table
from generate.python_client import described_callable, described_class
from llmspell.synchronous.agents import Agent, Agents
from llmspell.synchronous.kernel import Kernel
from llmspell.synchronous.models import Models
from llmspell.synchronous.rag import Rag
from llmspell.synchronous.reply import Reply
from llmspell.synchronous.tools import Tools

INTRODUCTION = """\
# Python package

Written from the code by `make schemas`. How to use it: [Python](../guide/python.md).

```python
from llmspell import connect

with connect() as kernel:
    print(kernel.chat("Say hello in French.", temperature=0).text)
```

All classes of replies are the protocol's own: what they have in them is in [the protocol](../../protocol/README.md).
All errors are `LlmspellError` (`from llmspell_protocol.errors import ModelNotFound, …`);
[their classes](python.md#errors).
"""

KERNEL = (
    *("chat", "stream", "generate", "embed", "run_script", "run_cell", "status", "close"),
    *("id", "address", "is_connected"),
)
PARTS: tuple[tuple[str, type, tuple[str, ...]], ...] = (
    ("kernel.models", Models, ("list", "info", "ps", "pull", "load", "unload")),
    ("kernel.agents", Agents, ("create", "list")),
    ("kernel.tools", Tools, ("list", "info", "invoke")),
    (
        "kernel.rag",
        Rag,
        ("ingest", "search", "ask", "stream", "list", "collections", "stats", "delete", "clear", "rebuild"),
    ),
)


def rendered() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    return {"python-package.md": "\n".join([INTRODUCTION, *_body()]) + "\n"}


def _body() -> Iterator[str]:
    yield "## Connecting\n"
    yield from described_callable("llmspell.connect", llmspell.connect)
    yield from described_callable("llmspell.connect_async", llmspell.connect_async)
    yield "## A kernel\n"
    yield from described_class("llmspell.Kernel", Kernel, KERNEL, is_made=False)
    for name, kind, members in PARTS:
        yield from described_class(name, kind, members, is_made=False)
    yield "## Asking\n"
    yield "**`llmspell.Prompt`** is a text, the question, or a list of messages whose last one is to be answered:"
    yield '`ChatMessage` or maps such as `{"role": "user", "content": "…"}`.\n'
    yield "### llmspell.Asked\n"
    yield "The keyword arguments of `chat`, `stream` and `generate`: these and those of `Sampling`.\n"
    theirs = llmspell.Sampling.__annotations__
    yield from _fields({name: hint for name, hint in llmspell.Asked.__annotations__.items() if name not in theirs})
    yield "### llmspell.Sampling\n"
    yield f"{llmspell.Sampling.__doc__}\n"
    yield from _fields(theirs)
    yield "**`llmspell.Permissions`** is what a script may touch, lists by kind (`read`, `write`, `net`, `run`, `env`):"
    yield 'paths, hosts, programs, variables, or `*`: `{"read": ["data"], "net": ["example.org"]}`.\n'
    yield "## What comes back\n"
    yield from described_class("llmspell.Answer", llmspell.Answer, ("text", "data"), is_made=False)
    yield from described_class("llmspell.Reply", Reply, ("result", "close"), is_made=False)
    yield from described_class("llmspell.Vectors", llmspell.Vectors, (), is_made=False)
    yield from described_class("llmspell.ScriptResult", llmspell.ScriptResult, ())
    yield from described_class("llmspell.CellResult", llmspell.CellResult, ())
    yield "## Agents\n"
    yield from described_class("llmspell.Agent", Agent, ("execute", "stream", "info", "reset", "delete"), is_made=False)
    yield from described_class("llmspell.AgentAnswer", llmspell.AgentAnswer, (), is_made=False)
    yield "## Documents\n"
    yield "**`llmspell.Document`** is a text, a map such as"
    yield '`{"text": "…", "id": "note"}`, or a `RagDocument`.\n'
    yield from described_class("llmspell.RagAnswer", llmspell.RagAnswer, ("text",), is_made=False)
    yield "## Progress\n"
    yield from described_class("llmspell.Display", llmspell.Display, ("show", "close"), is_made=False)
    yield "**`llmspell.Step`** is one of `PullStep`, `LoadingStep`, `PrefillStep`, `ToolProgress` and"
    yield "`RagProgress` of the protocol.\n"
    yield from described_class("llmspell.Bar", llmspell.Bar, (), is_made=True)
    yield "## asyncio\n"
    yield "`llmspell.AsyncKernel`, `llmspell.AsyncAgent` and `llmspell.AsyncReply` have the same members: what waits is"
    yield "awaited, a reply is read by `async for`, and `async with` closes. `stream` and `close` wait for nothing.\n"
    yield "## Errors\n"
    yield "**`llmspell.LlmspellError`** is the base of all; each has `message`, `hint`, `details`, `code` and"
    yield "`retryable`."


def _fields(hints: Mapping[str, ForwardRef]) -> Iterator[str]:
    """The names and types of a TypedDict, as they are written."""
    rows = ((f"`{name}`", f"`{hint.__forward_arg__.replace('|', 'or')}`") for name, hint in hints.items())
    yield from table(("argument", "type"), rows)
    yield ""


FILES = GeneratedFiles(ROOT / "docs" / "reference", rendered)

if __name__ == "__main__":
    raise SystemExit(FILES.main(sys.argv[1:]))
