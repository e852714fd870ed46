"""Words that a frontend hands on from its user: a frontend's kernel ignores them, a person's does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.jupyter import DEADLINE_S, KERNEL_NAME, Frontend, run_cell

FOREIGN = {
    "a file": ["x.lua"],
    "files": ["x.lua", "y.lua"],
    "an option": ["--matplotlib=inline"],
    "an option and its value": ["--InteractiveShell.colors", "NoColor"],
    "a short option": ["-x"],
    "the beginning of one of ours": ["--log", "--p"],
    "behind the end of options": ["--", "-y"],
}


def test_jupyter_run_runs_a_file(frontend: Frontend, tmp_path: Path) -> None:
    (tmp_path / "x.lua").write_text("print('it ran')\n")
    command = [str(Path(sys.executable).with_name("jupyter-run")), "--kernel", KERNEL_NAME, "x.lua"]
    environment = {**frontend.environment, "JUPYTER_PATH": str(frontend.data_directory)}
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "it ran" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("words", FOREIGN.values(), ids=FOREIGN)
def test_a_frontend_s_kernel_ignores_words_that_mean_nothing_to_it(words: list[str], frontend: Frontend) -> None:
    with frontend.kernel(*words) as running, frontend.client(running) as client:
        client.wait_for_ready(timeout=DEADLINE_S)
        assert run_cell(client, "return 6 * 7").value == "42"


@pytest.mark.parametrize("words", FOREIGN.values(), ids=FOREIGN)
def test_a_kernel_that_a_person_starts_refuses_them(words: list[str], home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "llmspell_kernel", "--port", "0", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr.split(":")[:2]) == (2, ["Error", " unrecognized arguments"])
