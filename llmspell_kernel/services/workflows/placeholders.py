"""Placeholders in a step's input: `{{step:NAME:output}}` and its like, at any depth; a whole text keeps the type.

What is put in is never looked at again: a value that has `{{…}}` in it, an answer of a model say, means nothing here.
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from llmspell_kernel.services.weight import Budget
from llmspell_kernel.services.workflows.filters import FILTERS, BadFilter, filtered
from llmspell_kernel.services.workflows.names import Names, input_of
from llmspell_kernel.services.workflows.outcomes import StepOutcome
from llmspell_kernel.services.workflows.value_text import value_text, within
from llmspell_kernel.times import now_text
from llmspell_protocol.errors import InvalidRequest, ScriptError

_PLACEHOLDER = re.compile(r"\{\{([^{}]+)\}\}")
_DOLLAR = re.compile(r"\$([A-Za-z_]\w*(?:[.\[].*)?)", re.DOTALL)
"""A whole text that is a Lua expression: a name, and what may follow one."""
_SIMPLE = re.compile(r"([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*|\[\d+\])*)")

MAX_DEPTH = 64
MAX_FILLED_BYTES = 64 << 20
"""What all placeholders that stand among other words may be filled with, in one input."""
MAX_PARTS = 64
"""Names, filters and what filters are told, between colons."""
_NOTHING = (False, None)

Found = tuple[bool, Any]
Warn = Callable[[str], None]


class Sources(Protocol):
    """Where values come from that are not among the names."""

    async def pause(self) -> None:
        """Gives way to what else waits for the loop, now and then."""

    async def state(self, key: str) -> Found:
        """A value of the global State."""

    async def evaluate(self, expression: str, variables: Mapping[str, Any]) -> Any:
        """The value of a Lua expression; raises `ScriptError`."""


class Reading(NamedTuple):
    """Everything that a placeholder may name, and who hears of those that mean nothing."""

    names: Names
    sources: Sources
    warn: Warn
    where: str
    room: Budget
    """What may be filled into texts."""


def reading_of(names: Names, sources: Sources, warn: Warn, where: str) -> Reading:
    """The reading of one input."""
    return Reading(names, sources, warn, where, Budget(MAX_FILLED_BYTES))


async def substituted(value: Any, reading: Reading, leave: frozenset[str] = frozenset(), depth: int = 0) -> Any:
    """The value with its placeholders replaced; bare names in `leave` stay.

    Raises:
        InvalidRequest: what is to be filled in is too large.
    """
    if depth > MAX_DEPTH:
        return value
    await reading.sources.pause()
    if isinstance(value, str):
        return await _text(value, reading, leave)
    if isinstance(value, Mapping):
        return {key: await substituted(item, reading, leave, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [await substituted(item, reading, leave, depth + 1) for item in value]
    return value


async def template_input(value: Any, reading: Reading) -> Any:
    """The input of a step that fills a template: names that the template's own context has are the tool's to fill."""
    if not isinstance(value, Mapping):
        return await substituted(value, reading)
    own: set[str] = set()
    for key in ("context", "variables"):
        if isinstance(value.get(key), Mapping):
            own |= set(value[key])
    leave = frozenset(own)
    return {
        key: await substituted(item, reading, leave if key in ("input", "template") else frozenset())
        for key, item in value.items()
    }


async def _text(text: str, reading: Reading, leave: frozenset[str]) -> Any:
    whole = _PLACEHOLDER.fullmatch(text)
    if whole is not None:
        found, value = await _value(whole[1].strip(), reading, leave)
        return value if found else text
    if "{{" in text:
        return await _filled(text, reading, leave)
    dollar = _DOLLAR.fullmatch(text)
    if dollar is None:
        return text
    found, value = await _of_expression(dollar[1], reading)
    return value if found else text


async def _filled(text: str, reading: Reading, leave: frozenset[str]) -> str:
    pieces, at = [], 0
    for placeholder in _PLACEHOLDER.finditer(text):
        await reading.sources.pause()
        found, value = await _value(placeholder[1].strip(), reading, leave)
        filled = value_text(value) if found else placeholder[0]
        if not reading.room.admits(filled):
            raise InvalidRequest(
                f"{reading.where}: its placeholders stand for more than {MAX_FILLED_BYTES >> 20} MB of text"
            )
        pieces += [text[at : placeholder.start()], filled]
        at = placeholder.end()
    return "".join([*pieces, text[at:]])


async def _value(reference: str, reading: Reading, leave: frozenset[str]) -> Found:
    if reference in leave:
        return _NOTHING
    parts = reference.split(":")
    if len(parts) > MAX_PARTS:
        reading.warn(f"{reading.where}: a placeholder has more than {MAX_PARTS} parts; it was left as it is")
        return _NOTHING
    first = next((at for at, part in enumerate(parts) if at and part in FILTERS), len(parts))
    found, value = await _named(parts[:first], reading)
    if not found:
        reading.warn(
            f"{reading.where}: nothing is known by the placeholder '{{{{{reference}}}}}'; it was left as it is"
        )
        return _NOTHING
    try:
        return True, filtered(value, parts[first:])
    except BadFilter as problem:
        reading.warn(f"{reading.where}: placeholder '{{{{{reference}}}}}': {problem}; it was left as it is")
        return _NOTHING


async def _named(parts: Sequence[str], reading: Reading) -> Found:
    names, head, rest = reading.names, parts[0], ":".join(parts[1:])
    if head == "step" and len(parts) >= 3:
        return _of_step(names.step(parts[1]), ":".join(parts[2:]))
    if head == "branch" and len(parts) >= 4:
        return _of_step(names.branch_step(parts[1], parts[2]), ":".join(parts[3:]))
    if len(parts) > 1:
        if head == "loop":
            return _of_loop(names, rest)
        if head == "input":
            return _of_input(names.input, rest)
        if head == "shared":
            return _by_key(names.shared, rest)
        if head == "state":
            return await reading.sources.state(rest)
        return _NOTHING
    return await _bare(head, reading)


async def _bare(reference: str, reading: Reading) -> Found:
    """`step.NAME.output`, `NAME.output`, `input.KEY`, `loop_value`, `timestamp`, or a key."""
    names = reading.names
    made = _MADE.get(reference)
    if made is not None:
        return True, made()
    key, dot, path = reference.partition(".")
    if names.loop is not None and key in _LOOP:
        return _of_loop(names, reference)
    if key == "step" and dot:
        name, _, what = path.partition(".")
        return _of_step(names.step(name), what or "output")
    if key == "input" and dot:
        found = _of_input(names.input, path)
        if found[0]:
            return found
    for table in (names.input if isinstance(names.input, Mapping) else {}, names.shared):
        found = _by_key(table, reference)
        if found[0]:
            return found
    if key == "text" and isinstance(names.input, str) and not dot:
        return True, names.input
    found = _of_step(names.step(key), path or "output")
    return found if found[0] else await reading.sources.state(reference)


def _of_step(outcome: StepOutcome | None, what: str) -> Found:
    if outcome is None or outcome.skipped:
        return _NOTHING
    kind, dot, path = what.partition(".")
    kind, bracket, index = kind.partition("[")
    path = f"{bracket}{index}{dot}{path}"
    if kind in ("output", "result"):
        return within(outcome.output, path)
    if kind == "success":
        return True, outcome.success
    if kind == "error":
        return True, None if outcome.problem is None else outcome.problem.message
    # `{{NAME.field}}` is a field of the output.
    return within(outcome.output, what)


_LOOP: Mapping[str, Callable[[Any], Any]] = {
    "current_item": lambda loop: loop.item,
    "current_value": lambda loop: loop.item,
    "current_index": lambda loop: loop.index,
    "iteration": lambda loop: loop.index,
    "total_iterations": lambda loop: loop.total,
    "loop_value": lambda loop: loop.item,
    "loop_item": lambda loop: loop.item,
    "loop_index": lambda loop: loop.index,
}


def _of_loop(names: Names, what: str) -> Found:
    key = re.match(r"\w*", what)
    value = _LOOP.get(key[0]) if key is not None else None
    if names.loop is None or key is None or value is None:
        return _NOTHING
    return within(value(names.loop), what[key.end() :])


def _of_input(given: Any, key: str) -> Found:
    found = input_of(given, key)
    return found if found[0] else within(given, key)


def _by_key(table: Mapping[str, Any], key: str) -> Found:
    return (True, table[key]) if key in table else within(table, key)


_MADE: Mapping[str, Callable[[], Any]] = {
    "random": random.random,
    "timestamp": now_text,
    "uuid": lambda: str(uuid.uuid4()),
}


async def _of_expression(expression: str, reading: Reading) -> Found:
    variables = reading.names.variables()
    simple = _SIMPLE.fullmatch(expression)
    if simple is not None:
        if simple[1] not in variables:
            found, value = _NOTHING
        else:
            found, value = within(variables[simple[1]], simple[2])
    elif not _begins_with_a_name(expression, variables):
        found, value = _NOTHING
    else:
        try:
            value = await reading.sources.evaluate(expression, variables)
        except ScriptError as problem:
            reading.warn(f"{reading.where}: '${expression}': {problem.message}; it was left as it is")
            return _NOTHING
        found = value is not None
    if not found:
        reading.warn(f"{reading.where}: nothing is known by '${expression}'; it was left as it is")
    return found, value


def _begins_with_a_name(expression: str, variables: Mapping[str, Any]) -> bool:
    """Prices and shell variables are no expressions: what is meant begins with something that is known here."""
    name = re.match(r"\w+", expression)
    return name is not None and name[0] in variables
