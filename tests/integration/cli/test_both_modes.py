"""Every command gives the same embedded and connected: output, exit status, and the messages themselves."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.messages import Message
from llmspell_protocol.wire import Wire
from tests.support.command_cases import (
    CASES,
    Case,
    asks_for_json,
    command_of,
    missing,
    one_of_each,
    together,
    undo,
    words_of,
)
from tests.support.command_line import Done, call, llmspell
from tests.support.json_reference import problems, problems_of_stderr
from tests.support.kernels import KernelProcess

VOLATILE = {
    *(
        "duration_ms",
        "cpu_time_ms",
        "timings",
        "latency_ms",
        "load_ms",
        "modified_at",
        "last_used",
        "expires_at",
        "incident",
        "mode",
        "start_time",
        "total_duration_ms",
        "correlation_id",
        "deleted",
    ),
    *(
        "kernel",
        "memory_bytes",
        "estimated_bytes",
        "budget_bytes",
        "used_bytes",
        "available_bytes",
        "pid",
        "bytes_freed",
    ),
    *("execution_id", "execution_time", "execution_time_ms", "step_timings", "created_at"),
    # Of the kernel's documents.
    *("added_at", "changed_at", "embeddings", "embedding_tokens", "cached", "searches", "vectors"),
}
"""What differs between two runs of one command in one mode too, and the mode itself."""

BOTH = together("both")
RESIDENT = together("kernel")
ONE_OF_EACH = set(one_of_each())
OF_THIS_COMMAND_LINE = {"config show", "version"}
"""What is about this command line, and asks a kernel only where one is named."""
TRIES = 20
"""Where others need the processors, a kernel may not answer within 0.2 s each time."""


def test_every_command_has_a_case() -> None:
    assert missing() == [], "add cases to tests/support/command_cases.py"


ON_ITS_WAY = {"resolving", "downloading", "verifying", "looking", "reading", "embedding", "writing", "searching"}
HOW_FAR = {"bytes_downloaded", "percent_complete", "bytes_per_second", "eta_s", "rate"}
"""What a progress event tells of the moment it was sent in."""


def comparable(done: Done) -> tuple[int, Any, Any]:
    """What must be the same: times and the mode are left out of JSON, everything else counts."""
    return done.status, _parsed(done.out), _phases(_parsed(_PROGRESS.sub("", done.err)))


def _phases(said: Any) -> Any:
    """What stderr held, the end of a progress once; which phases of a small one are seen on its way depends on time."""
    if not isinstance(said, list):
        return said
    steps = [
        {key: value for key, value in one.items() if key not in HOW_FAR} if one.get("event") == "progress" else one
        for one in said
        if one.get("phase") not in ON_ITS_WAY
    ]
    return [step for at, step in enumerate(steps) if at == 0 or step != steps[at - 1]]


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
    return _OF_ONE_RUN.sub("…", value) if isinstance(value, str) else value


_OF_ONE_RUN = re.compile(r"workflow_[\da-f-]{36}|Duration: [\d.]+m?s")
"""What texts say of one run of a workflow."""
_PROGRESS = re.compile(r"(?m)^rag \w+  +\d+ %.*\n")
"""How far documents are, where that takes a while."""


def check(case: Case, done: Done) -> None:
    """What holds for every command that writes into a pipe: no colours, no surprises, JSON as it is documented."""
    assert "\x1b" not in done.out + done.err
    assert "internal error" not in done.err
    assert "defect" not in done.err
    if not asks_for_json(case):
        return
    command = " ".join(command_of(case))
    assert [problem for document in _documents(done.out) for problem in problems(command, document)] == []
    lines = [json.loads(line) for line in done.err.splitlines()]
    assert [problem for line in lines for problem in problems_of_stderr(line)] == []


def _documents(text: str) -> list[Any]:
    """One indented document, or one object a line."""
    if text.startswith("{\n"):
        assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
        return [json.loads(text)]
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("command", BOTH)
def test_a_command_says_the_same_embedded_and_connected(
    command: str, case_directory: Path, case_kernel: KernelProcess
) -> None:
    target = str(case_kernel.started["connection_file"])
    for name in BOTH[command]:
        case = CASES[name]
        words = words_of(case, case_directory)
        embedded = llmspell("--embedded", *words, stdin=case.stdin)
        undo(case, case_directory)
        connected = llmspell("--connect", target, *words, stdin=case.stdin)
        undo(case, case_directory)
        assert comparable(connected) == comparable(embedded), name
        check(case, embedded)
        check(case, connected)
        if name in ONE_OF_EACH:
            # Nothing named: the kernel that runs is used.
            expected = _origins(embedded if command in OF_THIS_COMMAND_LINE else connected)
            for _ in range(TRIES):
                found = llmspell(*words, stdin=case.stdin)
                undo(case, case_directory)
                assert comparable(found) == comparable(embedded), name
                if _origins(found) == expected:
                    break
            assert _origins(found) == expected, name


def _origins(done: Done) -> list[Any]:
    """What the documents say about the kernel."""
    try:
        documents = _documents(done.out)
    except ValueError:
        return []
    return [(one.get("mode"), one.get("kernel")) for one in documents if isinstance(one, dict)]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.where == "local"])
def test_a_command_of_this_machine_writes_plain_text_into_a_pipe(name: str, case_directory: Path) -> None:
    case = CASES[name]
    done = llmspell(*words_of(case, case_directory), stdin=case.stdin)
    undo(case, case_directory)
    assert (done.status, done.err) == (0, ""), done.out
    check(case, done)


@pytest.mark.parametrize("command", RESIDENT)
def test_a_command_finds_the_one_running_kernel_or_takes_the_named_one(
    command: str, case_directory: Path, case_kernel: KernelProcess
) -> None:
    target = str(case_kernel.started["connection_file"])
    for name in RESIDENT[command]:
        case = CASES[name]
        words = words_of(case, case_directory)
        found = llmspell(*words, stdin=case.stdin)
        named = llmspell("--connect", target, *words, stdin=case.stdin)
        assert found.status == named.status == 0, name
        assert _shape(_parsed(found.out)) == _shape(_parsed(named.out)), name
        check(case, found)
        check(case, named)


def _shape(value: Any) -> Any:
    """What a document is made of; of text its words without figures, since kernels live on between two looks."""
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value]
    return re.sub(r"[\d.]+|\s+", " ", value).split() if isinstance(value, str) else None


class RecordingWire(Wire):
    """A client's wire that remembers what went through it."""

    seen: list[tuple[str, str, Any]]

    def pack(self, message: Message, encoding: str | None = None, *, exact: bool = False) -> list[bytes]:
        """Remembers a request."""
        self.seen.append(("sent", message.msg_type, [message.metadata, message.content]))
        return super().pack(message, encoding, exact=exact)

    def unpack(self, frames: Any) -> Message:
        """Remembers an answer."""
        message = super().unpack(frames)
        self.seen.append(("received", message.msg_type, [message.metadata, message.content, len(message.buffers)]))
        return message


@pytest.mark.parametrize(
    "case", ["chat", "embed json", "run", "run error json", "model list json", "model info unknown"]
)
def test_the_messages_are_the_same_in_both_modes(
    case: str, case_kernel: KernelProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmspell_protocol.client.core.Wire", RecordingWire)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    # A kernel that is not named has a moment to answer in, which a busy machine may need.
    monkeypatch.setattr("llmspell_cli.connect.ANSWERS_WITHIN_S", 60.0)
    words = CASES[case].words
    recorded: list[list[Any]] = []
    for target in (["--embedded"], [], ["--connect", str(case_kernel.started["connection_file"])]):
        RecordingWire.seen = []
        call(capsys, *target, *words)
        recorded.append(_without_volatile([list(entry) for entry in RecordingWire.seen]))
    embedded, found, connected = recorded
    assert len(embedded) >= 4
    assert found == connected == embedded
