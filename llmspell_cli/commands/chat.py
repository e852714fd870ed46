"""`llmspell chat`: one turn by a prompt or piped input, a conversation at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from llmspell_cli.chat.conversation import SAMPLING, Conversation
from llmspell_cli.chat.kept_session import Kept, Wanted, taken_up
from llmspell_cli.chat.one_turn import answer
from llmspell_cli.chat.prompt_words import Given, Tell
from llmspell_cli.chat.reply_options import image_file, reply_schema, set_options
from llmspell_cli.chat.reply_view import Shown
from llmspell_cli.chat.tool_use import ToolUse
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.model_files import with_files_imported
from llmspell_cli.options import timeout_option
from llmspell_cli.permissions import PermittingCommand, permission_options
from llmspell_cli.session import Content, Session
from llmspell_cli.terminal.input_text import file_text, files_among, piped_text
from llmspell_cli.terminal.output import DIM, Output, styled
from llmspell_cli.terminal.visible import visible
from llmspell_protocol.errors import InvalidRequest, ModelNotFound


@click.command(
    "chat",
    cls=PermittingCommand,
    examples=(
        ('llmspell chat "What is 2+2?"', "the default model answers"),
        ("llmspell chat smollm2:135m", "a conversation"),
        ("cat FILE | llmspell chat -m smollm2:135m Summarise", "with a file"),
        ('llmspell chat "Name two." --schema "name, age int"', "JSON"),
        ('llmspell chat --tool calculator "What is 17 * 23?"', "with a tool"),
        ("llmspell chat --session notes", "kept, and gone on with"),
        ('llmspell chat --continue "And of Italy?"', "the last one again"),
    ),
)
@click.option("-m", "--model", metavar="MODEL", help="Model; all words are the prompt then.")
@click.option("-s", "--system", metavar="TEXT|@FILE", help="System prompt.")
@click.option(
    "-o", "--option", "assigned", nargs=2, multiple=True, metavar="NAME VALUE", help="Any option of a reply, by name."
)
@click.option("--image", "images", multiple=True, metavar="FILE", help="Show it to the model; may be repeated.")
@click.option("--schema", metavar="FILE|JSON|FIELDS", help="What the reply must fit; FIELDS: 'name, age int'.")
@click.option("--format", "reply_format", type=click.Choice(("text", "json")), help="json: any JSON object.")
@click.option("--tool", "tools", multiple=True, metavar="NAME", help="Let the model call it; may be repeated.")
@click.option("--mcp", "servers", multiple=True, metavar="NAME", help="All tools of this MCP server.")
@permission_options
@click.option("--think/--no-think", default=None, help="Have the model think first, or not.")
@click.option("--hide-thinking", is_flag=True, help="Don't show what it thinks.")
@click.option("-x", "--extract", is_flag=True, help="Show the first code block of the reply alone.")
@click.option("--extract-last", is_flag=True, help="Show the last one.")
@click.option("--temperature", type=float, metavar="N", help="0 to 2 (0.7); 0: always the likeliest token.")
@click.option("--top-p", type=float, metavar="N", help="0 to 1 (0.9): likeliest tokens up to this together.")
@click.option("--top-k", type=int, metavar="N", help="This many likeliest tokens (40); 0: off.")
@click.option("--min-p", type=float, metavar="N", help="0 to 1: tokens this likely beside the likeliest.")
@click.option("--repeat-penalty", type=float, metavar="N", help="0.01 to 100 (1.1); 1: off.")
@click.option("--seed", type=int, metavar="N", help="Same seed, same reply.")
@click.option("--max-tokens", type=int, metavar="N", help="Longest reply.")
@click.option("--num-ctx", type=int, metavar="N", help="Context: tokens of prompt and reply.")
@click.option("--num-beams", type=int, metavar="N", help="1 to 64 beams (PyTorch models).")
@click.option("--stop", multiple=True, metavar="TEXT", help="End the reply here; may be repeated.")
@click.option("--session", "recorded_in", metavar="SESSION", help="Keep it in this session; one that is there goes on.")
@click.option("--continue", "goes_on", is_flag=True, help="Go on with the last chat that was kept.")
@click.option("--message", metavar="TEXT", help="The prompt, as an option.")
@click.option("--no-stream", is_flag=True, help="Show the reply when it is whole.")
@click.option("--markdown", is_flag=True, help="Show headings, lists, bold and code as they are meant.")
@click.option("--stats", is_flag=True, help="Show tokens and times after a reply.")
@timeout_option
@click.argument("words", nargs=-1, metavar="[MODEL] [PROMPT]...")
def chat(
    options: Options,
    words: tuple[str, ...],
    model: str | None,
    system: str | None,
    assigned: tuple[tuple[str, str], ...],
    images: tuple[str, ...],
    tools: tuple[str, ...],
    servers: tuple[str, ...],
    schema: str | None,
    reply_format: str | None,
    think: bool | None,
    message: str | None,
    recorded_in: str | None,
    goes_on: bool,
    no_stream: bool,
    markdown: bool,
    stats: bool,
    timeout_s: float | None,
    allow: Mapping[str, Sequence[str]] | None = None,
    **more: Any,
) -> int:
    """Talk to a model: with a prompt once, else at length.

    The first word is the model if it names one, else the default one answers. Piped input goes below the prompt.
    """
    output = Output(options)
    wanted = Wanted(recorded_in, goes_on)
    wanted.demand_one()
    given = Given(words, model, message, piped_text(), at_terminal=sys.stdin.isatty())
    conversation = Conversation(
        model,
        system=_text_or_file(system),
        schema=reply_schema(schema, reply_format),
        think=think,
        tools=ToolUse(allow or {}),
    )
    set_options(conversation, assigned, more, SAMPLING)
    shown = Shown(
        stream=not no_stream,
        markdown=markdown,
        stats=stats,
        timeout_s=timeout_s,
        thinking=not more["hide_thinking"],
        block="last" if more["extract_last"] else "first" if more["extract"] else None,
    )
    # What can't be read is said before a kernel is asked for anything.
    seen = [image_file(path) for path in images]
    if given.may_be_interactive:
        if output.json:
            raise InvalidRequest("JSON mode needs a prompt or piped input", hint="llmspell chat --json PROMPT")
        return _talk(options, output, conversation, given, seen, shown, tools, servers, wanted)
    if not wanted:
        given.demand_message()
    with session(options, output, needs_model=True) as opened:
        conversation.tools.add(opened, tools, servers)
        given, kept = _taken_up(given, wanted, opened, output, conversation)
        given.demand_message()
        given = _imported(given, opened, output)
        conversation.model, text, _ = given.asked(opened, _tell(output))
        _tell_of_files(output, given)
        with _named_if_gone(kept):
            answer(opened, output, conversation, text, seen, shown)
    return 0


def _taken_up(
    given: Given, wanted: Wanted, opened: Session, output: Output, conversation: Conversation
) -> tuple[Given, Kept | None]:
    """What is given, with the model of the session that goes on where no other one is named."""
    if not wanted:
        return given, None
    kept = taken_up(opened, conversation, wanted)
    if (tell := _tell(output)) is not None:
        tell(kept.told())
    if kept.model is None or given.model is not None or given.names_model:
        return given, None
    return given._replace(model=kept.model), kept


@contextmanager
def _named_if_gone(kept: Kept | None) -> Iterator[None]:
    """A model that is gone is told as the session's."""
    try:
        yield
    except ModelNotFound as error:
        raise error if kept is None else kept.without_model(error) from None


def _tell_of_files(output: Output, given: Given) -> None:
    """Words are sent as they are: who names a file may have meant what is in it."""
    if given.piped is None:
        for name in files_among(given.words):
            output.note(f"{name} is a file here: llmspell chat … < {name} sends what is in it")


def _imported(given: Given, opened: Session, output: Output) -> Given:
    """The same with a model's name in place of a file of weights."""
    words, model = with_files_imported(given.words, given.model, opened, output)
    return given._replace(words=words, model=model)


def _tell(output: Output) -> Tell | None:
    """How a person at a terminal is told which model answers; programs are not."""
    if output.json or not sys.stderr.isatty():
        return None
    return lambda text: output.shown_note(styled(visible(text), DIM, sys.stderr, output.color))


def _text_or_file(value: str | None) -> str | None:
    if value is None or not value.startswith("@"):
        return value
    return file_text(value[1:]).strip("\r\n")


def _talk(
    options: Options,
    output: Output,
    conversation: Conversation,
    given: Given,
    images: Sequence[str],
    shown: Shown,
    tools: Sequence[str],
    servers: Sequence[str],
    wanted: Wanted,
) -> int:
    # Only a conversation at a terminal needs the loop and its line editing.
    from llmspell_cli.chat.chat_loop import ChatLoop
    from llmspell_cli.chat.kernel_link import KernelLink
    from llmspell_cli.connect import run_directory
    from llmspell_cli.terminal.history_file import HistoryFile

    with KernelLink(options, output) as link:
        conversation.tools.add(link.session, tools, servers)
        given, kept = _taken_up(given, wanted, link.session, output, conversation)
        given = _imported(given, link.session, output)
        conversation.model, text, info = given.asked(link.session, _tell(output))
        if text:
            # One word that names no model is a prompt.
            _tell_of_files(output, given)
            with _named_if_gone(kept):
                answer(link.session, output, conversation, text, images, shown)
            return 0
        if images or shown.block is not None:
            raise InvalidRequest(f"{'--image' if images else '--extract'} needs a prompt", hint="llmspell chat PROMPT")
        with _named_if_gone(kept):
            info = info or _info_or_pull(link.session, output, conversation.model)
        if info is None:
            return 0
        conversation.model = f"{info['id']}@{info['backend']}"
        output.line(f"Chatting with {conversation.model}. /help for commands, Ctrl+D to leave")
        history = HistoryFile(run_directory().parent / "chat_history")
        return ChatLoop(link, output, conversation, history, shown).run()


def _info_or_pull(opened: Session, output: Output, model: str | None) -> Content | None:
    """What is known about the model, after pulling it if the user wants that; None if not."""
    try:
        return opened.model("info", model=model or "")
    except ModelNotFound as error:
        # Only a missing model needs it.
        from llmspell_cli.chat.pull_offer import pulled_if_wanted

        pulled = pulled_if_wanted(opened, output, error)
    return None if pulled is None else opened.model("info", model=pulled)
