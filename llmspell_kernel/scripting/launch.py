"""Starts the process of a script worker. Knows neither settings nor scripts, so that it can come before both.

An interpreter needs as long to start as a kernel to read its settings: a command that knows that a script will come
starts the worker first and hands it over later.
"""

from __future__ import annotations

from pathlib import Path

from llmspell_kernel.process_tree import kill_tree
from llmspell_kernel.scripting.engines import DEFAULT, Engine
from llmspell_protocol.child import Child, Spawned, spawn
from llmspell_storage.directories import private_directory

LOG_NAME = "scripts.log"


def launch(log_directory: Path | None, engine: Engine = DEFAULT) -> Child:
    """A worker that waits for its `start` frame; `Child.hand_over` says who hears it. Call on the loop's thread."""
    return Child.attach(launch_early(log_directory, engine), kill=kill_tree)


def launch_early(log_directory: Path | None, engine: Engine = DEFAULT) -> Spawned:
    """The same before there is a loop: on the thread where it will run."""
    log_path = None
    if log_directory is not None:
        log_path = private_directory(log_directory) / LOG_NAME
    return spawn(engine.worker_module, environment={}, log_path=log_path)
