"""Which kernel a command means: the one it names, the newest that runs and would say the same, or one of its own.

Reads files and variables and opens no socket; whether a kernel answers is `connect.py`'s business.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from llmspell_cli.invocation import AUTO, EMBEDDED, Options
from llmspell_profiles.loading.home import home_text
from llmspell_profiles.loading.provenance import cli_setting, digests, special_file
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import by_id, none_runs, running_kernels, standing_kernels
from llmspell_protocol.errors import InvalidRequest, KernelUnreachable, NotFound
from llmspell_protocol.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping


BACKGROUND_ID = "background"
"""The kernel that is started by itself."""


class Candidates(NamedTuple):
    """Kernels that run, the newest first: those that `fit` this command, and why others do not."""

    fit: tuple[ConnectionInfo, ...] = ()
    others: tuple[tuple[ConnectionInfo, str], ...] = ()

    @property
    def newest_id(self) -> str | None:
        """The id of the newest that fits."""
        return self.fit[0].id if self.fit else None

    def __bool__(self) -> bool:
        return bool(self.fit or self.others)


def run_directory_text() -> str:
    """Where this user's kernels write their files, as text: pathlib would take 2 ms."""
    return os.path.join(home_text(os.environ), "run")


def wish(options: Options) -> str:
    """What a command that names no target wants: `auto`, `embedded`, or the target of the setting `cli.connect`."""
    if options.unnamed != "setting":
        return options.unnamed
    target = cli_setting("connect", os.environ, directory()) or AUTO
    if target not in (AUTO, EMBEDDED):
        _demand_trust()
    return target


def _demand_trust() -> None:
    """A file that came with a directory may lead commands to another kernel only when it is trusted.

    Raises:
        ConfigError: it is not.
    """
    # Few files name a kernel.
    from pathlib import Path

    from llmspell_profiles.loading.loader import load_trusted

    load_trusted(profile=None, config=None, env=os.environ, cwd=Path(directory()), flags=None)


def candidates() -> Candidates:
    """The kernels of this home that commands may use without being told to.

    Kernels of notebooks are not among them: they end with their notebook.
    """
    running = standing_kernels(run_directory_text())
    if not running:
        return Candidates()
    env = os.environ
    here = special_file(env, directory())
    fit, others = [], []
    for info in running:
        why = mismatch(info, here, env)
        if why is None:
            fit.append(info)
        else:
            others.append((info, why))
    return Candidates(tuple(fit), tuple(others))


def mismatch(info: ConnectionInfo, here: str | None, env: Mapping[str, str]) -> str | None:
    """Why a kernel would not do as this command line says; None where it would.

    The file that this directory or `LLMSPELL_CONFIG` brings must be the kernel's, and so must every variable that is
    set here. A kernel that was started with a profile or a file is for all commands that bring none.
    """
    if info.version != VERSION:
        return f"it is of version {info.version}, this is {VERSION}"
    if here != info.config_file:
        return f"it was not started with {here}" if here is not None else f"it was started with {info.config_file}"
    missing = sorted(set(digests(env, info.key)) - set(info.variables))
    if missing:
        names = ", ".join(entry.partition("=")[0] for entry in missing)
        return f"it was not started with the same {names}"
    return None


def the_only_one(advice: str, *, instead: str = "") -> ConnectionInfo:
    """The one kernel that runs, for what is about a kernel and must not guess.

    `advice` goes before an id in the hint, `instead` behind it.

    Raises:
        KernelUnreachable: none runs.
        InvalidRequest: several do.
    """
    running = standing_kernels(run_directory_text())
    if not running:
        raise none_runs(run_directory_text())
    if len(running) > 1:
        raise several_kernels([info.id or info.address for info in running], advice, instead)
    return running[0]


def running_by_id(named: str) -> ConnectionInfo:
    """The running kernel of an id, or the only one whose id begins so.

    Raises:
        NotFound: none is.
        InvalidRequest: several are.
    """
    try:
        return by_id(named, run_directory_text())
    except (NotFound, KernelUnreachable):
        ids = [info.id for info in all_running() if info.id]
        hint = f"running: {', '.join(ids)}" if ids else "no kernel is running"
        details = {"id": named, "running": ids}
        raise NotFound(f"Kernel '{named}' not found", hint=hint, details=details) from None


def several_kernels(names: Iterable[str], advice: str, instead: str = "") -> InvalidRequest:
    """The error where one running kernel is needed and several could be meant; `advice` goes before a name."""
    ids = sorted(names)
    return InvalidRequest(
        f"several kernels are running: {', '.join(ids)}", hint=f"{advice} {ids[0]}{instead}", details={"running": ids}
    )


def all_running() -> list[ConnectionInfo]:
    """Every kernel of this home, those of notebooks too, the newest first."""
    return running_kernels(run_directory_text())


def directory() -> str:
    """The working directory; `/` where it has been removed, which is told where it matters."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return os.sep
