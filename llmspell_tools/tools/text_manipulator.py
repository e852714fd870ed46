"""text-manipulator: changes, takes apart, searches and counts texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from llmspell_protocol.errors import Unsupported
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.limits.results import demand_length
from llmspell_tools.parameters import ToolParameters, missing, parameter
from llmspell_tools.texts.group_references import group_text, parts_of
from llmspell_tools.texts.pages import text_of_page
from llmspell_tools.texts.wording import CASES, dedented, printable, shortened, words_of, wrapped

Scalar = str | int | float | bool
_CASE_FORMATS: Mapping[str, Callable[[str], str]] = {
    "upper": str.upper,
    "uppercase": str.upper,
    "lower": str.lower,
    "lowercase": str.lower,
    "title": CASES["title_case"],
    "capitalize": str.capitalize,
    **{name.removesuffix("_case"): case for name, case in CASES.items()},
}


class Parameters(ToolParameters):
    """What `text-manipulator` is called with; everything behind `operation` may stand in `options` as well."""

    operation: Literal[
        "uppercase",
        "lowercase",
        "capitalize",
        "title_case",
        "snake_case",
        "kebab_case",
        "camel_case",
        "pascal_case",
        "case",
        "reverse",
        "trim",
        "replace",
        "regex",
        "substring",
        "split",
        "join",
        "sanitize",
        "truncate",
        "indent",
        "dedent",
        "normalize_whitespace",
        "word_wrap",
        "format",
        "constant",
        "extract",
        "count",
        "length",
        "contains",
        "validate",
    ] = parameter("what to do")
    input: str | list[Scalar] | None = parameter(
        "the text; of join a list of texts, or its JSON", None, also=("text", "parts")
    )
    options: dict[str, Any] | None = parameter("the parameters below, by name", None)
    from_text: str | None = parameter("what replace looks for", None, also=("from", "search", "find"))
    to_text: str | None = parameter("what replace puts in its place", None, also=("to", "replace"))
    start: int | None = parameter("the first character of substring, counted from 0", None, ge=0)
    end: int | None = parameter("the character behind the last one of substring", None, ge=0)
    delimiter: str | None = parameter("what split and join have between the parts; a space", None, also=("separator",))
    max_length: int | None = parameter("the longest that truncate (100) and sanitize leave", None, ge=0)
    spaces: int = parameter("how far indent moves the lines", 4, ge=0, le=1_000)
    width: int = parameter("the longest line of word_wrap", 80, ge=1)
    pattern: str | None = parameter("the regular expression of regex, extract, contains and validate", None)
    replacement: str | None = parameter("what regex puts in; $1, ${name} and \\1 are what a group found", None)
    template: str | None = parameter("of format: a text with {name} where values go", None)
    values: dict[str, Any] | None = parameter("the values of format by name", None, also=("variables",))
    value: Any = parameter("what constant gives, and what contains looks for", None, also=("substring",))
    format: str | None = parameter("of case: upper, lower, title, snake, kebab, camel, pascal", None)
    count_type: Literal["words", "characters", "lines", "sentences", "paragraphs", "bytes"] = parameter(
        "what count counts", "words"
    )
    remove_html: bool = parameter("sanitize takes HTML's tags out", False)
    trim_whitespace: bool = parameter("sanitize takes white space off both ends", False)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Options are parameters; those that stand outside win."""
        wanted = dict(given)
        options: Any = wanted.get("options")
        if isinstance(options, Mapping):
            for name, value in options.items():
                own = _OWN_NAMES.get(str(name), str(name))
                if name not in ("input", "operation", "options") and wanted.get(own) is None:
                    wanted[own] = value
        if wanted.get("count_type") == "chars":
            wanted["count_type"] = "characters"
        return wanted


_OWN_NAMES = {
    "from": "from_text",
    "search": "from_text",
    "find": "from_text",
    "to": "to_text",
    "replace": "to_text",
    "separator": "delimiter",
    "variables": "values",
    "substring": "value",
}


@dataclass(frozen=True)
class _Made:
    """What an operation gave, and what stands beside it."""

    value: Any
    beside: Mapping[str, Any] = field(default_factory=dict)


def run(wanted: Parameters, call: Call) -> Outcome:
    """Does what is asked with the text."""
    del call
    text = _text(wanted)
    made = _OPERATIONS[wanted.operation](text, wanted)
    if not isinstance(made, _Made):
        made = _Made(made)
    shown = made.value if isinstance(made.value, str) else json.dumps(made.value, ensure_ascii=False)
    demand_length(len(shown))
    return Outcome(
        operation=wanted.operation,
        result={
            "result": made.value,
            "output": made.value,
            "operation": wanted.operation,
            "original_length": len(text),
            "result_length": len(shown),
            **made.beside,
        },
        output=made.value,
        text=shown,
        message=f"{wanted.operation}: {len(text):,} characters in, {len(shown):,} out",
    )


def _text(wanted: Parameters) -> str:
    if isinstance(wanted.input, list):
        return json.dumps(wanted.input, ensure_ascii=False)
    if wanted.input is None:
        if wanted.operation == "constant" or (wanted.operation == "format" and wanted.template is not None):
            return ""
        raise missing("input", "text")
    return wanted.input


# Changing


def _replace(text: str, wanted: Parameters) -> str:
    if wanted.from_text is None or wanted.to_text is None:
        raise missing("from" if wanted.from_text is None else "to")
    growth = len(wanted.to_text) - len(wanted.from_text)
    demand_length(len(text) + growth * text.count(wanted.from_text))
    return text.replace(wanted.from_text, wanted.to_text)


def _compiled(wanted: Parameters) -> re.Pattern[str]:
    if wanted.pattern is None:
        raise missing("pattern")
    try:
        return re.compile(wanted.pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ToolFailure(f"the pattern is no regular expression: {error}") from None


def _regex(text: str, wanted: Parameters) -> _Made:
    pattern = _compiled(wanted)
    if wanted.replacement is None:
        raise missing("replacement")
    parts = parts_of(wanted.replacement)
    pieces, end, characters, count = [], 0, len(text), 0
    for found in pattern.finditer(text):
        inserted = "".join(part if isinstance(part, str) else group_text(found, part) for part in parts)
        characters += len(inserted) - len(found[0])
        demand_length(characters)
        pieces += [text[end : found.start()], inserted]
        end, count = found.end(), count + 1
    return _Made("".join([*pieces, text[end:]]), {"count": count})


def _substring(text: str, wanted: Parameters) -> str:
    if wanted.start is None and wanted.end is None:
        raise missing("start")
    return text[wanted.start : wanted.end]


def _split(text: str, wanted: Parameters) -> _Made:
    delimiter = " " if wanted.delimiter is None else wanted.delimiter
    if not delimiter:
        raise ToolFailure("the delimiter is empty")
    parts = text.split(delimiter)
    return _Made(json.dumps(parts, ensure_ascii=False), {"parts": parts})


def _join(text: str, wanted: Parameters) -> str:
    delimiter = " " if wanted.delimiter is None else wanted.delimiter
    try:
        parts = json.loads(text)
    except ValueError:
        parts = None
    if not isinstance(parts, list) or any(isinstance(part, (dict, list)) or part is None for part in parts):
        raise ToolFailure("join needs a JSON array of texts")
    shown = [part if isinstance(part, str) else json.dumps(part) for part in parts]
    demand_length(sum(map(len, shown)) + len(delimiter) * len(shown))
    return delimiter.join(shown)


def _indent(text: str, wanted: Parameters) -> str:
    lines = text.splitlines(keepends=True)
    demand_length(len(text) + wanted.spaces * len(lines))
    return "".join(" " * wanted.spaces + line for line in lines)


def _sanitize(text: str, wanted: Parameters) -> str:
    if wanted.remove_html:
        text = text_of_page(text)
    text = printable(text)
    if wanted.trim_whitespace:
        text = text.strip()
    return text if wanted.max_length is None else text[: wanted.max_length]


def _case(text: str, wanted: Parameters) -> str:
    if wanted.format is None:
        raise missing("format")
    case = _CASE_FORMATS.get(wanted.format.lower().removesuffix("_case"))
    if case is None:
        raise ToolFailure(f"Unknown format: {wanted.format}; there are {', '.join(_CASE_FORMATS)}")
    return case(text)


_PLACE = re.compile(r"\{\{|\}\}|\{\s*([A-Za-z_][\w.]*)\s*\}")


def _format(text: str, wanted: Parameters) -> str:
    if wanted.format is not None:
        raise Unsupported(
            f"text-manipulator can't format a text as {wanted.format}",
            hint="format fills the {names} of `template` with `values`",
        )
    template = text if wanted.template is None else wanted.template
    if wanted.values is None:
        return template
    values, characters = wanted.values, len(template)

    def filled(place: re.Match[str]) -> str:
        nonlocal characters
        if place[1] is None:
            return place[0][0]
        value: Any = values
        for name in [place[1]] if place[1] in values else place[1].split("."):
            if not isinstance(value, Mapping) or name not in value:
                raise ToolFailure(f"there is no value for {{{place[1]}}}")
            value = value[name]
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        characters += len(shown) - len(place[0])
        demand_length(characters)
        return shown

    return _PLACE.sub(filled, template)


def _constant(_text: str, wanted: Parameters) -> str:
    if wanted.value is None:
        raise missing("value")
    return wanted.value if isinstance(wanted.value, str) else json.dumps(wanted.value, ensure_ascii=False)


# Asking


def _extract(text: str, wanted: Parameters) -> _Made:
    found = _compiled(wanted).search(text)
    if found is None:
        return _Made("", {"found": False, "groups": []})
    groups = [group or "" for group in found.groups()]
    return _Made(groups[0] if groups else found[0], {"found": True, "groups": groups})


def _count(text: str, wanted: Parameters) -> _Made:
    count = _COUNTS[wanted.count_type](text)
    return _Made(count, {"count": count, "count_type": wanted.count_type})


_COUNTS: Mapping[str, Callable[[str], int]] = {
    "words": lambda text: len(text.split()),
    "characters": len,
    "lines": lambda text: len(text.splitlines()),
    "sentences": lambda text: sum(bool(words_of(part)) for part in re.split(r"[.!?…]+(?:\s|$)", text)),
    "paragraphs": lambda text: sum(bool(part.strip()) for part in re.split(r"\n\s*\n", text)),
    "bytes": lambda text: len(text.encode("utf-8", "surrogatepass")),
}


def _contains(text: str, wanted: Parameters) -> bool:
    if wanted.pattern is not None:
        return _compiled(wanted).search(text) is not None
    sought = wanted.value if wanted.value is not None else wanted.from_text
    if sought is None:
        raise missing("value", "substring", "pattern")
    return (sought if isinstance(sought, str) else json.dumps(sought)) in text


def _validate(text: str, wanted: Parameters) -> _Made:
    valid = _compiled(wanted).search(text) is not None
    return _Made(valid, {"valid": valid})


def _plain(change: Callable[[str], Any]) -> Callable[[str, Parameters], Any]:
    return lambda text, _wanted: change(text)


_OPERATIONS: Mapping[str, Callable[[str, Parameters], Any]] = {
    "uppercase": _plain(str.upper),
    "lowercase": _plain(str.lower),
    "capitalize": _plain(lambda text: text[:1].upper() + text[1:]),
    **{name: _plain(case) for name, case in CASES.items()},
    "case": _case,
    "reverse": _plain(lambda text: text[::-1]),
    "trim": _plain(str.strip),
    "replace": _replace,
    "regex": _regex,
    "substring": _substring,
    "split": _split,
    "join": _join,
    "sanitize": _sanitize,
    "truncate": lambda text, wanted: shortened(text, 100 if wanted.max_length is None else wanted.max_length),
    "indent": _indent,
    "dedent": _plain(dedented),
    "normalize_whitespace": _plain(lambda text: " ".join(text.split())),
    "word_wrap": lambda text, wanted: wrapped(text, wanted.width),
    "format": _format,
    "constant": _constant,
    "extract": _extract,
    "count": _count,
    "length": _plain(len),
    "contains": _contains,
    "validate": _validate,
}


TOOL = Tool(
    name="text-manipulator",
    description=(
        "Changes, takes apart, searches and counts texts. A regular expression that takes too long ends with the "
        "call's time limit."
    ),
    category="utility",
    level="safe",
    parameters=Parameters,
    run=run,
    result=(
        "{result, operation, original_length, result_length}; split: + parts; extract: + found, groups; regex, count: "
        "+ count; validate: + valid. The result is a text; of count and length a number, of contains and validate a "
        "truth value"
    ),
    keywords=("string", "text", "case", "replace", "regex", "split", "count"),
    example={"operation": "uppercase", "input": "hello"},
)
