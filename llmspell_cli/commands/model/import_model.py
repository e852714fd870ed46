"""`llmspell model import`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.model_files import demand_usable, imported, whole
from llmspell_cli.options import Command
from llmspell_cli.session import Content, Session
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import confirmed
from llmspell_cli.terminal.text import size
from llmspell_protocol.errors import InvalidRequest, LlmspellError, ModelNotFound
from llmspell_protocol.model_origins import ORIGINS, SHOWN, Origin, origin_directories


@click.command(
    "import",
    cls=Command,
    examples=(
        ("llmspell model import ./qwen3-4b-q4_k_m.gguf", "one file"),
        ("llmspell model import ~/models", "all models below a directory; asks first"),
        ("llmspell model import --from ollama --list", "what Ollama has on this machine"),
        ("llmspell model import --from ollama qwen3:4b", "one model of Ollama"),
        ("llmspell model import --from hf-cache --yes", "all, without a question"),
    ),
)
@click.option("--from", "origin", type=click.Choice(ORIGINS), help="Models that this program keeps.")
@click.option("--list", "only_list", is_flag=True, help="Show what could be imported.")
@click.option("--name", metavar="NAME", help="Call it so; for one file.")
@click.option("-f", "--force", is_flag=True, help="Replace a model of the same name.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.argument("what", metavar="[PATH…]", nargs=-1)
def import_model(
    options: Options,
    what: tuple[str, ...],
    origin: Origin | None,
    only_list: bool,
    name: str | None,
    force: bool,
    yes: bool,
) -> None:
    """Use models that are on this machine already, without a copy.

    PATH is a GGUF file or a directory; with --from it is the name of a model, as --list shows it. The files stay where
    they are: a model here is another name for the same file, or a link to it where that is on another disk.
    `llmspell model remove` never deletes them.
    """
    output = Output(options)
    if not what and origin is None:
        raise click.UsageError("Name a file or a directory, or a program with --from")
    if name is not None and len(what) > 1:
        raise InvalidRequest(f"--name is for one model, and these are {len(what)}", hint="import one file")
    with session(options, output) as opened:
        found = _found(opened, what, origin)
        if origin is None:
            _demand_all_usable(found, what)
        if only_list:
            _show(output, found)
            return
        chosen = _chosen(found, what if origin else ())
        if name is not None and len(chosen) != 1:
            raise InvalidRequest(f"--name is for one model, and these are {len(chosen)}", hint="import one file")
        is_named = bool(what) and (origin is not None or not any(os.path.isdir(whole(path)) for path in what))
        if not is_named and not yes:
            _show(output, chosen)
            if not confirmed(output, f"Import {_counted(chosen)}?", yes=yes, hint="use --yes, or --list to look"):
                return
        _import_all(output, opened, chosen, origin, name=name, force=force)


def _found(opened: Session, what: Sequence[str], origin: Origin | None) -> list[Content]:
    """What there is, as the kernel sees it: paths are made whole, since its directory is another one."""
    if origin is None:
        paths = [whole(path) for path in what]
    else:
        paths = [str(path) for path in origin_directories(origin, os.environ, Path.home()) if path.is_dir()]
        if not paths:
            looked = ", ".join(str(path) for path in origin_directories(origin, os.environ, Path.home()))
            raise ModelNotFound(
                f"{SHOWN[origin]} has no models on this machine: {looked} is not there",
                hint="name a directory: llmspell model import DIRECTORY",
            )
    models: list[Content] = opened.model("importable", paths=paths, origin=origin)["models"]
    if not models:
        raise ModelNotFound(
            f"No model is in {', '.join(paths)}", hint="a model is a GGUF file, or a directory with model.safetensors"
        )
    return models


def _demand_all_usable(found: Sequence[Content], what: Sequence[str]) -> None:
    """Raises what is wrong with a path that was named: nothing is imported then. What lies below one is only told."""
    named = {whole(path) for path in what}
    for model in found:
        if model["path"] not in named:
            continue
        try:
            demand_usable(model)
        except LlmspellError as error:
            if len(what) > 1:
                error.hint = "every word is a path, and nothing was imported; --name NAME calls one file so"
            raise


def _chosen(found: Sequence[Content], names: Sequence[str]) -> list[Content]:
    if not names:
        usable = [model for model in found if not model["problem"]]
        return usable or [*found]
    chosen = []
    for name in names:
        same = [model for model in found if _is_called(model["id"], name)]
        if not same:
            raise ModelNotFound(f"There is no '{name}' among them", hint="--list shows what there is")
        chosen += same
    return chosen


def _is_called(model_id: str, name: str) -> bool:
    bare, _, variant = model_id.partition(":")
    return name.lower() in (model_id.lower(), bare.lower() if variant in ("latest", "") else model_id.lower())


def _counted(models: Sequence[Content]) -> str:
    count = "1 model" if len(models) == 1 else f"{len(models)} models"
    return f"{count} ({size(sum(model['size_bytes'] for model in models))})"


def _show(output: Output, models: Sequence[Content]) -> None:
    if output.json:
        output.document({"status": "ok", "models": models, "count": len(models)})
        return
    rows = [(model["id"], size(model["size_bytes"]), _state(model), model["path"]) for model in models]
    output.table(("NAME", "SIZE", "STATE", "PATH"), rows)


def _state(model: Content) -> str:
    state = str(model["problem"] or ("here" if model["installed"] else "new"))
    return f"{state}, without its {_left_behind(model)}" if _left_behind(model) else state


def _left_behind(model: Content) -> str:
    """What the program has for a model beside its weights, and no import takes; empty for nothing."""
    named = {"system prompt": model["system_prompt"], "parameters": model["parameters"]}
    return " and ".join(name for name, value in named.items() if value)


def _import_all(
    output: Output, opened: Session, models: Sequence[Content], origin: Origin | None, *, name: str | None, force: bool
) -> None:
    """One after the other; what fails is told and the others go on, and the first failure is the command's."""
    failed: LlmspellError | None = None
    done: list[Content] = []
    for model in models:
        called = name or (str(model["id"]) if origin else None)
        try:
            demand_usable(model)
            reply = imported(output, opened, model["path"], name=called, origin=origin, force=force)
        except LlmspellError as error:
            if len(models) == 1:
                raise
            output.warning(f"{model['id']}: {error.message}")
            failed = failed or error
            continue
        done.append(reply)
        if not output.json:
            tell(output, reply)
        for warning in reply.get("warnings", ()):
            output.warning(f"{reply['model_id']}: {warning}")
    if failed is not None:
        failed.details["imported"] = [str(reply["model_id"]) for reply in done]
        raise failed
    if output.json:
        output.document({"status": "ok", "models": done, "count": len(done)})


def tell(output: Output, reply: Content) -> None:
    """The lines about a finished import."""
    was_there = reply.get("download_status") == "already_present"
    output.line(f"✓ {'Already here' if was_there else 'Imported'}: {reply['model_id']} ({size(reply['bytes_total'])})")
    if reply.get("linked") == "symbolic":
        output.line(f"  a link to {os.path.realpath(str(reply['path']))}")
        output.line(f"  The file is kept by {reply.get('owner')}: when it goes there, the model goes.")
    elif not was_there:
        output.line("  the same file under another name: nothing was copied")
    sys.stdout.flush()
