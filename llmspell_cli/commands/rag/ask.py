"""`llmspell rag ask`: an answer as it comes, and below it where it is from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from llmspell_cli.commands.rag.passages import place_of
from llmspell_cli.commands.rag.progress import RagProgressView
from llmspell_cli.commands.rag.requests import Place, of_search, one_query, place_options, tell
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option, timeout_option
from llmspell_cli.session import Content, document
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.quiet import QuietTerminal
from llmspell_cli.terminal.reply_text import reply_text
from llmspell_protocol.errors import NotFound


@click.command(
    "ask",
    cls=Command,
    examples=(
        ('llmspell rag ask "How do I open a port?"', "an answer with its sources"),
        ('llmspell rag ask "What now?" --filter year=2024', "from some documents"),
        ('llmspell rag ask "And why?" --chat-model qwen3:4b -k 12', "by this model, from more passages"),
        ('llmspell rag ask "Who?" --json --no-stream', "for programs"),
    ),
)
@place_options
@of_search
@click.option("-m", "--chat-model", metavar="MODEL", help="The model that answers (the default one).")
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="Longest answer.")
@click.option("--temperature", type=float, metavar="N", help="0 to 2; 0: always the likeliest token.")
@click.option("--no-stream", is_flag=True, help="Show the answer when it is whole.")
@click.option("--markdown", is_flag=True, help="Show headings, lists, bold and code as they are meant.")
@click.option("-v", "--verbose", is_flag=True, help="Show all passages, the answering model and its tokens.")
@timeout_option
@format_option("text", "json", "pretty")
@click.argument("question", nargs=-1, required=True, metavar="QUESTION...")
def ask(
    options: Options,
    place: Place,
    question: tuple[str, ...],
    chosen: Mapping[str, Any],
    no_stream: bool,
    markdown: bool,
    verbose: bool,
    timeout_s: float | None,
    **more: Any,
) -> None:
    """Let a model answer a question from the passages that fit it, and from nothing else.

    [1] in the answer is the passage of this number below it. Where no passage fits, no model is asked, and the exit
    status is 3. QUESTION - is standard input.
    """
    output = Output(options)
    request = {"action": "ask", "query": one_query(question), **place.fields, **chosen, **more, "stream": not no_stream}
    with (
        session(options, output, needs_model=True) as opened,
        QuietTerminal(),
        RagProgressView(output, "rag ask") as view,
    ):
        text = reply_text(output, markdown=markdown)

        def show(content: Content) -> None:
            view.clear()
            if output.json:
                output.event({"event": "delta", **{key: value for key, value in content.items() if key != "seq"}})
            else:
                text.feed(content["text"])

        try:
            reply = document(
                opened.ask("rag_request", request, on_delta=show, on_progress=view.show, timeout_s=timeout_s)
            )
            if no_stream and reply["answer"] is not None and not output.json:
                text.feed(reply["answer"])
        finally:
            view.clear()
            text.finish()
            if text.in_line:
                output.line()
    _show(output, reply, stream=not no_stream, verbose=verbose)
    if not reply["found"]:
        raise NotFound(
            f"nothing in {place.words} fits the question; no model was asked",
            hint="llmspell rag collections shows what there is; without --threshold and --filter more is found",
            details={"collection": place.collection, "tenant": place.tenant},
        )


def _show(output: Output, reply: Content, *, stream: bool, verbose: bool) -> None:
    if output.json:
        done = {"event": "done", **{key: value for key, value in reply.items() if key != "status"}}
        output.last_event(done) if stream else output.document(reply)
        return
    citations: Sequence[Content] = reply["citations"]
    cited = [one for one in citations if one["cited"]]
    shown = citations if verbose or not cited else cited
    if reply["found"] and shown:
        output.line()
    for one in shown if reply["found"] else ():
        output.line(f"[{one['number']}] {place_of(one['hit'])}")
    tell(output, reply["warnings"])
    if reply["found"] and not cited and citations:
        output.note("the answer names no passage: these are all that the model was given")
    if verbose and reply["found"]:
        output.note(f"answered by {reply['chat_model']}{_usage(reply['usage'] or {})}")


def _usage(usage: Content) -> str:
    if "prompt_tokens" not in usage or "completion_tokens" not in usage:
        return ""
    return f": {usage['prompt_tokens']} tokens read, {usage['completion_tokens']} written"
