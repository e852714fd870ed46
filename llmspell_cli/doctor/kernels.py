"""The check of running kernels: whether each one answers, and how fast."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from llmspell_cli.choice import candidates
from llmspell_cli.doctor.finding import Finding, fail, ok, skip, warn
from llmspell_cli.doctor.subject import Subject
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import resolve, running_kernels
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.version import VERSION


def kernel(subject: Subject, run_dir: Path) -> Finding:
    """The kernel that --connect names, else all of this user's.

    Raises:
        LlmspellError: the one that is named can't be found.
    """
    if subject.options.connect is not None:
        infos = [resolve(subject.options.connect, run_dir, subject.env)]
    else:
        infos = running_kernels(run_dir)
    if not infos:
        return skip("none is running", "llmspell kernel start --daemon")
    told, silent, hints, others = [], [], [], []
    details: list[dict[str, Any]] = []
    for info in infos:
        name = info.id or info.address
        try:
            latency_ms, version = _answer(info)
        except LlmspellError as error:
            silent.append(f"{name} does not answer: {error.message}")
            hints.append(error.hint or f"llmspell kernel stop {name} --force")
            details.append({"id": name, "address": info.address, "answers": False, "reason": error.message})
            continue
        told.append(f"{name} answers in {latency_ms:.1f} ms")
        details.append({"id": name, "address": info.address, "answers": True, "latency_ms": round(latency_ms, 2)})
        if version != VERSION:
            others.append(f"{name} is of version {version}, this is {VERSION}")
    unused = [] if subject.options.connect is not None else _unused()
    text = "; ".join([", ".join(told)] * bool(told) + silent + others + unused)
    if silent:
        return fail(text, hints[0], kernels=details)
    if others:
        return warn(text, "stop and start it, when it has nothing to do", kernels=details)
    return ok(text, kernels=details)


def _unused() -> list[str]:
    """Kernels of this version that commands here leave alone, and why."""
    return [
        f"commands here do not use {info.id}: {why}" for info, why in candidates().others if info.version == VERSION
    ]


def _answer(info: ConnectionInfo) -> tuple[float, str | None]:
    """The time of one question, connecting not counted, and the kernel's version."""
    # Sockets are needed by this check alone.
    from llmspell_cli.connect import connected

    with connected(info) as opened:
        began = time.perf_counter()
        status = opened.ask("kernel_request", {"action": "status"}, timeout_s=2.0).content
        return (time.perf_counter() - began) * 1000, status.get("version")
