"""A reader who follows a page: a shell in a directory and a home of their own, and what it says to each block."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from llmspell_protocol.vendors import KEY_VARIABLES
from tests.support.command_line import COMMAND, AtTerminal, Done
from tests.support.daemons import end_all
from tests.support.snippets import ROOT, Snippet, Step, fits, steps

TIME_S = 150.0


class Reader:
    """Follows pages in `directory`; the models of `models` are installed, linked and not copied."""

    def __init__(self, directory: Path, models: Path) -> None:
        self.directory = directory
        self.user = directory / "user"
        self.home = self.user / ".llmspell"
        self.work = self.user / "work"
        self.work.mkdir(parents=True)
        self.home.mkdir(mode=0o700)
        shutil.copytree(models, self.home / "models", copy_function=os.link)
        shutil.copytree(ROOT / "examples", self.work / "examples")
        self.sees: Callable[[str], str] = str
        """What the reader makes of what is printed, before anything else looks at it."""
        self._state = directory / "state"
        self._place = directory / "place"
        self._place.write_text(str(self.work))
        self._environment = _environment(directory, self.user)

    def runs(self, command: str, stdin: str = "", *, apart: bool = False) -> Done:
        """Runs a command line as the reader's shell would, which remembers its directory and variables.

        What is said on standard error stands in `out` as a terminal shows it, or `apart` in `err`.
        """
        before = f". {self._state}\n" if self._state.exists() else ""
        after = f"\nstatus=$?\nexport -p > {self._state}\npwd > {self._place}\nexit $status\n"
        done = subprocess.run(
            ["bash", "-c", before + command + after],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if apart else subprocess.STDOUT,
            text=True,
            timeout=TIME_S,
            cwd=self._place.read_text().strip(),
            env=self._environment,
            check=False,
        )
        return Done(done.returncode, self._readable(done.stdout), self._readable(done.stderr or ""))

    def joins(self, other: Reader) -> None:
        """From now on the kernel of another reader is this one's too."""
        (self.home / "run").symlink_to(other.home / "run")

    def follows(self, snippet: Snippet) -> None:
        """Does what a block says; fails with its place where that isn't what the page promises."""
        for command in snippet.setup:
            self._must(snippet, command)
        if snippet.title:
            path = Path(self._place.read_text().strip()) / snippet.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(snippet.text, encoding="utf-8")
        elif snippet.language == "console":
            self._session(snippet)
        elif snippet.language == "sh":
            self._must(snippet, f"set -e\n{snippet.text}", snippet.exit_status)
        elif snippet.language == "lua":
            self._must(snippet, f"llmspell exec {shlex.quote(snippet.text)}", snippet.exit_status)
        elif snippet.language == "python":
            self._must(snippet, f"{shlex.quote(sys.executable)} -", snippet.exit_status, stdin=snippet.text)

    def _session(self, snippet: Snippet) -> None:
        every = list(steps(snippet))
        for at, step in enumerate(every):
            if step.typed:
                self._types(snippet, step)
                continue
            done = self._must(snippet, step.command, snippet.exit_status if at == len(every) - 1 else 0)
            if step.printed is not None:
                shown = f"{snippet.place}: $ {step.command}\nprinted:\n{done.out}\nthe page shows:\n{step.printed}"
                assert fits(done.out, step.printed), shown

    def _must(self, snippet: Snippet, command: str, status: int = 0, stdin: str = "") -> Done:
        done = self.runs(command, stdin)
        assert done.status == status, f"{snippet.place}: {command}\nended with {done.status}:\n{done.out}"
        return done

    def _types(self, snippet: Snippet, step: Step) -> None:
        """Types the lines of a chat or a repl at a terminal, and waits for what each is answered with."""
        terminal = AtTerminal(
            ["-c", f"cd {shlex.quote(self._place.read_text().strip())}\n{step.command}"],
            columns=100,
            env={**self._environment, "TERM": "xterm-256color"},
            program=["bash"],
        )
        try:
            for one in step.typed:
                terminal.wait_for(one.prompt)
                terminal.type(one.text + "\r")
                for piece in re.split(r"…|\n", one.answer):
                    if piece.strip():
                        terminal.wait_for(piece.strip())
            terminal.wait_for("> ")
            terminal.type("/exit\r" if "chat" in step.command else ".exit\r")
            assert terminal.end() == 0, f"{snippet.place}: {terminal.said}"
        except AssertionError as failed:
            raise AssertionError(f"{snippet.place}: {failed}") from failed
        finally:
            if terminal.process.poll() is None:
                terminal.process.kill()
                terminal.process.wait()

    def _readable(self, text: str) -> str:
        text = self.sees(text)
        text = re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", text)
        return text.replace(str(self.user), "~")


def _environment(directory: Path, user: Path) -> dict[str, str]:
    programs = directory / "bin"
    programs.mkdir()
    (programs / "llmspell").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (programs / "llmspell").chmod(0o755)
    for name in ("python", "python3"):
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        (programs / name).chmod(0o755)
    dropped = {*KEY_VARIABLES.values(), "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in dropped and (not name.startswith("LLMSPELL_") or name == "LLMSPELL_TEST_MODELS")
    }
    return {
        **kept,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(user),
        "XDG_CONFIG_HOME": str(user / ".config"),
        "JUPYTER_DATA_DIR": str(user / ".local" / "share" / "jupyter"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "OLLAMA_HOST": "http://127.0.0.1:9",
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "LLMSPELL_PROVIDERS__CANDLE__MAX_TOKENS": "120",
        "LLMSPELL_KERNEL__PORT": "0",  # The usual one may be taken on this machine.
        "COLUMNS": "100",
        "LC_ALL": "C.UTF-8",
    }


@contextmanager
def reader(directory: Path, models: Path) -> Iterator[Reader]:
    """A reader; kernels that the page starts are ended with it."""
    one = Reader(directory, models)
    try:
        yield one
    finally:
        if not (one.home / "run").is_symlink() and list((one.home / "run").glob("*.json")):
            one.runs("llmspell kernel stop --all --timeout 60")
            end_all(one.home / "run")
