"""`llmspell chat`: one turn by `--message` or piped input, a conversation at a terminal."""

from __future__ import annotations

import sys
from typing import Any

import click

from llmspell_cli.chat.conversation import SAMPLING, Conversation, Sampling, stats_line
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.json_file import read_json
from llmspell_cli.options import Command, timeout_option
from llmspell_cli.session import Content, Session
from llmspell_cli.terminal.input_text import file_text, stdin_text
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.progress import ProgressView
from llmspell_cli.terminal.prompt import confirmed
from llmspell_protocol.errors import InvalidRequest, ModelNotFound


@click.command(
    "chat",
    cls=Command,
    examples=(
        ("llmspell chat smollm2:135m", "a conversation"),
        ('llmspell chat --message "Say hi." --max-tokens 20', "one turn"),
        ("git diff | llmspell chat --system @review.txt", "the input is the message"),
    ),
)
@click.option("--system", metavar="TEXT|@FILE", help="System prompt.")
@click.option("--temperature", type=float, metavar="N", help="0: always the likeliest token.")
@click.option("--top-p", type=float, metavar="N", help="Likeliest tokens up to this probability together.")
@click.option("--top-k", type=int, metavar="N", help="This many likeliest tokens; 0: off.")
@click.option("--min-p", type=float, metavar="N", help="Tokens at least this likely, compared with the likeliest.")
@click.option("--repeat-penalty", type=float, metavar="N", help="1: off.")
@click.option("--seed", type=int, metavar="N", help="Same seed, same reply.")
@click.option("--max-tokens", type=int, metavar="N", help="Longest reply.")
@click.option("--num-beams", type=int, metavar="N", help="Beam search with this many beams (PyTorch models).")
@click.option("--stop", multiple=True, metavar="TEXT", help="End the reply here; may be repeated.")
@click.option("--schema", metavar="FILE", help="JSON Schema that the reply must fit.")
@click.option("--message", metavar="TEXT", help="One turn, then leave.")
@click.option("--no-stream", is_flag=True, help="Show the reply when it is whole.")
@click.option("--stats", is_flag=True, help="Show tokens and times after a reply.")
@timeout_option
@click.argument("model", metavar="[MODEL]", required=False)
def chat(
    options: Options,
    model: str | None,
    system: str | None,
    schema: str | None,
    message: str | None,
    no_stream: bool,
    stats: bool,
    timeout_s: float | None,
    **sampling: Any,
) -> int:
    """Talk to a model (the configured default without MODEL)."""
    output = Output(options)
    interactive = message is None and sys.stdin.isatty()
    if interactive and output.json:
        raise InvalidRequest("JSON mode needs --message or piped input", hint="llmspell chat --json --message TEXT")
    conversation = Conversation(
        model,
        system=_text_or_file(system),
        sampling=_given(sampling),
        schema=read_json(schema) if schema is not None else None,
    )
    if interactive:
        return _talk(options, output, conversation, stream=not no_stream, stats=stats, timeout_s=timeout_s)
    # The ends of lines around it are the pipe's; blanks before its first word may mean something.
    text = message if message is not None else stdin_text().strip("\r\n")
    if not text.strip():
        raise InvalidRequest("there is no message", hint="llmspell chat --message TEXT")
    with session(options, output, needs_model=True) as opened:
        _one_turn(opened, output, conversation, text, stream=not no_stream, stats=stats, timeout_s=timeout_s)
    return 0


def _given(sampling: dict[str, Any]) -> Sampling:
    chosen = {name: value for name, value in sampling.items() if name in SAMPLING and value not in (None, ())}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()}


def _text_or_file(value: str | None) -> str | None:
    if value is None or not value.startswith("@"):
        return value
    return file_text(value[1:]).strip("\r\n")


def _one_turn(
    opened: Session,
    output: Output,
    conversation: Conversation,
    text: str,
    *,
    stream: bool,
    stats: bool,
    timeout_s: float | None,
) -> None:
    written = ""
    with ProgressView(output, "chat", conversation.model) as view:

        def show(content: Content) -> None:
            nonlocal written
            view.clear()
            if output.json:
                output.event({"event": "delta", **{key: value for key, value in content.items() if key != "seq"}})
            else:
                written = content.get("text", "") or written
                output.as_it_is(content.get("text", ""))

        try:
            reply = conversation.turn(
                opened, text, stream=stream, timeout_s=timeout_s, on_delta=show, on_progress=view.show
            )
        finally:
            if written and not written.endswith("\n"):
                output.line()
    done = {"event": "done", **{key: value for key, value in reply.items() if key != "status"}}
    if output.json:
        output.last_event(done) if stream else output.document(done)
    elif not stream:
        output.as_it_is(reply["message"]["content"] + "\n")
    if stats and not output.json:
        output.note(f"{stats_line(reply)}, {opened.place}")


def _talk(options: Options, output: Output, conversation: Conversation, **settings: Any) -> int:
    # Only a conversation at a terminal needs the loop and its line editing.
    from llmspell_cli.chat.chat_loop import ChatLoop

    with session(options, output, needs_model=True) as opened:
        info = _info_or_pull(opened, output, conversation.model)
        if info is None:
            return 0
        conversation.model = f"{info['id']}@{info['backend']}"
        output.line(f"Chatting with {conversation.model}. /help for commands, Ctrl+D to leave")
        return ChatLoop(opened, output, conversation, **settings).run()


def _info_or_pull(opened: Session, output: Output, model: str | None) -> Content | None:
    """What is known about the model, after pulling it if the user wants that; None if not."""
    try:
        return opened.model("info", model=model or "")
    except ModelNotFound as error:
        output.note(f"Model '{model or error.details.get('model')}' is not installed")
        wanted = model or str(error.details.get("model", ""))
    if not confirmed(output, "Pull it now?", yes=False, hint=f"llmspell model pull {wanted}"):
        return None
    with ProgressView(output, "model pull", wanted) as view:
        opened.ask("model_request", {"action": "pull", "model": wanted}, on_progress=view.show)
    return opened.model("info", model=wanted)
