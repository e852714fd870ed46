"""Where values came from, and the text for what is wrong with them.

Turns the schema's refusals into the sentences that users see, each with file and line, or with the variable.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from llmspell_profiles.credentials.secrets import is_secret, without_secrets
from llmspell_profiles.loading.toml_source import Position, TomlSource
from llmspell_profiles.problems import KeyPath, Remark, SettingError
from llmspell_profiles.schema.checks import Problem
from llmspell_profiles.schema.providers import ProviderSettings
from llmspell_profiles.schema.schema_keys import find, rule_name

_NOUNS = {
    "int_type": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a string",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "table_type": "a table",
    "dict_type": "a table",
    "literal_error": "a string",
}
_SENTENCES = {"missing": "is missing", "unknown": "unknown key"}


ZERO_CONFIGURATION_NAME = "zero configuration"
"""What messages call the file of the settings that hold where nothing is configured."""


class Origins(NamedTuple):
    """What the merged data was made of: the file (or profile), and the variable or flag that set each path.

    `source` is the user's own file where `is_file`, and `below` the profile that it extends.
    """

    source: TomlSource
    providers: Mapping[str, type[ProviderSettings]]
    variables: Mapping[KeyPath, str]
    flags: frozenset[KeyPath]
    below: TomlSource | None = None
    is_file: bool = False

    def place(self, path: KeyPath) -> tuple[str, dict[str, object]]:
        """What a message about a path begins with, up to the colon, and its details."""
        key = ".".join(path)
        if path in self.flags:
            return key, {"key": key}
        if variable := self.variables.get(path):
            return variable, {"key": key, "variable": variable}
        return in_file(self.source, path)

    def source_of(self, path: KeyPath) -> str | None:
        """What set the value of a key, strongest first: `file:line`, profile, variable, flags; None for a default."""
        for length in range(len(path), 0, -1):
            # A variable may set a whole map.
            if path[:length] in self.flags:
                return "command line"
            if variable := self.variables.get(path[:length]):
                return variable
        for source in (self.source, self.below):
            if source is not None and (position := next(_positions(source, path), None)):
                from_file = source is self.source and self.is_file
                return f"{source.name}:{position.line}" if from_file else source.name
        return None

    def is_chosen(self, path: KeyPath) -> bool:
        """Whether a key was set: in a file, by a variable or a flag, or by naming a profile that sets it."""
        return self.source_of(path) not in (None, ZERO_CONFIGURATION_NAME)

    def first_error(self, found: Sequence[Problem]) -> SettingError:
        """The error that stands first, with all others in `together`: by line, then those of variables and flags."""
        problems = sorted(map(self.problem, found), key=in_order)
        problems[0].together = tuple(problems)
        return problems[0]

    def problem(self, problem: Problem) -> SettingError:
        """The error for one problem."""
        path = tuple(part for part in problem.path if isinstance(part, str))
        if key := problem.context.get("key"):
            path = (*path, *key.split("."))
        place, details = self.place(path)
        if problem.kind == "at_odds":
            place = ".".join(path)
        text = self._sentence(problem, path)
        variable = details.get("variable")
        if variable is not None and variable != rule_name(path):
            text += f" (sets {'.'.join(path)})"
        item = "".join(f"[{part}]" for part in problem.path if isinstance(part, int))
        return SettingError(f"{place}{item}: {text}", details=details, place=place + item, path=path)

    def _sentence(self, problem: Problem, path: KeyPath) -> str:
        kind, _, value, context = problem
        if kind in ("wrong", "at_odds"):
            return str(context["text"])
        if kind in _SENTENCES:
            return _SENTENCES[kind]
        what = context["what"] if kind == "expected" else _NOUNS.get(kind)
        if kind == "dict_type" and isinstance(value, str):
            return f"expected {what}, got a string"  # which may be a header with a key in it
        if what is not None:
            return f"expected {what}, got {self._shown(value, path)}"
        return _range(value, context)

    def _shown(self, value: object, path: KeyPath) -> str:
        # Where the name of a variable belongs, users put the key itself.
        secret = is_secret(path[-1], known=find(path, self.providers) is not None) or path[-1] == "api_key_env"
        if isinstance(value, str):
            value = without_secrets(value)
        if path in self.variables and not secret:
            return f"'{value}'" if isinstance(value, str) else str(value)
        return described(value, secret=secret)


def in_file(source: TomlSource, path: KeyPath) -> tuple[str, dict[str, object]]:
    """`file:line key` for a key of a file, and the details."""
    key = ".".join(path)
    position = next(_positions(source, path), None) or source.position(path)
    if position is None:
        return f"{source.name} {key}", {"file": source.name, "key": key}
    details = {"file": source.name, "line": position.line, "column": position.column, "key": key}
    return f"{source.name}:{position.line} {key}", details


def _positions(source: TomlSource, path: KeyPath) -> Iterator[Position]:
    return (source.positions[each] for each in spellings(path) if each in source.positions)


def spellings(path: KeyPath) -> Iterator[KeyPath]:
    """The places where a file may have a key, all of them accepted."""
    names = [path]
    if path[0] == "providers" and path[2:] == ("default_model",):
        names.append((*path[:2], "model"))
    yield from names
    if path[0] == "hooks":
        yield ("runtime", *path)
    if path[0] == "providers":
        yield from ((*each[:2], "options", *each[2:]) for each in names)


def described(value: object, *, secret: bool) -> str:
    """A value as messages name it: `the string "ten"`; of a secret only the kind."""
    match value:
        case bool():
            return "a boolean" if secret else str(value).lower()
        case str():
            return "a string" if secret else f'the string "{value}"'
        case int():
            return "an integer" if secret else f"the integer {value}"
        case float():
            return "a number" if secret else f"the number {value}"
        case list() | tuple():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"


def _range(value: object, bounds: Mapping[str, Any]) -> str:
    if isinstance(value, float) and math.isfinite(value):
        value = f"{value:g}"
    if "ge" in bounds and "le" in bounds:
        return f"{value} is out of range ({bounds['ge']} to {bounds['le']})"
    if "ge" in bounds:
        return f"must be at least {bounds['ge']}, got {value}"
    if "gt" in bounds:
        return f"must be greater than {bounds['gt']}, got {value}"
    return f"must be at most {bounds['le']}, got {value}"


def in_order(problem: SettingError | Remark) -> tuple[float, bool]:
    """A sorting key: by line, then what stands in no file."""
    line = problem.details.get("line")
    return line if isinstance(line, int) else math.inf, "variable" in problem.details
