"""`--allow-read` and its like: what a script and tools may do beside computing and reading their own directories.

As Deno has them: alone an option allows everything of its kind, with a value what that names. Knows words, no kernel.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from llmspell_cli.invocation import working_directory
from llmspell_cli.options import Command
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.request_options import EVERYTHING, PERMISSIONS
from llmspell_protocol.user_home import expanded_user

NAMES = tuple(f"--allow-{kind}" for kind in PERMISSIONS)

_HELP = {
    "read": ("PATHS", "Read files: all, or PATHS (a,b) and what is below."),
    "write": ("PATHS", "Write, remove and rename files."),
    "net": ("HOSTS", "Tools reach these hosts, pulls have addresses of them; alone: public ones."),
    "run": ("NAMES", "Run programs: all, or NAMES."),
    "env": ("NAMES", "Read environment variables."),
}


class PermittingCommand(Command):
    """A command with `permission_options`, whose words are its own from the first to the last."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the words; an option that stands alone takes none of them."""
        return super().parse_args(ctx, with_values(args))


def permission_options(function: Callable[..., Any]) -> Any:
    """Adds the options; the command gets them as `allow`, ready for a request."""
    for kind in reversed(PERMISSIONS):
        metavar, text = _HELP[kind]
        function = click.option(
            f"--allow-{kind}",
            metavar=f"[={metavar}]",
            multiple=True,
            expose_value=False,
            callback=_note,
            help=text,
        )(function)
    everything = click.option(
        "-A", "--allow-all", is_flag=True, expose_value=False, callback=_note_all, help="All of these."
    )
    return everything(function)


def with_values(words: Sequence[str]) -> list[str]:
    """The words with `=*` behind an option that stands alone: it never takes the next word for its value."""
    given: list[str] = []
    for at, word in enumerate(words):
        if word == "--":
            return [*given, *words[at:]]
        given.append(f"{word}={EVERYTHING}" if word in NAMES else word)
    return given


def _note(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> None:
    kind = str(param.opts[-1]).removeprefix("--allow-")
    _allowed(ctx)
    for value in values:
        names = [name.strip() for name in value.split(",") if name.strip()]
        if not names:
            raise InvalidRequest(f"--allow-{kind}= names nothing", hint=f"--allow-{kind} alone allows everything")
        paths = kind in ("read", "write")
        _allowed(ctx).setdefault(kind, []).extend(_absolute(name) if paths else name for name in names)


def _note_all(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        _allowed(ctx).update((kind, [EVERYTHING]) for kind in PERMISSIONS)


def _allowed(ctx: click.Context) -> dict[str, list[str]]:
    allowed: dict[str, list[str]] = ctx.params.setdefault("allow", {})
    return allowed


def _absolute(path: str) -> str:
    """The path as it means the same on the kernel's side, which has another working directory."""
    return path if path == EVERYTHING else os.path.join(working_directory() or "/", expanded_user(path, os.environ))


def environment(allow: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The variables of this command's own that its script and tools may read."""
    names = {"MODEL", "MODEL_SPEC", *allow.get("env", ())}
    return {name: value for name, value in os.environ.items() if name in names or EVERYTHING in names}
