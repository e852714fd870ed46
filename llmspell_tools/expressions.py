"""Arithmetic as people write it, read by a grammar and computed by a walk over what it found: nothing is evaluated as
code. Numbers, variables, lists, functions, comparisons, `&& || !`, and `condition ? one : other`.

`^` and `**` are powers, from the right; `-2 ^ 2` is -4.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lark import Lark, Tree

MAX_LENGTH = 10_000
"""Characters of an expression."""
MAX_POWER_BITS = 100_000
"""A power of whole numbers may have so many bits."""

_GRAMMAR = r"""
?start: choice
?choice: either | either "?" choice ":" choice
?either: both | either ("||" | "or") both -> or_
?both: equality | both ("&&" | "and") equality -> and_
?equality: order | equality "==" order -> eq | equality "!=" order -> ne
?order: sum | order "<=" sum -> le | order ">=" sum -> ge | order "<" sum -> lt | order ">" sum -> gt
?sum: product | sum "+" product -> add | sum "-" product -> sub
?product: unary | product "*" unary -> mul | product "/" unary -> div | product "%" unary -> mod
?unary: power | "-" unary -> neg | "+" unary -> pos | ("!" | "not") unary -> not_
?power: atom | atom ("^" | "**") unary -> pow_
?atom: NUMBER -> number
     | NAME "(" [choice ("," choice)*] ")" -> call
     | NAME -> name
     | "[" [choice ("," choice)*] "]" -> list_
     | "(" choice ")"
NUMBER.2: /0[xX][0-9a-fA-F]+|(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?/
NAME: /[A-Za-z_][A-Za-z0-9_.]*/
%import common.WS
%ignore WS
"""

Value = int | float | bool | list[Any]


class BadExpression(ValueError):
    """The expression can't be read or computed; the text says why, and where."""


CONSTANTS: Mapping[str, Value] = {
    "pi": math.pi,
    "e": math.e,
    "tau": math.tau,
    "inf": math.inf,
    "nan": math.nan,
    "true": True,
    "false": False,
}


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _round(value: float, digits: float = 0) -> float:
    if not float(digits).is_integer() or abs(digits) > 400:
        raise ValueError("round takes a whole number of digits")
    return round(value, int(digits)) if digits else _half_up(value)


def _half_up(value: float) -> int:
    """To the nearest whole number, halves away from zero, as calculators do."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def _numbers(function: Callable[[Sequence[float]], Value]) -> Callable[..., Value]:
    """A function of several numbers, or of one list of them."""

    def called(*values: Any) -> Value:
        listed = values[0] if len(values) == 1 and isinstance(values[0], list) else list(values)
        if not listed:
            raise ValueError("it needs at least one number")
        return function(listed)

    return called


def _log(value: float, base: float = 10.0) -> float:
    return math.log10(value) if base == 10 else math.log2(value) if base == 2 else math.log(value, base)


FUNCTIONS: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "arithmetic": {
        "abs": abs,
        "sqrt": math.sqrt,
        "cbrt": math.cbrt,
        "pow": lambda base, exponent: _power(base, exponent),
        "exp": math.exp,
        "ln": math.log,
        "log": _log,
        "log2": math.log2,
        "log10": math.log10,
        "sign": _sign,
        "mod": lambda one, other: _binary("mod", one, other),
    },
    "rounding": {"int": math.trunc, "trunc": math.trunc, "ceil": math.ceil, "floor": math.floor, "round": _round},
    "trigonometric": {
        name: getattr(math, name)
        for name in ("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "degrees", "radians")
    },
    "hyperbolic": {name: getattr(math, name) for name in ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh")},
    "statistical": {
        "sum": _numbers(lambda values: _exact(math.fsum(values) if _has_float(values) else sum(values))),
        "avg": _numbers(lambda values: math.fsum(values) / len(values)),
        "mean": _numbers(lambda values: math.fsum(values) / len(values)),
        "min": _numbers(min),
        "max": _numbers(max),
        "count": _numbers(len),
    },
}
"""The functions by kind."""

_BY_NAME = {name: function for kind in FUNCTIONS.values() for name, function in kind.items()}
_CONSTANT_CALLS = ("pi", "e", "tau")
OPERATORS: Mapping[str, Sequence[str]] = {
    "arithmetic_operators": ("+", "-", "*", "/", "%", "^", "**"),
    "comparison": ("==", "!=", "<", ">", "<=", ">="),
    "logical": ("&&", "||", "!", "? :"),
}


def evaluate(text: str, variables: Mapping[str, Value] | None = None) -> Value:
    """What an expression gives: a number, a truth value, or a list. Whole results are integers.

    Raises:
        BadExpression: it can't be read, a name is unknown, or there is no result (a division by zero).
    """
    return evaluated(text, variables)[0]


def evaluated(text: str, variables: Mapping[str, Value] | None = None) -> tuple[Value, int]:
    """What an expression gives (see `evaluate`), and how many operators and functions were computed."""
    return _computed(_read(text), variables or {})


def expression(text: str) -> Callable[[Mapping[str, Value]], Value]:
    """An expression, read once, to be evaluated with many variables; raises `BadExpression` as `evaluate` does."""
    tree = _read(text)
    return lambda variables: _computed(tree, variables)[0]


def _computed(tree: Tree[Any], variables: Mapping[str, Value]) -> tuple[Value, int]:
    walk = _Walk(variables)
    try:
        return _exact(walk.value(tree)), walk.operations
    except RecursionError:
        raise BadExpression("it is nested too deep") from None
    except ZeroDivisionError:
        raise BadExpression("division by zero") from None
    except OverflowError:
        raise BadExpression("the result is too large") from None


def check(text: str) -> None:
    """Raises `BadExpression` where an expression can't be read, or calls a function that there is not."""
    for node in _read(text).iter_subtrees():
        if node.data == "call":
            _function(str(node.children[0]))


def _read(text: str) -> Tree[Any]:
    # 30 ms, and few tools need it.
    from lark import Tree, UnexpectedCharacters, UnexpectedEOF, UnexpectedInput
    from lark.exceptions import LarkError

    if len(text) > MAX_LENGTH:
        raise BadExpression(f"it has {len(text)} characters, more than {MAX_LENGTH}")
    if not text.strip():
        raise BadExpression("it is empty")
    try:
        found = _parser().parse(text)
    except UnexpectedCharacters as error:
        raise BadExpression(f"'{text[error.pos_in_stream or 0]}' at {_place(error)} is not understood") from None
    except UnexpectedInput as error:
        at_end = isinstance(error, UnexpectedEOF) or getattr(getattr(error, "token", None), "type", "") == "$END"
        what = "it ends too early" if at_end else f"'{getattr(error, 'token', '')}' at {_place(error)} is not expected"
        raise BadExpression(what) from None
    except (LarkError, RecursionError):
        raise BadExpression("it can't be read") from None
    return found if isinstance(found, Tree) else Tree("start", [found])


def _place(error: Any) -> str:
    return f"column {error.column}" if error.line in (1, None) else f"line {error.line}, column {error.column}"


@functools.cache
def _parser() -> Lark:
    from lark import Lark

    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=False)


class _Walk:
    """Computes a tree; only the branch of a choice that is taken."""

    def __init__(self, variables: Mapping[str, Value]) -> None:
        self._variables = variables
        self.operations = 0

    def value(self, node: Any) -> Any:
        kind, parts = node.data, node.children
        self.operations += kind not in ("number", "name", "list_")
        if kind == "number":
            text = str(parts[0])
            return int(text, 0) if text[:2].lower() == "0x" else int(text) if text.isdigit() else float(text)
        if kind == "name":
            return self._named(str(parts[0]))
        if kind == "call":
            return self._call(str(parts[0]), [self.value(part) for part in parts[1:]])
        if kind == "list_":
            return [self.value(part) for part in parts]
        if kind == "choice":
            return self.value(parts[1] if _truth(self.value(parts[0])) else parts[2])
        if kind in ("or_", "and_"):
            left = _truth(self.value(parts[0]))
            return left if left is (kind == "or_") else _truth(self.value(parts[1]))
        if kind == "not_":
            return not _truth(self.value(parts[0]))
        if kind in ("neg", "pos"):
            number = _number(self.value(parts[0]), kind)
            return -number if kind == "neg" else number
        return _binary(kind, self.value(parts[0]), self.value(parts[1]))

    def _named(self, name: str) -> Any:
        if name in self._variables:
            return self._variables[name]
        if name.lower() in CONSTANTS:
            return CONSTANTS[name.lower()]
        if name in _BY_NAME:
            raise BadExpression(f"{name} is a function: {name}(…)")
        raise BadExpression(f"unknown name '{name}'")

    def _call(self, name: str, values: list[Any]) -> Any:
        if not values and name in _CONSTANT_CALLS:
            return CONSTANTS[name]
        try:
            return _function(name)(*values)
        except BadExpression:
            raise
        except TypeError:
            raise BadExpression(f"{name} can't be called with these {len(values)} arguments") from None
        except (ValueError, OverflowError) as error:
            raise BadExpression(f"{name}: {error}") from None


def _function(name: str) -> Callable[..., Any]:
    found = _BY_NAME.get(name.removeprefix("math.").removeprefix("math::"))
    if found is None and name not in _CONSTANT_CALLS:
        raise BadExpression(f"unknown function '{name}'")
    return found if found is not None else lambda: CONSTANTS[name]


def _binary(kind: str, left: Any, right: Any) -> Any:
    if kind in ("eq", "ne"):
        return (left == right) is (kind == "eq")
    one, other = _number(left, kind), _number(right, kind)
    if kind == "pow_":
        return _power(one, other)
    if kind == "div":
        return _exact(one / other) if not _both_whole(one, other) or one % other else one // other
    if kind == "mod":
        return math.fmod(one, other) if not _both_whole(one, other) else int(math.copysign(abs(one) % abs(other), one))
    operations: Mapping[str, Callable[[Any, Any], Any]] = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "le": lambda a, b: a <= b,
        "ge": lambda a, b: a >= b,
        "lt": lambda a, b: a < b,
        "gt": lambda a, b: a > b,
    }
    return operations[kind](one, other)


def _power(base: Any, exponent: Any) -> Any:
    if _both_whole(base, exponent):
        if exponent < 0:
            return float(base) ** exponent
        if abs(base) > 1 and abs(base).bit_length() * exponent > MAX_POWER_BITS:
            raise BadExpression("the result is too large")
    found = base**exponent
    if isinstance(found, complex):
        raise BadExpression(f"{base} to the power of {exponent} is no real number")
    return found


def _number(value: Any, kind: str) -> Any:
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, (int, float)):
        raise BadExpression(f"a number is needed, not {type(value).__name__} ({kind.rstrip('_')})")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, (bool, int, float)):
        raise BadExpression("a list is neither true nor false")
    return bool(value)


def _both_whole(one: Any, other: Any) -> bool:
    return isinstance(one, int) and isinstance(other, int)


def _has_float(values: Sequence[Any]) -> bool:
    return any(isinstance(value, float) for value in values)


def _exact(value: Any) -> Any:
    """A whole number as an integer, as far as a float has whole numbers exactly."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    return value
