"""The entry point `llmspell`: one process from its first import to its exit status. Knows no command."""

from __future__ import annotations

import gc
import io
import os
import sys
from typing import NoReturn

_INTERRUPTED = 130


def main() -> NoReturn:
    """Runs the process's command line and ends the process.

    Without the interpreter's own clearing up: everything that must end has ended, and taking modules apart one by one
    costs as much as a request.
    """
    # A start makes a hundred thousand objects that all stay; looking through them after every 700 is a tenth of it.
    gc.set_threshold(200_000, 20, 20)
    _have_streams()
    try:
        # Imported here, so that Ctrl-C is quiet from the first millisecond on.
        from llmspell_cli.root import run

        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = _INTERRUPTED
    sys.stderr.flush()
    os._exit(status)


def _have_streams() -> None:
    """Makes the three standard streams usable whatever the caller has left of them.

    A closed descriptor would be given to the next socket that is opened, and what an encoding lacks is replaced.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 — for the life of the process
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 — for the life of the process
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115 — for the life of the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    main()
