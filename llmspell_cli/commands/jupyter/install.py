"""`llmspell jupyter install`: writes the kernelspec."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

import click

from llmspell_cli.invocation import Options
from llmspell_cli.kernelspecs.places import (
    DEFAULT_NAME,
    OWN_MODULE,
    SHARED_MODULE,
    demand_configuration,
    demand_name,
    kernels_directory,
    searched_directories,
)
from llmspell_cli.kernelspecs.writing import content, write
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import home_path
from llmspell_protocol.errors import InvalidRequest, Unsupported

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_FRONTENDS = ("jupyterlab", "notebook", "jupyter_console", "nbclient")
"""Packages of this environment that open notebooks, or run them."""


@click.command(
    "install",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell jupyter install", "for this user"),
        ("llmspell -p candle jupyter install --name spell", "with a profile"),
        ("llmspell jupyter install --sys-prefix", "for this environment"),
        ("llmspell jupyter install --own", "a kernel a notebook"),
    ),
)
@click.option("--user", is_flag=True, help="Into the user's Jupyter directory (default).")
@click.option("--sys-prefix", is_flag=True, help="Into this Python environment.")
@click.option("--prefix", metavar="DIR", help="Into DIR/share/jupyter/kernels.")
@click.option("--name", default=DEFAULT_NAME, metavar="NAME", help="Name of the kernelspec (llmspell).")
@click.option("--display-name", default="LLMSpell (Lua)", metavar="TEXT", help="What Jupyter shows (LLMSpell (Lua)).")
@click.option("--engine", default="lua", metavar="ENGINE", help="lua.")
@click.option("--own", is_flag=True, help="A kernel for each notebook, with models of its own.")
@click.option("--env", "variables", multiple=True, metavar="KEY=VALUE", help="A variable of the notebooks' processes.")
def install(
    options: Options,
    user: bool,
    sys_prefix: bool,
    prefix: str | None,
    name: str,
    display_name: str,
    engine: str,
    own: bool,
    variables: tuple[str, ...],
) -> None:
    """Install the kernelspec, whose notebooks share the running kernel and its models.

    Where none runs, the first notebook starts one. With -p or -c it starts with that configuration.
    """
    output = Output(options)
    if sum((user, sys_prefix, prefix is not None)) > 1:
        raise InvalidRequest("choose one of --user, --sys-prefix and --prefix")
    if engine != "lua":
        raise Unsupported(f"Script engine '{engine}' is not available yet.", hint="available: lua")
    demand_name(name)
    if not display_name.strip() or not display_name.isprintable():
        raise InvalidRequest("--display-name is what Jupyter shows: a line of text", hint='--display-name "Lua"')
    directory = kernels_directory(sys.prefix if sys_prefix else prefix) / name
    argv = _argv(options, own=own)
    environment = _environment(variables)
    demand_configuration(options.profile, options.config, environment)
    write(directory, content(argv, display_name, environment))
    kind = "own" if own else "shared"
    if output.json:
        output.document(
            {
                "status": "installed",
                "name": name,
                "path": str(directory),
                "kind": kind,
                "argv": argv,
                "env": environment,
                "jupyter": _frontend(),
                "found": directory.parent in searched_directories(),
            }
        )
        return
    output.line(f"✓ Installed kernelspec {name} in {home_path(str(directory))}")
    output.line("Its notebooks have a kernel each" if own else "Its notebooks share the running kernel and its models")
    _advise(output, directory.parent)


def _argv(options: Options, *, own: bool) -> list[str]:
    argv = [sys.executable, "-m", OWN_MODULE if own else SHARED_MODULE, "-f", "{connection_file}"]
    if options.profile:
        return [*argv, "--profile", options.profile]
    return [*argv, "--config", os.path.abspath(options.config)] if options.config else argv


def _environment(variables: tuple[str, ...]) -> dict[str, str]:
    environment = {}
    for text in variables:
        name, equals, value = text.partition("=")
        if not equals or not _VARIABLE.match(name):
            raise InvalidRequest(f"--env {text}: write NAME=VALUE", hint="--env LLMSPELL_HOME=/data/llmspell")
        environment[name] = value
    return environment


def _frontend() -> str | None:
    """What opens notebooks: a package of this environment, or the `jupyter` of another one; None: nothing is found."""
    for package in _FRONTENDS:
        if importlib.util.find_spec(package) is not None:
            return package
    return shutil.which("jupyter")


def _advise(output: Output, place: Path) -> None:
    if place not in searched_directories():
        output.prose(f"For Jupyter to look there: JUPYTER_PATH={home_path(str(place.parent))}")
    if _frontend() is None:
        # Most who install it have Jupyter.
        from llmspell_protocol.extras import install_command

        output.prose(f"No Jupyter is found here: {install_command('jupyter')}, or one of another environment")
