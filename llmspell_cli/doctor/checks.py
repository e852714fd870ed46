"""All checks of `doctor` in the order in which they are shown, each with what it needs and its deadline."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from llmspell_cli.connect import run_directory
from llmspell_cli.doctor import configuration, engines, files, kernels, kernelspec, machine, network
from llmspell_cli.doctor.damaged import damaged_models
from llmspell_cli.doctor.databases import databases
from llmspell_cli.doctor.examination import Check, examine
from llmspell_cli.doctor.finding import Finding, Problem, skip
from llmspell_cli.doctor.subject import Answers, Subject, ask_kernel
from llmspell_cli.doctor.tool_servers import tool_servers
from llmspell_cli.invocation import Options, working_directory
from llmspell_cli.key_sources import load
from llmspell_profiles.loading.home import llmspell_home
from llmspell_profiles.loading.trust import TrustedFiles
from llmspell_protocol.errors import LlmspellError

_KERNEL_DEADLINE_S = 20.0
_NO_SETTINGS = "needs a configuration that can be used"


def subject_of(options: Options, *, offline: bool) -> Subject:
    """This machine as the command line sees it."""
    loaded = problem = None
    try:
        loaded = load(options)
        if loaded.guarded is not None:
            TrustedFiles(loaded.home).demand(loaded.guarded)
    except LlmspellError as error:
        loaded, problem = None, error
    return Subject(
        options=options,
        env=os.environ,
        cwd=Path(working_directory()),
        home=llmspell_home(os.environ),
        offline=offline,
        loaded=loaded,
        problem=problem,
    )


def examined(subject: Subject) -> dict[str, Finding]:
    """The findings of all checks, by name."""
    # The kernel that some checks ask makes directories when it starts: what is missing is looked for before that.
    found_files = files.look_at_files(subject.home)
    executor = ThreadPoolExecutor(2, thread_name_prefix="doctor")
    try:
        answers = executor.submit(ask_kernel, subject) if subject.loaded is not None else None
        probed = executor.submit(engines.probe_engines, _candle(subject).engine, _candle(subject).server_path)
        return examine(_checks(subject, found_files, answers, probed))
    finally:
        executor.shutdown(wait=False)


def _checks(
    subject: Subject,
    found_files: files.Files,
    answers: Future[Answers] | None,
    probed: Future[engines.Engines],
) -> Mapping[str, Check]:
    engine, device, _ = _candle(subject)
    slow_s = engines.DEADLINE_S + 5

    def asked(look: Callable[[Answers], Finding]) -> Callable[[], Finding]:
        return lambda: look(answers.result()) if answers is not None else skip(_NO_SETTINGS)

    return {
        "python": Check(machine.python),
        "engines": Check(lambda: engines.engines(probed.result(), engine), slow_s),
        "devices": Check(lambda: engines.devices(probed.result(), engine, device), slow_s),
        "ollama": Check(
            asked(lambda answers: network.ollama(answers, subject.local("ollama"), subject.env)), _KERNEL_DEADLINE_S
        ),
        "servers": Check(asked(lambda answers: network.servers(answers, subject.servers)), _KERNEL_DEADLINE_S),
        "hub": Check(lambda: network.hub(subject.env, offline=subject.offline), network.HUB_DEADLINE_S + 5),
        "disk": Check(lambda: machine.disk(subject.home, _model_directory(subject))),
        "memory": Check(asked(machine.memory), _KERNEL_DEADLINE_S),
        "config": Check(lambda: configuration.config(subject)),
        "kernel": Check(lambda: kernels.kernel(subject, run_directory()), _KERNEL_DEADLINE_S),
        "files": Check(lambda: _files(subject, found_files, answers), _KERNEL_DEADLINE_S),
        "databases": Check(asked(lambda answers: databases(answers.databases)), _KERNEL_DEADLINE_S),
        "keys": Check(lambda: configuration.keys(subject)),
        "mcp": Check(lambda: tool_servers(subject)),
        "jupyter": Check(kernelspec.jupyter),
    }


def _files(subject: Subject, found: files.Files, answers: Future[Answers] | None) -> Finding:
    """What is on the disk, and what a kernel tells of the models there; what it can't tell is another check's."""
    try:
        told = answers.result() if answers is not None else None
    except LlmspellError:
        told = None
    problems: list[Problem] = []
    if told is not None:
        directories = {name: _directory_of(subject, name) for name in subject.local("candle")}
        problems = [Problem("fail", text, None) for text in told.unreadable]
        problems += damaged_models(told.damaged, directories)
    return files.files(subject.home, found, problems)


def fixed_again(subject: Subject) -> dict[str, Finding]:
    """The findings of the checks whose fixes were applied."""
    found = files.look_at_files(subject.home)
    answers: Future[Answers] | None = None
    if subject.loaded is not None:
        answers = Future()
        try:
            answers.set_result(ask_kernel(subject))
        except LlmspellError as error:
            answers.set_exception(error)
    again = {"files": _files(subject, found, answers)}
    if answers is not None and answers.exception() is None:
        again["databases"] = databases(answers.result().databases)
    return again


def _directory_of(subject: Subject, name: str) -> Path:
    table: Any = subject.tables[name]
    return Path(table.model_directory)


class _Candle(NamedTuple):
    """What the settings say about running GGUF files."""

    engine: str = "xllamacpp"
    device: str = "auto"
    server_path: Path | None = None


def _candle(subject: Subject) -> _Candle:
    for name in subject.local("candle"):
        table: Any = subject.tables[name]
        return _Candle(table.engine, table.device, table.server_path)
    return _Candle()


def _model_directory(subject: Subject) -> Path:
    for name in subject.local("candle"):
        return _directory_of(subject, name)
    return subject.home / "models" / "candle"
