"""Global options: accepted before the command, after it and after a subcommand. Knows Click, not an option's effect.

Every group and command carries the same hidden parameters, so Click itself decides which word is an option and which is
another option's value. What each level finds goes into one `Collected` (the context's `obj`), and a command gets the
frozen `Options` made of it as its argument `options`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from click.types import StringParamType

from llmspell_cli.examples import Examples, write_examples
from llmspell_cli.invocation import EMBEDDED, OUTPUT_FORMATS, TRACE_LEVELS, Collected
from llmspell_protocol.errors import InvalidRequest, LlmspellError
from llmspell_protocol.user_home import expanded_user

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
"""What adds an option to a command's function."""


def collected(ctx: click.Context) -> Collected:
    """The one collector of this command line."""
    found = ctx.find_object(Collected)
    assert found is not None, "the entry point makes one"
    return found


def _say(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> None:
    slot = "connect" if param.name == "kernel" else param.name or ""
    for value in values:
        collected(ctx).say(slot, value, param.opts[-1])


def _say_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        collected(ctx).say("output", "json", "--output")


def _say_embedded(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        collected(ctx).say("connect", EMBEDDED, "--embedded")


def _say_no_color(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        collected(ctx).say("no_color", "yes", "--no-color")


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from llmspell_cli.version_info import plain_version

        click.echo(plain_version())
        ctx.exit(0)


class Seconds(click.FloatRange):
    """A time in seconds that can be waited for; refuses `inf` and `nan`, which Python takes for numbers."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The time in seconds."""
        seconds = float(super().convert(value, param, ctx))
        if not seconds <= _LONGEST_S:
            self.fail(f"{value} is not a time in seconds, or too long a one", param, ctx)
        return seconds


_LONGEST_S = 1_000_000
"""Eleven days: below what the system's calls for waiting can count."""


_ON_DISK = frozenset({"FILE", "DIR", "PATH"})
"""The words in help for what is a path."""


class Word(StringParamType):
    """A text that a shell can complete, by what the parameter is called in help.

    In a path `~` is the home directory: shells leave it as it is in `--file=~/texts`.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text, as a path if it is to be one; raises `InvalidRequest` where no user has the name after `~`."""
        text = super().convert(value, param, ctx)
        if param is None or param.metavar not in _ON_DISK:
            return text
        try:
            return expanded_user(text, os.environ)
        except LlmspellError:
            if ctx is not None and ctx.resilient_parsing:
                return text  # half a name, as a shell asks what could follow
            raise

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """What is on disk, for parameters that mean something there."""
        # Needed for shell completion only.
        from llmspell_cli.completion.values import values

        return values(ctx, param, incomplete)


WORD = Word()


def global_parameters(*, hidden: bool) -> list[click.Parameter]:
    """The global options as Click parameters; shown in the help of the top level only."""
    named: dict[str, Any] = {"multiple": True, "expose_value": False, "callback": _say, "is_eager": True}
    word = named | {"type": WORD}
    flag: dict[str, Any] = {"is_flag": True, "expose_value": False, "is_eager": True}
    return [
        click.Option(["-c", "--config"], metavar="FILE", help="Configuration file.", hidden=hidden, **word),
        click.Option(["-p", "--profile"], metavar="NAME", help="Builtin profile (below).", hidden=hidden, **word),
        click.Option(
            ["--connect"],
            metavar="TARGET",
            help="Run on this kernel: id, HOST:PORT, llmspell:// URL, connection file, or auto.",
            hidden=hidden,
            **word,
        ),
        click.Option(
            ["--embedded"],
            help="Run on a kernel of its own; default: the one that runs, if one does.",
            hidden=hidden,
            callback=_say_embedded,
            **flag,
        ),
        click.Option(["--kernel"], metavar="ID", hidden=True, **word),
        click.Option(
            ["--trace"],
            type=click.Choice(TRACE_LEVELS, case_sensitive=False),
            metavar="LEVEL",
            help="Log level: off, error, warn, info, debug, trace.",
            hidden=hidden,
            **named,
        ),
        click.Option(
            ["--output"],
            type=click.Choice(OUTPUT_FORMATS),
            metavar="FORMAT",
            help="text (default), json or pretty.",
            hidden=hidden,
            **named,
        ),
        click.Option(["--json"], help="Same as --output json.", hidden=hidden, callback=_say_json, **flag),
        click.Option(["--no-color"], help="No colour.", hidden=hidden, callback=_say_no_color, **flag),
        click.Option(
            ["-V", "--version"], help="Show the version and exit.", hidden=hidden, callback=_print_version, **flag
        ),
    ]


HIDDEN_GLOBALS = global_parameters(hidden=True)
"""The same parameters on every group and command: help shows them at the top level only."""


def completed_globals(incomplete: str) -> list[CompletionItem[str]]:
    """The global options that begin as typed, which stand behind commands too."""
    if not incomplete.startswith("-"):
        return []
    # Needed for shell completion only.
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(name, help=param.help)
        for param in global_parameters(hidden=False)
        if isinstance(param, click.Option) and not param.hidden
        for name in param.opts
        if name.startswith(incomplete)
    ]


class Command(click.Command):
    """A command that takes the global options too and hands them to its function as `options`.

    `local_only` commands refuse a `--connect` that was written on the command line; `verbatim_help` is printed as it
    stands, without wrapping, so it holds its examples itself. Every other command needs `examples`.
    """

    def __init__(
        self,
        *args: Any,
        local_only: bool = False,
        verbatim_help: bool = False,
        examples: Examples = (),
        **extra: Any,
    ) -> None:
        extra.setdefault("context_settings", {"help_option_names": ["-h", "--help"], "max_content_width": 100})
        super().__init__(*args, **extra)
        self.local_only = local_only
        self.verbatim_help = verbatim_help
        self.examples = examples
        for param in self.params:
            if type(param.type) is StringParamType:
                param.type = WORD
        # `config init --output PATH` names a file.
        own = {word for param in self.params for word in param.opts}
        self.params.extend(param for param in HIDDEN_GLOBALS if own.isdisjoint(param.opts))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Its own options, and the global ones: they stand here too."""
        own = super().shell_complete(ctx, incomplete)
        names = {item.value for item in own}
        return [*own, *(item for item in completed_globals(incomplete) if item.value not in names)]

    def invoke(self, ctx: click.Context) -> Any:
        """Calls the command's function with its own parameters and the global options."""
        options = collected(ctx).options()
        if self.local_only and options.connect_named:
            path = ctx.command_path.partition(" ")[2]
            raise InvalidRequest(f"'{path}' works on this machine only", hint="drop --connect")
        ctx.params["options"] = options
        return super().invoke(ctx)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's description, wrapped unless it is to be printed as it stands."""
        if not self.verbatim_help:
            super().format_help_text(ctx, formatter)
            return
        formatter.write_paragraph()
        formatter.write((self.help or "") + "\n")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, and one line about the options that every command takes."""
        super().format_epilog(ctx, formatter)
        write_examples(formatter, self.examples)
        formatter.write_paragraph()
        formatter.write_text("Global options (--connect, --profile, --output, …) stand here too: llmspell --help")


def format_option(*formats: str) -> Decorator:
    """A `--format` of a single command, which overrides `--output` there."""

    def prefer(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
        if value is not None:
            collected(ctx).prefer(value)

    return click.option(
        "--format",
        type=click.Choice(formats),
        metavar="FORMAT",
        expose_value=False,
        callback=prefer,
        help=f"Output of this command: {', '.join(formats)}.",
    )


timeout_option: Decorator = click.option(
    "--timeout",
    "timeout_s",
    type=Seconds(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up after this time.",
)
"""`--timeout SECONDS` for the whole request."""
