"""`llmspell model install-ollama` with a stand-in for what it would run: it runs nothing without a yes."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from llmspell_protocol.errors import Unsupported
from llmspell_providers.ollama.install import install_ollama
from tests.support.command_line import llmspell
from tests.support.kernels import KernelProcess
from tests.support.ollama_program import OllamaProgram

COMMAND = "curl -fsSL https://ollama.com/install.sh | sh"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stand-in is for the command of Linux")


class Installer:
    """A PATH on which `curl` prints an installer that puts `ollama` there, or fails."""

    def __init__(self, directory: Path, *, works: bool = True) -> None:
        program = OllamaProgram(directory / "elsewhere")
        self.bin = directory / "bin"
        self.bin.mkdir()
        self.ran = directory / "ran"
        does = f"cp {program.directory}/ollama {self.bin}/ollama" if works else "echo no space left >&2; exit 3"
        curl = self.bin / "curl"
        curl.write_text(
            f"#!/bin/sh\n[ \"$*\" = '-fsSL https://ollama.com/install.sh' ] || exit 9\n"
            f"cat <<'SCRIPT'\necho ran >> {self.ran}\n{does}\nSCRIPT\n"
        )
        curl.chmod(0o755)
        self.env = {"PATH": f"{self.bin}:/usr/bin:/bin"}

    @property
    def has_run(self) -> bool:
        """Whether the installer was run."""
        return self.ran.exists()


def test_only_what_would_be_run_is_shown(tmp_path: Path) -> None:
    installer = Installer(tmp_path)
    for words in (("--print",), ("--print", "--yes")):
        done = llmspell("model", "install-ollama", *words, env=installer.env)
        assert (done.status, done.out) == (0, f"{COMMAND}\n"), done.err
    document = llmspell("model", "install-ollama", "--print", "--json", env=installer.env).document
    assert document == {
        "status": "ok",
        "platform": "linux",
        "instructions": [COMMAND],
        "installed": False,
        "version": None,
        "executed": False,
        "mode": "embedded",
        "kernel": None,
    }
    assert not installer.has_run


@pytest.mark.parametrize("connected", [False, True])
def test_it_is_installed_after_a_yes_and_then_it_is_there(connected: bool, tmp_path: Path) -> None:
    installer = Installer(tmp_path)
    kernel = KernelProcess(env=installer.env) if connected else None
    where = ("--connect", kernel.started["connection_file"]) if kernel is not None else ()
    try:
        done = llmspell(*where, "model", "install-ollama", "--yes", env=installer.env)
        assert (done.status, done.out) == (0, f"{COMMAND}\nOllama installed successfully\n"), done.err
        again = llmspell(*where, "model", "install-ollama", "--yes", env=installer.env)
        assert (again.status, again.out) == (0, "Ollama is already installed (0.24.0)\n"), again.err
        document = llmspell(*where, "model", "install-ollama", "--yes", "--json", env=installer.env).document
        assert (document["installed"], document["version"], document["executed"]) == (True, "0.24.0", False)
    finally:
        if kernel is not None:
            kernel.stop()
    assert installer.ran.read_text() == "ran\n"


def test_json_with_a_yes_installs_and_says_so(tmp_path: Path) -> None:
    installer = Installer(tmp_path)
    document = llmspell("model", "install-ollama", "--yes", "--json", env=installer.env).document
    assert (document["installed"], document["version"], document["executed"]) == (True, "0.24.0", True)


@pytest.mark.parametrize(
    ("answer", "status", "ends"), [("n\n", 0, "Cancelled\n"), ("\n", 0, "Cancelled\n"), ("", 1, "\n")]
)
def test_nothing_is_run_without_a_yes(answer: str, status: int, ends: str, tmp_path: Path) -> None:
    installer = Installer(tmp_path)
    done = llmspell("model", "install-ollama", stdin=answer, env=installer.env)
    assert done.out == f"{COMMAND}\nRun it now? [y/N]: {ends}"
    assert done.status == status
    assert not installer.has_run


def test_a_yes_to_the_question_runs_it(tmp_path: Path) -> None:
    installer = Installer(tmp_path)
    done = llmspell("model", "install-ollama", stdin="y\n", env=installer.env)
    assert done.out == f"{COMMAND}\nRun it now? [y/N]: Ollama installed successfully\n"
    assert done.status == 0
    assert installer.has_run


def test_the_question_names_the_machine_of_a_kernel_elsewhere(tmp_path: Path) -> None:
    installer = Installer(tmp_path)
    kernel = KernelProcess(env=installer.env)
    try:
        connect = ("--connect", kernel.started["connection_file"])
        done = llmspell(*connect, "model", "install-ollama", stdin="n\n", env=installer.env)
        assert f"Run it now on the machine of kernel {kernel.info.address}? [y/N]: " in done.out
    finally:
        kernel.stop()
    assert not installer.has_run


def test_an_installer_that_fails_is_an_error_with_its_last_line(tmp_path: Path) -> None:
    installer = Installer(tmp_path, works=False)
    done = llmspell("model", "install-ollama", "--yes", env=installer.env)
    assert done.status != 0
    assert "the installation of Ollama ended with status 3: no space left" in done.err
    assert "Ollama installed successfully" not in done.out


def test_an_installer_that_never_came_is_an_error_too(tmp_path: Path) -> None:
    """A shell that is given nothing to do is content with it."""
    installer = Installer(tmp_path)
    (installer.bin / "curl").write_text("#!/bin/sh\necho 'curl: (6) Could not resolve host: ollama.com' >&2\nexit 6\n")
    done = llmspell("model", "install-ollama", "--yes", env=installer.env)
    assert done.status != 0
    assert "Could not resolve host: ollama.com" in done.err
    assert "Ollama installed successfully" not in done.out


def test_a_request_to_install_what_is_there_runs_nothing(tmp_path: Path) -> None:
    """The command asks first whether it is there; another client need not, and it may have come meanwhile."""
    installer = Installer(tmp_path)
    shutil.copy(tmp_path / "elsewhere" / "ollama", installer.bin / "ollama")
    kernel = KernelProcess(env=installer.env)
    try:
        with kernel.client() as client:
            asked = client.request("model_request", {"action": "install_ollama", "execute": True})
            content = asked.result().content
    finally:
        kernel.stop()
    assert (content["installed"], content["version"], content["executed"]) == (True, "0.24.0", False)
    assert not installer.has_run


def test_other_platforms_are_told_where_to_look() -> None:
    with pytest.raises(Unsupported) as caught:
        asyncio.run(install_ollama(execute=True, platform="win32"))
    assert caught.value.hint == "download it from https://ollama.com/download"
    plan = asyncio.run(install_ollama(execute=False, platform="darwin"))
    assert (plan.platform, list(plan.instructions)) == ("macos", ["brew install ollama"])
