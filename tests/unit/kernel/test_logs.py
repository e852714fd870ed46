"""What becomes of a log record: for the file with its request and traceback, for people without."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.logs import FileFormatter, KernelLog, PeopleFormatter
from llmspell_kernel.request import Request, handling
from llmspell_protocol.log_lines import read_lines
from tests.support.recording_sink import RecordingSink
from tests.support.settings import settings_from


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


NAMES = ("llmspell_kernel", "llmspell_providers", "llmspell_providers.ollama", "llmspell_protocol", "asyncio")


@pytest.fixture
def _loggers_as_they_were() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(each.level, each.propagate, each.handlers) for each in loggers]
    yield
    for each, (level, propagate, handlers) in zip(loggers, before, strict=True):
        each.level, each.propagate, each.handlers = level, propagate, handlers
        each.manager._clear_cache()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("_loggers_as_they_were")
@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        (
            "",
            {
                "asyncio",
                "llmspell_kernel",
                "llmspell_protocol",
                "llmspell_providers",
                "llmspell_providers.ollama",
            },
        ),
        (
            "llmspell_kernel=error",
            {"asyncio", "llmspell_protocol", "llmspell_providers", "llmspell_providers.ollama"},
        ),
        (
            "llmspell=off, warn ,x=y,=,llmspell_providers::ollama=debug",
            {"asyncio", "llmspell_providers.ollama"},
        ),
        ("llmspell=off,asyncio=off", set()),
    ],
)
def test_a_filter_gives_modules_levels_of_their_own(filters: str, shown: set[str], tmp_path: Path) -> None:
    lines: list[str] = []
    log = KernelLog(write=lines.append, filters=filters)
    for _ in range(2):  # a reload keeps them
        log.apply(settings_from("", tmp_path))
    for name in NAMES:
        logging.getLogger(name).warning("from %s", name)
    assert {line.rpartition(" ")[2] for line in lines} == shown
