"""Writes `docs/reference/python.md`: the Python client, from its signatures and docstrings.

python -m generate.python_client           writes what has changed
python -m generate.python_client --check   changes nothing; exit status 1 and the name where something would
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from generate.files import ROOT, GeneratedFiles
from generate.markdown import table
from llmspell_protocol import discovery
from llmspell_protocol.client import events
from llmspell_protocol.client.aio import AsyncClient, AsyncPending
from llmspell_protocol.client.sync import Client, Pending
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.errors import ERRORS, LlmspellError

INTRODUCTION = """\
# Python client of the protocol

Written from the code by `make schemas`. This is what [`from llmspell import connect`](python-package.md) is made of:
take it where you want the messages themselves. `import llmspell_protocol` needs pyzmq and msgpack and nothing else of
llmspell. A question to the running kernel:

```python title="ask.py"
import os
from pathlib import Path

from llmspell_protocol.client.sync import Client
from llmspell_protocol.discovery import resolve

home = Path(os.environ.get("LLMSPELL_HOME", Path.home() / ".llmspell"))
question = {
    "action": "chat",
    "model": "smollm2:135m",
    "messages": [{"role": "user", "content": "Say hello in French."}],
    "options": {"temperature": 0},
}
with Client(resolve("auto", home / "run", os.environ)).connect() as client:
    pending = client.request("model_request", question)
    for event in pending:
        print(event.content.get("text", ""), end="", flush=True)
    print()
    print(pending.result().content["finish_reason"])
```

<!-- setup: llmspell kernel start --daemon --port 0 -->
```console
$ python ask.py
…
stop
```

With asyncio the names are `AsyncClient` and `AsyncPending`, and what waits is awaited. What a request may contain and
what comes back is in [the protocol](../../protocol/README.md).
"""

CLASSES: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("Finding a kernel", (ConnectionInfo,)),
    ("One thread", (Client, Pending)),
    ("asyncio", (AsyncClient, AsyncPending)),
    ("What comes back", (events.Progress, events.Delta, events.Output, events.Reply)),
)

SHOWN = {
    ConnectionInfo: ("address", "read", "from_url", "to_url"),
    Client: ("connect", "request", "subscribe", "wait_for_loss", "lost", "close"),
    Pending: ("msg_id", "done", "result", "cancel"),
    AsyncClient: ("connect", "request", "subscribe", "lost", "close"),
    AsyncPending: ("msg_id", "done", "result", "cancel"),
}
"""Of these classes the members that a caller needs, in this order; of others all fields."""

MADE_BY_REQUESTS = (Pending, AsyncPending)

FUNCTIONS = (discovery.running_kernels, discovery.resolve)


def rendered() -> Mapping[str, str]:
    """File name → text, as it has to stand in the directory."""
    return {"python.md": "\n".join([INTRODUCTION, *_body()]) + "\n"}


def _body() -> Iterator[str]:
    for title, classes in CLASSES:
        yield f"## {title}\n"
        if classes == (ConnectionInfo,):
            for function in FUNCTIONS:
                yield from described_callable(f"{function.__module__}.{function.__name__}", function)
        for kind in classes:
            members = SHOWN.get(kind, ())
            yield from described_class(
                f"{kind.__module__}.{kind.__name__}", kind, members, is_made=kind not in MADE_BY_REQUESTS
            )
    yield "## Errors\n"
    yield "All are in `llmspell_protocol.errors`; each has `message`, `hint`, `details`, `code` and `retryable`.\n"
    yield from table(
        ("class", "`code`", "is a", "exit status", "meaning"),
        (
            (
                f"`{kind.__name__}`",
                f"`{kind.code}`",
                f"`{kind.__mro__[1].__name__}`",
                str(kind.exit_status),
                " ".join(_text(kind).partition("\n\n")[0].split()),
            )
            for kind in ERRORS.values()
            if kind is not LlmspellError
        ),
    )


def described_class(name: str, kind: type, members: Sequence[str], *, is_made: bool = True) -> Iterator[str]:
    """A class's part of a page: how it is made, unless others make it, what it is, and these of its members."""
    yield f"### {name}\n"
    if is_made:
        yield f"```text\n{_signature(kind.__name__, kind)}\n```\n"
    yield _text(kind) + "\n"
    for member_name in members:
        member = inspect.getattr_static(kind, member_name)
        if isinstance(member, property):
            assert member.fget is not None
            yield f"**`{member_name}`**: {_text(member.fget)}\n"
        else:
            yield from described_callable(f"{kind.__name__}.{member_name}", getattr(kind, member_name), level=4)


def described_callable(name: str, function: Callable[..., Any], level: int = 3) -> Iterator[str]:
    """A function's part of a page."""
    yield f"{'#' * level} {name}\n"
    prefix = "async " if inspect.iscoroutinefunction(function) else ""
    yield f"```text\n{prefix}{_signature(name.rpartition('.')[2], function)}\n```\n"
    yield _text(function) + "\n"


def _signature(name: str, of: Callable[..., Any]) -> str:
    """The call in one line, or an argument a line where that is too long."""
    signature = inspect.signature(of)
    shown = [one for one in signature.parameters.values() if one.name != "self"]
    result = signature.return_annotation
    returns = f" -> {result}" if result is not inspect.Signature.empty and inspect.isroutine(of) else ""
    text = str(signature.replace(parameters=shown, return_annotation=inspect.Signature.empty))
    text = _plain(text)
    line = f"{name}{text}{returns}"
    if len(line) <= 100:
        return line
    words = [_plain(str(one)) for one in shown]
    if any(one.kind is inspect.Parameter.KEYWORD_ONLY for one in shown):
        first = next(at for at, one in enumerate(shown) if one.kind is inspect.Parameter.KEYWORD_ONLY)
        words.insert(first, "*")
    return f"{name}(\n" + "".join(f"    {word},\n" for word in words) + f"){returns}"


def _plain(text: str) -> str:
    """Types without the quotation marks and wrappers of annotations that are texts."""
    text = re.sub(r"ForwardRef\('([^']*)'[^)]*\)", r"'\1'", text)
    text = re.sub(r": '([^']*)'", r": \1", text)
    return text.replace("mappingproxy({})", "{}")


def _text(of: object) -> str:
    """The docstring as Markdown: errors as a list."""
    text = inspect.getdoc(of) or ""
    before, _, raised = text.partition("Raises:\n")
    if not raised:
        return text
    errors = re.findall(r"^    (\S.*(?:\n        .*)*)", raised, re.MULTILINE)
    lines = []
    for one in errors:
        names, _, meaning = " ".join(one.split()).partition(": ")
        lines.append(f"- {', '.join(f'`{name}`' for name in names.split(', '))}: {meaning}")
    return before + "Raises:\n\n" + "\n".join(lines)


FILES = GeneratedFiles(ROOT / "docs" / "reference", rendered)

if __name__ == "__main__":
    raise SystemExit(FILES.main(sys.argv[1:]))
