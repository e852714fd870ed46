"""What is examined: this machine as one command line sees it, and what a kernel of that command line says about it.

The kernel knows engines, devices and memory: it is asked with the requests that every client has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell_cli.invocation import EMBEDDED, Options
from llmspell_cli.terminal.output import Output
from llmspell_protocol.addresses import parse_address
from llmspell_protocol.backends import LOCAL_BACKENDS
from llmspell_protocol.errors import LlmspellError

if TYPE_CHECKING:
    from llmspell_profiles.loading.loader import LoadedSettings
    from llmspell_profiles.schema.providers import ProviderSettings


class Answers(NamedTuple):
    """What a kernel with these settings says: backends by name as in `model status`, and figures as in `model ps`.

    `damaged` are the models that `model list` calls so; `unreadable` says why a directory of models can't be listed;
    `databases` are those of the home, as in `kernel storage`.
    """

    backends: Mapping[str, Mapping[str, Any]]
    residents: Mapping[str, Any]
    damaged: Sequence[Mapping[str, Any]] = ()
    unreadable: Sequence[str] = ()
    databases: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, kw_only=True)
class Subject:
    """This machine, seen by one command line. `loaded` is None where the settings can't be used: why is `problem`."""

    options: Options
    env: Mapping[str, str]
    cwd: Path
    home: Path
    offline: bool
    loaded: LoadedSettings | None
    problem: LlmspellError | None

    @property
    def tables(self) -> Mapping[str, ProviderSettings]:
        """The configured providers by name; none where the settings can't be used."""
        return self.loaded.settings.providers.enabled if self.loaded is not None else {}

    @property
    def servers(self) -> list[str]:
        """The names of the configured vendors and compatible servers."""
        return [name for name, table in self.tables.items() if table.provider_type not in LOCAL_BACKENDS]

    def local(self, kind: str) -> list[str]:
        """The names of the configured providers of a type."""
        return [name for name, table in self.tables.items() if table.provider_type == kind]


def ask_kernel(subject: Subject) -> Answers:
    """Starts a kernel of this command's own and asks it.

    Raises:
        LlmspellError: it can't start, or can't say.
    """
    # The kernel's modules take a while to load, and can't run where the settings can't be used.
    from llmspell_cli.connect import session
    from llmspell_cli.session import document

    options = subject.options._replace(connect=None, connect_named=False, unnamed=EMBEDDED)
    with session(options, _Quiet(options)) as opened:
        backends: dict[str, Any] = {}
        if not subject.offline:
            # All side by side: a server that is down costs a second, and no more of them cost more.
            backends = opened.model("status")["backends"]
        for name in subject.tables if subject.offline else ():
            if is_near_table(subject.tables[name]):
                backends |= opened.model("status", backend=name)["backends"]
        damaged: list[Mapping[str, Any]] = []
        unreadable: list[str] = []
        for name in subject.local("candle"):
            try:
                damaged += opened.model("list", backend=name)["damaged"]
            except LlmspellError as error:
                unreadable.append(error.message)
        databases = document(opened.ask("kernel_request", {"action": "storage"}))["databases"]
        return Answers(backends, opened.model("ps"), damaged, unreadable, databases)


def is_near(url: str | None) -> bool:
    """Whether a service is on this machine, so that asking it needs no network; one without an address is."""
    return url is None or parse_address(url).is_near


def is_near_table(table: ProviderSettings) -> bool:
    """Whether all of a provider is on this machine; a vendor is not."""
    urls = (*getattr(table, "base_urls", ()), *([table.base_url] if table.base_url else ()))
    return all(map(is_near, urls)) if urls else table.provider_type in LOCAL_BACKENDS


class _Quiet(Output):
    """Warnings about the settings are the finding of a check."""

    def warning(self, text: str) -> None:
        """Drops the warning."""
