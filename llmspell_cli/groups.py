"""Groups that import a command when it is called, and the error for an unknown name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from llmspell_cli.examples import Examples, write_examples
from llmspell_cli.options import HIDDEN_GLOBALS
from llmspell_protocol.errors import InvalidRequest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Subcommands = Mapping[str, tuple[str, str]]
"""Name → (`module:attribute`, the line shown in the group's help). Help never loads the module."""


class LazyGroup(click.Group):
    """A group that knows its commands by name only; a command's module is imported when it is called."""

    def __init__(
        self,
        name: str,
        commands: Subcommands,
        *,
        params: list[click.Parameter] | None = None,
        examples: Examples = (),
        aliases: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        """`aliases` are other words for its commands, which help and completion leave out."""
        extra.setdefault("context_settings", {"help_option_names": ["-h", "--help"], "max_content_width": 100})
        super().__init__(name, params=params if params is not None else list(HIDDEN_GLOBALS), **extra)
        self.lazy = commands
        self.examples = examples
        self.aliases = aliases or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order in which they were written down."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Loads a command; None for an unknown name."""
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Names with their lines, and options; loads no command, which Click's own way would."""
        # Both are needed for shell completion only.
        from click.shell_completion import CompletionItem

        from llmspell_cli.options import completed_globals

        names = [
            CompletionItem(name, help=line) for name, (_, line) in self.lazy.items() if name.startswith(incomplete)
        ]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*names, *options, *(completed_globals(incomplete) if ctx.parent is not None else ())]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names and lines, without loading anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.lazy.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples."""
        super().format_epilog(ctx, formatter)
        write_examples(formatter, self.examples)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names.

        Raises:
            InvalidRequest: there is none.
        """
        args = [self.aliases.get(args[0], args[0]), *args[1:]]
        if args[0] not in self.lazy and not args[0].startswith("-"):
            raise self.unknown(ctx, args[0])
        return super().resolve_command(ctx, args)

    def unknown(self, ctx: click.Context, name: str) -> InvalidRequest:
        """The error for an unknown command of this group."""
        # Only needed when something was misspelt.
        from difflib import get_close_matches

        from llmspell_cli.other_words import INSTEAD_BELOW

        above = ctx.command_path.partition(" ")[2]
        path = f"{above} {name}".strip()
        hint = INSTEAD_BELOW.get(path)
        if hint is None:
            nearest = get_close_matches(name, [*self.lazy, *self.aliases], n=1)
            hint = (
                f"did you mean '{self.aliases.get(nearest[0], nearest[0])}'?"
                if nearest
                else f"llmspell {above} --help".replace("  ", " ")
            )
        return InvalidRequest(f"unknown command '{path}'", hint=hint)
