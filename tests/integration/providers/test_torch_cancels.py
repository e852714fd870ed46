"""Replies of the torch engine that are cancelled, alone or within a batch, and what the others do."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from llmspell_providers.candle.engine import EngineCancelled
from tests.support.torch_engine import DEADLINE_S, LoadedEngine, RecordedReply, loaded

pytestmark = [pytest.mark.engines, pytest.mark.slow]


def test_a_cancelled_reply_generates_no_further_token(smollm2: LoadedEngine) -> None:
    def cancel(reply: RecordedReply) -> None:
        reply.cancelled = True
        smollm2.steps.clear()

    reply = RecordedReply(cancel)
    with pytest.raises(EngineCancelled):
        smollm2.ask("Once upon a time", reply, max_tokens=200)
    assert len(reply.pieces) == 1
    assert len(smollm2.steps) <= 1
    assert smollm2.ask("The capital of France is", max_tokens=1).text == " Paris"


def test_a_prompt_is_read_in_chunks_and_a_cancel_waits_for_one(smollm2: LoadedEngine) -> None:
    smollm2.steps.clear()
    reply = RecordedReply()

    def cancel() -> None:
        if len(smollm2.steps) == 2:
            reply.cancelled = True

    smollm2.before_step = cancel
    with pytest.raises(EngineCancelled):
        smollm2.ask("word " * 300, reply)
    smollm2.before_step = lambda: None
    assert len(smollm2.steps) == 2
    assert [processed for processed, _ in reply.read] == [0, 32, 64]


def test_beams_are_cancelled_within_a_step(smollm2: LoadedEngine) -> None:
    reply = RecordedReply()
    smollm2.steps.clear()

    def cancel() -> None:
        if len(smollm2.steps) == 3:
            reply.cancelled = True

    smollm2.before_step = cancel
    with pytest.raises(EngineCancelled):
        smollm2.ask("Once upon a time", reply, num_beams=2, max_tokens=100)
    smollm2.before_step = lambda: None
    assert len(smollm2.steps) <= 4


def test_a_cancelled_embedding_ends_with_the_batch_that_it_is_in(t5: LoadedEngine) -> None:
    reply = RecordedReply()
    batches: list[int] = []

    def cancel(model: Any, inputs: Any, output: Any) -> None:
        batches.append(output.last_hidden_state.shape[0])
        reply.cancelled = len(batches) == 2

    hook = t5.engine._weights.model.get_encoder().register_forward_hook(cancel)
    try:
        with pytest.raises(EngineCancelled):
            t5.engine.embed(["one two three"] * 1000, reply, normalize=True)
    finally:
        hook.remove()
    assert len(batches) == 2


def test_one_that_is_cancelled_leaves_the_others_of_its_batch_alone(smollm2: LoadedEngine) -> None:
    alone = smollm2.ask("Once upon a time", max_tokens=30).text

    def cancel(reply: RecordedReply) -> None:
        reply.cancelled = len(reply.pieces) == 5

    gate = threading.Event()
    smollm2.before_step = lambda: gate.wait(DEADLINE_S) and None
    kept = smollm2.start("Once upon a time", max_tokens=30)
    gone = smollm2.start("The sea is", RecordedReply(cancel), max_tokens=30)
    gate.set()
    smollm2.before_step = lambda: None
    with pytest.raises(EngineCancelled):
        gone.result(DEADLINE_S)
    assert kept.result(DEADLINE_S).text == alone


def test_one_that_is_cancelled_while_it_waits_for_a_slot_ends_at_once(smollm2_safetensors: Path) -> None:
    with loaded(smollm2_safetensors, slots=1) as engine:
        waiting = RecordedReply()
        gone: list[Any] = []

        def look(reply: RecordedReply) -> None:
            if len(reply.pieces) == 1:
                gone.append(engine.start("The sea is", waiting))
            waiting.cancelled = len(reply.pieces) == 4 or waiting.cancelled
            if len(reply.pieces) == 40:
                with pytest.raises(EngineCancelled):
                    gone[0].result(0)

        assert engine.ask("Once upon a time", RecordedReply(look), max_tokens=45).completion_tokens == 45
        assert waiting.read == []
