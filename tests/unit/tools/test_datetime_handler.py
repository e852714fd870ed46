"""datetime-handler: every operation, unit, form and error; reckoning is held against Python's own."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol.errors import InvalidRequest
from tests.support.tool_calls import call_tool

NAME = "datetime-handler"
MOMENTS = st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9000, 1, 1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-15T10:30:00Z", "2024-01-15T10:30:00Z"),
        ("2024-01-15T10:30:00.5Z", "2024-01-15T10:30:00.500Z"),
        ("2024-01-15T10:30:00+02:00", "2024-01-15T08:30:00Z"),
        ("2024-01-15T10:30:00-0500", "2024-01-15T15:30:00Z"),
        ("2024-01-15 10:30:00", "2024-01-15T10:30:00Z"),
        ("2024-01-15 10:30", "2024-01-15T10:30:00Z"),
        ("2024-01-15", "2024-01-15T00:00:00Z"),
        (" 2024-01-15 ", "2024-01-15T00:00:00Z"),
        ("2024/01/15", "2024-01-15T00:00:00Z"),
        ("2024/01/15 01:02:03", "2024-01-15T01:02:03Z"),
        ("15/01/2024", "2024-01-15T00:00:00Z"),
        ("01/15/2024", "2024-01-15T00:00:00Z"),
        ("01/02/2024", "2024-02-01T00:00:00Z"),
        ("15-01-2024", "2024-01-15T00:00:00Z"),
        ("15.01.2024 10:30:00", "2024-01-15T10:30:00Z"),
        ("January 15, 2024", "2024-01-15T00:00:00Z"),
        ("Jan 15, 2024 10:30:00", "2024-01-15T10:30:00Z"),
        ("15 January 2024 10:30 PM", "2024-01-15T22:30:00Z"),
        ("Mon, 15 Jan 2024 10:30:00 GMT", "2024-01-15T10:30:00Z"),
        ("Mon, 15 Jan 2024 10:30:00 +0100", "2024-01-15T09:30:00Z"),
        ("1705314600", "2024-01-15T10:30:00Z"),
        ("-1", "1969-12-31T23:59:59Z"),
        ("1705314600.25", "2024-01-15T10:30:00.250Z"),
    ],
)
def test_dates_are_read_as_they_are_written(text: str, expected: str) -> None:
    called = call_tool(NAME, {"operation": "parse", "input": text})
    assert called.output == called.result["parsed"]["utc"] == called.result["utc"] == expected


def test_a_parsed_date_has_its_parts() -> None:
    parsed = {
        "utc": "2024-01-15T10:30:05Z",
        "timestamp": 1705314605,
        "year": 2024,
        "month": 1,
        "day": 15,
        "hour": 10,
        "minute": 30,
        "second": 5,
        "weekday": "Monday",
    }
    form = "%Y-%m-%dT%H:%M:%S%.fZ"
    for arguments in ({"input": "2024-01-15T10:30:05Z"}, {"date": "2024-01-15T10:30:05Z"}, {"input": 1705314605}):
        result = call_tool(NAME, arguments).result
        expected = {"input": str(next(iter(arguments.values()))), "parsed": parsed, "format_used": form, **parsed}
        assert result == expected


@pytest.mark.parametrize(
    "text",
    ["", "x", "Jan", "Jan 2024", "2024-01", "10:30", "tomorrow", "2024-13-01", "2024-02-30", "15 Januar 2024", "١"],
)
def test_what_is_no_whole_date_is_not_guessed(text: str) -> None:
    assert "Could not parse" in call_tool(NAME, {"input": text, "operation": "parse"}).said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"input": "99999999999999"}, "before the year 1 or after 9999"),
        ({"input": "2024-01-15 10:00 XYZ"}, "time zone is not known"),
        ({"input": "1" * 201}, "201 characters"),
        ({"input": "2024-01-15", "timezone": "Mars/Olympus"}, "Invalid timezone: Mars/Olympus"),
        ({"operation": "now", "timezone": "../../etc/passwd"}, r"Invalid timezone: \.\./"),
        ({"operation": "now", "timezone": "/etc/passwd"}, "Invalid timezone: /etc/passwd"),
        ({"operation": "now", "timezone": "America"}, "Invalid timezone: America"),
        ({"operation": "now", "timezone": "a\0b"}, "Invalid timezone"),
        ({"operation": "now", "timezone": ""}, "Invalid timezone"),
        ({"operation": "now", "timezone": "+25:00"}, "Invalid timezone"),
        ({"operation": "now", "format": "%q"}, "%q is not known"),
        ({"operation": "now", "format": "%::z"}, "%: is not known"),
        ({"operation": "now", "format": "%5d"}, "%5 is not known"),
        ({"operation": "now", "format": "%-f"}, "%-f is not known"),
        ({"operation": "now", "format": "%Y" * 101}, "202 characters"),
        ({"operation": "add", "input": "2024-01-15", "amount": 1, "unit": "moons"}, "Unknown unit: moons"),
        ({"operation": "add", "input": "2024-01-15", "amount": 1.5, "unit": "months"}, "months are added whole"),
        ({"operation": "add", "input": "2024-01-15", "amount": 1e12, "unit": "days"}, "lead out of the years"),
        ({"operation": "subtract", "input": "2024-01-15", "amount": 2024, "unit": "years"}, "lead out of the years"),
        ({"operation": "add", "input": "2024-01-15", "amount": float("nan"), "unit": "days"}, "lead out of the years"),
        ({"operation": "difference", "start": "x", "end": "2024-01-15"}, "Could not parse 'x'"),
        ({"operation": "convert_timezone", "input": "2024-01-15", "target_timezone": "x"}, "Invalid timezone: x"),
        ({"operation": "convert_timezone", "input": "0001-01-01", "target_timezone": "-05:00"}, "1 to 9999"),
        ({"input": "0001-01-01", "timezone": "+10:00"}, "1 to 9999"),
    ],
)
def test_what_can_t_be_done_is_told(arguments: dict[str, Any], why: str) -> None:
    assert re.search(why, call_tool(NAME, arguments).said)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"operation": "x"}, "Unknown operation: x"),
        ({"operation": "parse"}, r"Missing required parameter 'input' \(or 'date'\)"),
        ({"operation": "info"}, "Missing required parameter 'input'"),
        ({"operation": "format", "input": "2024-01-15"}, "Missing required parameter 'format'"),
        ({"operation": "convert_timezone", "input": "2024-01-15"}, "Missing required parameter 'target_timezone'"),
        ({"operation": "add", "input": "2024-01-15", "unit": "days"}, "Missing required parameter 'amount'"),
        ({"operation": "add", "input": "2024-01-15", "amount": 1}, "Missing required parameter 'unit'"),
        ({"operation": "difference", "end": "2024-01-15"}, "Missing required parameter 'start'"),
        ({"operation": "difference", "start": "2024-01-15"}, "Missing required parameter 'end'"),
        ({"operation": "add", "input": "2024-01-15", "amount": "many", "unit": "days"}, "Parameter 'amount"),
    ],
)
def test_what_is_wrong_with_a_call_is_told(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        call_tool(NAME, arguments)


@pytest.mark.parametrize("arguments", [{}, {"operation": "now"}, {"operation": "now", "timezone": "UTC"}])
def test_now_is_now(arguments: dict[str, Any]) -> None:
    before = int(datetime.now(UTC).timestamp())
    result = call_tool(NAME, arguments).result
    assert before <= result["timestamp"] <= datetime.now(UTC).timestamp()
    assert result["timezone"] == "UTC"
    assert result["datetime"] == result["iso8601"]
    assert int(datetime.fromisoformat(result["datetime"]).timestamp()) == result["timestamp"]
    assert result["format"] == "%Y-%m-%dT%H:%M:%S%.fZ"


@pytest.mark.parametrize("zone", ["America/New_York", "+02:30", "UTC+1", "local"])
def test_now_elsewhere_says_its_offset(zone: str) -> None:
    result = call_tool(NAME, {"operation": "now", "timezone": zone}).result
    assert result["timezone"] == zone
    told = datetime.fromisoformat(result["iso8601"])
    assert int(told.timestamp()) == result["timestamp"]
    assert call_tool(NAME, {"operation": "now", "timezone": zone, "format": "%H"}).result["format"] == "%H"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("%A, %d. %B %Y", "Monday, 15. January 2024"),
        ("%.3f|%.f|%3f|%f", ".250|.250|250|250000"),
        ("%s %:z %z %Z", "1705314600 +00:00 +0000 UTC"),
        ("%I:%M %p %P", "10:30 AM am"),
        ("timestamp", "1705314600"),
        ("%+", "2024-01-15T10:30:00.250+00:00"),
        ("100%% %F %T", "100% 2024-01-15 10:30:00"),
        ("kein Code", "kein Code"),
        ("%-m/%-d %", "1/15 %"),
    ],
)
def test_formats_are_strftime_s_and_a_few_more(form: str, expected: str) -> None:
    called = call_tool(NAME, {"operation": "format", "input": "2024-01-15T10:30:00.250Z", "format": form})
    assert called.result == {"input": "2024-01-15T10:30:00.250Z", "format": form, "formatted": expected}
    assert called.output == expected


def test_a_time_is_converted() -> None:
    given_time = {"operation": "convert_timezone", "input": "2024-07-15T10:30:00Z"}
    called = call_tool(NAME, {**given_time, "target_timezone": "America/New_York"})
    assert called.result == {
        "input": "2024-07-15T10:30:00Z",
        "target_timezone": "America/New_York",
        "original": "2024-07-15 10:30:00 UTC",
        "converted": "2024-07-15 06:30:00 EDT",
    }
    assert called.output == "2024-07-15 06:30:00 EDT"
    named = call_tool(NAME, {**given_time, "to_timezone": "Asia/Tokyo", "format": "%H:%M"})
    assert named.output == "19:30"


def test_a_time_without_a_zone_is_in_the_one_that_the_call_names() -> None:
    berlin = {"input": "2024-07-15 12:00", "timezone": "Europe/Berlin"}
    assert call_tool(NAME, berlin).output == "2024-07-15T10:00:00Z"
    converted = call_tool(NAME, {**berlin, "operation": "convert_timezone", "target_timezone": "UTC"})
    assert converted.output == "2024-07-15 10:00:00 UTC"


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("second", "2024-01-31T00:00:01Z"),
        ("seconds", "2024-01-31T00:00:01Z"),
        ("s", "2024-01-31T00:00:01Z"),
        ("Minutes", "2024-01-31T00:01:00Z"),
        ("h", "2024-01-31T01:00:00Z"),
        ("days", "2024-02-01T00:00:00Z"),
        ("weeks", "2024-02-07T00:00:00Z"),
        ("months", "2024-02-29T00:00:00Z"),
        ("years", "2025-01-31T00:00:00Z"),
    ],
)
def test_units_are_added(unit: str, expected: str) -> None:
    called = call_tool(NAME, {"operation": "add", "input": "2024-01-31", "amount": 1, "unit": unit})
    assert called.result == {
        "input": "2024-01-31",
        "amount": 1,
        "unit": unit,
        "original": "2024-01-31T00:00:00Z",
        "result": expected,
    }
    assert called.output == expected


def test_an_hour_is_an_hour_and_a_day_is_a_day_where_the_clocks_change() -> None:
    spring = {"operation": "add", "input": "2024-03-30 12:00", "timezone": "Europe/Berlin"}
    assert call_tool(NAME, {**spring, "amount": 1, "unit": "days"}).output == "2024-03-31T12:00:00+02:00"
    assert call_tool(NAME, {**spring, "amount": 24, "unit": "hours"}).output == "2024-03-31T13:00:00+02:00"
    apart = {"operation": "difference", "start": "2024-03-30 12:00", "end": "2024-03-31 12:00"}
    assert call_tool(NAME, {**apart, "timezone": "Europe/Berlin"}).output == 23 * 3600


@given(MOMENTS, st.integers(-(10**5), 10**5), st.sampled_from(["seconds", "minutes", "hours", "days"]))
def test_adding_and_subtracting_are_python_s(moment: datetime, amount: int, unit: str) -> None:
    text = moment.replace(tzinfo=UTC).isoformat()
    for operation, sign in (("add", 1), ("subtract", -1)):
        called = call_tool(NAME, {"operation": operation, "input": text, "amount": amount, "unit": unit})
        expected = moment.replace(tzinfo=UTC) + sign * timedelta(**{unit: amount})
        assert datetime.fromisoformat(called.output) == expected


def test_a_difference_is_told_in_units_and_words() -> None:
    called = call_tool(NAME, {"operation": "difference", "start": "2024-01-01", "end": "2024-01-02T02:03:04Z"})
    assert called.result == {
        "start": "2024-01-01",
        "end": "2024-01-02T02:03:04Z",
        "difference": {
            "total_seconds": 93784,
            "days": 1,
            "hours": 26,
            "minutes": 1563,
            "human_readable": "1 day, 2 hours, 3 minutes, 4 seconds",
        },
    }
    assert called.output == 93784
    back = call_tool(NAME, {"operation": "difference", "start": "2024-01-02", "end": "2024-01-01T10:00"}).result
    assert back["difference"]["total_seconds"] == -50400
    assert back["difference"]["days"] == 0
    assert back["difference"]["human_readable"] == "14 hours ago"
    none = call_tool(NAME, {"operation": "difference", "start": "2024-01-02", "end": "2024-01-02"}).result
    assert none["difference"]["human_readable"] == "0 seconds"


@given(MOMENTS, MOMENTS)
def test_differences_are_python_s(one: datetime, other: datetime) -> None:
    given_both = {"operation": "difference", "start": f"{one.isoformat()}Z", "end": f"{other.isoformat()}Z"}
    assert call_tool(NAME, given_both).output == int((other - one) / timedelta(seconds=1))


def test_a_date_is_described() -> None:
    called = call_tool(NAME, {"operation": "info", "input": "2024-02-29T12:34:56Z"})
    assert called.result == {
        "input": "2024-02-29T12:34:56Z",
        "info": {
            "year": 2024,
            "month": 2,
            "day": 29,
            "hour": 12,
            "minute": 34,
            "second": 56,
            "weekday": "Thursday",
            "day_of_year": 60,
            "week_of_year": 9,
            "is_leap_year": True,
            "days_in_month": 29,
            "start_of_day": "2024-02-29T00:00:00Z",
            "end_of_day": "2024-02-29T23:59:59.999999Z",
        },
    }


def test_it_lists_its_formats_and_reads_what_it_lists() -> None:
    result = call_tool(NAME, {"operation": "formats"}).result
    assert result["example_formats"]["Date only"] == "%Y-%m-%d"
    for form in result["available_formats"]:
        written = call_tool(NAME, {"operation": "format", "input": "2024-11-25T10:30:45Z", "format": form}).output
        read = call_tool(NAME, {"operation": "format", "input": written, "format": "%F"}).output
        assert read == "2024-11-25", form
