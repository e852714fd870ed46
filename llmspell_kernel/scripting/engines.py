"""The script engines of this kernel: what each one's worker is, and what frontends need to know of its language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from llmspell_protocol.errors import Unsupported


class Engine(NamedTuple):
    """A language that scripts may be written in."""

    name: str
    worker_module: str
    """What a worker process runs: `python -m` this."""
    version: str
    language_info: Mapping[str, str]
    """`kernel_info`'s fields about the language."""


LUA = Engine(
    name="lua",
    worker_module="llmspell_kernel.scripting.lua.worker",
    version="Lua 5.4",
    language_info={
        "name": "lua",
        "version": "5.4",
        "mimetype": "text/x-lua",
        "file_extension": ".lua",
        "pygments_lexer": "lua",
        "codemirror_mode": "lua",
        "nbconvert_exporter": "script",
    },
)

DEFAULT = LUA
ENGINES: Mapping[str, Engine] = {LUA.name: LUA}


def engine_named(name: str | None) -> Engine:
    """The engine of this name; None is the default one.

    Raises:
        Unsupported: this kernel has no such engine.
    """
    if not name:
        return DEFAULT
    engine = ENGINES.get(name)
    if engine is None:
        raise Unsupported(
            f"Script engine '{name}' is not available yet.", hint=f"available engines: {', '.join(ENGINES)}"
        )
    return engine
