"""Which of the words behind `chat` and `embed` name a model, and what the message is. Knows words, not what is done.

The first word is a model where it has the form of a name (`NAME:TAG`, `NAME@BACKEND`, `VENDOR/MODEL`, an address, a
file of weights). It is none where no model can be called so: it has blanks or a question mark. Between these a kernel
is asked: a plain word is a model where one of this name is installed or in the catalog. What looks like a model and is
none is an error; any other word begins a prompt, and people are told which model answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from llmspell_protocol.errors import BackendNotConfigured, InvalidRequest, LlmspellError, ModelNotFound

if TYPE_CHECKING:
    from llmspell_cli.session import Content, Session

Likeness = Literal["model", "text", "unclear"]

_PIECE = r"[A-Za-z0-9][\w.+-]*"
_PLAIN = re.compile(rf"{_PIECE}(?<![.+-])", re.ASCII)
_NAME = re.compile(
    # Vendors and organisations, the name, its tag, its backend. It begins with a letter: 12:30 is a time.
    rf"(?=[A-Za-z])(?:{_PIECE}(?::[0-9]+)?/)*{_PIECE}(?::{_PIECE})?(?:@[A-Za-z][\w-]*)?",
    re.ASCII,
)
_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://\S+", re.ASCII)
_WEIGHTS = (".gguf", ".safetensors")
_FEW = 2
"""Words that may be a model and its prompt; more without quotes are a sentence."""

Tell = Callable[[str], None]
"""Tells a person something beside the reply."""


class Words(NamedTuple):
    """A model (None: the default one), what is known of it if a kernel was asked, and the words behind it."""

    model: str | None
    rest: Sequence[str]
    info: Content | None = None


def likeness(word: str) -> Likeness:
    """What a word alone tells: a model's name, a text, or a plain word that may be either."""
    if _ADDRESS.fullmatch(word) or word.lower().endswith(_WEIGHTS):
        return "model"
    if not _NAME.fullmatch(word):
        return "text" if not _PLAIN.fullmatch(word) else "unclear"
    if ":" in word or "@" in word or "/" in word:
        return "model"
    return "unclear" if _PLAIN.fullmatch(word) else "text"


class Given(NamedTuple):
    """What a command line gives `chat`: its words, `-m`, `--message`, and what was piped in."""

    words: Sequence[str]
    model: str | None
    message: str | None
    piped: str | None
    at_terminal: bool

    @property
    def may_be_interactive(self) -> bool:
        """Whether there may be no message: at a terminal, with a model at most."""
        if not self.at_terminal or self.message is not None:
            return False
        one_model = len(self.words) == 1 and self.model is None and likeness(self.words[0]) != "text"
        return not self.words or one_model

    @property
    def names_model(self) -> bool:
        """Whether the first word is a model's name by its form."""
        return bool(self.words) and likeness(self.words[0]) == "model"

    def demand_message(self) -> None:
        """Raises `InvalidRequest` where it is clear without a kernel that there is no message, or two."""
        if self.message is not None:
            if len(self.words) > (self.model is None):
                raise InvalidRequest("the prompt is there twice: as words and as --message", hint="drop --message")
            if not (self.message.strip() or self.piped):
                raise no_message()
        elif self.piped is None and (
            not self.words
            if self.model is not None
            else not "".join(self.words).strip() or (len(self.words) == 1 and likeness(self.words[0]) == "model")
        ):
            raise no_message()

    def asked(self, opened: Session, tell: Tell | None = None) -> tuple[str | None, str, Content | None]:
        """The model, the message (empty: none, at a terminal), and what is known of the model if it was asked for.

        Raises:
            ModelNotFound: as `divided`.
            InvalidRequest: there is no message, and no terminal to ask for one.
        """
        if self.message is not None:
            model = self.model or (self.words[0] if self.words else None)
            return model, "\n\n".join(part for part in (self.message, self.piped or "") if part.strip()), None
        model, rest, info = divided(self.words, self.model, opened, "llmspell chat", tell)
        text = joined(rest, self.piped)
        if not (text or self.at_terminal):
            raise no_message()
        return model, text, info


def no_message() -> InvalidRequest:
    """The error where there is neither a prompt nor piped input."""
    return InvalidRequest(
        "there is no message", hint='llmspell chat "PROMPT", llmspell chat MODEL "PROMPT", or pipe a text into it'
    )


def divided(words: Sequence[str], model: str | None, opened: Session, command: str, tell: Tell | None = None) -> Words:
    """The model and the other words, where `model` (`-m`) names none; asks the kernel about a plain first word alone.

    `tell` is told which model answers where such a word is taken for a prompt.

    Raises:
        ModelNotFound: the first word is nearly an installed model, one that can be pulled, or looks like a model's
            name; the hint says how to say it nevertheless.
    """
    if model is not None or not words:
        return Words(model, words)
    word, *rest = words
    kind = likeness(word)
    if kind == "text":
        return Words(None, words)
    if kind == "model":
        return Words(word, rest)
    try:
        info = opened.model("info", model=word)
    except BackendNotConfigured:
        # There are only servers, whose models are named with theirs: `box/m`.
        error = ModelNotFound(f"Model '{word}' not found", hint="a server's model is SERVER/MODEL: llmspell model list")
    except ModelNotFound as missing:
        error = missing
    else:
        return Words(f"{info['id']}@{info['backend']}", rest, info)
    # Few words name no model.
    from llmspell_cli.chat.model_families import looks_like_a_model

    meant = error.details.get("nearest") or (error.details.get("pull") or {}).get("known")
    if meant or looks_like_a_model(word):
        default = _default_model(opened) or "MODEL"
        way = f"s a text: {command} -m {default} {word} …"
        error.hint = f"{error.hint} A{way}" if (error.hint or "").endswith("?") else f"{error.hint}; a{way}"
        raise error
    if tell is not None and len(words) <= _FEW and (answering := _default_model(opened)):
        tell(f"{answering} answers; a model named '{word}' is not installed")
    return Words(None, words)


def _default_model(opened: Session) -> str | None:
    """What answers where no model is named; None where nothing does."""
    try:
        info = opened.model("info", model="")
        return f"{info['id']}@{info['backend']}"
    except LlmspellError:
        return None  # The reply's own error says why.


def joined(words: Sequence[str], piped: str | None) -> str:
    """The message: the words, a blank line, and what was piped in (None: nothing); a lone `-` is the input's place.

    Raises:
        InvalidRequest: `-` stands there twice, or for an input that there is not.
    """
    places = [at for at, word in enumerate(words) if word == "-"]
    if len(places) > 1:
        raise InvalidRequest("'-' stands for standard input, which can be read once only")
    if places and piped is None:
        raise InvalidRequest("'-' stands for piped input, and there is none", hint="echo TEXT | llmspell chat PROMPT -")
    at = places[0] if places else len(words)
    parts = (" ".join(words[:at]), piped or "", " ".join(words[at + 1 :]))
    return "\n\n".join(part for part in parts if part.strip())
