"""Compiles our packages before anything is measured, as pip compiles what it installs, click and zmq among it.

A source tree that is only linked into an environment has no byte code of its own where PYTHONDONTWRITEBYTECODE is set,
as in many containers: each start would compile our modules, and the baselines' would not.
"""

from __future__ import annotations

import compileall
from importlib.util import find_spec

PACKAGES = ("llmspell_protocol", "llmspell_profiles", "llmspell_providers", "llmspell_kernel", "llmspell_cli")


def compile_packages() -> None:
    """Writes the byte code of all modules that lack it."""
    for package in PACKAGES:
        spec = find_spec(package)
        for directory in spec.submodule_search_locations or () if spec is not None else ():
            compileall.compile_dir(directory, quiet=2)
