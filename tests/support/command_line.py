"""The command line under test: as a process of its own, or called in this one where no kernel is involved."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support import forked

COMMAND = (sys.executable, "-c", "from llmspell_cli.main import main; main()")


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """stdout as one JSON document."""
        return json.loads(self.out)

    @property
    def events(self) -> list[Any]:
        """stdout as NDJSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """The error in stderr's last line (JSON mode)."""
        error: dict[str, Any] = json.loads(self.err.splitlines()[-1])["error"]
        return error


def llmspell(
    *words: str,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    timeout_s: float = 120.0,
    encoding: str = "utf-8",
) -> Done:
    """Runs one command to its end; stdin is never a terminal."""
    environment = {**os.environ, **(env or {})}
    status, out, err = finished(words, stdin.encode(encoding), environment=environment, timeout_s=timeout_s)
    return Done(status, _text(out, encoding), _text(err, encoding))


def finished(
    words: Sequence[str],
    stdin: bytes,
    *,
    stdout: int | None = None,
    stderr: int | None = None,
    environment: Mapping[str, str],
    timeout_s: float = 120.0,
    before: str = "",
) -> tuple[int, bytes, bytes]:
    """The same in bytes; of a stream that is given nothing is returned. `before` is code that it runs first."""
    if forked.can_be_forked(environment):
        return forked.run(
            words,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            environment=environment,
            timeout_s=timeout_s,
            before=before,
        )
    done = subprocess.run(
        [*COMMAND[:2], f"{before}\n{COMMAND[2]}", *words],
        input=stdin,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE if stderr is None else stderr,
        timeout=timeout_s,
        env=environment,
        check=False,
    )
    return done.returncode, done.stdout or b"", done.stderr or b""


def _text(said: bytes, encoding: str) -> str:
    return said.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def call(capsys: pytest.CaptureFixture[str], *words: str) -> Done:
    """Calls the command line in this process: for what needs no kernel."""
    from llmspell_cli.root import run

    hook = sys.excepthook
    try:
        status = run(list(words))
    finally:
        sys.excepthook = hook
    captured = capsys.readouterr()
    return Done(status, captured.out, captured.err)


class Running:
    """A command under way, whose output can be waited for; with `keep_out` the test reads stdout itself."""

    def __init__(
        self,
        *words: str,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        keep_out: bool = False,
    ) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *words],
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            # A group of its own: what a terminal's Ctrl-C would reach, and nothing else.
            process_group=0,
        )
        if stdin is not None:
            assert self.process.stdin is not None
            self.process.stdin.write(stdin.encode())
            self.process.stdin.close()
        self._seen = threading.Condition()
        self._text = {"out": "", "err": ""}
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream))
            for name, stream in (("out", self.process.stdout), ("err", self.process.stderr))
            if name == "err" or not keep_out
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str, stream: Any) -> None:
        decoder = io.TextIOWrapper(stream, encoding="utf-8", errors="replace")
        while piece := decoder.read(1):
            with self._seen:
                self._text[name] += piece
                self._seen.notify_all()
        with self._seen:
            self._text[name + "_end"] = "yes"
            self._seen.notify_all()
        decoder.close()

    def wait_for(self, text: str, *, stream: str = "out", timeout_s: float = 90.0) -> None:
        """Waits until the text has been said."""
        with self._seen:
            said = self._seen.wait_for(lambda: text in self._text[stream] or f"{stream}_end" in self._text, timeout_s)
            assert said, f"no {text!r} in time in {self._text}"
            assert text in self._text[stream], f"no {text!r} in {self._text}"

    def interrupt(self) -> None:
        """Ctrl-C, as a terminal sends it: to the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def done(self, timeout_s: float = 90.0) -> Done:
        """Waits for the end."""
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            for reader in self._readers:
                reader.join(60)
        return Done(status, self._text["out"], self._text["err"])


class AtTerminal:
    """A command whose stdin, stdout and stderr are one terminal of the given width.

    `text` is what the terminal got; what is waited for is looked for in it without the marks of a line editor.
    `program` may be another one: a shell. `anew`: an interpreter starts for it.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        columns: int = 80,
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = COMMAND,
        anew: bool = False,
    ) -> None:
        import fcntl
        import struct
        import termios

        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", **(env or {})}
        self.process: subprocess.Popen[bytes] | forked.Forked
        if program is COMMAND and not anew and forked.can_be_forked(environment):
            self.process = forked.Forked(words, (slave, slave, slave), environment=environment, terminal=True)
        else:
            self.process = subprocess.Popen(
                [*program, *words],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env=environment,
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )
        os.close(slave)
        self.text = ""

    def wait_for(self, text: str, timeout_s: float = 90.0) -> None:
        """Waits until the text stands behind what has been waited for before."""
        import select
        import time

        deadline = time.monotonic() + timeout_s
        start = getattr(self, "_at", 0)
        while text not in self.said[start:]:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {text!r} behind {self.said[start:]!r}"
            assert self._more(), f"ended without {text!r}: {self.said[start:]!r}"
        self._at = self.said.index(text, start) + len(text)

    @property
    def said(self) -> str:
        """The text without escape sequences; a cursor moved to the right has passed over blanks."""
        moved = re.sub(r"\x08\x1b\[(\d+)C", lambda move: " " * (int(move[1]) - 1), self.text)
        moved = re.sub(r"\x1b\[(\d+)C", lambda move: " " * int(move[1]), moved)
        return re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", moved)

    def type(self, text: str) -> None:
        """Types; `\\x03` is Ctrl-C, `\\x04` Ctrl-D."""
        os.write(self.master, text.encode())

    def end(self, timeout_s: float = 90.0) -> int:
        """Reads to the end and returns the exit status."""
        while self._more():
            pass
        os.close(self.master)
        return self.process.wait(timeout_s)

    def hang_up(self, timeout_s: float = 90.0) -> int:
        """Closes the terminal, as its window's end does, and returns the exit status."""
        os.close(self.master)
        return self.process.wait(timeout_s)

    def _more(self) -> bool:
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False  # EIO: the other side is closed.
        self.text += data.decode("utf-8", "replace")
        return bool(data)
