"""llmspell for Python programs and notebooks: a client of a running kernel.

    from llmspell import connect

    with connect() as kernel:
        print(kernel.chat("Say hello in French.").text)

`%load_ext llmspell` makes `%%llmspell` known to a notebook. Nothing of the kernel is imported here.
"""

from __future__ import annotations

from typing import Any

from llmspell.asynchronous.agents import AsyncAgent
from llmspell.asynchronous.kernel import AsyncKernel
from llmspell.asynchronous.reply import AsyncReply
from llmspell.connecting import connect, connect_async
from llmspell.progress import Bar, Display, Step
from llmspell.requests import Asked, Document, Permissions, Prompt, Sampling
from llmspell.results import AgentAnswer, Answer, CellResult, RagAnswer, ScriptResult, Vectors
from llmspell.synchronous.agents import Agent
from llmspell.synchronous.kernel import Kernel
from llmspell.synchronous.reply import Reply
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.version import VERSION as __version__

__all__ = [
    "Agent",
    "AgentAnswer",
    "Answer",
    "Asked",
    "AsyncAgent",
    "AsyncKernel",
    "AsyncReply",
    "Bar",
    "CellResult",
    "Display",
    "Document",
    "Kernel",
    "LlmspellError",
    "Permissions",
    "Prompt",
    "RagAnswer",
    "Reply",
    "Sampling",
    "ScriptResult",
    "Step",
    "Vectors",
    "__version__",
    "connect",
    "connect_async",
]


def load_ipython_extension(shell: Any) -> None:
    """Makes `%llmspell` and `%%llmspell` known: `%load_ext llmspell`."""
    # IPython is there when this is called, and nowhere else needed.
    from llmspell.magic import LlmspellMagics

    shell.register_magics(LlmspellMagics(shell))


def unload_ipython_extension(shell: Any) -> None:
    """Closes the connections of the magic."""
    from llmspell.magic import LlmspellMagics

    magics = shell.magics_manager.registry.get(LlmspellMagics.__name__)
    if magics is not None:
        magics.close()
