"""Replies of the torch engine: exact texts of a T5 that was trained for them, beams, seeds, batches and stops."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import ContextLengthExceeded
from llmspell_protocol.models import ChatMessage, ChatRequest, SamplingOptions
from llmspell_providers.candle.process import Launch, LoadedState, ModelProcess
from tests.support.changed_checkpoints import changed_checkpoint
from tests.support.tiny_t5 import translated
from tests.support.torch_engine import DEADLINE_S, LoadedEngine, RecordedReply, loaded, texts
from tests.support.torch_models import TinyT5

pytestmark = [pytest.mark.engines, pytest.mark.slow]

NUMBERS = ["one", "two three", "one two three four five", "three one four", "six seven"]
WILD = {"temperature": 5.0, "top_k": 0, "top_p": 1.0, "max_tokens": 40}


def plain(directory: Path, text: str, **settings: Any) -> str:
    """What transformers' own `generate` answers."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForSeq2SeqLM.from_pretrained(directory)
    ids = model.generate(**tokenizer(text, return_tensors="pt"), max_new_tokens=40, **settings)
    return str(tokenizer.decode(ids[0], skip_special_tokens=True))


@pytest.mark.parametrize("form", ["single", "sharded", "sentencepiece"])
def test_a_t5_answers_the_same_from_one_file_from_shards_and_with_a_sentencepiece_vocabulary(
    tiny_t5: TinyT5, form: str
) -> None:
    with loaded(getattr(tiny_t5, form)) as engine:
        reply = RecordedReply()
        outcome = engine.ask("three one four", reply)
        assert outcome.text == "trois un quatre" == "".join(reply.pieces)
        assert len(reply.pieces) > 2
        assert outcome.finish_reason == "stop"
        assert (outcome.prompt_tokens, reply.read[-1]) == (4, (4, 4))
        assert len(engine.steps) == outcome.completion_tokens


def test_a_t5_answers_through_a_worker(tiny_t5: TinyT5, tmp_path: Path) -> None:
    launch = Launch(
        engine="torch",
        path=tiny_t5.single / "model.safetensors",
        model="tiny",
        format="safetensors",
        log_path=tmp_path / "worker.log",
    )
    request = ChatRequest(
        model="tiny",
        messages=[ChatMessage(role="user", content="three one four")],
        options=SamplingOptions(temperature=0.0),
    )

    async def ask() -> str:
        process = await ModelProcess.start(launch, on_exit=lambda: None)
        try:
            assert process.loaded.engine == "torch"
            assert "transformers" in process.loaded.engine_version
            return "".join([chunk.text async for chunk in process.chat(request)])
        finally:
            await process.end()

    assert asyncio.run(ask()) == "trois un quatre"


def test_weights_that_are_not_used_and_the_threads_of_the_settings_are_told_by_a_worker(
    tiny_t5: TinyT5, tmp_path: Path
) -> None:
    directory = changed_checkpoint(tiny_t5.single, tmp_path / "model", "config.json", num_layers=1)
    launch = Launch(engine="torch", path=directory / "model.safetensors", model="tiny", format="safetensors", threads=1)

    async def load() -> LoadedState:
        process = await ModelProcess.start(launch, on_exit=lambda: None)
        await process.end()
        return process.loaded

    loaded_state = asyncio.run(load())
    assert loaded_state.threads == 1
    [warning] = loaded_state.warnings
    assert warning.startswith("the model does not use 8 of its weights: encoder.block.1.layer.0.SelfAttention.k.weight")


def test_messages_without_a_template_are_their_texts_one_below_the_other(t5: LoadedEngine) -> None:
    messages = [{"role": "system", "content": "three"}, {"role": "user", "content": "one four"}]
    request = {"prompt": None, "messages": messages, "options": {"temperature": 0.0}}
    assert t5.engine.chat(request, RecordedReply()).text == "trois un quatre"


def test_beams_find_what_transformers_own_generate_finds(t5: LoadedEngine, tiny_t5: TinyT5) -> None:
    outcome = t5.ask("three one four", num_beams=4)
    assert (outcome.text, outcome.finish_reason) == ("trois un quatre", "stop")
    assert outcome.completion_tokens == t5.ask("three one four").completion_tokens
    text = "three three three three three"
    penalised = {"repeat_penalty": 3.0, "repeat_last_n": -1}
    assert t5.ask(text, num_beams=3, **penalised).text == plain(
        tiny_t5.single, text, num_beams=3, repetition_penalty=3.0
    )


def test_beams_end_with_length_at_max_tokens(t5: LoadedEngine) -> None:
    outcome = t5.ask("three one four", num_beams=2, max_tokens=2)
    assert (outcome.finish_reason, outcome.completion_tokens) == ("length", 2)


def test_the_penalty_of_the_whole_reply_is_transformers_own(t5: LoadedEngine, tiny_t5: TinyT5) -> None:
    text = "three three three three"
    expected = plain(tiny_t5.single, text, repetition_penalty=5.0)
    assert expected != plain(tiny_t5.single, text) == t5.ask(text, max_tokens=40).text
    for window in (None, -1, 400):
        assert t5.ask(text, repeat_penalty=5.0, repeat_last_n=window).text == expected


def test_a_penalty_looks_back_at_its_window_only(t5: LoadedEngine) -> None:
    def reply(text: str, window: int) -> str:
        return t5.ask(text, repeat_penalty=20.0, repeat_last_n=window, max_tokens=40).text

    by_turns, again = "three one three one three", "three three three three"
    assert reply(by_turns, 0) == reply(by_turns, 1) == translated(by_turns), "no word stands right after itself"
    assert reply(by_turns, 2) != translated(by_turns)
    assert reply(by_turns, -1) != translated(by_turns)
    assert reply(again, 0) == translated(again)
    assert reply(again, 1) != translated(again)


@pytest.mark.parametrize("narrowed", [{"top_k": 1}, {"top_p": 0.0}, {"top_p": 0.001}, {"min_p": 1.0}])
def test_an_option_that_leaves_the_likeliest_token_alone_makes_sampling_greedy(
    t5: LoadedEngine, narrowed: dict[str, float]
) -> None:
    assert t5.ask("three one four", **{**WILD, **narrowed}).text == "trois un quatre"


def test_a_seed_decides_a_reply_whatever_runs_beside_it(t5: LoadedEngine) -> None:
    alone = t5.ask("three one four", **WILD, seed=3).text
    assert t5.ask("three one four", **WILD, seed=4).text != alone
    beside = [t5.start("nine one", **WILD) for _ in range(2)]
    again = [t5.start("three one four", **WILD, seed=3) for _ in range(3)]
    assert texts(again) == [alone] * 3
    assert len(set(texts(beside))) == 2, "without a seed, replies are random"
    assert len({t5.ask("three one four", **WILD).text for _ in range(3)}) == 3


def test_a_seed_decides_a_reply_that_takes_turns_with_others(t5: LoadedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = range(6)
    alone = [t5.ask("three one four", **WILD, seed=seed).text for seed in seeds]
    # They change after every token.
    monkeypatch.setattr("llmspell_providers.candle.transformer.batches.TURN_S", 0.0)
    assert texts([t5.start("three one four", **WILD, seed=seed) for seed in seeds]) == alone


def test_a_model_computes_with_the_threads_it_was_given(t5: LoadedEngine) -> None:
    import torch

    counts: list[int] = []
    t5.before_step = lambda: counts.append(torch.get_num_threads())
    t5.ask("three one four")
    t5.before_step = lambda: None
    assert set(counts) == {1}


def test_concurrent_requests_are_one_batch_with_the_same_texts(t5: LoadedEngine) -> None:
    alone = [t5.ask(text) for text in NUMBERS]
    assert [one.text for one in alone] == [translated(text) for text in NUMBERS]
    t5.steps.clear()
    futures = [t5.start(text) for text in NUMBERS]
    assert texts(futures) == [translated(text) for text in NUMBERS]
    assert max(t5.steps) > 1
    assert max(t5.steps) <= t5.engine.slots
    assert len(t5.steps) < sum(one.completion_tokens for one in alone)
    assert t5.engine.busy_slots() == 0


def test_a_later_request_joins_the_batch_that_is_running(smollm2: LoadedEngine) -> None:
    story, colours = "Once upon a time", "The colours of the rainbow are red, orange,"
    alone = [smollm2.ask(text, max_tokens=30).text for text in (story, colours)]
    smollm2.steps.clear()
    assert smollm2.ask_in_turn(story, colours, after_pieces=5, max_tokens=30) == alone
    assert smollm2.steps.count(2) > 15


def test_requests_whose_settings_differ_take_turns(smollm2: LoadedEngine) -> None:
    order: list[str] = []
    second: list[Any] = []

    def begun(reply: RecordedReply) -> None:
        order.append("first")
        if not second:
            second.append(
                smollm2.start("Red,", RecordedReply(lambda _: order.append("second")), max_tokens=5, repeat_penalty=1.2)
            )

    smollm2.ask("Once upon a time", RecordedReply(begun), max_tokens=60)
    texts(second)
    assert max(smollm2.steps[-40:]) == 1
    assert order.index("second") < len(order) - 1 - order[::-1].index("first")


def test_each_of_a_batch_has_its_own_max_tokens_and_stop_strings(t5: LoadedEngine) -> None:
    gate = threading.Event()
    t5.before_step = lambda: gate.wait(DEADLINE_S) and None
    first = t5.start("one two three four five")
    cut = t5.start("one two three four five", max_tokens=3)
    stopped = t5.start("one two three four five", stop=["trois"])
    gate.set()
    t5.before_step = lambda: None
    assert first.result(DEADLINE_S).text == translated("one two three four five")
    assert (cut.result(DEADLINE_S).finish_reason, cut.result().completion_tokens) == ("length", 3)
    assert (stopped.result(DEADLINE_S).text.strip(), stopped.result().finish_reason) == ("un deux", "stop")


def test_the_checkpoints_own_stop_strings_end_a_reply(tiny_t5: TinyT5, tmp_path: Path) -> None:
    with loaded(
        changed_checkpoint(tiny_t5.single, tmp_path / "t5", "generation_config.json", stop_strings=["un"])
    ) as engine:
        outcome = engine.ask("three one four")
    assert (outcome.text.strip(), outcome.finish_reason) == ("trois", "stop")


def test_a_request_that_names_no_way_of_decoding_gets_the_checkpoints_own(tiny_t5: TinyT5, tmp_path: Path) -> None:
    own = "generation_config.json"
    with loaded(changed_checkpoint(tiny_t5.single, tmp_path / "beams", own, num_beams=3)) as engine:
        engine.ask("three one four", temperature=None)
        assert max(engine.steps) == 3
        engine.steps.clear()
        engine.ask("three one four", temperature=0.5)
        assert max(engine.steps) == 1, "one random reply is asked for"
    wild = {"do_sample": True, "temperature": 5.0, "top_k": 0}
    with loaded(changed_checkpoint(tiny_t5.single, tmp_path / "samples", own, **wild)) as engine:
        assert len({engine.ask("three one four", temperature=None, max_tokens=40).text for _ in range(3)}) == 3
        assert engine.ask("three one four").text == "trois un quatre"


def test_every_token_that_the_checkpoint_ends_with_ends_a_reply(
    t5: LoadedEngine, tiny_t5: TinyT5, tmp_path: Path
) -> None:
    [*_, un] = t5.engine.tokenize("trois un")
    own = "generation_config.json"
    with loaded(changed_checkpoint(tiny_t5.single, tmp_path / "t5", own, eos_token_id=[1, un])) as engine:
        outcome = engine.ask("three one four")
    assert (outcome.text, outcome.finish_reason) == ("trois", "stop")


def test_a_t5_reads_no_longer_prompt_than_its_tokenizer_was_made_for(tiny_t5: TinyT5, tmp_path: Path) -> None:
    with loaded(
        changed_checkpoint(tiny_t5.single, tmp_path / "t5", "tokenizer_config.json", model_max_length=4)
    ) as engine:
        assert engine.ask("three one four").text == "trois un quatre"
        with pytest.raises(ContextLengthExceeded, match="the prompt has 5 tokens, the model's context 4"):
            engine.ask("three one four one")


def test_characters_of_several_tokens_arrive_whole(smollm2: LoadedEngine) -> None:
    reply = RecordedReply()
    prompt = "🙂🦊🙂🦊🙂🦊🙂🦊🙂🦊🙂🦊🙂🦊🙂"
    text = smollm2.ask(prompt, reply, max_tokens=40).text
    assert "🦋" in text, text
    assert "".join(reply.pieces) == text
    assert "�" not in text.removesuffix("�"), "only what the limit of tokens cut may be half a character"
