"""The end of a kernel's services: each is closed, whatever becomes of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_kernel.services.graph import Services
from llmspell_profiles.schema.settings import Settings
from tests.support.hook_bench import no_requests, run


class _Service:
    def __init__(self, name: str, closed: list[str], problem: Exception | None = None) -> None:
        self._name = name
        self._closed = closed
        self._problem = problem

    async def close(self) -> None:
        self._closed.append(self._name)
        if self._problem is not None:
            raise self._problem


def test_a_service_that_can_not_be_closed_is_told_and_keeps_no_other_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[str] = []

    async def scene() -> None:
        services = Services(Settings, tmp_path, {}, no_requests)
        services.note("oldest", _Service("oldest", closed))
        services.note("broken", _Service("broken", closed, ZeroDivisionError("it broke")))
        services.note("newest", _Service("newest", closed))
        await services.close()

    run(scene)
    assert closed == ["newest", "broken", "oldest"]
    [told] = [record for record in caplog.records if "could not be closed" in record.message]
    assert told.message.startswith("incident ")
    assert "ZeroDivisionError: it broke" in caplog.text
