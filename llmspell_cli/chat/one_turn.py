"""One prompt and its reply: shown as it comes or whole, its code alone, or as JSON. Knows no command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal, NamedTuple

from llmspell_cli.chat.conversation import Conversation, stats_line
from llmspell_cli.chat.thoughts import Thoughts
from llmspell_cli.session import Content, Session
from llmspell_cli.terminal.output import DIM, Output, styled
from llmspell_cli.terminal.progress import ProgressView
from llmspell_protocol.cut_replies import cut_notice
from llmspell_protocol.errors import ModelNotFound


class Shown(NamedTuple):
    """How a reply is shown; `block` is the code block that is all that is wanted of it."""

    stream: bool = True
    markdown: bool = False
    stats: bool = False
    timeout_s: float | None = None
    thinking: bool = True
    block: Literal["first", "last"] | None = None


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
    written = _Written(output, shown)
    with ProgressView(output, "chat", conversation.model) as view:

        def show(content: Content) -> None:
            view.clear()
            if output.json:
                output.event({"event": "delta", **{key: value for key, value in content.items() if key != "seq"}})
            else:
                written.take(content.get("text", ""), content.get("reasoning", ""))

        try:
            reply = conversation.turn(
                opened,
                text,
                images=images,
                stream=stream,
                timeout_s=shown.timeout_s,
                on_delta=show,
                on_progress=view.show,
            )
        finally:
            written.end()
    done = {"event": "done", **{key: value for key, value in reply.items() if key != "status"}}
    if shown.block is not None:
        done["code"] = _block(reply["message"]["content"], shown.block)
    if output.json:
        output.last_event(done) if stream else output.document(done)
    elif not stream:
        _show_whole(output, reply["message"], done, shown)
    if not output.json and (cut := cut_notice(reply, "option")) is not None:
        output.shown_note(styled(cut, DIM, sys.stderr, output.color))
    if shown.stats and not output.json:
        output.note(f"{stats_line(reply)}, {opened.place}")


class _Written:
    """A reply on stdout: at a terminal broken between words, in a pipe byte for byte."""

    def __init__(self, output: Output, shown: Shown) -> None:
        self._output = output
        self._thoughts = Thoughts(output, wanted=shown.thinking)
        self._last = "\n"
        self._text = None
        if output.terminal and not output.json:
            # What fits words into lines is for people.
            from llmspell_cli.terminal.reply_text import reply_text

            self._text = reply_text(output, markdown=shown.markdown)

    def take(self, text: str, reasoning: str) -> None:
        """A piece of the reply, and of what was thought before it."""
        self._thoughts.show(reasoning, before=text)
        if self._text is not None:
            self._text.feed(text)
        elif text:
            self._output.as_it_is(text)
            self._last = text

    def end(self) -> None:
        """Nothing more comes: the last line is ended."""
        self._thoughts.end()
        if self._text is not None:
            self._text.finish()
        if not self._last.endswith("\n") or (self._text is not None and self._text.in_line):
            self._output.line()
        self._last = "\n"


def _show_whole(output: Output, message: Content, done: Content, shown: Shown) -> None:
    text = message["content"]
    if shown.block is None:
        written = _Written(output, shown)
        written.take(text if output.terminal else f"{text}\n", message.get("reasoning") or "")
        written.end()
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
