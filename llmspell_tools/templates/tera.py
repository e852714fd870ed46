"""Tera templates, and those of Jinja, which Tera is made after: by Jinja's sandbox, where nothing has attributes.

A dot leads to a mapping's key, a list's item, or one of a few harmless methods, never to a Python attribute. What
multiplies texts and numbers is counted, `range` ends, nothing is computed while a template is read. Where the two
languages differ Tera's way works as well: filters with its names for their arguments (`filters.py`), pairs of a mapping
in a `for`. A name that is printed and not there is a problem; as a condition it is false.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmspell_tools.templates.budget import (
    CALL_COST,
    MAX_CHARACTERS,
    MAX_RANGE,
    ROUND_COST,
    Budget,
    NotSupported,
    TemplateProblem,
    demand_template_length,
)

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.nodes import Node, Template

_METHODS: Mapping[type, frozenset[str]] = {
    dict: frozenset({"items", "keys", "values", "get"}),
    str: frozenset(
        {"capitalize", "endswith", "lower", "lstrip", "rstrip", "split", "startswith", "strip", "title", "upper"}
    ),
}
_NOT_THERE = {
    "Extends": "extends",
    "Include": "include",
    "Import": "import",
    "FromImport": "from … import",
    "Block": "block",
}
_BUDGET = "_budget"
_PIECE = 1 << 16


def render(source: str, values: Mapping[str, Any], *, escape: bool) -> str:
    """The template's text; `escape` writes `{{ x }}` as HTML unless it is `{{ x | safe }}`.

    Raises:
        TemplateProblem: it can't be read, a printed name is not there, or it does too much.
        NotSupported: it uses other templates, or a filter or test that is not there.
    """
    # 200 ms.
    from jinja2 import TemplateAssertionError, TemplateError, TemplateSyntaxError

    demand_template_length(source)
    budget = Budget()
    try:
        environment = _environment(escape, budget)
        tree = _metered(environment.parse(source), environment)
        template = environment.from_string(tree)
        pieces, characters = [], 0
        for piece in template.generate(dict(values)):
            characters += len(piece)
            if characters > 2 * MAX_CHARACTERS:
                raise TemplateProblem(f"it writes more than {MAX_CHARACTERS:,} characters")
            pieces.append(piece)
        return "".join(pieces)
    except TemplateAssertionError as error:
        raise NotSupported(f"line {error.lineno}: {error.message}") from None
    except TemplateSyntaxError as error:
        raise TemplateProblem(f"line {error.lineno}: {error.message}") from None
    except (RecursionError, SyntaxError):
        # Python's own, of what Jinja makes of loops in loops in loops.
        raise TemplateProblem("it is nested too deep") from None
    except TemplateProblem:
        raise
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise TemplateProblem(str(error) or type(error).__name__) from None


def _environment(escape: bool, budget: Budget) -> Environment:
    from llmspell_tools.templates.filters import filters, tests

    environment = _kind_of_environment()(
        undefined=_kind_of_undefined(),
        autoescape=escape,
        optimized=False,
        finalize=_finalizer(budget),
        keep_trailing_newline=True,
    )
    environment.filters = {**filters(environment, budget), _BUDGET: functools.partial(_rounds, budget)}
    environment.tests = tests(environment)
    environment.globals = {"range": _range, "now": _now, "throw": _throw}
    environment.budget = budget
    return environment


# What a template may reach


@functools.cache
def _kind_of_environment() -> Any:
    from jinja2.runtime import BlockReference, LoopContext, Macro, Undefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):  # type: ignore[misc]
        """Jinja's sandbox without the attributes of anything."""

        budget: Budget
        intercepted_binops = frozenset({"+", "*", "**", "%"})

        def getattr(self, obj: Any, attribute: str) -> Any:
            return self.getitem(obj, attribute)

        def getitem(self, obj: Any, argument: Any) -> Any:
            if isinstance(obj, Undefined):
                return obj
            if isinstance(obj, Mapping):
                if argument in obj:
                    return obj[argument]
            elif isinstance(obj, (list, tuple, str)):
                found = _item(obj, argument)
                if found is not None:
                    return found[0]
            elif isinstance(obj, LoopContext) and isinstance(argument, str) and not argument.startswith("_"):
                return super().getattr(obj, argument)
            for kind, names in _METHODS.items():
                if isinstance(obj, kind) and argument in names:
                    return getattr(obj, argument)
            return self.undefined(obj=obj, name=argument)

        def call(self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(__obj, Undefined):
                str(__obj)  # raises, and says what is not there
            self.budget.spend(CALL_COST)
            return super().call(__context, __obj, *args, **kwargs)

        def is_safe_callable(self, obj: Any) -> bool:
            if isinstance(obj, (Macro, BlockReference)) or obj in (_range, _now, _throw):
                return True
            owner = getattr(obj, "__self__", None)
            return isinstance(owner, (str, dict, LoopContext))

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            _demand_small(operator, left, right)
            made = super().call_binop(context, operator, left, right)
            if isinstance(made, (str, list, tuple)):
                self.budget.spend(len(made))
            return made

    return Sandbox


def _item(values: Sequence[Any], index: Any) -> tuple[Any] | None:
    """The item of a list or text; slices too."""
    if isinstance(index, str):
        if not index.isdigit() or len(index) > 9:
            return None
        index = int(index)
    try:
        return (values[index],)
    except (IndexError, TypeError):
        return None


@functools.cache
def _kind_of_undefined() -> Any:
    from jinja2 import ChainableUndefined, StrictUndefined

    class Missing(ChainableUndefined, StrictUndefined):  # type: ignore[misc]
        """A name that is not there: false, and a problem wherever its value is needed."""

        __slots__ = ()
        __str__ = StrictUndefined.__str__
        __html__ = StrictUndefined.__str__
        __iter__ = StrictUndefined.__iter__
        __len__ = StrictUndefined.__len__

        def __bool__(self) -> bool:
            return False

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Missing)

        def __ne__(self, other: object) -> bool:
            return not self == other

        __hash__ = None  # type: ignore[assignment]

    return Missing


def _demand_small(operator: str, left: Any, right: Any) -> None:
    """Raises for what would make a huge text, list or number at once."""
    if operator == "%" and isinstance(left, str):
        raise NotSupported("a text % values is not there; write {{ value }} in the text")
    if operator == "**":
        if not all(isinstance(value, (int, float)) for value in (left, right)):
            raise TemplateProblem("a power is of two numbers")
        if isinstance(left, int) and isinstance(right, int) and abs(left).bit_length() * abs(right) > 4096:
            raise TemplateProblem(f"{left} ** {right} is too large")
    elif operator == "*":
        if isinstance(left, int) and isinstance(right, int):
            if left.bit_length() + right.bit_length() > 8192:
                raise TemplateProblem("the product is too large")
        elif isinstance(left, Sequence) or isinstance(right, Sequence):
            many, times = (left, right) if isinstance(left, Sequence) else (right, left)
            if not isinstance(times, int) or len(many) * max(times, 0) > MAX_RANGE:
                raise TemplateProblem(f"a text or list times {times} is too large")
    elif operator == "+" and isinstance(left, Sequence) and isinstance(right, Sequence):
        limit = MAX_CHARACTERS if isinstance(left, str) else 10 * MAX_RANGE
        if len(left) + len(right) > limit:
            raise TemplateProblem("the sum of the texts or lists is too large")


# What a template does, counted


def _metered(tree: Template, environment: Environment) -> Template:
    """The template with its loops and `~` counted; what it may not have is refused."""
    from jinja2 import nodes
    from jinja2.visitor import NodeTransformer

    class Meter(NodeTransformer):  # type: ignore[misc]
        def visit_For(self, node: Any) -> Any:
            text = sum(len(one.data) for one in node.find_all(nodes.TemplateData))
            pairs = isinstance(node.target, nodes.Tuple) and len(node.target.items) == 2
            arguments: list[Any] = [nodes.Const(text), nodes.Const(pairs)]
            node.iter = nodes.Filter(node.iter, _BUDGET, arguments, [], None, None, lineno=node.lineno)
            node.iter.set_environment(environment)
            return self.generic_visit(node)

        def visit_Concat(self, node: Any) -> Any:
            self.generic_visit(node)
            return nodes.Filter(
                nodes.List(node.nodes, lineno=node.lineno), "join", [], [], None, None, lineno=node.lineno
            ).set_environment(environment)

    for node in tree.find_all(nodes.Stmt):
        if (name := type(node).__name__) in _NOT_THERE:
            raise NotSupported(f"line {node.lineno}: {{% {_NOT_THERE[name]} %}} is not there: a template stands alone")
    metered: Node = Meter().visit(tree)
    assert isinstance(metered, nodes.Template)
    return metered


def _rounds(budget: Budget, values: Any, text: int, pairs: bool) -> Iterator[Any]:
    """What a loop goes through. Two names before the `in` get a mapping's keys and values, as Tera has it."""
    if isinstance(values, str):
        raise TemplateProblem("a loop goes over a list or mapping, not over a text")
    if not isinstance(values, Iterable):
        raise TemplateProblem(f"a loop goes over a list or mapping, not over {_named(values)}")
    items = values.items() if pairs and isinstance(values, Mapping) else values
    for item in items:
        budget.spend(ROUND_COST + text)
        yield item


def _named(value: Any) -> str:
    return {bool: "true or false", int: "a number", float: "a number", type(None): "nothing"}.get(
        type(value), type(value).__name__
    )


def _finalizer(budget: Budget) -> Any:
    from jinja2 import Undefined, pass_context
    from markupsafe import Markup

    @pass_context  # type: ignore[untyped-decorator]
    def finalize(_context: Any, value: Any) -> Any:
        """What is printed: values as both languages of the field's have them, not as Python does."""
        if isinstance(value, Undefined):
            str(value)  # raises
        if not isinstance(value, (str, Markup)):
            return _shown(value, budget)
        budget.spend(len(value))
        return value

    return finalize


def _shown(value: Any, budget: Budget) -> str:
    budget.spend(ROUND_COST)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "[object]"
    if isinstance(value, (list, tuple, range)):
        return f"[{', '.join(_shown(item, budget) for item in value)}]"
    if isinstance(value, (str, int, float)):
        shown = str(value)
        budget.spend(len(shown))
        return shown
    raise TemplateProblem(f"{type(value).__name__} can't be printed")


# Its functions


def _range(*numbers: int, start: int = 0, end: int | None = None, step_by: int = 1) -> range:
    """Jinja's `range(end)`, `range(start, end, step)`, and Tera's `range(end=…, start=…, step_by=…)`."""
    if end is None and not numbers:
        raise TemplateProblem("range needs an end")
    found = range(*numbers) if numbers else range(start, end or 0, step_by)
    try:
        too_long = len(found) > MAX_RANGE
    except OverflowError:
        too_long = True
    if too_long:
        raise TemplateProblem(f"range gives more than {MAX_RANGE:,} numbers")
    return found


def _now(timestamp: bool = False, utc: bool = True) -> Any:
    from datetime import UTC, datetime

    moment = datetime.now(UTC) if utc else datetime.now().astimezone()
    return int(moment.timestamp()) if timestamp else moment.isoformat(timespec="seconds")


def _throw(message: str = "") -> str:
    raise TemplateProblem(str(message))
