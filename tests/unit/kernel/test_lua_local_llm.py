"""LocalLLM: what a script asks about models, and what it gets."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_protocol.backends import LOCAL_BACKENDS
from tests.support.lua_kernel import LuaBench, refused, reply

OLLAMA = {"configured": True, "running": True, "available_models": 19, "version": "0.12.3", "latency_ms": 2.5}
CANDLE = {"configured": True, "ready": True, "available_models": 1, "loaded": []}
MODEL = {
    "id": "smollm2:135m",
    "backend": "candle",
    "size_bytes": 98_000_000,
    "format": "gguf",
    "quantization": "Q4_1",
    "parameter_count": 134_515_008,
    "modified_at": "2025-01-02T03:04:05Z",
    "loaded": False,
}


@pytest.fixture
def bench() -> LuaBench:
    return LuaBench()


def test_status_shows_both_backends(bench: LuaBench) -> None:
    bench.kernel.answers["model status"] = reply(backends={"ollama": OLLAMA, "candle": CANDLE})
    assert bench.value("return LocalLLM.status()") == {
        "ollama": {"running": True, "models": 19, "version": "0.12.3"},
        "candle": {"ready": True, "models": 1},
    }


def test_status_shows_every_backend_of_this_machine_and_no_other(bench: LuaBench) -> None:
    bench.kernel.answers["model status"] = reply(backends={})
    assert set(bench.value("return LocalLLM.status()")) == set(LOCAL_BACKENDS)


def test_status_never_raises_for_a_backend_that_is_down_or_not_configured(bench: LuaBench) -> None:
    down = {"configured": True, "running": False, "available_models": 0, "reason": "connection refused"}
    bench.kernel.answers["model status"] = reply(backends={"ollama": down})
    assert bench.value("return LocalLLM.status()") == {
        "ollama": {"running": False, "models": 0, "error": "connection refused"},
        "candle": {"ready": False, "models": 0, "error": "Not configured"},
    }


def test_status_of_one_backend_is_its_own_table(bench: LuaBench) -> None:
    bench.kernel.answers["model status"] = reply(backends={"ollama": OLLAMA})
    assert bench.value("return LocalLLM.status('ollama')") == {"running": True, "models": 19, "version": "0.12.3"}
    assert bench.kernel.requests == [("model_request", {"action": "status", "backend": "ollama"})]


def test_list_gives_rows_with_integers(bench: LuaBench) -> None:
    bench.kernel.answers["model list"] = reply(models=[MODEL], count=1, errors=[])
    assert bench.value("return LocalLLM.list()") == [
        {
            "id": "smollm2:135m",
            "backend": "candle",
            "size_bytes": 98_000_000,
            "quantization": "Q4_1",
            "modified_at": 1735787045,
        }
    ]
    assert bench.value("return string.format('%d', LocalLLM.list('all')[1].size_bytes)") == "98000000"


def test_list_of_an_unknown_backend_is_empty_but_other_failures_raise(bench: LuaBench) -> None:
    bench.kernel.answers["model list"] = refused("backend_not_configured", "Backend 'x' not configured")
    assert bench.value("return #LocalLLM.list('x')") == 0
    bench.kernel.answers["model list"] = refused("forbidden", "no")
    assert bench.caught("LocalLLM.list()") == "Security violation: no"


def test_info_has_the_fields_that_scripts_print(bench: LuaBench) -> None:
    bench.kernel.answers["model info"] = reply(
        **MODEL, context_length=8192, architecture="llama", capabilities=["chat"]
    )
    info = bench.value("return LocalLLM.info('smollm2:135m@candle')")
    assert (info["parameter_count"], info["context_length"], info["modified_at"]) == ("135M", 8192, 1735787045)
    assert "status" not in info
    # As scripts print and compare it.
    assert info["format"] == "GGUF"


def _progress(phase: str, done: int) -> tuple[str, dict[str, Any]]:
    content = {"phase": phase, "bytes_downloaded": done, "bytes_total": 100, "percent_complete": float(done)}
    return "progress", content


PULLED = {"status": "ok", "model_id": "smollm2:135m", "bytes_downloaded": 100, "bytes_total": 100}


def test_pull_returns_when_it_is_done_and_tells_about_progress(bench: LuaBench) -> None:
    bench.kernel.answers["model pull"] = [_progress("resolving", 0), _progress("downloading", 50), ("reply", PULLED)]
    code = """
    local seen = {}
    local done = LocalLLM.pull('smollm2:135m', 'candle', function(p)
      seen[#seen + 1] = p.status .. p.percent_complete
    end)
    return {done = done, seen = seen}
    """
    result = bench.value(code)
    assert result["done"] == {
        "model_id": "smollm2:135m",
        "status": "complete",
        "percent_complete": 100,
        "bytes_downloaded": 100,
        "bytes_total": 100,
    }
    assert result["seen"] == ["starting0.0", "downloading50.0"]
    assert bench.kernel.requests[0][1]["model"] == "smollm2:135m@candle"


@pytest.mark.parametrize(
    ("call", "model"),
    [
        ("pull('m')", "m@ollama"),
        ("pull('m:7b', 'candle')", "m:7b@candle"),
        ("pull('m@candle', 'ollama')", "m@candle"),
        ("pull('file:///models/m.gguf')", "file:///models/m.gguf"),
        ("pull('hf.co/org/repo')", "hf.co/org/repo"),
        ("pull('m', function() end)", "m@ollama"),
    ],
)
def test_pull_names_the_backend(bench: LuaBench, call: str, model: str) -> None:
    bench.kernel.answers["model pull"] = [("reply", PULLED)]
    bench.run(f"LocalLLM.{call}")
    assert bench.kernel.requests[0][1]["model"] == model


def test_a_visitor_that_returns_false_cancels_the_pull(bench: LuaBench) -> None:
    bench.kernel.answers["model pull"] = [_progress("downloading", 5), ("reply", PULLED)]
    message = bench.caught("LocalLLM.pull('m', nil, function() return false end)")
    assert message == "Failed to pull model: cancelled by the script"
    assert bench.kernel.closed == [1]


@pytest.mark.parametrize(
    ("code", "message", "text"),
    [
        ("source_unavailable", "no route", "Failed to pull model: no route"),
        ("model_not_found", "no such model", "Failed to pull model: no such model"),
        ("invalid_request", "Invalid model spec 'x@': empty", "Invalid model spec 'x@': empty"),
        ("backend_not_configured", "Backend 'ollama' not configured", "Backend 'ollama' not configured"),
    ],
)
def test_a_pull_that_fails_raises(bench: LuaBench, code: str, message: str, text: str) -> None:
    bench.kernel.answers["model pull"] = refused(code, message, "do this")
    assert bench.caught("LocalLLM.pull('x')") == text
    failure = bench.failure("local p = LocalLLM.pull('x')")
    assert failure.message == f"test.lua:1: {text}"
    assert failure.cause is not None
    assert (failure.cause["code"], failure.cause["hint"]) == (code, "do this")


def test_a_failed_verification_is_a_status(bench: LuaBench) -> None:
    bench.kernel.answers["model pull"] = refused("checksum_mismatch", "wrong bytes")
    result = bench.value("return LocalLLM.pull('x')")
    assert (result["status"], result["error"]) == ("failed", "wrong bytes")


def test_load_unload_ps_and_remove_are_requests(bench: LuaBench) -> None:
    for action in ("load", "unload", "ps"):
        bench.kernel.answers[f"model {action}"] = reply(done=action)
    bench.kernel.answers["model remove"] = refused("forbidden", "model remove needs the right 'admin'")
    options = "{pin = true, keep_alive = '5m', device = 'cpu', speculation = 'off'}"
    assert bench.value(f"return LocalLLM.load('m', {options})") == {"done": "load"}
    assert bench.value("return LocalLLM:unload('m')") == {"done": "unload"}
    assert bench.value("return LocalLLM.ps()") == {"done": "ps"}
    assert bench.caught("LocalLLM.remove('m')").startswith("Security violation: ")
    assert [content for _, content in bench.kernel.requests] == [
        {"action": "load", "model": "m", "pin": True, "keep_alive": "5m", "device": "cpu", "speculation": "off"},
        {"action": "unload", "model": "m"},
        {"action": "ps"},
        {"action": "remove", "model": "m"},
    ]


def test_wrong_types_are_named(bench: LuaBench) -> None:
    assert bench.caught("LocalLLM.info({})") == "bad argument #1 to 'LocalLLM.info' (string expected, got table)"
    assert bench.caught("LocalLLM.pull()") == "bad argument #1 to 'LocalLLM.pull' (string expected, got no value)"
