"""The process of a notebook that shares a kernel: `python -m llmspell_cli.notebook_door -f CONNECTION_FILE`.

A frontend starts it in place of a kernel. It finds the kernel that runs, or starts one, asks it for a door at the
addresses of the connection file, and lasts as long as that door: whoever watches this process, or kills it, knows and
ends the notebook. It sees no message of the notebook's. Where no kernel can be shared it becomes a kernel of the
notebook's own.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from llmspell_cli.choice import BACKGROUND_ID, candidates, directory, mismatch, run_directory_text
from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import standing_kernels
from llmspell_protocol.errors import Busy, LlmspellError
from llmspell_protocol.process_end import POLL_S, end_descriptor, lives
from llmspell_protocol.standard_streams import have_standard_streams

if TYPE_CHECKING:
    from collections.abc import MutableMapping

CONNECT_WITHIN_S = 5.0
ENDING_WITHIN_S = 60.0
"""How long a kernel that shuts down may take to make room for the next one."""


class NotShared(Exception):
    """The kernel that runs is not for this notebook, as its user has meant it, and why."""


class Notebook:
    """One notebook: what its frontend has said in options and variables."""

    def __init__(self, arguments: argparse.Namespace, environment: MutableMapping[str, str]) -> None:
        self._file = os.path.abspath(arguments.connection_file)
        self._profile: str | None = arguments.profile
        self._config: str | None = arguments.config
        self._foreign: Sequence[str] = arguments.foreign
        self._environment = environment
        # A kernel that others share may neither end with this frontend nor be called after this notebook.
        names = ("JPY_PARENT_PID", "JPY_SESSION_NAME", "JPY_INTERRUPT_EVENT", "IPY_INTERRUPT_EVENT")
        self._frontend = {name: environment.pop(name) for name in names if name in environment}
        self._open = False

    def keep(self) -> int:
        """Keeps the door until the notebook ends; returns the exit status. Does not return where it is not shared."""
        signal.signal(signal.SIGINT, self._interrupted)
        parent = int(self._frontend.get("JPY_PARENT_PID") or 0)
        if parent > 1:
            threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
        try:
            return self._keep(self._connected())
        except NotShared as reason:
            return self._become_a_kernel(str(reason), meant=True)
        except LlmspellError as error:
            if not self._open:
                return self._become_a_kernel(error.message, meant=False)
            _say(f"the kernel that this notebook shares has ended: {error.message}")
            return 1

    def _keep(self, client: Client) -> int:
        with client:
            request = {
                "action": "open",
                "connection_file": self._file,
                "name": self._frontend.get("JPY_SESSION_NAME", ""),
                "cwd": directory(),
            }
            pending = client.request("notebook_request", request)
            for _opened in pending:
                self._open = True
            pending.result()
            return 0

    def _connected(self) -> Client:
        """A connection to the kernel that is shared.

        Raises:
            NotShared: the kernel that runs means something else.
            LlmspellError: none can be started, or it does not answer, or does not end.
        """
        until = time.monotonic() + ENDING_WITHIN_S
        while True:
            client = Client(self._running() or self._started()).connect(CONNECT_WITHIN_S)
            if not client.kernel_info.get("llmspell", {}).get("draining"):
                return client
            # It makes room for the next one soon.
            with client:
                if not client.wait_for_loss(until - time.monotonic()):
                    raise Busy(f"kernel {client.info.id} is shutting down and does not end")

    def _running(self) -> ConnectionInfo | None:
        """The kernel that runs and means the same; None where none runs.

        Raises:
            NotShared: the one that runs means something else.
        """
        if self._chosen_id is None:
            found = candidates()
            if found.fit or not found.others:
                return found.fit[0] if found.fit else None
            newest, reason = found.others[0]
            raise NotShared(f"kernel {newest.id} is not for it: {reason}")
        for info in standing_kernels(run_directory_text()):
            if info.id == self._chosen_id:
                # The kernelspec names what its settings are made of, whatever stands in this directory.
                if (why := mismatch(info, info.config_file, self._environment)) is not None:
                    raise NotShared(f"kernel {info.id} is not for it: {why}")
                return info
        return None

    def _started(self) -> ConnectionInfo:
        # Most notebooks find one that runs.
        from llmspell_cli.daemon.background import alone, start_detached

        until = time.monotonic() + ENDING_WITHIN_S
        while True:
            with alone():
                running = self._running()  # Another notebook may have been first.
                if running is None:
                    try:
                        start_detached(self._chosen_id or BACKGROUND_ID, *self._words)
                    except Busy:
                        # The one before has this id for a moment longer.
                        if time.monotonic() > until:
                            raise
                        time.sleep(0.05)
                    running = self._running()
            if running is not None:
                return running

    @property
    def _words(self) -> Sequence[str]:
        """What a kernel is told of the configuration."""
        if self._profile is not None:
            return ("--profile", self._profile)
        return ("--config", self._config) if self._config is not None else ()

    @property
    def _chosen_id(self) -> str | None:
        """The id of the kernel that is for notebooks of this configuration; None: any that runs without one."""
        if self._profile is not None:
            return f"notebooks-{self._profile}"
        if self._config is None:
            return None
        # Few kernelspecs name a file.
        import hashlib

        return f"notebooks-{hashlib.sha256(os.fsencode(self._config)).hexdigest()[:8]}"

    def _interrupted(self, _number: int, _frame: object) -> None:
        """Frontends that interrupt by signal mean the cell. Not here: a handler has to return soon."""
        if self._open:
            threading.Thread(target=self._interrupt, daemon=True).start()

    def _interrupt(self) -> None:
        try:
            with Client(ConnectionInfo.read(self._file)).connect(CONNECT_WITHIN_S) as client:
                client.request("interrupt_request", {}, channel="control", timeout_s=CONNECT_WITHIN_S).result()
        except LlmspellError as error:
            _say(f"the cell could not be interrupted: {error.message}")

    def _become_a_kernel(self, why: str, *, meant: bool) -> NoReturn:
        """What its user has not `meant` is said in the notebook too: models are loaded once more."""
        _say(f"this notebook has a kernel of its own: {why}")
        unshared = [] if meant else [f"--unshared={why}"]
        words = [sys.executable, "-m", "llmspell_kernel", "-f", self._file, *self._words, *unshared, *self._foreign]
        os.execve(sys.executable, words, {**self._environment, **self._frontend})


def _end_with(parent: int) -> None:
    """Ends this process, and with it the notebook, when the frontend's has ended."""
    try:
        descriptor = end_descriptor(parent)
        if descriptor is not None:
            select.select([descriptor], [], [])
        while descriptor is None and lives(parent):
            time.sleep(POLL_S)
    except ProcessLookupError:
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _say(text: str) -> None:
    """A line for the frontend's log."""
    print(f"llmspell: {text}", file=sys.stderr, flush=True)  # noqa: T201 — there is no other channel


def main(words: Sequence[str] | None = None) -> int:
    """Keeps one notebook's door; returns the exit status."""
    have_standard_streams()
    parser = argparse.ArgumentParser(
        prog="python -m llmspell_cli.notebook_door",
        description="Runs a notebook on the kernel that runs, for as long as the notebook lasts.",
        allow_abbrev=False,
    )
    parser.add_argument("-f", "--connection-file", required=True, help="decides addresses and key")
    parser.add_argument("--profile")
    parser.add_argument("--config")
    arguments, foreign = parser.parse_known_args(words)
    arguments.foreign = foreign
    return Notebook(arguments, os.environ).keep()


if __name__ == "__main__":
    sys.exit(main())
