"""The unit of a kernel that systemd runs, verified by systemd itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmspell_cli.autostart import systemd_unit
from llmspell_cli.autostart.service import Service

USERS = Service(
    name="llmspell-kernel",
    kernel_id="llmspell-kernel-9555",
    command=(sys.executable, "-m", "llmspell_cli.main", "kernel", "start", "--port", "9555"),
    environment={"LLMSPELL_HOME": "/srv/my models"},
)
SYSTEMS = USERS._replace(user="root")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("system", [False, True], ids=["user", "system"])
@pytest.mark.parametrize("words", [(), ("--log-file", "/tmp/100% a b/$x.log")], ids=["plain", "quoted"])
def test_systemd_has_nothing_to_say_about_a_unit(tmp_path: Path, system: bool, words: tuple[str, ...]) -> None:
    service = SYSTEMS if system else USERS
    path = tmp_path / "llmspell-kernel.service"
    path.write_text(systemd_unit.unit_text(service._replace(command=(*service.command, *words))))
    verify = ["systemd-analyze", *([] if system else ["--user"]), "verify", str(path)]
    done = subprocess.run(
        verify, capture_output=True, text=True, env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    ours = [line for line in done.stderr.splitlines() if "llmspell" in line]
    assert ours == []
