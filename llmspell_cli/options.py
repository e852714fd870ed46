"""Global options: accepted before the command, after it and after a subcommand. Knows words, not their effect.

Every group and command carries the same hidden parameters, so Click itself decides which word is an option and which is
another option's value. What each level finds goes into one `Collected` (the context's `obj`), and a command gets the
frozen `Options` made of it as its argument `options`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.types import StringParamType

from llmspell_cli.examples import Examples, write_examples
from llmspell_protocol.errors import InvalidRequest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
"""What adds an option to a command's function."""

OUTPUT_FORMATS = ("text", "json", "pretty")
TRACE_LEVELS = ("off", "error", "warn", "info", "debug", "trace")


class Options(NamedTuple):
    """The global options of one command line, environment included.

    `connect` is the target as written (None: embedded) and `connect_named` says that it stood on the command line;
    `output_named` says the same of the output format, whose default a command may choose.
    """

    config: str | None = None
    profile: str | None = None
    connect: str | None = None
    connect_named: bool = False
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

    def say(self, name: str, value: str, spelling: str) -> None:
        """Records one option.

        Raises:
            InvalidRequest: it was given before with another value.
        """
        before = self._said.setdefault(name, value)
        first = self._spelling.setdefault(name, spelling)
        if before != value:
            raise InvalidRequest(f"{first} {before} and {spelling} {value} can't both be meant")

    def prefer(self, output: str) -> None:
        """A command's own `--format`: a local override of the output format."""
        self._said["output"] = output

    def options(self) -> Options:
        """The options as they stand now, with the environment's where the command line has none.

        Raises:
            InvalidRequest: a profile and a configuration file, or a variable with a value that can't be.
        """
        said = self._said
        if "profile" in said and "config" in said:
            raise _profile_and_config(said["profile"], said["config"])
        config = said.get("config")
        if config is None and "profile" not in said:
            config = self._environ.get("LLMSPELL_CONFIG") or None
        return Options(
            config=config,
            profile=said.get("profile"),
            connect=said.get("connect") or self._environ.get("LLMSPELL_CONNECT") or None,
            connect_named="connect" in said,
            trace=said.get("trace") or _trace_of(self._environ.get("RUST_LOG", "")),
            output=said.get("output", "text"),
            output_named="output" in said,
            color=self._colored(),
        )

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


def _trace_of(variable: str) -> str | None:
    # RUST_LOG may hold filters of the original ("llmspell=debug,info"); a bare level is all that means something here.
    level = variable.strip().lower()
    return level if level in TRACE_LEVELS else None


def _profile_and_config(profile: str, config: str) -> InvalidRequest:
    # Only to show the profile's long name in the hint.
    from llmspell_profiles.loading.profiles import canonical_name

    name = canonical_name(profile) or profile
    return InvalidRequest(
        "Cannot use both --profile and --config",
        hint=f'put extends = "{name}" at the top of {config}',
    )


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


def _say_no_color(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        collected(ctx).say("no_color", "yes", "--no-color")


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from llmspell_cli.version_info import plain_version

        click.echo(plain_version())
        ctx.exit(0)


class Seconds(click.FloatRange):
    """A time that can be waited for; `inf` and `nan`, which are numbers to Python, are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The time in seconds."""
        seconds = float(super().convert(value, param, ctx))
        if not seconds <= _LONGEST_S:
            self.fail(f"{value} is no time in seconds, or too long a one", param, ctx)
        return seconds


_LONGEST_S = 1_000_000
"""Eleven days: below what the system's calls for waiting can count."""


class Word(StringParamType):
    """A text that a shell can complete, by what the parameter is called in help."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """What is on disk, for parameters that mean something there."""
        # Needed by nobody but a shell that completes.
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
            help="Run on a kernel: HOST:PORT, llmspell:// URL, connection file, kernel id, or auto.",
            hidden=hidden,
            **word,
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
        from llmspell_cli.completion.values import global_options

        own = super().shell_complete(ctx, incomplete)
        names = {item.value for item in own}
        return [*own, *(item for item in global_options(incomplete) if item.value not in names)]

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
