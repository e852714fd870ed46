"""The table `[mcp]`: programs and addresses that speak the Model Context Protocol, each a table of its own."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from llmspell_profiles.schema.checks import Problem, Problems
from llmspell_profiles.schema.table import Field, Table, rule, subtable
from llmspell_profiles.schema.values import High, Names, Url, expected, words, wrong

ToolLevel = Literal["safe", "restricted", "privileged"]

SERVER_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
"""A server's name is a part of its tools' names, and of the name of its log."""
_REFERENCE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_VARIABLE_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_WHAT = 'a string, { secret = "NAME" } or { variable = "NAME" }'


class Given:
    """The type of a value that a server is given: a text, or where one comes from.

    `{ secret = "NAME" }` is a key that `llmspell keys add` has kept, `{ variable = "NAME" }` one of the kernel's
    environment variables; `prefix` stands before either.
    """

    MAP_VALUE: ClassVar[Mapping[str, Any]] = {
        "anyOf": [
            {"type": "string"},
            *(
                {
                    "type": "object",
                    "properties": {kind: {"type": "string"}, "prefix": {"type": "string"}},
                    "required": [kind],
                    "additionalProperties": False,
                }
                for kind in ("secret", "variable")
            ),
        ]
    }
    """The JSON Schema of one."""

    @classmethod
    def check(cls, value: object, _around: object) -> object:
        """The value as it was written."""
        if isinstance(value, str):
            if "\0" in value:
                raise wrong("a text without NUL is possible")
            return value
        if not isinstance(value, dict):
            raise expected(_WHAT)
        kinds = value.keys() & {"secret", "variable"}
        if len(kinds) != 1 or value.keys() - {"secret", "variable", "prefix"}:
            raise wrong(f"expected {_WHAT}, with a prefix where one is needed")
        for key, pattern in (("secret", _REFERENCE_NAME), ("variable", _VARIABLE_NAME), ("prefix", r"[^\0\r\n]*")):
            if key in value and not (isinstance(value[key], str) and re.fullmatch(pattern, value[key])):
                raise wrong(f"its {key} is no name that one can have" if key != "prefix" else "its prefix is no text")
        return dict(value)


class McpServer(Table):
    """`[mcp.servers.NAME]`: either `command` (a program of this machine) or `url` (streamable HTTP)."""

    NEEDS_TRUST = True

    enabled: bool = Field(default=True, description="false: as if not configured")
    command: str | None = Field(default=None, description="program that speaks MCP on its standard streams")
    args: Names = Field(default=(), description="its arguments")
    env: dict[str, Given] = Field(
        default={}, description="its variables, beside PATH and HOME: texts, or references to secrets and variables"
    )
    cwd: str | None = Field(default=None, description="its working directory; unset: the kernel's")
    url: Url | None = Field(default=None, description="address of a server that speaks streamable HTTP")
    headers: dict[str, Given] = Field(
        default={}, description="headers of each request: texts, or references to secrets and variables"
    )
    start_timeout_seconds: Annotated[int, High(600)] = Field(
        default=30, ge=1, description="longest wait until it is ready, in seconds"
    )
    timeout_seconds: Annotated[int, High(3600)] = Field(
        default=60, ge=1, description="longest call where the caller names no time, in seconds"
    )
    allow: Names = Field(default=("*",), description="its tools that there are; * and ? stand for any characters")
    deny: Names = Field(default=(), description="its tools that there are not, although allow names them")
    security_level: Annotated[ToolLevel, words(ToolLevel)] = Field(
        default="restricted", description="level of all its tools, for tools.approval"
    )

    @rule
    def _is_of_one_kind(self) -> None:
        if self.command is not None and self.url is not None:
            raise wrong("has a command already: a server has one of the two", "url")
        if self.command is None and self.url is None:
            raise wrong("is required, or url for a server that speaks HTTP", "command")
        if self.command is not None and not self.command.strip():
            raise wrong("is empty", "command")
        idle = ("headers",) if self.command is not None else ("args", "env", "cwd")
        for key in idle:
            if getattr(self, key):
                other = "command" if self.command is not None else "url"
                raise wrong(f"means nothing for a server with {other}", key)

    @rule
    def _names_are_names(self) -> None:
        for name in self.env:
            if not re.fullmatch(_VARIABLE_NAME, name):
                raise wrong("is not the name of a variable", f"env.{name}")
        for name, value in self.headers.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
                raise wrong("is not the name of a header", f"headers.{name}")
            if isinstance(value, str) and not (value.isprintable() and value.isascii()):
                raise wrong("a header has printable ASCII characters", f"headers.{name}")


class McpServers(Table):
    """`[mcp.servers]`; each further name is a server."""

    OTHERS: ClassVar[Any] = McpServer

    @property
    def enabled(self) -> Mapping[str, McpServer]:
        """The servers that count as configured, by name."""
        return {name: table for name, table in self.others.items() if table.enabled}

    @property
    def secrets(self) -> frozenset[str]:
        """The names of keys that servers refer to."""
        values = (
            value for table in self.others.values() for given in (table.env, table.headers) for value in given.values()
        )
        return frozenset(value["secret"] for value in values if isinstance(value, dict) and "secret" in value)

    @classmethod
    def prepared(cls, data: dict[str, Any]) -> dict[str, Any]:
        """The tables of servers, whose names are looked at."""
        found = [
            Problem("wrong", (name,), None, {"text": "a server's name has letters, digits, _ and -, 63 at most"})
            for name in data
            if not re.fullmatch(SERVER_NAME, name)
        ]
        if found:
            raise Problems(found)
        return data


class McpSettings(Table):
    """`[mcp]`"""

    servers: McpServers = subtable("servers by name")
