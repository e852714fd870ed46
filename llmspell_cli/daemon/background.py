"""The kernel that is started by itself: at a command that needs a model, where no kernel runs and the user wants one.

One for all commands: of several at once one starts it and the others wait for it.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmspell_cli.choice import BACKGROUND_ID, Candidates, candidates, directory, run_directory_text
from llmspell_cli.daemon.launch import detach
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import answer
from llmspell_profiles.loading.provenance import cli_setting
from llmspell_protocol.errors import LlmspellError

IDLE_TIMEOUT_S = 1800
"""It ends after half an hour without client and work."""


def started_in_background(output: Output) -> Candidates:
    """The kernels that run now, the new one among them; none where none is wanted, or it can't start (told)."""
    autostart = cli_setting("autostart", os.environ, directory())
    if autostart not in ("always", "ask") or (autostart == "ask" and not _agreed(output)):
        return Candidates()
    try:
        with alone():
            found = candidates()  # Another command may have been first.
            if not found:
                start_detached(BACKGROUND_ID)
                output.note(
                    f"Started a kernel that keeps models loaded; it ends after {IDLE_TIMEOUT_S // 60} minutes without "
                    f"work: llmspell kernel stop {BACKGROUND_ID}",
                    id=BACKGROUND_ID,
                )
                found = candidates()
            return found
    except (LlmspellError, OSError) as error:
        why = error.message if isinstance(error, LlmspellError) else error.strerror
        output.warning(f"no kernel could be started in the background, so this command uses its own: {why}")
        return Candidates()


def _agreed(output: Output) -> bool:
    if output.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        said = answer(output, "No kernel is running. Start one that keeps models loaded for later commands? [y/N]: ")
    except EOFError:
        output.line()
        return False
    return said.strip() in ("y", "Y")


def start_detached(kernel_id: str, *words: str) -> None:
    """Starts a kernel that goes on by itself, with further `words` for it; it ends after a while without work.

    Raises:
        LlmspellError: why it can't start.
    """
    # Socket files that only this user can open: no port of another program can be in the way.
    own = ("--daemon", f"--id={kernel_id}", "--transport=ipc", f"--idle-timeout={IDLE_TIMEOUT_S}")
    detach((*own, *words), Path(run_directory_text()).parent / "logs" / f"kernel-{kernel_id}.log")


@contextmanager
def alone() -> Iterator[None]:
    """Holds the lock of those who would start a kernel; waits for it as long as a start may take."""
    directory = run_directory_text()
    os.makedirs(directory, mode=0o700, exist_ok=True)
    fd = os.open(os.path.join(directory, "background.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
