"""`llmspell jupyter …`: the kernelspec, one JSON file that tells Jupyter how to start the kernel."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from llmspell_cli.groups import LazyGroup
from llmspell_cli.invocation import Options, working_directory
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import confirmed
from llmspell_cli.terminal.text import home_path
from llmspell_protocol.errors import InvalidRequest, NotFound, Unsupported

_NAME = re.compile(r"[a-z0-9._-]+\Z", re.IGNORECASE)

jupyter = LazyGroup(
    "jupyter",
    {
        "install": (f"{__name__}:install", "Install the kernelspec."),
        "remove": (f"{__name__}:remove", "Remove the kernelspec."),
        "lua-api": ("llmspell_cli.commands.lua_api:lua_api", "Print definitions for editors."),
    },
    help="Make the kernel known to Jupyter.",
    examples=(
        ("llmspell -p candle jupyter install", "then: jupyter lab"),
        ("llmspell jupyter lua-api > llmspell.d.lua", "for an editor"),
    ),
)


@click.command(
    "install",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell jupyter install", "for this user"),
        ("llmspell -p candle jupyter install --name spell", "with a profile"),
        ("llmspell jupyter install --sys-prefix", "for this environment"),
    ),
)
@click.option("--user", is_flag=True, help="Into the user's Jupyter directory (default).")
@click.option("--sys-prefix", is_flag=True, help="Into this Python environment.")
@click.option("--prefix", metavar="DIR", help="Into DIR/share/jupyter/kernels.")
@click.option("--name", default="llmspell", metavar="NAME", help="Name of the kernelspec (llmspell).")
@click.option("--display-name", default="LLMSpell (Lua)", metavar="TEXT", help="What Jupyter shows (LLMSpell (Lua)).")
@click.option("--engine", default="lua", metavar="ENGINE", help="lua.")
def install(
    options: Options,
    user: bool,
    sys_prefix: bool,
    prefix: str | None,
    name: str,
    display_name: str,
    engine: str,
) -> None:
    """Install the kernelspec; with -p or -c the kernel starts with that configuration."""
    output = Output(options)
    if sum((user, sys_prefix, prefix is not None)) > 1:
        raise InvalidRequest("choose one of --user, --sys-prefix and --prefix")
    if engine != "lua":
        raise Unsupported(f"Script engine '{engine}' is not available yet.", hint="available: lua")
    if not _NAME.match(name):
        raise InvalidRequest(f"'{name}' is not a kernelspec name: letters, digits, '.', '_' and '-' are possible")
    directory = _kernels(sys.prefix if sys_prefix else prefix) / name
    spec = _spec(options, display_name)
    _replace(directory, json.dumps(spec, indent=1) + "\n")
    if output.json:
        output.document({"status": "installed", "name": name, "path": str(directory), "argv": spec["argv"]})
    else:
        output.line(f"✓ Installed kernelspec {name} in {home_path(str(directory))}")


@click.command(
    "remove",
    cls=Command,
    local_only=True,
    examples=(("llmspell jupyter remove --yes", "without a question"),),
)
@click.option("--name", default="llmspell", metavar="NAME", help="Name of the kernelspec (llmspell).")
@click.option("--prefix", metavar="DIR", help="From DIR/share/jupyter/kernels.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
def remove(options: Options, name: str, prefix: str | None, yes: bool) -> None:
    """Remove the kernelspec, wherever `install` put it for this user or this Python environment."""
    output = Output(options)
    places = [_kernels(prefix)] if prefix is not None else [_kernels(None), _kernels(sys.prefix)]
    found = [place / name for place in places if (place / name).is_dir()]
    if not _NAME.match(name) or not found:
        raise NotFound(f"there is no kernelspec '{name}'", hint="jupyter kernelspec list")
    directory = found[0]
    if not confirmed(output, f"Remove kernelspec '{name}' from {home_path(str(directory))}?", yes=yes):
        return
    shutil.rmtree(directory)
    if output.json:
        output.document({"status": "removed", "name": name, "path": str(directory)})
    else:
        output.line(f"✓ Removed kernelspec {name}")


def _spec(options: Options, display_name: str) -> dict[str, Any]:
    argv = [sys.executable, "-m", "llmspell_kernel", "-f", "{connection_file}"]
    if options.profile:
        argv += ["--profile", options.profile]
    elif options.config:
        argv += ["--config", os.path.abspath(options.config)]
    return {
        "argv": argv,
        "display_name": display_name,
        "language": "lua",
        "interrupt_mode": "message",
        "metadata": {"debugger": True},
    }


def _kernels(prefix: str | None) -> Path:
    """The directory of kernelspecs below a prefix; the user's without one (Jupyter's own rules for `jupyter_path`)."""
    if prefix is not None:
        return Path(working_directory(), prefix) / "share" / "jupyter" / "kernels"
    # Needed only where no directory is named.
    from llmspell_profiles.loading.home import user_home

    data = os.environ.get("JUPYTER_DATA_DIR")
    if data:
        return Path(data) / "kernels"
    if sys.platform == "darwin":
        return user_home(os.environ) / "Library" / "Jupyter" / "kernels"
    share = os.environ.get("XDG_DATA_HOME") or user_home(os.environ) / ".local" / "share"
    return Path(share) / "jupyter" / "kernels"


def _replace(directory: Path, content: str) -> None:
    """Writes kernel.json whole or not at all."""
    partial = directory / f".kernel.json.{os.getpid()}.part"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        partial.write_text(content, encoding="utf-8")
        partial.replace(directory / "kernel.json")
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InvalidRequest(f"can't write {directory}: {error.strerror}") from None
