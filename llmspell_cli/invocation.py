"""What one command line says for all commands: words at each level, the frozen options made of them, and where it is.

Knows words and the environment, neither Click nor what an option does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from llmspell_protocol.errors import ConfigError, InvalidRequest
from llmspell_protocol.user_home import expanded_user

OUTPUT_FORMATS = ("text", "json", "pretty")
TRACE_LEVELS = ("off", "error", "warn", "info", "debug", "trace")


EMBEDDED: Final = "embedded"
"""The target that means a kernel of the command's own."""
AUTO: Final = "auto"
"""The target that means the newest kernel that runs; said by a default, its absence is no error."""

Unnamed = Literal["setting", "auto", "embedded"]


class Options(NamedTuple):
    """The global options of one command line, environment included.

    `connect` is the target as written, None where none must be there, and `connect_named` says that it stood on the
    command line; `output_named` says the same of the output format, whose default a command may choose. `unnamed` is
    what to do without a target: as `cli.connect` says, use a kernel that runs, or start one of one's own;
    `embedded_named` says that the last stood on the command line.
    """

    config: str | None = None
    profile: str | None = None
    connect: str | None = None
    connect_named: bool = False
    unnamed: Unnamed = "setting"
    embedded_named: bool = False
    trace: str | None = None
    output: str = "text"
    output_named: bool = False
    color: bool = True

    @property
    def json(self) -> bool:
        """Whether the result is one JSON document (or NDJSON) on stdout."""
        return self.output == "json"


class Collected:
    """What the levels of one command line have said so far; each option has one value."""

    def __init__(self, argv: list[str], environ: Mapping[str, str]) -> None:
        self.argv = argv
        self._environ = environ
        self._said: dict[str, str] = {}
        self._spelling: dict[str, str] = {}
        self.kernel: str | None = None
        """The running kernel that the command has reached; None while it has none, or one of its own."""

    def say(self, name: str, value: str, spelling: str) -> None:
        """Records one option.

        Raises:
            InvalidRequest: it was given before with another value.
        """
        before = self._said.setdefault(name, value)
        first = self._spelling.setdefault(name, spelling)
        if before != value:
            one, other = _as_typed(first, before), _as_typed(spelling, value)
            raise InvalidRequest(f"{one} and {other} can't both be meant")

    def prefer(self, output: str) -> None:
        """A command's own `--format`: a local override of the output format."""
        self._said["output"] = output

    def options(self) -> Options:
        """The options as they stand now, with the environment's where the command line has none.

        Raises:
            InvalidRequest: a profile and a configuration file, a variable with a value that can't be, or a file in the
                home directory of a user who is not there.
        """
        said = self._said
        if "profile" in said and "config" in said:
            raise _profile_and_config(said["profile"], said["config"])
        config = said.get("config")
        if config is None and "profile" not in said:
            config = expanded_user(self._environ.get("LLMSPELL_CONFIG", ""), self._environ) or None
        connect, unnamed = self.target()
        return Options(
            config=config,
            profile=said.get("profile"),
            connect=connect,
            connect_named=connect is not None and "connect" in said,
            unnamed=unnamed,
            embedded_named=self._said.get("connect") == EMBEDDED,
            trace=said.get("trace") or _trace_of(self._environ),
            output=said.get("output", "text"),
            output_named="output" in said,
            color=self._colored(),
        )

    def target(self) -> tuple[str | None, Unnamed]:
        """The target that must be there, and what to do without one."""
        said = self._said.get("connect")
        if said is not None:
            return (None, EMBEDDED) if said == EMBEDDED else (said, "setting")
        if "profile" in self._said or "config" in self._said:
            return None, EMBEDDED  # They name a configuration that a running kernel need not have.
        variable = self._environ.get("LLMSPELL_CONNECT") or None
        if variable in (AUTO, EMBEDDED):
            return None, "auto" if variable == AUTO else EMBEDDED
        return variable, "setting"

    def debugging(self) -> bool:
        """Whether the user asked to see our own tracebacks."""
        return self._said.get("trace") in ("debug", "trace")

    def words_without_settings(self) -> list[str]:
        """The command line as typed, without the options that choose a configuration."""
        words = iter(self.argv)
        kept = []
        for word in words:
            if word in ("-p", "--profile", "-c", "--config"):
                next(words, None)
            elif not word.startswith(("--profile=", "--config=")):
                kept.append(word)
        return kept

    def output_of_a_failure(self) -> tuple[str, bool]:
        """Output format and colour for a command line that could not be read to its end."""
        output = self._said.get("output")
        if output is None and asks_for_json(self.argv):
            output = "json"
        return output or "text", self._colored()

    def _colored(self) -> bool:
        plain = self._environ.get("NO_COLOR") or self._environ.get("TERM") == "dumb"
        return "no_color" not in self._said and not plain


def asks_for_json(argv: list[str]) -> bool:
    """Whether the words ask for JSON wherever they stand; for reporting errors in the words themselves."""
    words = argv[: argv.index("--")] if "--" in argv else argv
    return "--json" in words or "--output=json" in words or ("--output", "json") in pairwise(words)


def _as_typed(spelling: str, value: str) -> str:
    return spelling if spelling == f"--{value}" else f"{spelling} {value}"


def _trace_of(environ: Mapping[str, str]) -> str | None:
    # The variable may hold levels by module ("llmspell_kernel=debug,info"), which are the kernel's; a bare one is ours.
    level = (environ.get("LLMSPELL_LOG") or environ.get("RUST_LOG", "")).strip().lower()
    return level if level in TRACE_LEVELS else None


def _profile_and_config(profile: str, config: str) -> InvalidRequest:
    # Only to show the profile's long name in the hint.
    from llmspell_profiles.loading.profiles import canonical_name

    name = canonical_name(profile) or profile
    return InvalidRequest(
        "Cannot use both --profile and --config",
        hint=f'put extends = "{name}" at the top of {config}',
    )


def working_directory() -> str:
    """The directory that the command is in.

    Raises:
        ConfigError: it has been removed.
    """
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise ConfigError("the working directory is not there any more", hint="cd to a directory that is") from None
