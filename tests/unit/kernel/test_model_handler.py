"""What `model_request` answers, as it goes over the wire."""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.handlers.model import ModelHandler
from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Reply, Request
from llmspell_kernel.services.hooked_models import changed_rerank, no_scores
from llmspell_kernel.services.models import ModelsService, keep_alive_seconds
from llmspell_protocol.areas.model_texts import ModelRerank
from llmspell_protocol.errors import (
    BackendNotConfigured,
    Forbidden,
    InvalidRequest,
    LlmspellError,
    ModelNotFound,
    Unsupported,
)
from tests.support.hook_bench import HookBench
from tests.support.installed import install
from tests.support.recording_sink import RecordingSink
from tests.support.settings import settings_from

BOTH = '[providers.candle]\n[providers.ollama]\nbase_url = "http://127.0.0.1:9"\n'
HELLO = [{"role": "user", "content": "hello there"}]


class Answered:
    """One request and everything that was sent for it."""

    def __init__(self, home: Path, toml: str = BOTH, *, local: bool = True, **content: Any) -> None:
        self.sink = RecordingSink()
        self.request = Request(
            id="1",
            msg_type="model_request",
            content=content,
            caller=Caller(client="me", session="s", local=local),
            sink=self.sink,
        )
        self._home = home
        self._toml = toml
        self.reply = asyncio.run(self._run())
        self.content = self.reply.content
        json.dumps(self.content)  # whatever is answered must be plain

    async def _run(self) -> Reply:
        service = ModelsService(settings_from(self._toml, self._home), self._home, **_surroundings(self._home))
        try:
            return await ModelHandler(service, HookBench().services)(self.request)
        finally:
            await service.close()

    @property
    def deltas(self) -> list[dict[str, Any]]:
        """The deltas without their numbers."""
        sent = [one for kind, one in self.sink.sent if kind == "delta"]
        return [{key: value for key, value in one.items() if key != "seq"} for one in sent]


def _surroundings(home: Path) -> dict[str, Any]:
    return {"log_directory": home, "environment": {}}


def _refused(home: Path, toml: str = BOTH, *, local: bool = True, **content: Any) -> LlmspellError:
    with pytest.raises(LlmspellError) as caught:
        Answered(home, toml, local=local, **content)
    return caught.value


def test_list_has_models_and_the_backends_that_did_not_answer(tmp_path: Path) -> None:
    install(tmp_path, "smollm2", "135m")
    content = Answered(tmp_path, action="list").content
    (model,) = content["models"]
    assert set(model) == {
        *("id", "backend", "size_bytes", "format", "quantization", "parameter_count", "family", "modified_at"),
        *("sha256", "loaded"),
    }
    assert (model["id"], model["backend"], model["loaded"]) == ("smollm2:135m", "candle", False)
    assert content["count"] == 1
    assert content["errors"] == [
        {
            "backend": "ollama",
            "code": "backend_unavailable",
            "message": "ollama: no answer from http://127.0.0.1:9 (connection refused)",
        }
    ]


def test_a_file_of_the_kernel_s_machine_is_not_pulled_for_callers_that_may_not_read_it(tmp_path: Path) -> None:
    error = _refused(tmp_path, action="pull", model=" file:///etc/passwd@candle", local=False)
    assert error.code == "forbidden"
    own = _refused(tmp_path, "[providers.ollama]\n", action="pull", model="file:///etc/passwd@candle")
    assert own.code == "backend_not_configured", "one's own machine's files get as far as the backend"


def test_list_of_one_backend_that_is_down_is_an_error(tmp_path: Path) -> None:
    assert _refused(tmp_path, action="list", backend="ollama").code == "backend_unavailable"
    assert _refused(tmp_path, "", action="list", backend="candle").code == "backend_not_configured"


def test_status_has_each_backend_in_its_own_words(tmp_path: Path) -> None:
    backends = Answered(tmp_path, action="status").content["backends"]
    assert backends["ollama"] == {
        "configured": True,
        "running": False,
        "available_models": 0,
        "reason": "connection refused",
        "version": None,
        "latency_ms": None,
        "base_url": "http://127.0.0.1:9",
    }
    candle = backends["candle"]
    assert candle.pop("engines")
    assert candle == {
        "configured": True,
        "ready": True,
        "available_models": 0,
        "reason": None,
        "loaded": [],
        "device": "cpu",
        "model_directory": str(tmp_path / "models" / "candle"),
    }


def test_status_shows_what_is_not_configured_too(tmp_path: Path) -> None:
    backends = Answered(tmp_path, "", action="status").content["backends"]
    assert list(backends) == ["ollama", "candle"]
    assert not backends["ollama"]["running"]
    assert not backends["candle"]["ready"]
    assert backends["candle"]["reason"] == "not configured"
    assert list(Answered(tmp_path, action="status", backend="candle").content["backends"]) == ["candle"]
    assert isinstance(_refused(tmp_path, action="status", backend="nosuch"), BackendNotConfigured)


def test_info_is_flat(tmp_path: Path) -> None:
    install(tmp_path, "smollm2", "135m")
    content = Answered(tmp_path, action="info", model="smollm2:135m").content
    assert content["id"] == "smollm2:135m"
    assert {"context_length", "architecture", "embedding_length", "license", "chat_template"} <= set(content)
    assert {"capabilities", "path", "source"} <= set(content)


def test_available_marks_what_is_installed(tmp_path: Path) -> None:
    install(tmp_path, "smollm2", "135m")
    content = Answered(tmp_path, action="available", backend="candle").content
    installed = {line["name"] for line in content["models"] if line["installed"]}
    assert installed == {"smollm2:135m"}
    assert content["count"] == len(content["models"]) > 5
    recommended = Answered(tmp_path, action="available", recommended=True).content["models"]
    assert recommended
    assert all(line["recommended"] for line in recommended)


def test_remove_deletes_and_tells_the_bytes(tmp_path: Path) -> None:
    install(tmp_path, "smollm2", "135m")
    content = Answered(tmp_path, action="remove", model="smollm2:135m").content
    assert content == {"model_id": "smollm2:135m", "backend": "candle", "removed": True, "bytes_freed": 3}
    assert isinstance(_refused(tmp_path, action="remove", model="smollm2:135m"), ModelNotFound)


def test_verify_reads_one_model_or_all(tmp_path: Path) -> None:
    install(tmp_path, "smollm2", "135m")
    content = Answered(tmp_path, action="verify").content
    assert content["ok"] is False
    assert content["models"][0]["files"][0]["expected"] == "0" * 64
    assert content == Answered(tmp_path, action="verify", model="smollm2:135m@candle").content


def test_ps_has_budget_and_use(tmp_path: Path) -> None:
    content = Answered(tmp_path, '[models]\nmemory_budget_bytes = "1 GB"\n' + BOTH, action="ps").content
    assert content["models"] == []
    assert (content["budget_bytes"], content["used_bytes"]) == (10**9, 0)


def test_chat_streams_deltas_and_answers_with_the_whole(tmp_path: Path) -> None:
    answered = Answered(tmp_path, action="chat", model="mock/echo", messages=HELLO)
    assert answered.deltas == [{"text": "[mock/echo]"}, {"text": " hello"}, {"text": " there"}]
    assert set(answered.content) == {
        "message",
        "finish_reason",
        "usage",
        "timings",
        "model",
        "backend",
        "truncated",
        "context_size",
        "evicted",
    }
    assert answered.content["message"]["content"] == "[mock/echo] hello there"
    assert set(answered.content["usage"]) == {"prompt_tokens", "cached_tokens", "completion_tokens"}


def test_chat_without_streaming_sends_no_delta_but_remembers_what_came(tmp_path: Path) -> None:
    answered = Answered(tmp_path, action="chat", model="mock/echo", messages=HELLO, stream=False)
    assert answered.sink.sent == []
    assert answered.request.partial.content() == {"text": "[mock/echo] hello there"}


def test_generate_is_a_chat_with_one_message(tmp_path: Path) -> None:
    answered = Answered(tmp_path, action="generate", model="mock/echo", prompt="hello there")
    assert answered.content["message"]["content"] == "[mock/echo] hello there"


def test_texts_are_scored_in_their_order(tmp_path: Path) -> None:
    texts = ["a red cat", "nothing", "cat"]
    content = Answered(tmp_path, action="rerank", model="mock/any", query="red cat", texts=texts).content
    assert content["scores"] == [1.0, 0.0, 0.5]
    assert (content["model"], content["backend"]) == ("mock/any", "mock")
    assert content["usage"]["prompt_tokens"] == 3 * 2 + 3 + 1 + 1


def test_no_texts_can_be_scored_by_no_model(tmp_path: Path) -> None:
    assert isinstance(_refused(tmp_path, action="rerank", model="mock/any", query="q", texts=[]), InvalidRequest)
    refused = _refused(tmp_path, action="rerank", model="nobody@candle", query="q", texts=["a"])
    assert isinstance(refused, ModelNotFound)


def test_hooks_may_change_what_is_scored_and_never_its_scores() -> None:
    wanted = ModelRerank(model="m", query="q", texts=("a", "b"))
    data = {"model": "m", "query": "q", "texts": ["a", "b"]}
    assert changed_rerank(wanted, data) is wanted
    assert changed_rerank(wanted, {**data, "query": "other"}).query == "other"
    with pytest.raises(InvalidRequest):
        changed_rerank(wanted, {**data, "texts": "a"})
    with pytest.raises(Forbidden):
        no_scores([1.0])


def test_embeddings_travel_as_one_buffer_with_their_shape(tmp_path: Path) -> None:
    answered = Answered(tmp_path, action="embed", model="mock/any", input=["a", "b"])
    count, dimensions = answered.content["shape"]
    (buffer,) = answered.reply.buffers
    assert (count, answered.content["dtype"]) == (2, "float32")
    assert len(struct.unpack(f"<{count * dimensions}f", buffer)) == count * dimensions
    assert answered.content["usage"]["prompt_tokens"] == 2


def test_tokens_are_counted(tmp_path: Path) -> None:
    content = Answered(tmp_path, action="tokenize", model="mock/any", text="two words").content
    assert content["count"] == len(content["tokens"]) == 2


def test_a_pull_reports_progress_and_a_sentence(tmp_path: Path) -> None:
    answered = Answered(tmp_path, action="pull", model="mock/any")
    ((kind, progress),) = answered.sink.sent
    assert (kind, progress["phase"], progress["percent_complete"]) == ("progress", "complete", 100.0)
    assert "result" not in progress
    assert answered.content["model_id"] == "mock/any"
    assert answered.content["message"] == "Model mock/any is already present"


def test_loading_and_unloading_answer_with_the_model(tmp_path: Path) -> None:
    assert Answered(tmp_path, action="load", model="mock/any").content["model"] == "mock/any"
    unloaded = Answered(tmp_path, action="unload", model="mock/any").content["unloaded"]
    assert unloaded == [{"model": "mock/any", "backend": "mock", "bytes_freed": 0}]
    assert Answered(tmp_path, action="unload").content["unloaded"] == []


def test_the_default_model_answers_when_none_is_named(tmp_path: Path) -> None:
    toml = '[providers.candle]\ndefault_model = "smollm2:135m"\n'
    error = _refused(tmp_path, toml, action="chat", model="", messages=HELLO)
    assert isinstance(error, ModelNotFound)
    assert error.hint == "llmspell model pull smollm2:135m@candle"
    assert _refused(tmp_path, "", action="chat", model="", messages=HELLO).code == "config_error"


def test_an_unknown_candle_model_lists_the_known_ones(tmp_path: Path) -> None:
    error = _refused(tmp_path, action="chat", model="nosuch@candle", messages=HELLO)
    first, gguf, encoders, t5 = error.message.splitlines()
    assert first == "Model 'nosuch' not found."
    assert gguf.startswith("GGUF models: smollm2:135m, qwen3:0.6b")
    assert encoders == "Encoder models: multilingual-e5-small, ms-marco-minilm:l6-v2"
    assert t5.startswith("T5 models: flan-t5-small")


def test_beams_are_refused_where_the_engine_has_none_before_anything_is_loaded(tmp_path: Path) -> None:
    install(tmp_path, "smollm2", "135m")
    asked = {"action": "chat", "messages": HELLO, "options": {"num_beams": 2}}
    error = _refused(tmp_path, model="smollm2:135m@candle", **asked)
    assert isinstance(error, Unsupported)
    assert (error.details["operation"], error.hint) == (
        "num_beams",
        "the engine torch has it: safetensors models of candle",
    )
    error = _refused(tmp_path, model="llama3@ollama", **asked)
    assert error.message == "ollama can't do 'num_beams': its interface has no such option"


@pytest.mark.parametrize("action", ["chat", "load"])
def test_a_device_is_refused_where_the_server_decides_about_it(tmp_path: Path, action: str) -> None:
    asked = {"action": action, "model": "llama3@ollama", "messages": HELLO}
    error = _refused(tmp_path, **asked, device="cuda")
    assert isinstance(error, Unsupported)
    assert error.details == {"operation": "device", "backend": "ollama"}
    assert _refused(tmp_path, **asked, device="auto").code == "backend_unavailable"


@pytest.mark.parametrize("wanted", ["off", "ngram"])
@pytest.mark.parametrize("action", ["chat", "load"])
def test_how_a_model_drafts_is_refused_where_the_server_decides_about_it(
    tmp_path: Path, action: str, wanted: str
) -> None:
    asked = {"action": action, "model": "llama3@ollama", "messages": HELLO}
    error = _refused(tmp_path, **asked, speculation=wanted)
    assert isinstance(error, Unsupported)
    assert error.details == {"operation": "speculation", "backend": "ollama"}
    assert _refused(tmp_path, **asked, speculation="auto").code == "backend_unavailable"


@pytest.mark.parametrize(
    "asked",
    [{"action": "chat", "messages": HELLO, "options": {"num_ctx": 100_000}}, {"action": "load", "num_ctx": 100_000}],
)
def test_a_context_larger_than_the_model_was_trained_for_is_refused_with_both_numbers(
    tmp_path: Path, asked: dict[str, Any]
) -> None:
    install(tmp_path, "smollm2", "135m", context_length=8192)
    error = _refused(tmp_path, model="smollm2:135m@candle", **asked)
    assert isinstance(error, InvalidRequest)
    assert error.details == {"num_ctx": 100_000, "limit": 8192}


@pytest.mark.parametrize(("limit", "truncated"), [(1, True), (None, False)])
def test_a_reply_says_whether_it_was_cut(tmp_path: Path, limit: int | None, truncated: bool) -> None:
    asked = {"action": "chat", "model": "mock/echo", "messages": HELLO, "options": {"max_tokens": limit}}
    content = Answered(tmp_path, **asked).content
    assert (content["truncated"], content["finish_reason"]) == (truncated, "length" if truncated else "stop")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(0, 0.0), (-1, -1.0), (-5, -1.0), (90, 90.0), ("300", 300.0), ("5m", 300.0), ("1h30m", 5400.0), ("500ms", 0.5)],
)
def test_keep_alive_is_seconds_or_a_text(value: float | str, seconds: float) -> None:
    assert keep_alive_seconds(value) == seconds


def test_a_keep_alive_that_is_no_duration_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'soon' is not a duration"):
        keep_alive_seconds("soon")
