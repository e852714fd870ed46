"""Values that no field was made for, in the form that they have before either encoding. Knows no request."""

from __future__ import annotations

from random import Random
from typing import Any

import msgpack

LONE_SURROGATES = ("\ud83d", "a\udfffb", "\udc00\ud800")
_WORDS = ("", " ", "\0", "nan", "inf", "-1", "1e999", "true", "é€🎉", "\u2028\u0085", "x/y/z@", "@", ":", "../..")
_FORMS = ("9" * 400, "9" * 400 + "s", "9" * 400 + "h1ms", "٣s", "cuda:٣", "cuda:" + "9" * 400, "hf.co/a/b", "file://")
_NUMBERS = (
    *(0, -1, 2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**32, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1),
    *(0.5, -0.0, 1e308, -1e308, 5e-324, 1e18, 2.0**63, float("nan"), float("inf"), float("-inf")),
)
_TOO_LARGE = (2**64, -(2**63) - 1, 10**30, -(10**30), 10**400)
"""What msgpack can't carry."""


def deep(levels: int, *, lists: bool) -> Any:
    """Lists or maps in each other."""
    value: Any = None
    for _ in range(levels):
        value = [value] if lists else {"a": value}
    return value


def wrong_value(random: Random, encoding: str) -> Any:
    """One value; what an encoding has no form for is never given for it."""
    kinds = [_word, _form, _number, _number, _literal, _container, _large, _nested, _surrogate]
    kinds.append(_only_msgpack if encoding == "msgpack" else _only_json)
    return random.choice(kinds)(random)


def wrong_of_kind(random: Random, value: Any, encoding: str) -> Any:
    """One value of the same kind as another: what passes the look at its type."""
    if isinstance(value, str):
        return random.choice((_word, _form, _surrogate_text, lambda _: "a" * 100_000))(random)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return random.choice(_NUMBERS if encoding == "msgpack" else (*_NUMBERS, *_TOO_LARGE))
    if isinstance(value, list):
        return [*value, wrong_value(random, encoding)]
    if isinstance(value, dict):
        return {**value, random.choice(("", "a", "type", "\0")): wrong_value(random, encoding)}
    return wrong_value(random, encoding)


def _word(random: Random) -> Any:
    return random.choice(_WORDS)


def _form(random: Random) -> Any:
    return random.choice(_FORMS)


def _number(random: Random) -> Any:
    return random.choice(_NUMBERS)


def _literal(random: Random) -> Any:
    return random.choice((None, True, False))


def _container(random: Random) -> Any:
    return random.choice(([], {}, [[]], [None], [""], {"": None}, {"a": [{}]}, [1, "a", None], {"type": 5}))


def _large(random: Random) -> Any:
    return random.choice(("a" * 100_000, [0] * 10_000, {str(number): number for number in range(2_000)}, ["x"] * 5_000))


def _nested(random: Random) -> Any:
    return deep(random.choice((20, 100, 129, 300, 400, 480)), lists=random.random() < 0.5)


def _surrogate_text(random: Random) -> Any:
    return random.choice(LONE_SURROGATES)


def _surrogate(random: Random) -> Any:
    text = _surrogate_text(random)
    return random.choice((text, [text], {text: text}))


def _only_json(random: Random) -> Any:
    number = random.choice(_TOO_LARGE)
    return random.choice((number, [number], {"a": number}))


def _only_msgpack(random: Random) -> Any:
    strange = (b"", b"\xff\x00", msgpack.ExtType(5, b"x"), msgpack.Timestamp(1, 2), {1: 2}, {b"\xff": 1}, {None: 1})
    value = random.choice(strange)
    return random.choice((value, [value], {"a": value}))
