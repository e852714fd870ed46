"""The kinds of values that settings have beyond numbers and strings: sizes, durations, paths, words, URLs.

Each is a type with a mark. A value that can't be understood is refused with a kind that `origins.py` turns into text:
`expected` (what would have been right), `wrong` and `at_odds` (the whole sentence).
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from llmspell_profiles.schema.checks import Check, Refusal
from llmspell_protocol.addresses import BadAddress, has_query, parse_address
from llmspell_protocol.durations import read_seconds
from llmspell_protocol.loopback import is_loopback
from llmspell_protocol.numbers import INT64_HIGH, is_whole

_BYTES_IN = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
# Compiled when they are first used, by `re` itself.
_SIZE = r"(?i)([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([kmg]i?b)"
_QUANTIZATION = r"(?:I?Q|TQ)[1-8]_[0-9A-Z_]+|B?F16|F32|MXFP4(?:_MOE)?"
_VARIABLE = r"(?:[A-Za-z_][A-Za-z0-9_]*)?"
_DEVICE = r"auto|cpu|cuda(?::[0-9]{1,3})?|metal"


SecurityLevel = Literal["Safe", "Privileged", "Unrestricted"]
LogLevel = Literal["off", "error", "warn", "info", "debug", "trace"]


class High(NamedTuple):
    """Marks a number that is accepted above `limit`, but with a warning."""

    limit: int


class Idle(NamedTuple):
    """Marks a key that nothing reads yet: what differs from its default is accepted, with a warning."""


def _never(_value: Any) -> bool:
    return False


class NeedsTrust(NamedTuple):
    """Marks a key by which a file that comes with a directory could act for others (see `loading/trust.py`).

    Values that are `harmless` need none, and the default never does.
    """

    harmless: Callable[[Any], bool] = _never


def _is_near(value: Any) -> bool:
    """Whether a URL, or each of several, leads to this machine."""
    if isinstance(value, list):
        return all(map(_is_near, value))
    try:
        return isinstance(value, str) and is_loopback(parse_address(value).host)
    except BadAddress:
        return False


class PathContext(NamedTuple):
    """What paths are relative to; handed to a table's check. A user without a home directory has None."""

    llmspell_home: Path
    user_home: Path | None
    cwd: Path


class Form(NamedTuple):
    """What may be written where the type alone doesn't tell: for descriptions of the schema, validation needs none.

    `kind` is `size`, `duration`, `url` or `list`; `also` are further words.
    """

    kind: str = ""
    also: tuple[str, ...] = ()
    at_least: int | None = None
    at_most: int | None = None


class Before:
    """Changes or refuses a value before its type is checked."""

    def __init__(self, change: Callable[[object], object], form: Form = Form()) -> None:  # noqa: B008 — immutable
        self._change = change
        self.form = form

    def around(self, check: Check) -> Check:
        """The check, told the changed value."""
        return lambda value, context: check(self._change(value), context)


class BeforeInContext:
    """The same for a function that also gets what the values are relative to."""

    def __init__(self, change: Callable[[object, object], object]) -> None:
        self._change = change

    def around(self, check: Check) -> Check:
        """The check, told the changed value."""
        return lambda value, context: check(self._change(value, context), context)


def expected(what: str) -> Refusal:
    """An error for a value that is not `what`; the text goes on with what was got."""
    return Refusal("expected", {"what": what})


def wrong(text: str, key: str = "") -> Refusal:
    """An error with its whole text; `key` names the key it is about, below the table that was checked."""
    return Refusal("wrong", {"text": text, "key": key})


def at_odds(text: str, key: str) -> Refusal:
    """Like `wrong`, for two keys that exclude each other and may come from two places: the message names no place."""
    return Refusal("at_odds", {"text": text, "key": key})


def words(literal: Any, also: Mapping[str, str] | None = None) -> Before:
    """Matches the words of a `Literal` without regard to case; `also` maps further spellings to words."""
    canonical = {word.casefold(): word for word in get_args(literal)} | dict(also or {})
    listed = ", ".join(get_args(literal))

    def match(value: object) -> object:
        if not isinstance(value, str):
            return value
        word = canonical.get(value.casefold())
        if word is None:
            raise wrong(f"'{value}' is not one of {listed}")
        return word

    return Before(match, Form(also=tuple(also or ())))


def no_other_store(value: object) -> object:
    """Refuses the stores of other programs by name."""
    if isinstance(value, str) and value.casefold() in ("sled", "rocksdb", "redis", "file"):
        raise wrong(f"'{value}' is not supported; use memory or sqlite")
    return value


def listed(value: object) -> object:
    """A list that may also be written as one string with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _parse_size(value: object) -> object:
    if isinstance(value, str):
        found = re.fullmatch(_SIZE, value.strip())
        if found is None:
            raise expected('a size (bytes, or a string such as "64 MiB")')
        return int(float(found[1]) * _BYTES_IN[found[2].lower()])
    return value


def _parse_duration(value: object) -> object:
    # A fraction is written with a unit.
    if isinstance(value, int | str) and not isinstance(value, bool):
        try:
            seconds = read_seconds(value)
        except ValueError:
            pass
        else:
            if seconds != -1 and seconds < 0:
                raise wrong(f"must be at least 0, or -1 for never, got {value}")
            return seconds
    raise expected('a duration (seconds, or a string such as "90s", "5m", "1h30m"; -1 for never)')


def auto_or(what: str, at_least: int = 0, at_most: int | None = None) -> Before:
    """The word `auto`, or an integer in the range; sizes are understood where `what` is "a size"."""

    def match(value: object) -> object:
        if isinstance(value, str) and value.casefold() == "auto":
            return "auto"
        if what == "a size" and isinstance(value, str) and re.fullmatch(_SIZE, value.strip()):
            value = _parse_size(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise expected(f"auto or {what}")
        if at_most is not None and not at_least <= value <= at_most:
            raise wrong(f"{value} is out of range ({at_least} to {at_most}, or auto)")
        if value < at_least:
            raise wrong(f"must be at least {at_least}, got {value}")
        if not is_whole(value):
            raise Refusal("range", {"le": INT64_HIGH}, value)
        return value

    return Before(match, Form("size" if what == "a size" else "", at_least=at_least, at_most=at_most))


def _resolve_path(value: object, around: object) -> object:
    if isinstance(value, str):
        if not value:
            raise expected("a path")
        path, default = Path(value), False
    elif isinstance(value, Path):
        path, default = value, True
    else:
        raise expected("a path")
    if not isinstance(around, PathContext):
        return path
    if default and path.parts[:2] == ("~", ".llmspell"):
        return around.llmspell_home.joinpath(*path.parts[2:])
    first = path.parts[0] if path.parts else ""
    if first == "~":
        if around.user_home is None:
            raise wrong(f"'{path}' begins with the home directory, and this user has none")
        return around.user_home.joinpath(*path.parts[1:])
    if first.startswith("~"):
        return _below_another_home(path)
    return around.cwd / path


def _below_another_home(path: Path) -> Path:
    # A file that is called so is `./~name`.
    try:
        return path.expanduser()
    except RuntimeError:
        raise wrong(f"'{path}': there is no user '{path.parts[0][1:]}'") from None


def _check_url(value: object) -> object:
    if isinstance(value, str):
        try:
            parse_address(value)
        except BadAddress as error:
            # What is no URL at all needs no reason.
            why = f" ({error})" if re.match(r"(?i)https?://", value.strip()) else ""
            raise expected(f"an http or https URL{why}") from None
    return value


def _check_stop(value: object) -> object:
    if value == "":
        raise wrong("an empty string would end every reply before its first word")
    return value


def _check_base_url(value: object) -> object:
    if isinstance(value, str) and has_query(value):
        raise expected("an http or https URL without a query, since paths are appended to it")
    return _check_url(value)


def _check_variable(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(_VARIABLE, value):
        raise expected("the name of an environment variable")
    return value


def _check_device(value: object) -> object:
    if isinstance(value, str):
        value = value.lower()
        if not re.fullmatch(_DEVICE, value):
            raise wrong(f"'{value}' is not one of auto, cpu, cuda, cuda:N, metal")
    return value


def _check_quantization(value: object) -> object:
    if isinstance(value, str):
        value = value.upper()
        if not re.fullmatch(_QUANTIZATION, value):
            raise wrong(f"'{value}' is not a GGUF quantization (such as Q4_K_M, Q8_0 or F16)")
    return value


Size = Annotated[int, Before(_parse_size, Form("size"))]
"""A number of bytes: an integer, or a string with KB MB GB (10³) or KiB MiB GiB (2¹⁰)."""

Duration = Annotated[float, Before(_parse_duration, Form("duration"))]
"""Seconds: an integer, or a string such as "300ms" or "1h30m"; -1 for never."""

FilePath = Annotated[Path, BeforeInContext(_resolve_path)]
"""A path, made absolute by a `PathContext`; a `Path` below `~/.llmspell`, as defaults are, moves with LLMSPELL_HOME."""

Names = tuple[str, ...]
"""A list of strings."""

NamesOrText = Annotated[Names, Before(listed, Form("list"))]
"""A list of strings, or one string with commas."""

StopStrings = tuple[Annotated[str, Before(_check_stop)], ...]
"""Texts that end a reply where they come."""

Url = Annotated[str, Before(_check_url, Form("url"))]
BaseUrl = Annotated[str, Before(_check_base_url, Form("url"))]
"""The URL of a server to which the paths of its interface are appended."""
Allows = NeedsTrust(lambda value: value is False)
"""The mark of switches that let scripts, tools or other machines do more."""
Elsewhere = NeedsTrust(_is_near)
"""The mark of URLs to which keys and prompts are sent."""


def keeping(least: int, *, or_none: bool = False) -> NeedsTrust:
    """The mark of a limit past which what a user has is deleted: `least` or more keeps what the default would.

    `or_none`: 0 is no limit.
    """

    def keeps(value: Any) -> bool:
        try:
            number = _parse_size(value)
        except Refusal:
            return False
        return type(number) is int and (number >= least or (or_none and number == 0))

    return NeedsTrust(keeps)


Variable = Annotated[str, Before(_check_variable)]
Device = Annotated[str, Before(_check_device)]
Quantization = Annotated[str, Before(_check_quantization)]
AutoOrSize = Literal["auto"] | int
