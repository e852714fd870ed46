"""One prompt and its reply: shown as it comes or whole, its code alone, or as JSON. Knows no command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal

from llmspell_cli.chat.conversation import Conversation, stats_line
from llmspell_cli.chat.reply_view import ReplyView, Shown
from llmspell_cli.chat.tool_use import failures, limit_notice
from llmspell_cli.session import Content, Session
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.output import DIM, Output, styled
from llmspell_cli.terminal.progress import ProgressView
from llmspell_cli.terminal.quiet import QuietTerminal
from llmspell_cli.terminal.typed_line import typed_line
from llmspell_protocol.cut_replies import cut_notice
from llmspell_protocol.errors import ModelNotFound


def answer(
    opened: Session, output: Output, conversation: Conversation, text: str, images: Sequence[str], shown: Shown
) -> None:
    """Asks and shows the reply; a model that is missing and can be pulled is offered first.

    Raises:
        LlmspellError: what the kernel answered.
    """
    try:
        _one_turn(opened, output, conversation, text, images, shown)
    except ModelNotFound as error:
        # Only a missing model needs it.
        from llmspell_cli.chat.pull_offer import pulled_if_wanted

        pulled = pulled_if_wanted(opened, output, error)
        if pulled is not None:
            conversation.model = pulled
            _one_turn(opened, output, conversation, text, images, shown)


def _one_turn(
    opened: Session, output: Output, conversation: Conversation, text: str, images: Sequence[str], shown: Shown
) -> None:
    stream = shown.stream and (shown.block is None or output.json)
    view = ReplyView(output, markdown=shown.markdown, thinking=shown.thinking)
    with QuietTerminal() as quiet, ProgressView(output, "chat", conversation.model) as progress:

        def show(content: Content) -> None:
            progress.clear()
            if output.json:
                output.event({"event": "delta", **{key: value for key, value in content.items() if key != "seq"}})
            else:
                view.show(content)

        def ask(prompt: str, password: bool) -> str | None:
            progress.clear()
            view.finish()
            if view.in_line:
                output.line()
            with quiet.echoing(), Interrupts() as interrupts:
                return typed_line(interrupts, prompt, hidden=password)

        is_watched = sys.stdin.isatty() and sys.stdout.isatty() and not output.json
        try:
            reply = conversation.turn(
                opened,
                text,
                images=images,
                stream=stream,
                timeout_s=shown.timeout_s,
                on_delta=show,
                on_progress=progress.show,
                on_input=ask if is_watched else None,
            )
        finally:
            progress.clear()
            view.finish()
            if view.in_line:
                output.line()
    done = {"event": "done", **{key: value for key, value in reply.items() if key != "status"}}
    if shown.block is not None:
        done["code"] = _block(reply["message"]["content"], shown.block)
    if output.json:
        output.last_event(done) if stream else output.document(done)
    elif not stream:
        _show_whole(output, view, reply["message"], done, shown)
    if not output.json and not (stream and output.terminal):
        for line in failures(reply):
            output.note(line)
    if not output.json and (cut := cut_notice(reply, "option")) is not None:
        output.shown_note(styled(cut, DIM, sys.stderr, output.color))
    if not output.json and (stopped := limit_notice(reply)) is not None:
        output.shown_note(styled(stopped, DIM, sys.stderr, output.color))
    if shown.stats and not output.json:
        output.note(f"{stats_line(reply)}, {opened.place}")


def _show_whole(output: Output, view: ReplyView, message: Content, done: Content, shown: Shown) -> None:
    text = message["content"]
    if shown.block is None:
        view.show({"reasoning": message.get("reasoning"), "text": f"{text}\n"})
        view.finish()
        return
    if done["code"] is None:
        output.note("the reply has no code block: all of it is shown")
    else:
        text = done["code"].removesuffix("\n")
    output.as_it_is(text + "\n")


def _block(text: str, which: Literal["first", "last"]) -> str | None:
    # Few replies are asked for code alone.
    from llmspell_cli.chat.code_blocks import code_blocks

    blocks = code_blocks(text)
    return blocks[0 if which == "first" else -1] if blocks else None
