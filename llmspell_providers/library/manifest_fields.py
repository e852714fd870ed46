"""Which values the fields of a manifest may have: a user who can write a model's directory can write anything there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, get_args

from llmspell_protocol.models import Format

MOST_FILES = 10_000
_LONGEST_TEXT = 65_536
_LONGEST_FILE_NAME = 255
_LONGEST_OWNER = 5_000
"""A path, and a few words."""
_LARGEST_FILE = 1 << 62
_LARGEST_MEMORY = 1 << 40
_SHA256_DIGITS = 64
_OWN_FILES = ("manifest.json", "lock")
_MOST_CAPABILITIES = 100
_HIGHEST_RATIO = 1000.0

_HIGHEST = {
    "parameter_count": 1 << 50,
    "context_length": 1 << 40,
    "embedding_length": 1 << 24,
    "layers": 1 << 16,
    "heads": 1 << 16,
    "kv_heads": 1 << 16,
    "key_length": 1 << 20,
    "value_length": 1 << 20,
    "vocab_size": 1 << 30,
}
"""Far above every real model, and low enough that what is calculated with them can be carried in a message."""


class FieldInvalid(ValueError):
    """A field has a value that it can't have; the text names both."""


def check_fields(values: Mapping[str, Any]) -> None:
    """Looks at every field that is there.

    Raises:
        FieldInvalid: the first that can't be.
    """
    for name, value in values.items():
        check = _CHECKS.get(name)
        if check is not None and not check(value):
            raise FieldInvalid(f"{name} can't be {_shown(value)}")


def check_files(files: Any) -> None:
    """Looks at the list of files.

    Raises:
        FieldInvalid: no list of files, or a file that is not a plain one of the model's directory.
    """
    if not isinstance(files, list) or not 0 < len(files) <= MOST_FILES:
        raise FieldInvalid(f"files can't be {_shown(files)}")
    for file in files:
        if not isinstance(file, dict):
            raise FieldInvalid(f"a file can't be {_shown(file)}")
        name, size, digest = file.get("name"), file.get("size_bytes"), file.get("sha256")
        if not _is_file_name(name):
            raise FieldInvalid(f"a file of the model's directory can't be called {_shown(name)}")
        if not _is_count(size, _LARGEST_FILE):
            raise FieldInvalid(f"the size of {name} can't be {_shown(size)}")
        if not _is_sha256(digest):
            raise FieldInvalid(f"the sha256 of {name} can't be {_shown(digest)}")
    if len({file["name"] for file in files}) < len(files):
        raise FieldInvalid("a file is named twice")


def _shown(value: Any) -> str:
    """A value in an error, which has to stay short; of nested ones the type."""
    if isinstance(value, (list, dict)):
        return f"a {'list' if isinstance(value, list) else 'map'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return "a number of more than 64 bits"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _is_text(value: Any, longest: int = _LONGEST_TEXT) -> bool:
    """A text that a message can carry."""
    return isinstance(value, str) and len(value) <= longest and not any("\ud800" <= one <= "\udfff" for one in value)


def _is_line(value: Any, longest: int = _LONGEST_TEXT) -> bool:
    """A text of one line, without control characters."""
    return _is_text(value, longest) and bool(value) and not any(one < " " or one == "\x7f" for one in value)


def _is_count(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _is_file_name(value: Any) -> bool:
    return (
        _is_line(value, _LONGEST_FILE_NAME)
        and value not in (".", "..", *_OWN_FILES)
        and "/" not in value
        and len(value.encode()) <= _LONGEST_FILE_NAME
    )


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and len(value) == _SHA256_DIGITS and not value.strip("0123456789abcdef")


def _is_time(value: Any) -> bool:
    try:
        return _is_text(value, 64) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _is_ratio(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _HIGHEST_RATIO


def _are_ratios(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_line(key, 200) and _is_ratio(one) for key, one in value.items())


def _are_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(key, str) and _is_count(one, _LARGEST_MEMORY) for key, one in value.items()
    )


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MOST_CAPABILITIES and all(_is_text(one, 100) for one in value)


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _up_to(most: int) -> Callable[[Any], bool]:
    return lambda value: value is None or _is_count(value, most)


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "name": _is_line,
    "variant": _or_none(_is_line),
    "format": lambda value: isinstance(value, str) and value in get_args(Format),
    "quantization": _or_none(_is_text),
    "source": _is_text,
    "license": _or_none(_is_text),
    "owner": _or_none(lambda value: _is_line(value, _LONGEST_OWNER)),
    "architecture": _or_none(_is_text),
    "pooling": _or_none(_is_text),
    "prefix_query": _or_none(_is_text),
    "prefix_passage": _or_none(_is_text),
    "chat_template": lambda value: isinstance(value, bool),
    "tools": lambda value: isinstance(value, bool),
    "capabilities": _are_words,
    "modified_at": _is_time,
    "memory": _or_none(_are_counts),
    "memory_ratios": _are_ratios,
    **{name: _up_to(most) for name, most in _HIGHEST.items()},
}
