"""Checks of engines and devices. No engine is loaded in this process: a wheel for another processor would end it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from llmspell_cli.doctor.finding import Finding, fail, ok, warn
from llmspell_protocol.exit_status import signal_name
from llmspell_protocol.extras import install_command

PROBE = "llmspell_providers.candle.probe"
DEADLINE_S = 30.0
"""A first import of PyTorch from a slow disk."""

ENGINES: Mapping[str, str] = {
    "lua": "lupa",
    "xllamacpp": "xllamacpp",
    "torch": "torch",
    "llama-cpp-python": "llama_cpp",
}
"""Engines, and the module that each one is."""
_PACKAGES = {"lua": "lupa"}
_INSTALL = {
    "lua": "pip install lupa",
    "xllamacpp": "pip install xllamacpp",
    "llama-server": "install llama.cpp, or name its server by providers.candle.server_path: docs/guide/models.md",
}
_EXTRAS = ("torch", "llama-cpp-python")
_SERVER = "llama-server"
_NVIDIA_DEADLINE_S = 5.0


class Probed(NamedTuple):
    """One engine: its package's version (None: not installed), why it can't be imported, and its accelerators."""

    version: str | None
    problem: str | None = None
    devices: tuple[str, ...] = ()


class Engines(NamedTuple):
    """All engines by name, and the graphics cards that the system's driver tells of."""

    probed: Mapping[str, Probed]
    cards: tuple[str, ...]


def probe_engines(wanted: str, server_path: Path | None) -> Engines:
    """Imports every installed engine in a process of its own, side by side.

    llama-server, a binary at `server_path` or on PATH, is among them where it is `wanted` or can be used.
    """
    with ThreadPoolExecutor(len(ENGINES) + 2) as executor:
        cards = executor.submit(_cards)
        server = executor.submit(_probe_server, server_path)
        found = dict(zip(ENGINES, executor.map(_probe, ENGINES), strict=True))
        binary = server.result()
        if wanted == _SERVER or (binary.version is not None and binary.problem is None):
            found[_SERVER] = binary
        return Engines(found, cards.result())


def engines(found: Engines, wanted: str) -> Finding:
    """Which engines can be used; Lua and the `wanted` one for GGUF files must."""
    probed = found.probed
    broken = {name: one.problem for name, one in probed.items() if one.problem}
    missing = [name for name, one in probed.items() if one.version is None]
    working = [_label(name, one.version) for name, one in probed.items() if name not in broken and one.version]
    parts = [", ".join(working)] if working else []
    parts += [
        f"{name} can't be {'used' if name == _SERVER else 'imported'}: {problem}" for name, problem in broken.items()
    ]
    parts += [f"{', '.join(missing)} not installed"] if missing else []
    details = {
        name: {"version": one.version, "problem": one.problem, "devices": list(one.devices)}
        for name, one in probed.items()
    }
    text = "; ".join(parts)
    needed = [name for name in ("lua", wanted) if name in broken or name in missing]
    if needed:
        return fail(text, _remedy(needed[0], broken=needed[0] in broken), **details)
    if broken:
        return warn(text, _remedy(next(iter(broken)), broken=True), **details)
    return ok(text, **details)


def devices(found: Engines, wanted: str, asked: str) -> Finding:
    """What models can run on: `wanted` is the engine for GGUF files, `asked` the device that the settings name."""
    engine = found.probed.get(wanted, Probed(None))
    accelerators = engine.devices
    cores = _cores()
    here = ", ".join([*accelerators, "cpu"])
    text = f"{here}, {cores} core{'' if cores == 1 else 's'}"
    details: dict[str, Any] = {"devices": [*accelerators, "cpu"], "cores": cores, "cards": list(found.cards)}
    if asked.startswith("cuda") and sys.platform != "darwin" and not _has(asked, accelerators):
        return fail(f"{text}; providers.candle.device is {asked}, which {wanted} has not found", _AUTO, **details)
    if asked == "metal" and sys.platform == "darwin" and "metal" not in accelerators:
        return fail(f"{text}; providers.candle.device is metal, which {wanted} has not found", _AUTO, **details)
    if found.cards and not accelerators:
        hint = f"install a build of {wanted} with CUDA: docs/guide/models.md"
        return warn(
            f"{text}; {', '.join(found.cards)} is here, but this build of {wanted} can't use it", hint, **details
        )
    none = "" if accelerators else "; no Metal device" if sys.platform == "darwin" else "; no CUDA device"
    return ok(text + none, **details)


_AUTO = 'set providers.candle.device = "auto"'


def _has(asked: str, accelerators: tuple[str, ...]) -> bool:
    return ("cuda:0" if asked == "cuda" else asked) in accelerators


def _label(name: str, number: str | None) -> str:
    if name == "lua":
        return f"lua (lupa {number})"
    return name if name == "xllamacpp" else f"{name} {number}"


def _remedy(name: str, *, broken: bool) -> str:
    if broken and name == "xllamacpp":
        return 'reinstall xllamacpp, or build llama-cpp-python and set providers.candle.engine = "llama-cpp-python"'
    install = install_command(name) if name in _EXTRAS else _INSTALL.get(name, f"install {name}")
    return install.replace("pip install", "pip install --force-reinstall") if broken else install


def _probe(name: str) -> Probed:
    try:
        number = version(_PACKAGES.get(name, name))
    except PackageNotFoundError:
        return Probed(None)
    answer = _ask(ENGINES[name])
    return Probed(number, answer.get("error"), tuple(answer.get("devices", ())))


def _probe_server(path: Path | None) -> Probed:
    answer = _ask(_SERVER, *([str(path)] if path else []))
    problem = answer.get("error")
    number = answer.get("version", "of an unknown build" if problem else None)
    return Probed(number, problem, tuple(answer.get("devices", ())))


def _ask(*words: str) -> dict[str, Any]:
    """What the probe says; `error` where it does not come to its end."""
    command = [sys.executable, "-m", PROBE, *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"its import was not done after {DEADLINE_S:g} s"}
    if done.returncode < 0:
        return {"error": f"its import ends with {signal_name(-done.returncode)}"}
    if done.returncode > 0:
        said = done.stderr.strip().splitlines()
        return {"error": said[-1] if said else f"its import ends with status {done.returncode}"}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _cards() -> tuple[str, ...]:
    """NVIDIA's graphics cards by name, as the driver's own tool lists them; none where it isn't installed."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    command = [tool, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_NVIDIA_DEADLINE_S, check=False)
    except (subprocess.TimeoutExpired, OSError):
        return ()  # A driver without a card behaves so.
    return tuple(done.stdout.strip().splitlines()) if done.returncode == 0 else ()


def _cores() -> int:
    """Physical cores that this process may use."""
    import psutil

    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(psutil.cpu_count(logical=False) or allowed, allowed)
