"""`llmspell version`, alone and of a connected kernel, and what it says to one of another protocol."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from llmspell_protocol.messages import PROTOCOL_VERSION
from llmspell_protocol.version import VERSION
from tests.support.command_line import llmspell
from tests.support.kernels import KernelProcess
from tests.support.scripted_kernel import ScriptedKernel


def test_the_plain_line_has_the_number_and_the_commit_where_it_is_known(home: Path) -> None:
    done = llmspell("version")
    assert done.status == 0
    assert done.out.startswith(f"llmspell {VERSION}")
    assert llmspell("version", "--short").out == f"{VERSION}\n"
    assert llmspell("version", "--client").out == f"Client Version: llmspell {VERSION}\n"


def test_verbose_tells_python_platform_protocol_engines_and_backends(home: Path) -> None:
    lines = llmspell("version", "--verbose").out.splitlines()
    assert [line.partition(":")[0] for line in lines[1:]] == ["branch", "python", "protocol", "engines", "backends"]
    assert platform.python_version() in lines[2]
    assert lines[3].split() == ["protocol:", PROTOCOL_VERSION]
    assert "lua 5.4 (lupa " in lines[4]
    assert "xllamacpp 2" in lines[5]


def test_a_connected_kernel_is_named_with_its_version(kernel: KernelProcess) -> None:
    target = str(kernel.started["connection_file"])
    own, theirs = llmspell("--connect", target, "version").out.splitlines()
    assert own.startswith(f"llmspell {VERSION}")
    assert theirs == f"kernel   {VERSION} at {kernel.info.address}"
    assert llmspell("--connect", target, "version", "--component", "kernel").out == f"{theirs}\n"
    document = llmspell("--connect", target, "version", "--json").document
    assert document["kernel"]["protocol"] == document["protocol"] == PROTOCOL_VERSION
    assert "kernel" not in llmspell("version", "--json").document


@pytest.mark.parametrize("words", [("--component", "cli"), ("--short",), ("--client",)], ids=" ".join)
def test_what_concerns_the_client_alone_asks_no_kernel(words: tuple[str, ...], home: Path) -> None:
    done = llmspell("--connect", "llmspell://127.0.0.1:1?key=k", "version", *words)
    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize("protocol", ["0.9", "99.0"])
def test_another_major_protocol_is_warned_about(protocol: str, home: Path, tmp_path: Path) -> None:
    info = {
        "status": "ok",
        "implementation": "scripted",
        "implementation_version": "7.0",
        "llmspell": {"protocol": protocol},
    }
    with ScriptedKernel("tcp", tmp_path, lambda _message: iter(()), kernel_info=info) as scripted:
        (tmp_path / "other.json").write_text(scripted.info.to_json())
        done = llmspell("--connect", str(tmp_path / "other.json"), "version")
        assert done.status == 0
        assert f"kernel   7.0 at {scripted.info.address}\n" in done.out
        assert done.err == (
            f"Warning: the kernel at {scripted.info.address} speaks protocol {protocol}, "
            f"this client {PROTOCOL_VERSION}\n"
        )
        told = llmspell("--connect", str(tmp_path / "other.json"), "version", "--json")
        assert list(json.loads(told.err)) == ["warning"]
        assert told.document["kernel"]["protocol"] == protocol
        scripted.close()


def test_every_other_command_ends_at_a_kernel_of_a_newer_protocol(home: Path, tmp_path: Path) -> None:
    info = {"status": "ok", "llmspell": {"protocol": "99.0"}}
    with ScriptedKernel("tcp", tmp_path, lambda _message: iter(()), kernel_info=info) as scripted:
        (tmp_path / "other.json").write_text(scripted.info.to_json())
        done = llmspell("--connect", str(tmp_path / "other.json"), "model", "list", "--json")
        assert (done.status, done.error["code"]) == (2, "unsupported")
        assert done.error["hint"] == "update llmspell on this machine"
        scripted.close()
