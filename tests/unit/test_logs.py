"""What becomes of a log record: for the file with its request and traceback, for people without."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from llmspell_kernel.context import Caller, Request, handling
from llmspell_kernel.logs import FileFormatter, PeopleFormatter
from llmspell_protocol.log_lines import read_lines
from tests.support.recording_sink import RecordingSink


def failed() -> logging.LogRecord:
    try:
        raise ValueError("no\n2025-10-12T10:15:31.000Z [ERROR] forged")
    except ValueError:
        return logging.LogRecord("llmspell_kernel.x", logging.ERROR, __file__, 1, "in %s", ("it",), sys.exc_info())


def request(name: str) -> Request:
    return Request(
        id=name, msg_type="kernel_request", content={}, caller=Caller("client", "session"), sink=RecordingSink()
    )


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_file_has_the_request_and_the_traceback_of_one_entry(form: str) -> None:
    formatter = FileFormatter("json" if form == "json" else "text", with_module=True)
    with handling(request("outer")), handling(request("r-1")):
        written = formatter.format(failed())
    if form == "json":
        assert json.loads(written)["target"] == "llmspell_kernel.x"
    [entry] = read_lines(written.split("\n"))
    assert (entry.level, entry.message, entry.request_id) == ("error", "in it", "r-1")
    assert entry.traceback is not None
    assert entry.traceback.startswith("Traceback (most recent call last):\n")
    assert "[ERROR] forged" in entry.traceback


def test_outside_of_requests_there_is_none() -> None:
    formatter = FileFormatter("text", with_module=False)
    with handling(request("r-1")):
        pass
    assert "request_id" not in formatter.format(failed())


def test_people_see_a_traceback_only_where_they_asked_for_debugging() -> None:
    quiet = PeopleFormatter(with_module=False, with_traceback=False)
    curious = PeopleFormatter(with_module=True, with_traceback=True)
    with handling(request("r-1")):
        assert quiet.format(failed()).endswith(" [ERROR] in it")
        assert " [ERROR] llmspell_kernel.x: in it\n  Traceback" in curious.format(failed())
