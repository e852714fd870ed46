"""`llmspell jupyter remove`: takes a kernelspec away."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from llmspell_cli.invocation import Options
from llmspell_cli.kernelspecs.places import DEFAULT_NAME, demand_name, kernels_directory, kernelspecs, read
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import confirmed
from llmspell_cli.terminal.text import home_path
from llmspell_protocol.errors import InvalidRequest, NotFound


@click.command(
    "remove",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell jupyter remove --yes", "without a question"),
        ("llmspell jupyter remove spell", "another name"),
    ),
)
@click.option("--name", "named", metavar="NAME", help="Name of the kernelspec; same as the argument.")
@click.option("--prefix", metavar="DIR", help="From DIR/share/jupyter/kernels.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.argument("name", metavar="[NAME]", required=False)
def remove(options: Options, name: str | None, named: str | None, prefix: str | None, yes: bool) -> None:
    """Remove a kernelspec (llmspell), wherever `install` put it for this user or this Python environment."""
    output = Output(options)
    if name is not None and named not in (None, name):
        raise InvalidRequest(f"two kernelspecs are named: {name} and {named}")
    wanted = name if name is not None else named if named is not None else DEFAULT_NAME
    demand_name(wanted)
    places = (
        [kernels_directory(prefix)] if prefix is not None else [kernels_directory(None), kernels_directory(sys.prefix)]
    )
    found = [place / wanted for place in places if (place / wanted / "kernel.json").is_file()]
    if not found:
        names = ", ".join(one.name for one in kernelspecs(places))
        hint = f"there are: {names}" if names else "jupyter kernelspec list"
        if prefix is None:
            hint += "; one that was installed with --prefix DIR is removed with --prefix DIR"
        raise NotFound(f"there is no kernelspec '{wanted}'", hint=hint)
    directory = found[0]
    if wanted != DEFAULT_NAME and read(directory) is None:
        raise InvalidRequest(
            f"kernelspec '{wanted}' is not of llmspell", hint=f"jupyter kernelspec remove {wanted} takes it away"
        )
    if not yes and not output.json and not sys.stdin.isatty():
        # A script that pipes something in has not read the question.
        place = home_path(str(directory))
        raise InvalidRequest(
            f"kernelspec '{wanted}' in {place} is removed after a question, and there is no terminal",
            hint=f"llmspell jupyter remove {wanted} --yes",
        )
    if not confirmed(output, f"Remove kernelspec '{wanted}' from {home_path(str(directory))}?", yes=yes):
        return
    _take_away(directory)
    if output.json:
        output.document({"status": "removed", "name": wanted, "path": str(directory)})
    else:
        output.line(f"✓ Removed kernelspec {wanted}")


def _take_away(directory: Path) -> None:
    """A link goes alone: what it leads to is not ours."""
    try:
        if directory.is_symlink():
            directory.unlink()
        else:
            shutil.rmtree(directory)
    except OSError as error:
        raise InvalidRequest(f"can't remove {directory}: {error.strerror}") from None
