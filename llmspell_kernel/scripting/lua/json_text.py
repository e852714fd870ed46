"""`JSON.parse` and `JSON.stringify`: text to Lua values and back, with messages that scripts match."""

from __future__ import annotations

from typing import Any

from llmspell_kernel.scripting.lua.convert import TOO_LARGE, Border, NotConvertible
from llmspell_kernel.scripting.lua.refusals import Refusal


class JsonRefusal(Refusal):
    """Keeps the text that scripts match."""

    def __init__(self, text: str) -> None:
        super().__init__({"code": "not_found", "message": text})


def parse(text: bytes, border: Border) -> Any:
    """The value of a JSON text, which `stringify` turns into the same text again but for spaces and order.

    Raises:
        JsonRefusal: it is no JSON, or has what no value can hold.
    """
    from json import JSONDecodeError, loads

    def constant(name: str) -> None:
        raise JSONDecodeError(f"{name} is not a JSON value", source, source.find(name))

    def fraction(digits: str) -> float:
        value = float(digits)
        if value - value != 0:
            raise NotConvertible(TOO_LARGE)
        return value

    try:
        source = text.decode()
        return border.to_lua(loads(source, parse_constant=constant, parse_float=fraction), nulls=True)
    except UnicodeDecodeError as problem:
        raise JsonRefusal(f"JSON parse error: text is not UTF-8 (byte {problem.start + 1})") from None
    except JSONDecodeError as problem:
        where = f"line {problem.lineno} column {problem.colno}"
        raise JsonRefusal(f"JSON parse error: {problem.msg} at {where}") from None
    except NotConvertible as problem:
        raise JsonRefusal(f"JSON parse error: {problem}") from None
    except ValueError:
        # Python reads no integer of thousands of digits.
        raise JsonRefusal(f"JSON parse error: {TOO_LARGE}") from None
    except RecursionError:
        raise JsonRefusal("JSON parse error: nested too deep") from None


def stringify(value: Any, indent: float | None, border: Border) -> bytes:
    """A value as JSON text: keys sorted, in one line, or with `indent` spaces (at most 16) a level.

    Raises:
        JsonRefusal: something in it has no form in JSON.
    """
    from json import dumps

    if indent is not None and indent - indent != 0:
        raise JsonRefusal("JSON stringify error: the indent has to be a finite number")
    try:
        plain = border.to_python(value)
    except NotConvertible as problem:
        raise JsonRefusal(f"JSON stringify error: {problem}") from None
    width = None if indent is None else max(0, min(16, int(indent)))
    separators = (",", ":") if width is None else (",", ": ")
    return dumps(plain, ensure_ascii=False, sort_keys=True, indent=width, separators=separators).encode()
