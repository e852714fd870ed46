"""The options of a request to a model as people write them: their names, and what a wrong one may mean.

Used where a person writes them: `-o NAME VALUE` and `/set` on the command line, and requests on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llmspell_protocol.errors import InvalidRequest

OTHER_WORDS: Mapping[str, str] = {
    "temp": "temperature",
    "max_new_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "num_predict": "max_tokens",
    "n_predict": "max_tokens",
    "repetition_penalty": "repeat_penalty",
    "n_ctx": "num_ctx",
    "context_size": "num_ctx",
    "context_window": "num_ctx",
    "context_length": "num_ctx",
    "stop_sequences": "stop",
}
"""What other programs call some of them."""


def option_names() -> tuple[str, ...]:
    """Every option of a request to a model."""
    return tuple(_fields())


def meant_by(name: object, among: Iterable[str] | None = None) -> str | None:
    """The option that an unknown name may mean; `among` are those that can be given, if not all."""
    known = list(option_names() if among is None else among)
    if not isinstance(name, str) or len(name) > _LONGEST_NAME:
        return None
    plain = name.lower().replace("-", "_")
    if plain in known:
        return plain
    if OTHER_WORDS.get(plain) in known:
        return OTHER_WORDS[plain]
    # Only for what is refused anyway; the import costs milliseconds.
    from difflib import get_close_matches

    return next(iter(get_close_matches(plain, known, 1, 0.6)), None)


def unknown_option(name: str, among: Iterable[str] | None = None) -> InvalidRequest:
    """The error for an option that there is not; its hint has the nearest one, or all."""
    known = list(option_names() if among is None else among)
    meant = meant_by(name, known)
    said = f"unknown option '{name}'" if name else "name an option"
    return InvalidRequest(
        said,
        hint=f"did you mean '{meant}'?" if meant else f"one of {', '.join(known)}",
        details={"option": name, "nearest": meant},
    )


def option_from_text(name: str, text: str) -> Any:
    """An option's value from what a person typed; `8k` are 8192.

    Raises:
        InvalidRequest: there is no such option, or it is no number, or out of its range.
    """
    from llmspell_protocol.numbers import WrongNumber, demand_range, number, whole

    field = _fields().get(name)
    if field is None:
        raise unknown_option(name)
    if name == "stop":
        if not text:
            raise InvalidRequest("stop is empty: it would end every reply before its first word")
        return [text]
    is_whole = str(field.type).startswith("int")
    plain = text.strip()
    if is_whole and plain[-1:] in ("k", "K") and plain[:-1].isdigit():
        plain = str(int(plain[:-1]) * 1024)
    try:
        wanted: float = whole(int(plain)) if is_whole else number(float(plain))
    except ValueError:
        raise InvalidRequest(f"{name} is a {'whole ' if is_whole else ''}number, not '{text}'") from None
    try:
        demand_range(wanted, *field.metadata["range"])
    except WrongNumber as problem:
        raise InvalidRequest(f"{name} {problem}") from None
    return wanted


_LONGEST_NAME = 100


def _fields() -> Mapping[str, Any]:
    # A chat's start pays for imports, and few chats set an option.
    from dataclasses import fields

    from llmspell_protocol.models import SamplingOptions

    return {field.name: field for field in fields(SamplingOptions)}
