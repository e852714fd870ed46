"""Dates as people and programs write them: read without guessing what isn't there, and written by strftime's codes.

Knows no tool. Time zones are the system's (or the package tzdata's), by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

MAX_LENGTH = 200
"""Characters of a date."""

ISO = "%Y-%m-%dT%H:%M:%S%.fZ"
"""Of a moment in UTC."""
ISO_WITH_OFFSET = "%Y-%m-%dT%H:%M:%S%.f%:z"

FORMATS = (
    ISO,
    ISO_WITH_OFFSET,
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d",
    "%a, %d %b %Y %H:%M:%S %z",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y",
    "%B %d, %Y %H:%M:%S",
    "%B %d, %Y",
    "%b %d, %Y %H:%M:%S",
    "%b %d, %Y",
)
"""What is read, the first that fits: of 01/02/2024 the day is the first number, of 01/15/2024 the second."""

EXAMPLES = {
    "ISO8601": ISO,
    "RFC3339": "%Y-%m-%d %H:%M:%S%:z",
    "RFC2822": "%a, %d %b %Y %H:%M:%S %z",
    "Unix timestamp": "timestamp",
    "Human readable": "%B %d, %Y at %I:%M %p",
    "Date only": "%Y-%m-%d",
    "Time only": "%H:%M:%S",
}

_STRPTIME = tuple(form for form in FORMATS if form not in (ISO, ISO_WITH_OFFSET))
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,9})?")
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])([0-9]{1,2})(?::?([0-9]{2}))?")


class BadDate(ValueError):
    """A date, time zone or format that can't be read; the text says which."""


def zone_named(name: str) -> tzinfo:
    """A time zone: `Europe/Berlin`, `UTC`, `local`, `+02:00`.

    Raises:
        BadDate: there is none of this name.
    """
    from zoneinfo import ZoneInfo

    if name.upper() in ("UTC", "Z", "GMT"):
        return UTC
    if name.lower() == "local":
        local = datetime.now().astimezone().tzinfo
        return UTC if local is None else local
    if found := _OFFSET.fullmatch(name):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        if offset < timedelta(hours=24):
            return timezone(-offset if found[1] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        # Names that are none, paths that lead out of the zones, and their directories.
        raise BadDate(f"Invalid timezone: {name}") from None


def read_date(text: str, zone: tzinfo = UTC) -> datetime:
    """A moment, in the zone that the text names, else in `zone`; a number is seconds since 1970; `now` is now.

    Raises:
        BadDate: it can't be read, or has no whole date in it.
    """
    text = text.strip()
    if len(text) > MAX_LENGTH:
        raise BadDate(f"a date of {len(text):,} characters, more than {MAX_LENGTH}")
    if text.lower() == "now":
        return datetime.now(UTC).astimezone(zone)
    try:
        if _NUMBER.fullmatch(text):
            return datetime.fromtimestamp(0, UTC).astimezone(zone) + timedelta(seconds=float(text))
        found = _read(text)
        return found.replace(tzinfo=zone) if found.tzinfo is None else found
    except OverflowError:
        raise BadDate(f"Could not parse '{text}' as a date/time: it is before the year 1 or after 9999") from None


def _read(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in _STRPTIME:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return _by_words(text)


def _by_words(text: str) -> datetime:
    """What is left: `15 January 2024 10:30 PM`. Taken only if the text itself has day, month and year."""
    import warnings

    # 40 ms, and most dates are ISO's.
    from dateutil import parser

    try:
        with warnings.catch_warnings():
            # It warns of a zone that it doesn't know, and takes the time as if there were none.
            warnings.simplefilter("error")
            one, other = (parser.parse(text, default=datetime(year, month, day)) for year, month, day in _DEFAULTS)
    except Warning:
        raise BadDate(
            f"Could not parse '{text}' as a date/time: its time zone is not known; write an offset, such as -05:00"
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise BadDate(f"Could not parse '{text}' as a date/time: {error}") from None
    found: datetime = one
    if found != other:
        raise BadDate(f"Could not parse '{text}' as a date/time: day, month and year have to be in it")
    return found


_DEFAULTS = ((2000, 1, 1), (2001, 2, 2))
"""What dateutil fills up with: a text that gives another date with each is not a whole one."""

_CODE = re.compile(r"%(\.[0-9]?f|[0-9]f|:z|[-_0]?[a-zA-Z%+]|.)", re.DOTALL)
_PLAIN = frozenset("aAbBcCdDeFgGhHIjklmMnprRStTuUVwWxXyZz%")


def write_date(moment: datetime, form: str) -> str:
    """A moment by strftime's codes, with `%.f`, `%.3f` (fraction with its dot), `%:z` and `%s`; `timestamp`: seconds.

    Raises:
        BadDate: the format has a code that there is not.
    """
    if form == "timestamp":
        return _coded(moment, "s")
    if len(form) > MAX_LENGTH:
        raise BadDate(f"a format of {len(form):,} characters, more than {MAX_LENGTH}")
    return _CODE.sub(lambda found: _coded(moment, found[1]), form)


def _coded(moment: datetime, code: str) -> str:
    if code in _CODES:
        return _CODES[code](moment)
    if code[-1] == "f" and code[0] in ".123456789":
        digits = code.strip(".f")
        fraction = f"{moment.microsecond:06d}000"[: int(digits)]
        return f".{fraction}" if code[0] == "." else fraction
    if code[-1] in _PLAIN:
        return moment.strftime(f"%{code}")
    raise BadDate(f"the format's %{code} is not known")


def _offset(moment: datetime) -> str:
    plain = moment.strftime("%z")
    return f"{plain[:3]}:{plain[3:5]}"


def _shortest_fraction(moment: datetime) -> str:
    if not moment.microsecond:
        return ""
    return f".{moment.microsecond // 1000:03d}" if moment.microsecond % 1000 == 0 else f".{moment.microsecond:06d}"


_CODES: Mapping[str, Callable[[datetime], str]] = {
    ".f": _shortest_fraction,
    "f": lambda moment: f"{moment.microsecond:06d}",
    "s": lambda moment: str(seconds_since(datetime.fromtimestamp(0, UTC), moment)),
    "Y": lambda moment: f"{moment.year:04d}",
    "P": lambda moment: moment.strftime("%p").lower(),
    ":z": _offset,
    "+": lambda moment: write_date(moment, ISO_WITH_OFFSET),
}


def seconds_since(start: datetime, end: datetime) -> int:
    """Whole seconds between two moments, towards zero."""
    # Between two moments of one zone Python subtracts what the clocks show, a change of summer time left out.
    apart = end.replace(tzinfo=None) - start.replace(tzinfo=None)
    microseconds = (apart - (_offset_of(end) - _offset_of(start))) // timedelta(microseconds=1)
    return abs(microseconds) // 1_000_000 * (1 if microseconds >= 0 else -1)


def _offset_of(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta()


def shifted(moment: datetime, amount: float, unit: str) -> datetime:
    """A moment later, or earlier where `amount` is negative; `unit` as people name it: seconds … weeks, months, years.

    A day is what the calendar has, also where the clocks change; an hour is always 3,600 seconds.

    Raises:
        BadDate: there is no such unit, months or years are not whole, or there is no such date.
    """
    name = _UNITS.get(unit.lower())
    if name is None:
        known = ", ".join(dict.fromkeys(_UNITS.values()))
        raise BadDate(f"Unknown unit: {unit}; there are {known}")
    try:
        if name in ("days", "weeks"):
            return moment + timedelta(**{name: amount})
        if name not in ("months", "years"):
            return (moment.astimezone(UTC) + timedelta(**{name: amount})).astimezone(moment.tzinfo)
        if not float(amount).is_integer():
            raise BadDate(f"{name} are added whole, not {amount}")
        return _by_calendar(moment, int(amount) * (12 if name == "years" else 1))
    except (OverflowError, ValueError) as error:
        if isinstance(error, BadDate):
            raise
        raise BadDate(f"{amount} {name} lead out of the years 1 to 9999") from None


def _by_calendar(moment: datetime, months: int) -> datetime:
    """So many months later; of 31 January the last day of February."""
    from dateutil import relativedelta

    later: datetime = moment + relativedelta.relativedelta(months=months)
    return later


_UNITS = {
    said: name
    for name, words in {
        "milliseconds": "millisecond milliseconds ms",
        "seconds": "second seconds sec secs s",
        "minutes": "minute minutes min mins m",
        "hours": "hour hours hr hrs h",
        "days": "day days d",
        "weeks": "week weeks w",
        "months": "month months mon",
        "years": "year years yr yrs y",
    }.items()
    for said in words.split()
}


def in_words(seconds: int) -> str:
    """`1 day, 2 hours`; of a negative span `1 day, 2 hours ago`."""
    left = abs(seconds)
    parts: list[str] = []
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, length)
        if count or (name == "second" and not parts):
            parts.append(f"{count} {name}{'' if count == 1 else 's'}")
    return ", ".join(parts) + (" ago" if seconds < 0 else "")


def days_in_month(day: date) -> int:
    """How many days the day's month has."""
    import calendar

    return calendar.monthrange(day.year, day.month)[1]
