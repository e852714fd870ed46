"""A stand-in for the program `ollama` on PATH: `serve` answers with recordings, `--version` says one.

What it was started with is written beside it: the address, whether SIGINT can reach it, and how often it was started.
With OLLAMA_DEAF it does not end by SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class OllamaProgram:
    """The program, in a directory of its own; `recordings` are what `serve` answers with, none: it fails at once."""

    def __init__(self, directory: Path, *recordings: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.report = directory / "started.jsonl"
        path = directory / "ollama"
        path.write_text(
            f"#!{sys.executable}\n"
            f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
            "from pathlib import Path\nfrom tests.support.ollama_program import main\n"
            f"main(Path({str(self.report)!r}), {recordings!r})\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    @property
    def path(self) -> str:
        """A PATH on which it is the only `ollama`."""
        return f"{self.directory}:/usr/bin:/bin"

    @property
    def starts(self) -> list[dict[str, Any]]:
        """What each start found, the first one first."""
        if not self.report.exists():
            return []
        return [json.loads(line) for line in self.report.read_text().splitlines()]


def is_alive(pid: int) -> bool:
    """Whether a process of this number is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main(report: Path, recordings: tuple[str, ...]) -> None:
    """The program itself."""
    from tests.support.ollama_replay import OllamaReplay

    if sys.argv[1:] == ["--version"]:
        print("Warning: could not connect to a running Ollama instance\nWarning: client version is 0.24.0")
        return
    assert sys.argv[1:] == ["serve"], sys.argv
    host, _, port = os.environ["OLLAMA_HOST"].rpartition(":")
    found = {
        "pid": os.getpid(),
        "host": host,
        "own_group": os.getpgid(0) == os.getpid(),
        "blocked": [number.name for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        # Python itself takes over a SIGINT that is at its default, and leaves alone one that is ignored.
        "sigint": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "variables": sorted(os.environ),
    }
    with report.open("a") as file:
        file.write(json.dumps(found) + "\n")
    if not recordings:
        print("Error: no library for this CPU", file=sys.stderr)
        raise SystemExit(1)
    ended = {signal.SIGTERM, signal.SIGINT}
    if "OLLAMA_DEAF" in os.environ:
        ended = {signal.SIGINT}
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, ended)
    with OllamaReplay(*recordings, port=int(port)):
        signal.sigwait(ended)
