"""Pulls, loads and workflows that a cell asks for, as one display each, with real workers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_kernel.request import Content, Request
from llmspell_kernel.scripting import progress
from llmspell_protocol.errors import NotFound
from tests.support.script_harness import Frontend, ScriptHarness, run

PULL = "return pcall(LocalLLM.pull, 'smollm2:135m@candle')"


def shown(frontend: Frontend) -> list[str]:
    displays = [content for kind, content in frontend.published if kind.endswith("display_data")]
    assert len({content["transient"]["display_id"] for content in displays}) <= 1
    return [content["data"]["text/plain"] for content in displays]


def pull_that_ends_in(ending: Any) -> Any:
    """An answer of a pull that is told of twice and then raises or replies; None: it goes on."""

    async def answer(request: Request) -> Content:
        for done in (0, 50_000_000):
            request.progress({"phase": "downloading", "bytes_downloaded": done, "bytes_total": 100_000_000})
        if ending is None:
            await asyncio.Event().wait()
        if isinstance(ending, Exception):
            raise ending
        return dict(ending)

    return answer


@pytest.mark.parametrize(
    ("ending", "last"),
    [
        (
            {"model_id": "smollm2:135m@candle", "message": "m"},
            "Pulling smollm2:135m@candle  100.0 MB of 100.0 MB  ✓",
        ),
        (
            NotFound("it went away"),
            "Pulling smollm2:135m@candle  50 %  50.0 MB of 100.0 MB  it went away  ✗ failed",
        ),
    ],
)
def test_a_pull_from_a_cell_is_one_display_to_its_end(ending: Any, last: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)

    async def body(harness: ScriptHarness) -> None:
        harness.answers["model pull"] = pull_that_ends_in(ending)
        told = shown(await harness.cell(PULL))
        assert told[0] == f"Pulling smollm2:135m@candle  [{'.' * 24}]  0 %  0 B of 100.0 MB"
        assert told[-1].rsplit("  ", 1)[0] == last  # and how long it took
        assert shown(await harness.cell(PULL, content={"silent": True})) == []
        assert (await harness.run(PULL)).deltas == []

    run(body)


def test_a_pull_of_an_interrupted_cell_says_that_it_was_stopped() -> None:
    async def body(harness: ScriptHarness) -> None:
        harness.answers["model pull"] = pull_that_ends_in(None)
        request, frontend = harness.start(PULL)
        await frontend.until(lambda one: bool(one.of("display_data")))
        harness.contexts.shared.interrupt()
        assert request.task is not None
        await request.task
        assert "✗ stopped" in shown(frontend)[-1]

    run(body)
