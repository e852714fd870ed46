"""What commands import on their way to a result: sets of modules, since start-up is a feature and times are weather."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.command_imports import HEAVY, imported
from tests.support.kernels import KernelProcess

WIRE = {"click", "zmq", "msgpack"}
"""What a client needs to talk to a kernel."""
SETTINGS = {"pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
"""What checks settings, which only a kernel has to."""

CLIENT = {
    *("llmspell_cli", "llmspell_cli.commands", "llmspell_cli.connect", "llmspell_cli.endings", "llmspell_cli.examples"),
    *(
        "llmspell_cli.groups",
        "llmspell_cli.invocation",
        "llmspell_cli.terminal",
        "llmspell_cli.terminal.interrupts",
        "llmspell_cli.options",
        "llmspell_cli.terminal.output",
        "llmspell_cli.terminal.visible",
        "llmspell_cli.terminal.widths",
        "llmspell_cli.other_words",
        "llmspell_cli.choice",
        "llmspell_profiles.loading.provenance",
        "llmspell_protocol.version",
    ),
    *(
        "llmspell_cli.root",
        "llmspell_cli.session",
        "llmspell_profiles",
        "llmspell_profiles.loading",
        "llmspell_profiles.loading.home",
    ),
    *("llmspell_protocol", "llmspell_protocol.client", "llmspell_protocol.client.core"),
    *("llmspell_protocol.client.events", "llmspell_protocol.client.handshake", "llmspell_protocol.client.interrupts"),
    *(
        "llmspell_protocol.client.links",
        "llmspell_protocol.client.sync",
        "llmspell_protocol.connection",
        "llmspell_protocol.loopback",
        "llmspell_protocol.bounded",
        "llmspell_protocol.bounded_json",
        "llmspell_protocol.numbers",
        "llmspell_protocol.plain_values",
        "llmspell_protocol.plain_text",
        "llmspell_protocol.user_home",
    ),
    *(
        "llmspell_protocol.discovery",
        "llmspell_protocol.errors",
        "llmspell_protocol.messages",
        "llmspell_protocol.wire",
        "llmspell_protocol.zmq_calls",
    ),
}
"""Our own part of every connected command."""
TEXT = {"llmspell_cli.terminal.text", "llmspell_protocol.durations"}
CONNECTED = {
    "model list": TEXT
    | {"llmspell_cli.commands.model", "llmspell_cli.commands.model.list", "llmspell_protocol.backends"},
    "model status": TEXT | {"llmspell_cli.commands.model", "llmspell_cli.commands.model.status"},
    "config show": {
        *(
            "llmspell_cli.commands.config",
            "llmspell_cli.commands.config.show",
            "llmspell_profiles.showing",
            "llmspell_profiles.showing.toml_text",
        )
    },
    "exec return": TEXT
    | {
        "llmspell_cli.permissions",
        "llmspell_cli.terminal.quiet",
        "llmspell_cli.commands.exec",
        "llmspell_cli.terminal.input_text",
        "llmspell_cli.script",
        "llmspell_cli.terminal.typed_line",
        "llmspell_protocol.engines",
        "llmspell_protocol.request_options",
    },
}


def packages(modules: set[str]) -> set[str]:
    """The packages of others among the modules."""
    names = {name.partition(".")[0] for name in modules}
    return {
        name
        for name in names - set(sys.stdlib_module_names)
        # What Cython and Python bring for their own platform.
        if not name.startswith(("llmspell_", "_cython_", "_sysconfigdata_"))
    }


@pytest.mark.parametrize("line", CONNECTED)
def test_a_connected_command_imports_the_client_and_itself(line: str, case_kernel: KernelProcess) -> None:
    status, modules = imported("--connect", str(case_kernel.started["connection_file"]), *line.split())
    assert status == 0
    assert modules & HEAVY == set()
    assert packages(modules) <= WIRE | ({"tomlkit"} if line == "config show" else set())
    assert {name for name in modules if name.startswith("llmspell_")} <= CLIENT | CONNECTED[line]


@pytest.mark.parametrize("line", ["model list", "model list -v", "model status", "model info tiny", "config show"])
def test_an_embedded_command_that_computes_nothing_imports_no_engine(line: str, case_directory: Path) -> None:
    (case_directory / "home" / "keys.json").unlink(missing_ok=True)  # a vendor with a key is asked, by HTTP
    status, modules = imported(*line.split())
    assert status == 0
    assert packages(modules) <= WIRE | SETTINGS | ({"tomlkit"} if line == "config show" else set())


@pytest.mark.parametrize("line", ["config list-profiles", "version", "--version", "model pull --help", "exec --help"])
def test_what_needs_no_kernel_imports_none(line: str, home: Path) -> None:
    status, modules = imported(*line.split())
    assert status == 0
    assert packages(modules) <= WIRE
    assert not any(name.startswith(("llmspell_kernel", "llmspell_providers")) for name in modules)
    assert "asyncio" not in modules
