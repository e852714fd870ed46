"""datetime-handler: reads, writes and reckons with dates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.parameters import ToolParameters, missing, parameter
from llmspell_tools.texts.dates import (
    EXAMPLES,
    FORMATS,
    ISO,
    ISO_WITH_OFFSET,
    BadDate,
    days_in_month,
    in_words,
    read_date,
    seconds_since,
    shifted,
    write_date,
    zone_named,
)

_WITH_ZONE = "%Y-%m-%d %H:%M:%S %Z"
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Parameters(ToolParameters):
    """What `datetime-handler` is called with."""

    operation: Literal[
        "parse", "now", "format", "convert_timezone", "add", "subtract", "difference", "info", "formats"
    ] = parameter("what to do; without it and without an input: now", "parse")
    input: str | None = parameter(
        'the date: ISO 8601, RFC 2822, "15 January 2024 10:30", seconds since 1970, or "now"', None, also=("date",)
    )
    timezone: str | None = parameter(
        "of now: where; else what the input is in if it names none: Europe/Berlin, +02:00, local; UTC if not given",
        None,
    )
    target_timezone: str | None = parameter("what convert_timezone converts to", None, also=("to_timezone",))
    amount: int | float | None = parameter("how much add and subtract take", None)
    unit: str | None = parameter("of the amount: seconds, minutes, hours, days, weeks, months, years", None)
    start: str | None = parameter("where a difference begins", None)
    end: str | None = parameter("where a difference ends", None)
    format: str | None = parameter(
        f"how the result is written, by strftime's codes; {ISO} if not given, with the offset where it isn't UTC", None
    )

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Nothing to read and no operation: the time is asked for."""
        wanted = dict(given)
        if wanted.get("operation") is None and wanted.get("input") is None:
            wanted["operation"] = "now"
        return wanted


def run(wanted: Parameters, call: Call) -> Outcome:
    """Does what is asked."""
    del call
    try:
        return _OPERATIONS[wanted.operation](wanted)
    except BadDate as error:
        raise ToolFailure(str(error)) from None


def _input(wanted: Parameters) -> datetime:
    if wanted.input is None:
        raise missing("input", "date")
    return _read(wanted.input, wanted)


def _read(text: str, wanted: Parameters) -> datetime:
    """The moment in UTC, or in the time zone that the call names."""
    zone = zone_named(wanted.timezone) if wanted.timezone is not None else UTC
    try:
        return read_date(text, zone).astimezone(zone)
    except (OverflowError, ValueError) as error:
        if isinstance(error, BadDate):
            raise
        raise BadDate(f"Could not parse '{text}' as a date/time: {error}") from None


def _form(moment: datetime, wanted: Parameters) -> str:
    """What the caller wants; the usual one says `Z`, which is right of UTC only."""
    if wanted.format is not None:
        return wanted.format
    return ISO if moment.tzinfo is UTC else ISO_WITH_OFFSET


def _parts(moment: datetime) -> dict[str, Any]:
    names = ("year", "month", "day", "hour", "minute", "second")
    return {**{name: getattr(moment, name) for name in names}, "weekday": _WEEKDAYS[moment.weekday()]}


def _parse(wanted: Parameters) -> Outcome:
    try:
        moment = _input(wanted).astimezone(UTC)
    except OverflowError:
        raise BadDate(f"{wanted.input} is not in the years 1 to 9999 of UTC") from None
    form = _form(moment, wanted)
    shown = write_date(moment, form)
    parsed = {"utc": shown, "timestamp": int(write_date(moment, "timestamp")), **_parts(moment)}
    result = {"input": wanted.input, "parsed": parsed, "format_used": form, **parsed}
    return Outcome(operation="parse", result=result, output=shown, message=shown)


def _now(wanted: Parameters) -> Outcome:
    zone = zone_named(wanted.timezone) if wanted.timezone is not None else UTC
    moment = datetime.now(zone)
    form = _form(moment, wanted)
    shown = write_date(moment, form)
    result = {
        "timezone": wanted.timezone or "UTC",
        "datetime": shown,
        "format": form,
        "iso8601": write_date(moment, ISO if zone is UTC else ISO_WITH_OFFSET),
        "timestamp": int(write_date(moment, "timestamp")),
    }
    return Outcome(operation="now", result=result, output=shown, message=shown)


def _format(wanted: Parameters) -> Outcome:
    moment = _input(wanted)
    if wanted.format is None:
        raise missing("format")
    shown = write_date(moment, wanted.format)
    result = {"input": wanted.input, "format": wanted.format, "formatted": shown}
    return Outcome(operation="format", result=result, output=shown, message=shown)


def _convert(wanted: Parameters) -> Outcome:
    moment = _input(wanted)
    if wanted.target_timezone is None:
        raise missing("target_timezone")
    form = wanted.format or _WITH_ZONE
    try:
        converted = write_date(moment.astimezone(zone_named(wanted.target_timezone)), form)
    except OverflowError:
        raise BadDate(f"{wanted.input} is not in the years 1 to 9999 there") from None
    result = {
        "input": wanted.input,
        "target_timezone": wanted.target_timezone,
        "original": write_date(moment, form),
        "converted": converted,
    }
    return Outcome(operation="convert_timezone", result=result, output=converted, message=converted)


def _shift(wanted: Parameters) -> Outcome:
    moment = _input(wanted)
    if wanted.amount is None or wanted.unit is None:
        raise missing("amount" if wanted.amount is None else "unit")
    later = shifted(moment, wanted.amount if wanted.operation == "add" else -wanted.amount, wanted.unit)
    form = _form(moment, wanted)
    shown = write_date(later, form)
    result = {
        "input": wanted.input,
        "amount": wanted.amount,
        "unit": wanted.unit,
        "original": write_date(moment, form),
        "result": shown,
    }
    return Outcome(operation=wanted.operation, result=result, output=shown, message=shown)


def _difference(wanted: Parameters) -> Outcome:
    if wanted.start is None or wanted.end is None:
        raise missing("start" if wanted.start is None else "end")
    seconds = seconds_since(_read(wanted.start, wanted), _read(wanted.end, wanted))
    sign = -1 if seconds < 0 else 1
    whole = {name: sign * (abs(seconds) // length) for name, length in _LENGTHS.items()}
    found = {"total_seconds": seconds, **whole, "human_readable": in_words(seconds)}
    result = {"start": wanted.start, "end": wanted.end, "difference": found}
    return Outcome(operation="difference", result=result, output=seconds, message=str(found["human_readable"]))


_LENGTHS = {"days": 86_400, "hours": 3_600, "minutes": 60}


def _info(wanted: Parameters) -> Outcome:
    import calendar

    moment = _input(wanted)
    form = _form(moment, wanted)
    info = {
        **_parts(moment),
        "day_of_year": moment.timetuple().tm_yday,
        "week_of_year": moment.isocalendar().week,
        "is_leap_year": calendar.isleap(moment.year),
        "days_in_month": days_in_month(moment),
        "start_of_day": write_date(moment.replace(hour=0, minute=0, second=0, microsecond=0), form),
        "end_of_day": write_date(moment.replace(hour=23, minute=59, second=59, microsecond=999_999), form),
    }
    message = f"{info['weekday']}, day {info['day_of_year']} of {moment.year}"
    return Outcome(operation="info", result={"input": wanted.input, "info": info}, message=message)


def _formats(wanted: Parameters) -> Outcome:
    del wanted
    result = {"available_formats": list(FORMATS), "example_formats": dict(EXAMPLES)}
    return Outcome(operation="formats", result=result, message="What dates are read and written as")


_OPERATIONS: Mapping[str, Callable[[Parameters], Outcome]] = {
    "parse": _parse,
    "now": _now,
    "format": _format,
    "convert_timezone": _convert,
    "add": _shift,
    "subtract": _shift,
    "difference": _difference,
    "info": _info,
    "formats": _formats,
}


TOOL = Tool(
    name="datetime-handler",
    description="Reads, writes and converts dates and times, adds to them and tells how far apart they are.",
    category="utility",
    level="safe",
    parameters=Parameters,
    run=run,
    result=(
        "now: {timezone, datetime, format, iso8601, timestamp}; parse: {input, parsed: {utc, timestamp, year, month, "
        "day, hour, minute, second, weekday}, format_used}, and the keys of parsed; format: {input, format, "
        "formatted}; convert_timezone: {input, target_timezone, original, converted}; add, subtract: {input, amount, "
        "unit, original, result}; difference: {start, end, difference: {total_seconds, days, hours, minutes, "
        "human_readable}}; info: {input, info}; formats: {available_formats, example_formats}"
    ),
    keywords=("date", "time", "timezone", "duration", "calendar"),
    example={"operation": "parse", "input": "2024-01-15T10:30:00Z"},
)
