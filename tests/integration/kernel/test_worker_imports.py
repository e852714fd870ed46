"""What a script worker imports: little, so that it starts in milliseconds."""

from __future__ import annotations

import os
import subprocess
import sys

ALLOWED = {"llmspell_kernel", "llmspell_protocol", "lupa", "msgpack"}
TOO_SLOW = {"asyncio", "subprocess", "dataclasses", "inspect", "pathlib", "json", "logging", "hashlib", "uuid", "zmq"}

PROGRAM = "import sys, llmspell_kernel.scripting.lua.worker; print(*sys.modules)"


def _imported() -> set[str]:
    """The modules of a fresh interpreter that was started as workers are."""
    environment = {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    command = [sys.executable, "-S", "-P", "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_script_worker_imports_the_standard_library_msgpack_lupa_and_the_protocol() -> None:
    foreign = {name.partition(".")[0] for name in _imported()} - set(sys.stdlib_module_names) - ALLOWED
    # What compiled modules bring along.
    assert {name for name in foreign if not name.startswith(("_cython_", "cython_runtime", "__"))} == set()


def test_a_script_worker_imports_nothing_of_the_kernel_but_the_lua_side() -> None:
    ours = {name for name in _imported() if name.startswith("llmspell_")}
    assert not {name for name in ours if "debugger" in name}
    beyond = {name for name in ours if not name.startswith("llmspell_kernel.scripting.lua")}
    assert beyond == {
        "llmspell_kernel",
        "llmspell_kernel.scripting",
        "llmspell_protocol",
        "llmspell_protocol.beneath",
        "llmspell_protocol.bounded",
        "llmspell_protocol.child",
        "llmspell_protocol.frames",
        "llmspell_protocol.orphans",
        "llmspell_protocol.standard_streams",
        "llmspell_protocol.worker_memory",
    }


def test_a_script_worker_imports_nothing_slow() -> None:
    assert _imported() & TOO_SLOW == set()
