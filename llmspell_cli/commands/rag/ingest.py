"""`llmspell rag ingest`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from llmspell_cli.commands.rag.origins import Origins, document_of_stdin, explained
from llmspell_cli.commands.rag.progress import RagProgressView
from llmspell_cli.commands.rag.requests import LIFETIME, Place, metadata, place_options, tell
from llmspell_cli.commands.rag.taken import failure, show_taken
from llmspell_cli.connect import session
from llmspell_cli.endings import Interrupted
from llmspell_cli.invocation import Collected, Options
from llmspell_cli.options import Command, timeout_option
from llmspell_cli.session import document
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import InvalidRequest, LlmspellError

STRATEGIES = ("auto", "sliding_window", "sentence", "paragraph", "markdown", "semantic", "code")


@click.command(
    "ingest",
    cls=Command,
    examples=(
        ("llmspell rag ingest docs", "a directory; later runs take what has changed"),
        ("llmspell rag ingest manual.pdf https://example.com/faq", "a file, and a page of the web"),
        ("llmspell rag ingest src --include '*.py' --strategy code", "certain files"),
        ("llmspell rag ingest notes --metadata year=2024", "with metadata"),
        ("date | llmspell rag ingest - --id today", "a text"),
    ),
)
@place_options
@click.option("--model", metavar="MODEL", help="Embedding model of a new collection; another one embeds all anew.")
@click.option("--include", multiple=True, metavar="GLOB", help="Of a directory only these; may be repeated.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Of a directory not these; may be repeated.")
@click.option("--strategy", type=click.Choice(STRATEGIES), metavar="NAME", help=f"How to cut: {', '.join(STRATEGIES)}.")
@click.option("--chunk-size", type=click.IntRange(1), metavar="N", help="Tokens of a passage, at most.")
@click.option("--overlap", type=click.IntRange(0), metavar="N", help="Tokens that it shares with the next.")
@click.option("--ttl", "ttl_s", type=LIFETIME, metavar="DURATION", help="Forget the documents after it: 90s, 12h.")
@click.option("--metadata", "pairs", multiple=True, metavar="KEY=VALUE", help="Of every document; may be repeated.")
@click.option("--id", "id", metavar="DOCUMENT", help="Id of the text from standard input.")
@click.option("--title", metavar="TEXT", help="Title of the text from standard input.")
@click.option("--force", is_flag=True, help="Read and embed what has not changed, too.")
@click.option("--no-sync", is_flag=True, help="Keep documents whose file is gone.")
@timeout_option
@click.argument("paths", nargs=-1, required=True, metavar="PATH|URL|-...")
def ingest(
    options: Options,
    place: Place,
    paths: tuple[str, ...],
    pairs: tuple[str, ...],
    id: str | None,
    title: str | None,
    strategy: str | None,
    chunk_size: int | None,
    overlap: int | None,
    no_sync: bool,
    timeout_s: float | None,
    **more: Any,
) -> None:
    """Take in documents: files, whole directories, pages of the web, or standard input (-).

    What has not changed since the last time costs a look, what has takes the place of what was there, and documents
    of a directory whose file is gone go too. Ctrl-C keeps what is finished; the same command goes on from there.
    """
    output = Output(options)
    origins = Origins.of(paths)
    if not origins.stdin and (id is not None or title is not None):
        raise InvalidRequest(
            "--id and --title are of the text from standard input", hint="llmspell rag ingest - --id ID"
        )
    if chunk_size is not None and overlap is not None and overlap >= chunk_size:
        raise InvalidRequest(f"--overlap has to be less than --chunk-size ({chunk_size})")
    request = {
        "action": "ingest",
        **place.fields,
        **more,
        "sync": not no_sync,
        "metadata": metadata(pairs),
        "paths": origins.whole_paths(),
        "urls": origins.urls,
        "documents": [document_of_stdin(id, title)] if origins.stdin else (),
        "chunking": _chunking(strategy, chunk_size, overlap),
    }
    with (
        session(options, output, needs_model=True) as opened,
        RagProgressView(output, "rag ingest") as view,
        _told_what_stays(options, origins),
    ):
        try:
            reply = document(opened.ask("rag_request", request, on_progress=view.show, timeout_s=timeout_s))
        except LlmspellError as error:
            raise explained(error, opened, error.details.get("path")) from None
        view.clear()
        tell(output, [warning for warning in reply["warnings"] if warning not in view.told])
        show_taken(output, reply, place, view.told)
        if (failed := failure(reply, origins, place, view.told)) is not None:
            raise explained(failed, opened, failed.details.get("path"))


def _chunking(strategy: str | None, chunk_size: int | None, overlap: int | None) -> dict[str, Any] | None:
    wanted = {"strategy": strategy, "chunk_size": chunk_size, "overlap": overlap}
    given = {key: value for key, value in wanted.items() if value is not None}
    return given or None


@contextmanager
def _told_what_stays(options: Options, origins: Origins) -> Iterator[None]:
    """Who interrupts is told that what is finished stays, and how to go on."""
    try:
        yield
    except Interrupted as ended:
        said = click.get_current_context().find_object(Collected)
        if said is not None and not origins.stdin:
            # Needed for what was interrupted only.
            import shlex

            # Options in front of the command have been taken off the words.
            before = [word for word in _chosen(options) if word not in said.argv]
            ended.hint = f"finished documents stay; the rest: {shlex.join(['llmspell', *before, *said.argv])}"
        raise


def _chosen(options: Options) -> list[str]:
    if options.connect is not None and options.connect_named:
        return ["--connect", options.connect]
    if options.embedded_named:
        return ["--embedded"]
    return ["--profile", options.profile] if options.profile is not None else []
