"""Every command gives the same embedded and connected: output, exit status, and the messages themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_cli.commands.jupyter import jupyter
from llmspell_cli.commands.kernel import kernel as kernel_group
from llmspell_cli.commands.model import model as model_group
from llmspell_cli.root import COMMANDS
from llmspell_protocol.messages import Message
from llmspell_protocol.wire import Wire
from tests.support.command_line import Done, call, llmspell
from tests.support.kernels import KernelProcess

VOLATILE = {
    *("duration_ms", "timings", "latency_ms", "load_ms", "modified_at", "last_used", "expires_at", "incident", "mode"),
    *("kernel", "memory_bytes", "estimated_bytes", "budget_bytes", "used_bytes", "pid"),
}
"""What differs between two runs of one command in one mode too, and the mode itself."""

LOCAL_ONLY = {"kernel start", "jupyter install", "jupyter remove"}
NEEDS_A_KERNEL = {"model load", "model unload", "model ps"}
FINDS_KERNELS_ITSELF = {"kernel stop", "kernel status"}

CASES: dict[str, tuple[list[str], str]] = {
    "run": (["run", "hello.lua", "--", "--name", "world", "extra"], ""),
    "run json": (["run", "hello.lua", "--json"], ""),
    "run stream": (["run", "hello.lua", "--json", "--stream"], ""),
    "run stdin": (["run", "-"], "print('from stdin', #ARGS)"),
    "run error": (["run", "bad.lua"], ""),
    "run error json": (["--json", "run", "bad.lua"], ""),
    "run syntax error": (["run", "-"], "if then"),
    "run missing": (["run", "nosuch.lua"], ""),
    "run engine missing": (["run", "--engine", "python", "hello.lua"], ""),
    "run timeout": (["run", "--timeout", "0.3", "-"], "while true do end"),
    "run model": (["run", "-"], "print(Agent.create{model = 'mock/a'}:complete('hi'))"),
    "exec": (["exec", "return 6*7"], ""),
    "exec table": (["exec", "return {a = 1, b = {true, 'x'}}", "--json"], ""),
    "exec print": (["exec", "io.write('no newline') return 'text'"], ""),
    "exec input": (["exec", "return io.read()"], "a line\n"),
    "chat": (["chat", "mock/a", "--message", "hello"], ""),
    "chat json": (["chat", "mock/a", "--message", "hello", "--json"], ""),
    "chat piped": (["chat", "mock/a"], "two\nlines\n"),
    "chat whole": (["chat", "mock/a", "--message", "hello", "--no-stream", "--json"], ""),
    "chat options": (["chat", "mock/a", "--message", "one two three four", "--max-tokens", "6", "--system", "be"], ""),
    "chat schema": (["chat", "mock/a", "--message", "x", "--schema", "schema.json"], ""),
    "chat unknown model": (["chat", "nosuch@candle", "--message", "x"], ""),
    "embed": (["embed", "--model", "mock/a", "one", "two"], ""),
    "embed json": (["embed", "--model", "mock/a", "--json", "--no-normalize", "--batch-size", "1", "one", "two"], ""),
    "embed file": (["embed", "--model", "mock/a", "--file", "texts.jsonl"], ""),
    "model list": (["model", "list"], ""),
    "model list json": (["model", "list", "--json"], ""),
    "model list down": (["model", "list", "--backend", "ollama"], ""),
    "model pull": (["model", "pull", "mock/a", "--json"], ""),
    "model pull unknown": (["model", "pull", "nosuch@candle"], ""),
    "model pull no backend": (["model", "pull", "x@invalid"], ""),
    "model remove": (["model", "remove", "nosuch@candle", "--yes"], ""),
    "model info": (["model", "info", "mock/a", "--json"], ""),
    "model info unknown": (["model", "info", "nosuch"], ""),
    "model available": (["model", "available"], ""),
    "model available json": (["model", "available", "--recommended", "--json"], ""),
    "model status": (["model", "status"], ""),
    "model status json": (["model", "status", "--format", "json"], ""),
    "model status down": (["model", "status", "--backend", "ollama"], ""),
    "model install-ollama": (["model", "install-ollama", "--print"], ""),
    "model verify": (["model", "verify", "--all", "--json"], ""),
    "version": (["version", "--component", "cli"], ""),
    "version json": (["version", "--json"], ""),
}


def test_the_cases_leave_no_command_out() -> None:
    groups = {"model": model_group.lazy, "kernel": kernel_group.lazy, "jupyter": jupyter.lazy}
    every = {f"{group} {name}" for group, names in groups.items() for name in names}
    every |= set(COMMANDS) - set(groups)
    covered = {words for case in CASES for words in every if case == words or case.startswith(words + " ")}
    assert every - covered == LOCAL_ONLY | NEEDS_A_KERNEL | FINDS_KERNELS_ITSELF


@pytest.fixture
def files(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that the cases name, and no Ollama of the developer's in reach."""
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    (tmp_path / "hello.lua").write_text("print('Hello, ' .. tostring(ARGS.name))\nreturn {count = #ARGS}\n")
    (tmp_path / "bad.lua").write_text("print('before')\nlocal x = nil\nprint(x.y)\n")
    (tmp_path / "schema.json").write_text(
        '{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}'
    )
    (tmp_path / "texts.jsonl").write_text('"one"\n{"text": "two"}\n')


@pytest.fixture
def running(files: None) -> Iterator[KernelProcess]:
    """A kernel to connect to."""
    process = KernelProcess()
    yield process
    process.stop()


def comparable(done: Done) -> tuple[int, Any, Any]:
    """What must be the same: times and the mode are left out of JSON, everything else counts."""
    return done.status, _parsed(done.out), _parsed(done.err)


def _parsed(text: str) -> Any:
    try:
        return _without_volatile(json.loads(text))
    except ValueError:
        pass
    try:
        return [_without_volatile(json.loads(line)) for line in text.splitlines()]
    except ValueError:
        return text


def _without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_volatile(item) for key, item in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [_without_volatile(item) for item in value]
    return value


@pytest.mark.parametrize("case", CASES)
def test_a_command_says_the_same_embedded_and_connected(case: str, running: KernelProcess) -> None:
    words, stdin = CASES[case]
    target = str(running.started["connection_file"])
    embedded = llmspell(*words, stdin=stdin)
    connected = llmspell("--connect", target, *words, stdin=stdin)
    assert comparable(connected) == comparable(embedded)
    assert "internal error" not in embedded.err


class RecordingWire(Wire):
    """A client's wire that remembers what went through it."""

    seen: list[tuple[str, str, Any]]

    def pack(self, message: Message, encoding: str | None = None) -> list[bytes]:
        """Remembers a request."""
        self.seen.append(("sent", message.msg_type, [message.metadata, message.content]))
        return super().pack(message, encoding)

    def unpack(self, frames: Any) -> Message:
        """Remembers an answer."""
        message = super().unpack(frames)
        self.seen.append(("received", message.msg_type, [message.metadata, message.content, len(message.buffers)]))
        return message


@pytest.mark.parametrize(
    "case", ["chat", "embed json", "run", "run error json", "model list json", "model info unknown"]
)
def test_the_messages_are_the_same_in_both_modes(
    case: str, running: KernelProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmspell_protocol.client.core.Wire", RecordingWire)
    words, _ = CASES[case]
    recorded: list[list[Any]] = []
    for target in ([], ["--connect", str(running.started["connection_file"])]):
        RecordingWire.seen = []
        call(capsys, *target, *words)
        recorded.append(_without_volatile([list(entry) for entry in RecordingWire.seen]))
    embedded, connected = recorded
    assert len(embedded) >= 4
    assert connected == embedded
