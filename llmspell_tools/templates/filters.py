"""The filters and tests of Tera templates: Jinja's that only look at their value, and Tera's by their own names.

Each ends, and none makes more of its value than the budget has. An argument has Tera's name or stands in Jinja's place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmspell_tools.templates.budget import MAX_CHARACTERS, ROUND_COST, Budget, TemplateProblem
from llmspell_tools.texts.dates import BadDate, read_date, write_date, zone_named
from llmspell_tools.texts.wording import CASES

if TYPE_CHECKING:
    from jinja2 import Environment

_JINJA_FILTERS = """
    abs capitalize count d dictsort e escape filesizeformat first float forceescape groupby int items last
    length list lower map max min reject rejectattr safe select selectattr sort striptags sum title upper
    urlencode wordcount
""".split()  # noqa: SIM905 - a table of words
_JINJA_TESTS = """
    != < <= == > >= boolean callable defined divisibleby eq equalto even false float ge greaterthan gt in integer
    iterable le lessthan lower lt mapping ne none number odd sequence string true undefined upper
""".split()  # noqa: SIM905
_MAX_INDENT = 1_000


def filters(environment: Environment, budget: Budget) -> dict[str, Callable[..., Any]]:
    """The filters by name."""
    made: dict[str, Callable[..., Any]] = {name: environment.filters[name] for name in _JINJA_FILTERS}
    return {
        **made,
        **_OWN,
        "join": lambda values, sep="", attribute=None, **named: _join(budget, values, sep, attribute, **named),
        "replace": lambda text, *pair, **named: _replace(budget, text, pair, named),
        "indent": lambda text, width=4, first=False, **named: _indent(budget, text, width, first, **named),
        "unique": lambda values, **named: list(_unique(values, **named)),
    }


def tests(environment: Environment) -> dict[str, Callable[..., bool]]:
    """The tests by name: what may stand after `is`."""
    made: dict[str, Callable[..., bool]] = {name: environment.tests[name] for name in _JINJA_TESTS}
    return {
        **made,
        "object": lambda value: isinstance(value, Mapping),
        "starting_with": lambda text, start: isinstance(text, str) and text.startswith(str(start)),
        "ending_with": lambda text, end: isinstance(text, str) and text.endswith(str(end)),
        "containing": lambda value, item: isinstance(value, (str, list, Mapping)) and item in value,
        "matching": lambda text, pattern: _pattern(pattern).search(str(text)) is not None,
    }


def _is_missing(value: Any) -> bool:
    from jinja2 import Undefined

    return isinstance(value, Undefined)


def _text(value: Any) -> str:
    if _is_missing(value):
        return str(value)  # raises
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: ""}[value]
    if isinstance(value, (int, float)):
        return str(value)
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any, counted: Budget | None = None) -> Any:
    """Ranges and the like as lists, for JSON; what is in a value many times is counted each time."""
    counted = counted or Budget()
    counted.spend(ROUND_COST)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, counted) for key, item in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [_plain(item, counted) for item in value]
    if isinstance(value, str):
        counted.spend(len(value))
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TemplateProblem(f"{type(value).__name__} is not a value that JSON has")


def _values(value: Any) -> list[Any]:
    if _is_missing(value):
        str(value)  # raises
    if isinstance(value, (str, Mapping)) or not hasattr(value, "__iter__"):
        raise TemplateProblem("a list is needed")
    return list(value)


def _attribute(value: Any, path: str | None) -> Any:
    """`a.b` of a mapping; without a path the value itself."""
    for name in (path or "").split(".") if path else ():
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _pattern(text: Any) -> re.Pattern[str]:
    try:
        return re.compile(str(text))
    except (re.error, OverflowError, RecursionError) as error:
        raise TemplateProblem(f"the pattern is no regular expression: {error}") from None


def _join(budget: Budget, values: Any, sep: Any, attribute: str | None = None, d: Any = None) -> Any:
    from markupsafe import Markup, escape

    listed = [_attribute(value, attribute) for value in _values(values)]
    between = sep if d is None else d
    shown = [value if isinstance(value, str) else _text(value) for value in listed]
    budget.spend(sum(map(len, shown)) + len(_text(between)) * len(shown))
    if any(isinstance(value, Markup) for value in shown):
        # What is HTML already stays so, and the rest becomes it.
        return escape(between).join(escape(value) for value in shown)
    return _text(between).join(shown)


def _replace(budget: Budget, value: Any, pair: Sequence[Any], named: Mapping[str, Any]) -> str:
    text = _text(value)
    given = [*pair, *(named[name] for name in ("from", "old", "to", "new") if name in named)]
    if len(given) != 2:
        raise TemplateProblem("replace takes two texts: replace(from=…, to=…)")
    old, new = map(_text, given)
    budget.spend(len(text) + max(0, len(new) - len(old)) * text.count(old))
    return text.replace(old, new)


def _indent(budget: Budget, value: Any, width: Any, first: Any, prefix: str | None = None, blank: bool = False) -> str:
    lead = _text(prefix) if prefix is not None else width if isinstance(width, str) else " " * _whole(width)
    lines = _text(value).split("\n")
    if len(lead) > _MAX_INDENT:
        raise TemplateProblem(f"an indent of more than {_MAX_INDENT:,} characters")
    budget.spend(len(lead) * len(lines))
    return "\n".join(
        lead + line if (first or number) and (line.strip() or blank) else line for number, line in enumerate(lines)
    )


def _whole(value: Any, most: int = MAX_CHARACTERS) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most or value % 1:
        raise TemplateProblem(f"a whole number from 0 to {most:,} is needed, not {_text(value)[:40]}")
    return int(value)


def _unique(values: Any, attribute: str | None = None, case_sensitive: bool = True) -> Any:
    seen = set()
    for value in _values(values):
        key = _attribute(value, attribute)
        key = key if case_sensitive or not isinstance(key, str) else key.lower()
        marked = json.dumps(_plain(key), sort_keys=True)
        if marked not in seen:
            seen.add(marked)
            yield value


def _default(value: Any, /, *other: Any, **named: Any) -> Any:
    given = [*other, *(named[name] for name in ("value", "default_value") if name in named)] or [""]
    boolean = (len(given) > 1 and given[1]) or named.get("boolean", False)
    return given[0] if _is_missing(value) or (boolean and not value) else value


def _truncate(value: Any, length: Any = 255, *rest: Any, end: str = "…", **named: Any) -> str:
    del rest, named  # Jinja's killwords and leeway
    text = _text(value)
    return text if len(text) <= _whole(length) else text[: _whole(length)] + _text(end)


def _date(value: Any, format: str = "%Y-%m-%d", timezone: str | None = None) -> str:
    try:
        moment = read_date(_text(value))
        return write_date(moment if timezone is None else moment.astimezone(zone_named(timezone)), _text(format))
    except (BadDate, OverflowError) as error:
        raise TemplateProblem(f"date: {error}") from None


def _json(value: Any, pretty: bool = False) -> Any:
    return json.dumps(_plain(value), ensure_ascii=False, indent=2 if pretty else None)


def _safe_json(value: Any, indent: Any) -> Any:
    """Jinja's: may stand in a page's script as it is."""
    from markupsafe import Markup

    text = json.dumps(_plain(value), ensure_ascii=False, indent=None if indent is None else _whole(indent, 16))
    signs = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"}
    return Markup("".join(signs.get(sign, sign) for sign in text))


def _slug(value: Any) -> str:
    import unicodedata

    plain = unicodedata.normalize("NFKD", _text(value)).encode("ascii", "ignore").decode("ascii")
    return "-".join(re.findall(r"[a-z0-9]+", plain.lower()))


def _round(value: Any, precision: Any = 0, method: str = "common") -> Any:
    import math

    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TemplateProblem("round needs a number")
    places = _whole(precision, 15)
    step = 10**places
    ways: Mapping[str, Callable[[float], float]] = {
        "common": lambda number: round(number, places),
        "ceil": lambda number: math.ceil(number * step) / step,
        "floor": lambda number: math.floor(number * step) / step,
    }
    if method not in ways:
        raise TemplateProblem(f"round's method is common, ceil or floor, not {method}")
    rounded = ways[method](value)
    return rounded if places else int(rounded)


def _slice(values: Any, start: Any = 0, end: Any = None) -> Any:
    return (values if isinstance(values, str) else _values(values))[start:end]


def _nth(values: Any, n: Any) -> Any:
    listed = _values(values)
    return listed[_whole(n)] if _whole(n) < len(listed) else None


def _get(value: Any, key: Any, **named: Any) -> Any:
    if isinstance(value, Mapping) and key in value:
        return value[key]
    if "default" in named:
        return named["default"]
    raise TemplateProblem(f"get: there is no key '{_text(key)}'")


def _concat(values: Any, **named: Any) -> list[Any]:
    more = named.get("with")
    return _values(values) + (list(more) if isinstance(more, (list, tuple)) else [more])


def _split(value: Any, pat: Any = " ") -> list[str]:
    if not _text(pat):
        raise TemplateProblem("split needs a text to split at")
    return _text(value).split(_text(pat))


def _filter(values: Any, attribute: str, **named: Any) -> list[Any]:
    kept = [value for value in _values(values) if _attribute(value, attribute) is not None]
    return [value for value in kept if "value" not in named or _attribute(value, attribute) == named["value"]]


def _group_by(values: Any, attribute: str) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for value in _values(values):
        if (key := _attribute(value, attribute)) is not None:
            groups.setdefault(_text(key), []).append(value)
    return groups


def _trim(value: Any, chars: str | None = None) -> str:
    return _text(value).strip(chars)


_OWN: Mapping[str, Callable[..., Any]] = {
    "default": _default,
    "trim": _trim,
    "trim_start": lambda value: _text(value).lstrip(),
    "trim_end": lambda value: _text(value).rstrip(),
    "truncate": _truncate,
    "date": _date,
    "json_encode": _json,
    "tojson": lambda value, indent=None: _safe_json(value, indent),
    "slugify": _slug,
    "round": _round,
    "slice": _slice,
    "nth": _nth,
    "get": _get,
    "concat": _concat,
    "split": _split,
    "filter": _filter,
    "group_by": _group_by,
    "reverse": lambda value: value[::-1] if isinstance(value, str) else _values(value)[::-1],
    "as_str": _text,
    "string": _text,
    "pluralize": lambda value, singular="", plural="s": singular if value == 1 else plural,
    "snake_case": lambda value: CASES["snake_case"](_text(value)),
    "camel_case": lambda value: CASES["camel_case"](_text(value)),
}
