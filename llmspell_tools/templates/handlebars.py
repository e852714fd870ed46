"""Handlebars templates, by dotpromptz-handlebars: an interpreter that looks into mappings and lists only.

A name that is printed and not there is a problem; as a condition it is false. Helpers are the usual ones, comparisons,
and `uppercase`, `lowercase`, `len`. Partials are not there: a template stands alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llmspell_tools.templates.budget import (
    MAX_CHARACTERS,
    ROUND_COST,
    Budget,
    NotSupported,
    TemplateProblem,
    demand_template_length,
)

_PARTIAL = re.compile(r"\{\{~?\s*#?\s*(?:>|\*)")
_LITERALS = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def render(source: str, values: Mapping[str, Any], *, escape: bool) -> str:
    """The template's text; `escape` writes `{{x}}` as HTML.

    Raises:
        TemplateProblem: it can't be read, a printed name is not there, or it writes too much.
        NotSupported: it uses a partial, a decorator, or a helper that is not there.
    """
    # 30 ms.
    from dotpromptz_handlebars import Handlebars, StrictModeError, TemplateRecursionError

    demand_template_length(source)
    if _PARTIAL.search(source):
        raise NotSupported("it has partials or decorators ({{> name}}, {{#> name}}, {{#*inline}}), which are not there")
    budget = Budget()
    # A round writes at most all the literal text there is, and what it prints.
    cost = ROUND_COST + len(_LITERALS.sub("", source))
    language = Handlebars(escape_html=escape, strict=True)
    language.unregister_helper("log")
    for name, helper in _HELPERS.items():
        language.register_helper(name, helper)
    try:
        rendered = language.compile(source)(_counted(values, budget, cost))
    except StrictModeError as error:
        raise TemplateProblem(f"there is no value for '{error.path}'") from None
    except TemplateRecursionError as error:
        raise TemplateProblem(str(error)) from None
    except RecursionError:
        raise TemplateProblem("it is nested too deep") from None
    except (ValueError, IndexError, TypeError) as error:
        # What it raises for templates that it can't read.
        said = "a tag has no name" if isinstance(error, IndexError) else str(error)
        if found := re.match(r'Missing helper: "(.*)"', said, re.DOTALL):
            raise NotSupported(f"there is no helper '{found[1][:100]}'; there are {', '.join(_known())}") from None
        raise TemplateProblem(said or type(error).__name__) from None
    if len(rendered) > MAX_CHARACTERS:
        raise TemplateProblem(f"it writes {len(rendered):,} characters, more than {MAX_CHARACTERS:,}")
    return rendered


def _counted(value: Any, budget: Budget, cost: int) -> Any:
    """The values, such that each round of a loop over them and each text that is printed is counted."""
    if isinstance(value, Mapping):
        return _Object({str(key): _counted(item, budget, cost) for key, item in value.items()}, budget, cost)
    if isinstance(value, (list, tuple)):
        return _List([_counted(item, budget, cost) for item in value], budget, cost)
    return _Text(value, budget) if isinstance(value, str) else value


class _Object(dict[str, Any]):
    def __init__(self, items: Mapping[str, Any], budget: Budget, cost: int) -> None:
        super().__init__(items)
        self._budget, self._cost = budget, cost

    def items(self) -> Any:
        self._budget.spend(self._cost * len(self))
        return super().items()


class _List(list[Any]):
    def __init__(self, items: list[Any], budget: Budget, cost: int) -> None:
        super().__init__(items)
        self._budget, self._cost = budget, cost

    def __iter__(self) -> Iterator[Any]:
        self._budget.spend(self._cost * len(self))
        return super().__iter__()


class _Text(str):
    _budget: Budget
    __slots__ = ("_budget",)

    def __new__(cls, text: str, budget: Budget) -> _Text:
        made = super().__new__(cls, text)
        made._budget = budget
        return made

    def __str__(self) -> str:
        self._budget.spend(len(self))
        return str.__str__(self)


def _known() -> list[str]:
    return sorted([*_HELPERS, "each", "if", "lookup", "unless", "with"])


def _of_two(compare: Callable[[Any, Any], Any]) -> Callable[[list[Any], Any], Any]:
    def helper(values: list[Any], options: Any) -> Any:
        if len(values) != 2:
            raise ValueError(f"a comparison takes two values, not {len(values)}")
        result = compare(*values)
        if not options.is_block:
            return result
        return options.fn() if result else options.inverse()

    return helper


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compared(one: Any, other: Any) -> bool:
        numbers = all(isinstance(value, (int, float)) for value in (one, other))
        texts = all(isinstance(value, str) for value in (one, other))
        return (numbers or texts) and compare(one, other)

    return compared


def _changed(change: Callable[[str], str]) -> Callable[[list[Any], Any], str]:
    return lambda values, _options: change(values[0]) if values and isinstance(values[0], str) else ""


_HELPERS: Mapping[str, Callable[[list[Any], Any], Any]] = {
    "uppercase": _changed(str.upper),
    "lowercase": _changed(str.lower),
    "len": lambda values, _options: len(values[0]) if values and isinstance(values[0], (str, list, dict)) else 0,
    "eq": _of_two(lambda one, other: one == other),
    "ne": _of_two(lambda one, other: one != other),
    "gt": _of_two(_ordered(lambda one, other: one > other)),
    "gte": _of_two(_ordered(lambda one, other: one >= other)),
    "lt": _of_two(_ordered(lambda one, other: one < other)),
    "lte": _of_two(_ordered(lambda one, other: one <= other)),
    "and": _of_two(lambda one, other: bool(one) and bool(other)),
    "or": _of_two(lambda one, other: bool(one) or bool(other)),
    "not": lambda values, _options: not (values and values[0]),
}
