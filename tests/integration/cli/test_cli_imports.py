"""What a command imports before it does its work: a budget of modules, since start-up is a feature."""

from __future__ import annotations

import pytest

from tests.support.command_imports import HEAVY, imported
from tests.support.kernels import KernelProcess


@pytest.mark.parametrize("words", [("--help",), ("model", "--help"), ("kernel", "--help")], ids=" ".join)
def test_help_of_a_group_loads_neither_its_commands_nor_the_client(words: tuple[str, ...]) -> None:
    status, modules = imported(*words)
    assert status == 0
    assert {name for name in modules if name.startswith("llmspell_")} <= {
        "llmspell_cli",
        "llmspell_cli.root",
        "llmspell_cli.groups",
        "llmspell_cli.examples",
        "llmspell_cli.invocation",
        "llmspell_cli.options",
        "llmspell_cli.other_words",
        "llmspell_cli.commands",
        "llmspell_cli.commands.model",
        "llmspell_cli.commands.kernel",
        "llmspell_protocol",
        "llmspell_protocol.errors",
        "llmspell_protocol.user_home",
    }
    assert modules & HEAVY == set()


def test_a_command_that_finds_a_kernel_loads_only_the_client(kernel: KernelProcess) -> None:
    # On a busy machine a kernel may not answer in time, and the command starts its own.
    tries = (imported("model", "list") for _ in range(5))
    assert any(modules & HEAVY == set() for _, modules in tries)


@pytest.mark.parametrize(
    "words",
    [("tool", "list"), ("tool", "invoke", "calculator", "--params", '{"input": "1"}'), ("tool", "search", "math")],
    ids=" ".join,
)
def test_a_command_about_tools_loads_neither_their_code_nor_their_table(
    words: tuple[str, ...], kernel: KernelProcess
) -> None:
    status, modules = imported("--connect", str(kernel.started["connection_file"]), *words)
    assert status == 0
    assert modules & HEAVY == set()
    assert not any(name.startswith("llmspell_tools") for name in modules)


def test_a_connected_command_loads_only_the_client(home: object) -> None:
    """Up to the attempt to connect; the only heavy-looking parts are those of the error that follows."""
    status, modules = imported("--connect", "llmspell://127.0.0.1:1?key=k", "model", "status")
    assert status == 4
    assert modules & HEAVY == set()
