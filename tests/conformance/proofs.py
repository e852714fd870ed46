"""For every word of a backend's declaration, what is done to see whether it holds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from llmspell_protocol.abilities import OPTIONS
from llmspell_protocol.errors import ContextLengthExceeded, ModelError, ModelNotFound, Unsupported
from llmspell_protocol.models import ChatMessage, ChatResult, LoadOptions, SamplingOptions
from llmspell_providers.spec import ModelSpec
from tests.support.chat_turns import turn
from tests.support.templates import SEARCH, WEATHER

if TYPE_CHECKING:
    from tests.conformance.test_providers import Case

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
LONG = "word " * 300
VALUES: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 5,
    "min_p": 0.1,
    "repeat_penalty": 1.1,
    "repeat_last_n": 8,
    "seed": 3,
    "max_tokens": 4,
    "stop": ("\n",),
    "num_ctx": 256,
    "num_beams": 2,
}


def _result(case: Case, **fields: Any) -> ChatResult:
    return case.ask(case.request(**fields))[1]


def _list(case: Case) -> None:
    models = [model.id for model in case.run(case.provider.list_models())]
    assert (case.spec.name in models) == case.is_listed


def _info(case: Case) -> None:
    assert case.run(case.provider.info(case.spec)).id == case.spec.name


def _pull(case: Case) -> None:
    async def pull() -> Any:
        return [step async for step in case.provider.pull(case.pulled or case.spec, force=False, quantization=None)]

    assert case.run(pull())[-1].result.model_id


def _remove(case: Case) -> None:
    async def pull() -> Any:
        steps = [step async for step in case.provider.pull(case.removable, force=False, quantization=None)]
        return steps[-1].result.model_id

    spec = ModelSpec.parse(case.run(pull())).with_backend(case.provider.name) if case.removable else case.spec
    freed_bytes = case.run(case.provider.remove(spec, force=False))
    if case.removable is None:
        assert freed_bytes > 0
        return
    # What was pulled from a file of this machine may have that other name, and then nothing is given back.
    assert freed_bytes >= 0
    with pytest.raises(ModelNotFound):
        case.run(case.provider.info(spec))


def _verify(case: Case) -> None:
    assert case.run(case.provider.verify(case.spec)).ok is True


def _load(case: Case) -> None:
    assert case.run(case.provider.load(case.spec, LoadOptions(keep_alive_s=-1.0))).model == case.spec.name


def _unload(case: Case) -> None:
    spec = case.unloaded or case.spec
    if case.unloaded is not None:
        case.run(case.provider.load(spec, LoadOptions()))
    assert case.run(case.provider.unload(spec, force=False)) >= 0
    if case.unloaded is not None:
        assert spec.name not in [model.model for model in case.run(case.provider.loaded())]


def _loaded(case: Case) -> None:
    case.run(case.provider.loaded())
    _load(case)
    loaded = case.run(case.provider.loaded())
    assert case.spec.name in [model.model for model in loaded]


def _chat(case: Case) -> None:
    assert _result(case).message.content


def _embed(case: Case) -> None:
    vectors = case.run(case.provider.embed(case.spec, list(case.texts), normalize=True, client="me"))
    assert vectors.count == len(case.texts)


def _plain_vectors(case: Case) -> None:
    vectors = case.run(case.provider.embed(case.spec, list(case.texts), normalize=False, client="me"))
    assert vectors.count == len(case.texts)


def _tokenize(case: Case) -> None:
    assert case.run(case.provider.tokenize(case.spec, "hello world"))


def _rerank(case: Case) -> None:
    ranker = case.ranker or case
    texts = ["red and blue", "green", "red and blue"]
    scores = case.run(ranker.provider.rerank(ranker.spec, "red", texts, client="me")).scores
    assert scores[0] == pytest.approx(scores[2], abs=1e-4)
    assert scores[0] != pytest.approx(scores[1], abs=1e-4)


def _raw(case: Case) -> None:
    assert _result(case, messages=(), prompt="Once upon a time", raw=True).message.content


def _called(case: Case, choice: str | None) -> None:
    caller = case.templated or case
    fields = {"options": SamplingOptions(temperature=0.0, max_tokens=60), "tools": (WEATHER,), "tool_choice": choice}
    result = caller.ask(caller.request("What is the weather in Paris?", **fields))[1]
    assert result.finish_reason == "tool_calls"
    assert [set(call.arguments) for call in result.message.tool_calls] == [{"city"}]


def _tools(case: Case) -> None:
    _called(case, None if case.calls_unasked else "required")


def _tool_choice(case: Case) -> None:
    """Asked for something else, and shown no calls: the call comes because it is demanded, or its lack is an error."""
    caller = case.templated or case
    options = SamplingOptions(temperature=0.0, max_tokens=60 if case.is_made_to_call else 8)
    for choice, allowed in (("required", {"weather", "search"}), ("weather", {"weather"}), ("search", {"search"})):
        fields = {"options": options, "tools": (WEATHER, SEARCH), "tool_choice": choice}
        request = caller.request("Say hi in one word.", **fields)
        if not case.is_made_to_call:
            with pytest.raises(ModelError) as caught:
                caller.ask(request)
            assert caught.value.details["tool_choice"] == choice
            continue
        chunks, result = caller.ask(request)
        (call,) = result.message.tool_calls
        assert call.name in allowed
        assert result.finish_reason == "tool_calls"
        assert not result.message.content
        assert not any(chunk.text for chunk in chunks)
        if case.provider.name != "mock":  # which knows no patterns
            parameters = next(tool["parameters"] for tool in (WEATHER, SEARCH) if tool["name"] == call.name)
            jsonschema.validate(call.arguments, parameters)


def _images(case: Case) -> None:
    messages = (ChatMessage(role="user", content="What is this?", images=(PNG,)),)
    if case.saw is not None or "images" in case.capabilities.lacks:
        _result(case, messages=messages)
        assert case.saw is not None
        assert case.saw()
        return
    # The backend shows it, and this model is blind: told by the server, which was asked.
    with pytest.raises(Unsupported) as refused:
        _result(case, messages=messages)
    assert refused.value.details["operation"] == "images"
    assert refused.value.details["status"] >= 400


def _schema(case: Case) -> None:
    _result(case, text=case.schema_question, schema=case.schema, options=SamplingOptions(temperature=0, max_tokens=96))


def _device(case: Case) -> None:
    assert _result(case, device="cpu").message.content


def _speculation(case: Case) -> None:
    # As it is loaded: another wish would load it anew, which tests of one model do not share.
    assert _result(case, speculation="ngram").message.content


def _option(name: str) -> Callable[[Case], None]:
    def proof(case: Case) -> None:
        options = replace(SamplingOptions(max_tokens=8), **{name: VALUES[name]})
        assert _result(case, options=options).usage.completion_tokens > 0

    return proof


def _streaming(case: Case) -> None:
    assert sum(bool(chunk.text) for chunk in case.ask(case.request())[0]) > 1


def _reasoning(case: Case) -> None:
    thinker = case.thinker or case.templated or case
    options = SamplingOptions(temperature=0.0, max_tokens=60)
    assert thinker.ask(thinker.request("What is 5 + 1?", options=options))[1].message.reasoning


def _think(case: Case) -> None:
    thinker = case if "think" in case.capabilities.lacks else case.thinker or case.templated or case
    options = SamplingOptions(temperature=0.0, max_tokens=60)
    assert thinker.ask(thinker.request("What is 5 + 1?", options=options, think=True))[1].message.reasoning


def _usage(case: Case) -> None:
    usage = _result(case).usage
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0


def _cached_tokens(case: Case) -> None:
    _result(case, text="Tell me about the sea.")
    assert _result(case, text="Tell me about the sea.").usage.cached_tokens > 0


def _prefill(case: Case) -> None:
    assert any(chunk.prefill is not None for chunk in case.ask(case.request(LONG))[0])


def _truncate(case: Case) -> None:
    try:
        result = _result(case, text=LONG * 3, truncate=True)
    except ContextLengthExceeded:
        raise AssertionError("it was refused, not cut") from None
    assert result.usage.prompt_tokens < 900


def _cancel(case: Case) -> None:
    async def first_piece() -> None:
        endless = SamplingOptions(temperature=0.0, max_tokens=400)
        async with aclosing(turn(case.provider, case.request(options=endless))) as chunks:
            await anext(chunks)

    case.run(first_piece())
    _chat(case)


PROOFS: dict[str, Callable[[Case], None]] = {
    "list": _list,
    "info": _info,
    "pull": _pull,
    "remove": _remove,
    "verify": _verify,
    "load": _load,
    "unload": _unload,
    "loaded": _loaded,
    "chat": _chat,
    "embed": _embed,
    "tokenize": _tokenize,
    "rerank": _rerank,
    "raw": _raw,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "images": _images,
    "think": _think,
    "schema": _schema,
    "device": _device,
    "speculation": _speculation,
    "plain_vectors": _plain_vectors,
    "streaming": _streaming,
    "reasoning": _reasoning,
    "usage": _usage,
    "cached_tokens": _cached_tokens,
    "prefill": _prefill,
    "truncate": _truncate,
    "cancel": _cancel,
    **{name: _option(name) for name in OPTIONS},
}
