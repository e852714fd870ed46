"""Every exit status by real causes, the same in both modes: status, code and words."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.command_line import Running, llmspell
from tests.support.hub_server import hub_server
from tests.support.kernels import KernelProcess

STEPS = (
    "Backend 'candle' not configured. To use candle models:\n"
    "1. Use the builtin profile: llmspell -p candle {words}\n"
    "2. Or configure candle provider in your config file"
)
AVAILABLE = "minimal, development, ollama, candle, rag-development, rag-production, rag-performance, providers, state"


@dataclass(frozen=True)
class Failure:
    """A command line and how it ends."""

    words: tuple[str, ...]
    status: int
    code: str
    message: str
    hint: str | None = None
    stdin: str = ""


def failure(*words: str, ends: tuple[int, str], says: str, hint: str | None = None, stdin: str = "") -> Failure:
    """A failure, its words written one by one."""
    return Failure(words, *ends, says, hint, stdin)


BOTH = {
    "a script fails": failure("exec", "error('x')", ends=(1, "script_error"), says="exec:1: x"),
    "a script wants too much": failure(
        *("exec", "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end"),
        ends=(1, "script_limit"),
        says="memory",
    ),
    "a file is not a model that the engine knows": failure(
        *("chat", "tiny@candle", "--message", "hi"),
        ends=(1, "model_load_failed"),
        says="xllamacpp could not load 'tiny.gguf'",
        hint="llmspell model verify --all tells whether its files are whole",
    ),
    "no source answers": failure(
        *("model", "pull", "https://127.0.0.1:9/x.gguf"),
        ends=(1, "source_unavailable"),
        says="No source of 'x' can be reached: ",
        hint="check the address and the network",
    ),
    "an unknown option": failure(
        *("model", "list", "--bakend", "x"),
        ends=(2, "invalid_request"),
        says="unknown option '--bakend'",
        hint="did you mean '--backend'?",
    ),
    "a value that can't be": failure(
        *("model", "list", "--format", "x"),
        ends=(2, "invalid_request"),
        says="invalid value for '--format': 'x' is not one of 'text', 'json', 'pretty'",
        hint="llmspell model list --help",
    ),
    "an engine that is not there": failure(
        *("exec", "--engine", "python", "1"),
        ends=(2, "unsupported"),
        says="Script engine 'python' is not available yet.",
    ),
    "an engine by its other name": failure(
        *("exec", "--engine", "js", "1"),
        ends=(2, "unsupported"),
        says="Script engine 'javascript' is not available yet.",
    ),
    "no such backend": failure(
        *("model", "pull", "x@invalid"),
        ends=(2, "backend_not_configured"),
        says="Backend 'invalid' not configured and no matching builtin profile found.\n"
        "Available backends: ollama, candle\n"
        "Check your model specification format: model:variant@backend",
        hint="llmspell model status shows what is configured",
    ),
    "no such script": failure("run", "nosuch.lua", ends=(3, "not_found"), says="Script file not found: nosuch.lua"),
    "no such model": failure(
        *("model", "info", "nosuch"),
        ends=(3, "model_not_found"),
        says="Model 'nosuch' not found in any backend",
        hint="llmspell model available",
    ),
    "a model that the catalog lacks": failure(
        *("model", "pull", "nosuch@candle"),
        ends=(3, "model_not_found"),
        says="Model 'nosuch' not found.\nGGUF models: smollm2:135m, qwen3:0.6b",
    ),
    "a backend that is down": failure(
        *("model", "list", "--backend", "ollama"),
        ends=(4, "backend_unavailable"),
        says="ollama: no answer from http://127.0.0.1:9",
    ),
    "time is over": failure("exec", "--timeout", "0.3", "while true do end", ends=(5, "timeout"), says=""),
}

LOCAL = {
    "a configuration that is not TOML": failure(
        *("-c", "broken.toml", "model", "list"),
        ends=(2, "config_error"),
        says="broken.toml:1:",
    ),
    "a configuration that is not there": failure(
        *("-c", "nosuch.toml", "model", "list"),
        ends=(2, "config_error"),
        says="configuration file not found: nosuch.toml",
    ),
    "a profile that is not there": failure(
        *("-p", "unknown", "model", "list"),
        ends=(3, "profile_not_found"),
        says=f"Builtin profile 'unknown' not found.\nAvailable: {AVAILABLE}",
        hint="llmspell config list-profiles",
    ),
    "a kernel id that is not there": failure(
        *("--connect", "nosuch", "model", "list"), ends=(3, "not_found"), says="there is no kernel 'nosuch'"
    ),
    "a kernel to stop that is not there": failure(
        *("kernel", "stop", "nosuch"), ends=(3, "not_found"), says="Kernel 'nosuch' not found"
    ),
    "no kernel to load into": failure(
        *("model", "load", "tiny"),
        ends=(4, "kernel_unreachable"),
        says="no kernel is running",
        hint="llmspell kernel start --daemon",
    ),
    "nothing listens": failure(
        *("--connect", "llmspell://127.0.0.1:1?key=k", "model", "list"),
        ends=(4, "kernel_unreachable"),
        says="no kernel at 127.0.0.1:1: connection refused",
    ),
    "backend not configured": failure(
        *("-p", "minimal", "model", "pull", "tinyllama@candle"),
        ends=(2, "backend_not_configured"),
        says=STEPS.format(words="model pull tinyllama@candle"),
        hint="llmspell -p candle model pull tinyllama@candle",
    ),
}


def assert_fails(case: Failure, *target: str) -> None:
    """Runs the command for people and for programs and compares both with the case."""
    text = llmspell(*target, *case.words, stdin=case.stdin)
    assert (text.status, text.out) == (case.status, "")
    # Numbered steps are indented by one space, and a hint that the message holds is not said twice.
    said = case.message.replace("\n1.", "\n 1.").replace("\n2.", "\n 2.")
    assert "Error: " in text.err
    assert said in text.err
    if case.hint is not None and case.hint not in case.message:
        assert f"\nHint: {case.hint}\n" in text.err
    done = llmspell(*target, "--json", *case.words, stdin=case.stdin)
    assert (done.status, done.out, done.error["code"]) == (case.status, "", case.code)
    if "llmspell -p candle" not in case.message:
        assert case.message in done.error["message"]
        assert case.hint is None or done.error["hint"] == case.hint


@pytest.fixture
def broken(case_directory: Path) -> None:
    """A configuration that is none."""
    (case_directory / "broken.toml").write_text("x y\n")


@pytest.mark.parametrize("status", sorted({case.status for case in BOTH.values()}))
def test_a_failure_has_its_status_code_and_words_in_both_modes(status: int, case_kernel: KernelProcess) -> None:
    for case in BOTH.values():
        if case.status == status:
            assert_fails(case)
            assert_fails(case, "--connect", str(case_kernel.started["connection_file"]))


@pytest.mark.parametrize("name", LOCAL)
def test_a_failure_before_any_kernel_has_its_status_code_and_words(name: str, broken: None) -> None:
    assert_fails(LOCAL[name])


@pytest.fixture
def minimal(case_directory: Path) -> Iterator[KernelProcess]:
    """A kernel that has no backend for models."""
    process = KernelProcess(["--profile", "minimal"])
    yield process
    process.stop()


def test_on_a_connected_kernel_without_the_backend_the_hint_is_to_start_it_with_one(minimal: KernelProcess) -> None:
    done = llmspell("--connect", str(minimal.started["connection_file"]), "model", "pull", "tinyllama@candle")
    assert done.status == 2
    assert done.err == (
        "Error: Backend 'candle' not configured. To use candle models:\n"
        " 1. Use the builtin profile: llmspell -p candle model pull tinyllama@candle\n"
        " 2. Or configure candle provider in your config file\n"
        "Hint: start the kernel with -p candle\n"
    )


def test_a_key_that_a_kernel_does_not_know_is_unauthorized(case_kernel: KernelProcess) -> None:
    info = case_kernel.info
    url = f"llmspell://127.0.0.1:{info.shell_port}?key=wrong"
    done = llmspell("--connect", url, "model", "list", "--json")
    assert (done.status, done.error["code"]) == (4, "unauthorized")


@pytest.mark.parametrize("mode", ["embedded", "connected"])
def test_a_file_that_its_source_does_not_have_is_not_found(mode: str, case_directory: Path) -> None:
    with hub_server() as server:
        kernel = KernelProcess(env=server.environment()) if mode == "connected" else None
        target = ["--connect", str(kernel.started["connection_file"])] if kernel else []
        try:
            url = f"{server.url}/files/nosuch.gguf"
            done = llmspell(*target, "model", "pull", url, "--json", env=server.environment())
        finally:
            if kernel is not None:
                kernel.stop()
        assert (done.status, done.error["code"]) == (3, "model_not_found")


def test_a_full_kernel_is_busy(case_directory: Path) -> None:
    kernel = KernelProcess(["--max-clients", "1"])
    try:
        target = ["--connect", str(kernel.started["connection_file"])]
        first = Running(*target, "exec", "print('on') while true do end")
        first.wait_for("on\n")
        done = llmspell(*target, "exec", "return 1", "--json")
        assert (done.status, done.error["code"]) == (1, "busy")
        assert done.error["details"]["max_clients"] == 1
        first.interrupt()
        assert first.done().status == 130
    finally:
        kernel.stop()


@pytest.mark.parametrize("mode", ["embedded", "connected"])
def test_ctrl_c_and_an_unanswered_question_end_as_they_should(mode: str, case_kernel: KernelProcess) -> None:
    target = ["--connect", str(case_kernel.started["connection_file"])] if mode == "connected" else []
    running = Running(*target, "exec", "print('on') while true do end")
    running.wait_for("on\n")
    running.process.send_signal(signal.SIGINT)
    done = running.done()
    assert (done.status, done.err) == (130, "Cancelled\n")
    for answer, status in (("n\n", 0), ("x\n", 0), ("", 1)):
        asked = llmspell(*target, "model", "remove", "tiny", stdin=answer)
        assert asked.status == status
    silent = llmspell(*target, "model", "remove", "tiny", "--json")
    assert (silent.status, silent.error["code"], silent.error["hint"]) == (2, "invalid_request", "use --yes")
    if llmspell("model", "install-ollama", "--print", "--json").document["installed"] is False:
        asking = llmspell(*target, "model", "install-ollama", "--json")
        assert (asking.status, asking.error["hint"]) == (2, "use --yes")
    assert llmspell(*target, "model", "remove", "tiny", stdin="y\n").out.endswith("Model removed successfully\n")
