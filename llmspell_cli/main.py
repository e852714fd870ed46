"""The entry point `llmspell`: one process from its first import to its exit status. Knows no command."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

from llmspell_protocol.standard_streams import have_standard_streams

_INTERRUPTED = 130


def main() -> NoReturn:
    """Runs the process's command line and ends the process.

    Without the interpreter's own clearing up: everything that must end has ended, and taking modules apart one by one
    costs as much as a request.
    """
    # A start makes a hundred thousand objects that all stay; looking through them after every 700 is a tenth of it.
    gc.set_threshold(200_000, 20, 20)
    have_standard_streams()
    try:
        # Imported here, so that Ctrl-C is quiet from the first millisecond on.
        from llmspell_cli.root import run

        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except SystemExit as asked:
        # A signal that a command ends by in order.
        status = asked.code if isinstance(asked.code, int) else 1
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
