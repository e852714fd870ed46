"""Questions at a terminal: seen there too where the result goes to a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import COMMAND, AtTerminal, llmspell


@pytest.mark.parametrize(("typed", "left"), [("y\r", False), ("n\r", True), ("\x03", True)])
def test_a_question_is_seen_where_stdout_goes_to_a_file(typed: str, left: bool, home: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "env"
    assert llmspell("jupyter", "install", "--prefix", str(prefix)).status == 0
    words = [*COMMAND, "jupyter", "remove", "--prefix", str(prefix)]
    terminal = AtTerminal([], program=["bash", "--norc", "-c", f'"$@" > {tmp_path}/out', "-", *words])
    terminal.wait_for("Remove kernelspec 'llmspell' from ")
    terminal.wait_for("? [y/N]: ")
    terminal.type(typed)
    terminal.end()
    assert "[y/N]" not in (tmp_path / "out").read_text()
    assert (prefix / "share" / "jupyter" / "kernels" / "llmspell").exists() == left
