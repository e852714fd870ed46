"""What a parameter's value may be, found on disk at the moment of asking: models, tools, kernels, profiles, files.

A parameter is known by the word for its value in help (`MODEL`, `FILE`, …) or by its name. Knows no command.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from llmspell_cli.completion.sections import KEYS, SECTIONS
from llmspell_cli.invocation import Collected, Options
from llmspell_cli.terminal.visible import visible
from llmspell_protocol.backends import LOCAL_BACKENDS
from llmspell_protocol.errors import Forbidden

if TYPE_CHECKING:
    from pathlib import Path

    Items = Iterable[CompletionItem[str]]

DEVICES = ("auto", "cpu", "cuda", "metal")
SPECULATIONS = ("auto", "off", "ngram")


def values(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """What can be typed for a parameter where `incomplete` stands."""
    word = (param.metavar or param.name or "").strip("[].").upper()
    of = _BY_NAME.get(param.name or "") or _BY_WORD.get(word)
    items = [] if of is None else [item for item in of(ctx, incomplete) if _fits(item, incomplete)]
    for item in items:
        item.help = visible(item.help) if item.help else None
    return items


def _fits(item: CompletionItem[str], incomplete: str) -> bool:
    # A name with a line end or a control in it is nothing that a shell could be told.
    return item.type != "plain" or (item.value.startswith(incomplete) and visible(item.value) == item.value)


def _models(ctx: click.Context, incomplete: str) -> Iterator[CompletionItem[str]]:
    """Installed models; what can be pulled where that is the question. With `@`, every name has its backend."""
    from llmspell_cli.completion import models

    if ctx.info_name == "pull":
        names = models.catalog()
    else:
        said = ctx.find_object(Collected)
        options = said.options() if said is not None else Options()
        names = models.installed(os.environ, config=options.config, profile=options.profile)
    for name, backend in names:
        yield CompletionItem(f"{name}@{backend}" if "@" in incomplete else name, help=backend)


def _first_words(ctx: click.Context, incomplete: str) -> Iterator[CompletionItem[str]]:
    """Models, where the first word may be one: not behind another word, nor with `-m`."""
    if not ctx.params.get("words") and not ctx.params.get("model"):
        yield from _models(ctx, incomplete)


def _keys_of_pairs(ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem[str]]:
    """Keys where one stands: before each value."""
    if len(ctx.params.get("pairs") or ()) % 2 == 0:
        yield from map(CompletionItem, KEYS)


def _options_of_replies(_ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem[str]]:
    # Needed for these values alone.
    from llmspell_protocol.model_options import option_names

    yield from map(CompletionItem, option_names())


def _kernels(ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem[str]]:
    if ctx.info_name in ("start", "install-service"):
        return  # The id of a kernel that doesn't exist yet.
    # Needed for these values alone.
    from llmspell_cli.connect import run_directory
    from llmspell_protocol.discovery import is_running

    run_dir = run_directory()
    if ctx.info_name == "logs":
        # Of one that has ended the log is still there.
        for path in sorted((run_dir.parent / "logs").glob("kernel-*.log")):
            yield CompletionItem(path.stem.removeprefix("kernel-"), help="kernel")
        return
    for name in sorted(path.stem.removeprefix("kernel-") for path in run_dir.glob("kernel-*.json")):
        # Another user's can't be connected to.
        with suppress(Forbidden):
            if is_running(run_dir, name):
                yield CompletionItem(name, help="kernel")


def _targets(ctx: click.Context, incomplete: str) -> Iterator[CompletionItem[str]]:
    yield CompletionItem("auto", help="the newest running kernel")
    yield from _kernels(ctx, incomplete)


def _profiles(_ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem[str]]:
    from llmspell_profiles.loading.profiles import SHOWN_PROFILES

    for profile in SHOWN_PROFILES:
        for name in (profile.name, profile.alias):
            if name:
                yield CompletionItem(name, help=profile.description)


def _providers(_ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem[str]]:
    from llmspell_cli.key_sources import KNOWN

    yield from map(CompletionItem, sorted(KNOWN))


def _tools(_ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem[str]]:
    # Needed for these values alone.
    from llmspell_protocol.tools.builtin import builtin_tools

    for name, tool in builtin_tools().items():
        yield CompletionItem(name, help=tool.summary)


def _categories(_ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem[str]]:
    from llmspell_protocol.tools.description import CATEGORIES

    yield from map(CompletionItem, CATEGORIES)


def _collections(ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem[str]]:
    # Needed for these values alone, as in the next two.
    from llmspell_cli.completion import documents

    for name in documents.collections(_documents_database(ctx), ctx.params.get("tenant")):
        yield CompletionItem(name, help="collection")


def _tenants(ctx: click.Context, _incomplete: str) -> Iterator[CompletionItem[str]]:
    from llmspell_cli.completion import documents

    yield from map(CompletionItem, documents.tenants(_documents_database(ctx)))


def _documents(ctx: click.Context, incomplete: str) -> Iterator[CompletionItem[str]]:
    from llmspell_cli.completion import documents

    place = ctx.params.get("collection"), ctx.params.get("tenant")
    yield from map(CompletionItem, documents.documents(_documents_database(ctx), *place, incomplete))


def _documents_database(ctx: click.Context) -> Path:
    from llmspell_cli.completion.documents import database

    said = ctx.find_object(Collected)
    options = said.options() if said is not None else Options()
    return database(os.environ, config=options.config, profile=options.profile)


def _fixed(names: Iterable[str]) -> Callable[[click.Context, str], Items]:
    return lambda _ctx, _incomplete: map(CompletionItem, names)


def _of_type(kind: str) -> Callable[[click.Context, str], Items]:
    """What the shell completes better than we could."""
    return lambda _ctx, incomplete: [CompletionItem(incomplete, type=kind)]


_BY_NAME: dict[str, Callable[[click.Context, str], Items]] = {
    "paths": _of_type("file"),
    "words": _first_words,
    "assigned": _options_of_replies,
    "pairs": _keys_of_pairs,
    "schema": _of_type("file"),
    "profile": _profiles,
    "connect": _targets,
    "backend": _fixed(LOCAL_BACKENDS),
    "device": _fixed(DEVICES),
    "speculation": _fixed(SPECULATIONS),
    "tool": _tools,
    "category": _categories,
}
_BY_WORD: dict[str, Callable[[click.Context, str], Items]] = {
    "MODEL": _models,
    "ID": _kernels,
    "COLLECTION": _collections,
    "TENANT": _tenants,
    "DOCUMENT": _documents,
    "SECTION": _fixed(SECTIONS),
    "KEY": _fixed(KEYS),
    "PROVIDER": _providers,
    "FILE": _of_type("file"),
    "PATH": _of_type("file"),
    "SCRIPT": _of_type("file"),
    "DIR": _of_type("dir"),
}
