"""What a kernel imports before it answers, and to run a script: a budget of modules, since start-up is a feature."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llmspell_kernel.embedded import EmbeddedKernel
from llmspell_protocol.errors import ProfileNotFound
from tests.support.children import running_children

NOT_FOR_A_SCRIPT = {
    "argparse",
    "bz2",
    "csv",
    "difflib",
    "email",
    "httpx",
    "httpx2",
    "importlib.metadata",
    "llmspell_kernel.log_file",
    "llmspell_kernel.services.agents",
    "llmspell_kernel.services.kernel",
    "llmspell_kernel.services.models",
    "llmspell_kernel.services.sessions",
    "llmspell_kernel.validate",
    "llmspell_protocol.areas.agent",
    "llmspell_protocol.areas.kernel",
    "llmspell_protocol.areas.model",
    "llmspell_protocol.models",
    "llmspell_providers",
    "logging.handlers",
    "lupa",
    "lzma",
    "psutil",
    "pydantic",
    "pydantic_core",
    "shutil",
    "sqlite3",
    "tempfile",
    "zipfile",
}

DATACLASSES = {"Request"}
"""The only one on the way: making a frozen one costs as much as six named tuples."""

RUN = """
import dataclasses, json, sys
from llmspell_cli.root import run
status = run(["run", sys.argv[1]])
made = {
    name
    for module in tuple(sys.modules.values())
    if module.__name__.startswith("llmspell_")
    for name, value in vars(module).items()
    if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__.startswith("llmspell_")
}
print(json.dumps([status, sorted(sys.modules), sorted(made)]), file=sys.__stderr__)
"""

LAUNCH = """
import json, sys
import llmspell_kernel.scripting.launch
print(json.dumps(sorted(sys.modules)), file=sys.__stderr__)
"""


def _told(program: str, *words: str) -> object:
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stderr.splitlines()[-1])


def test_running_a_script_imports_nothing_that_only_other_commands_need(home: Path, tmp_path: Path) -> None:
    script = tmp_path / "empty.lua"
    script.write_text("")
    told = _told(RUN, str(script))
    assert isinstance(told, list)
    status, modules, dataclasses = told
    assert status == 0
    assert set(modules) & NOT_FOR_A_SCRIPT == set()
    assert set(dataclasses) <= DATACLASSES


def test_a_worker_is_launched_before_anything_of_the_settings_is_imported() -> None:
    modules = _told(LAUNCH)
    assert isinstance(modules, list)
    assert {"asyncio", "llmspell_kernel.app"} & set(modules) == set()
    assert {name for name in modules if name.startswith("llmspell_profiles")} == set()


def test_a_worker_that_was_launched_ahead_ends_when_the_settings_are_wrong(tmp_path: Path) -> None:
    before = running_children()
    kernel = EmbeddedKernel.start(
        profile="nonsense", env={"LLMSPELL_HOME": str(tmp_path)}, cwd=tmp_path, expect_script=True
    )
    with pytest.raises(ProfileNotFound):
        kernel.wait()
    kernel.stop()
    assert running_children() == before
