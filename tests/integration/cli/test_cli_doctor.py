"""`llmspell doctor`: its report, and what the checks of configuration, kernels, keys and Jupyter find."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from llmspell_cli.doctor.examination import Check, examine
from llmspell_cli.doctor.finding import ok
from llmspell_cli.doctor.kernelspec import jupyter
from llmspell_protocol.errors import KernelUnreachable
from tests.support.command_line import AtTerminal, llmspell
from tests.support.doctor import doctor, said
from tests.support.kernels import KernelProcess

pytestmark = pytest.mark.usefixtures("quiet_machine")

CHECKS = [
    *(
        "python",
        "engines",
        "devices",
        "ollama",
        "servers",
        "hub",
        "disk",
        "memory",
        "config",
        "kernel",
        "files",
        "databases",
        "keys",
        "mcp",
    ),
    "jupyter",
]
KEY = "sk-not-to-be-seen-1234"


def test_the_report_has_one_line_a_check_hints_below_and_a_sum(home: Path) -> None:
    done = llmspell("doctor", "--offline")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    patterns = [
        r"✓ python      3\.\d+\.\d+\S* on (Linux|Darwin) \w+",
        r"✓ engines     lua \(lupa [\d.]+\), xllamacpp(, \S+ [\d.+a-z]+)*(; .+ not installed)?",
        r"[✓⚠] devices     (\S+, )*cpu, \d+ cores?(; .+)?",
        r"⚠ ollama      no answer from http://127\.0\.0\.1:9 \(connection refused\)",
        r"  Hint: ollama serve, or llmspell model install-ollama; without it: llmspell config set .+ false",
        r"- servers     none is configured",
        r"- hub         not asked \(--offline\)",
        rf"[✓⚠] disk        {re.escape(str(home))}: [\d.]+ GB free; models use 0\.0 GB",
        r"[✓⚠] memory      [\d.]+ GB available, model budget [\d.]+ GB",
        r"✓ config      no file, using defaults",
        r"- kernel      none is running",
        rf"✓ files       modes of {re.escape(str(home))} are safe",
        r"✓ databases   there is none yet; each is made when needed",
        r"✓ keys        none",
        r"✓ mcp         none configured",
        r"- jupyter     no kernelspec of llmspell",
        r"\d+ ok, \d+ warnings?, 0 failed, 4 skipped",
    ]
    for pattern in patterns:
        assert re.fullmatch(pattern, lines.pop(0)), (pattern, done.out)
        while lines and lines[0].startswith("  Hint: ") and "ollama serve" not in lines[0]:
            lines.pop(0)
    assert lines == []


def test_json_has_every_check_and_the_sum() -> None:
    done = llmspell("doctor", "--offline", "--json")
    document = done.document
    assert [check["name"] for check in document["checks"]] == CHECKS
    assert all(set(check) == {"name", "status", "message", "hint", "details"} for check in document["checks"])
    statuses = [check["status"] for check in document["checks"]]
    assert document["summary"] == {status: statuses.count(status) for status in ("ok", "warn", "fail", "skip")}
    assert (document["ok"], done.status) == (True, 0)
    assert document["checks"][0]["details"]["executable"] == sys.executable


def test_a_narrow_terminal_breaks_lines_between_words() -> None:
    shown = AtTerminal(["doctor", "--offline"], columns=40)
    assert shown.end() == 0
    lines = shown.text.replace("\r", "").splitlines()
    long = [line for line in lines if len(line) > 40 and "llmspell" not in line and "/" not in line]
    assert long == []
    assert any(line.startswith(" " * 14) for line in lines)


def test_a_configuration_that_can_be_used_is_named_with_what_it_extends(tmp_path: Path) -> None:
    (tmp_path / "llmspell.toml").write_text("extends = 'candle'\n")
    assert said(doctor()[1]["config"]) == ("ok", "./llmspell.toml (extends candle), valid")
    assert said(doctor("-p", "minimal")[1]["config"]) == ("ok", "profile minimal, valid")
    (tmp_path / "llmspell.toml").write_text("[rag.backup]\nenable_auto_backup = true\n")
    finding = doctor()[1]["config"]
    assert finding["status"] == "warn"
    assert (
        "./llmspell.toml, valid with 1 warning: llmspell.toml:2 rag.backup.enable_auto_backup: accepted"
        in finding["message"]
    )
    assert finding["hint"] == "llmspell config validate"


def test_a_broken_configuration_fails_and_leaves_out_what_needs_it(tmp_path: Path) -> None:
    (tmp_path / "llmspell.toml").write_text("[kernel]\nport = 'x'\n")
    status, found = doctor()
    assert status == 1
    assert found["config"]["status"] == "fail"
    assert found["config"]["message"].startswith("llmspell.toml:2 kernel.port: expected an integer")
    for name in ("ollama", "servers", "memory"):
        assert said(found[name]) == ("skip", "needs a configuration that can be used")
    assert found["engines"]["status"] == "ok"


@pytest.mark.parametrize("place", [".config/llmspell.toml", "user/.llmspell.toml", "user/.config/llmspell.toml"])
def test_a_file_at_a_place_of_the_original_is_pointed_at(place: str, tmp_path: Path) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("")
    finding = doctor()[1]["config"]
    assert finding["status"] == "warn"
    assert "llmspell.toml is not read" in finding["message"]
    assert finding["hint"].startswith("mv ")
    assert finding["details"]["left_behind"] == [str(tmp_path / place)]


def test_running_kernels_answer_and_connect_picks_one(home: Path) -> None:
    kernels = [KernelProcess(["--id", name]) for name in ("first", "second")]
    try:
        _, found = doctor()
        one = r"(first|second) answers in \d+\.\d ms"
        assert found["kernel"]["status"] == "ok"
        assert re.fullmatch(f"{one}, {one}", found["kernel"]["message"])
        _, found = doctor("--connect", "first")
        assert re.fullmatch(r"first answers in \d+\.\d ms", found["kernel"]["message"])
        assert found["memory"]["status"] in ("ok", "warn")
    finally:
        for kernel in kernels:
            kernel.stop()


def test_a_kernel_that_does_not_answer_and_one_that_is_not_there_fail(home: Path) -> None:
    kernel = KernelProcess(["--id", "stuck"])
    kernel.signal(signal.SIGSTOP)
    try:
        status, found = doctor()
        assert status == 1
        assert found["kernel"]["status"] == "fail"
        assert found["kernel"]["message"].startswith("stuck does not answer: ")
        assert found["kernel"]["hint"]
    finally:
        kernel.signal(signal.SIGCONT)
        kernel.stop()
    status, found = doctor("--connect", "nosuch")
    assert (status, said(found["kernel"])) == (1, ("fail", "there is no kernel 'nosuch'"))


def test_keys_are_told_by_their_sources_and_never_shown(home: Path, tmp_path: Path) -> None:
    (tmp_path / "llmspell.toml").write_text(
        "[providers.openai]\n[providers.groq]\n"
        "[providers.box]\nprovider_type = 'openai'\nbase_url = 'http://127.0.0.1:9'\n"
    )
    (home / "keys.json").write_text(json.dumps({"keys": {"openai": KEY}, "in_keyring": []}))
    (home / "keys.json").chmod(0o600)
    done = llmspell("doctor", "--offline", "--json", env={"BRAVE_API_KEY": KEY})
    finding = {check["name"]: check for check in done.document["checks"]}["keys"]
    assert finding["status"] == "warn"
    assert finding["message"] == (
        f"brave: environment (BRAVE_API_KEY); openai: file ({home}/keys.json); no credentials for groq"
    )
    assert finding["hint"] == "llmspell keys add groq"
    assert KEY not in done.out + done.err


def test_a_kernelspec_is_found_where_jupyter_looks_and_must_start_what_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", "")
    assert jupyter().status == "skip"
    assert llmspell("jupyter", "install", "--name", "mine").status == 0
    assert said(doctor()[1]["jupyter"]) == ("ok", "kernelspec mine")
    path = tmp_path / "jupyter" / "kernels" / "mine" / "kernel.json"
    path.write_text(path.read_text().replace(sys.executable, "/nosuch/python"))
    status, found = doctor()
    assert (status, found["jupyter"]["status"], found["jupyter"]["hint"]) == (1, "fail", "llmspell jupyter install")
    assert "starts /nosuch/python, which is not there" in found["jupyter"]["message"]


def test_checks_that_break_or_hang_are_findings_and_the_others_go_on() -> None:
    never = threading.Event()

    def breaks() -> Any:
        raise ZeroDivisionError("by nothing")

    def refuses() -> Any:
        raise KernelUnreachable("not there", hint="start one")

    def hangs() -> Any:
        never.wait(30)

    found = examine(
        {
            "breaks": Check(breaks),
            "hangs": Check(hangs, 0.2),
            "refuses": Check(refuses),
            "works": Check(lambda: ok("fine")),
        }
    )
    never.set()
    assert list(found) == ["breaks", "hangs", "refuses", "works"]
    assert (found["breaks"].status, found["breaks"].message) == (
        "fail",
        "the check itself failed: ZeroDivisionError: by nothing",
    )
    assert (found["hangs"].status, found["hangs"].message) == ("fail", "no result after 0.2 s")
    assert (found["refuses"].message, found["refuses"].hint) == ("not there", "start one")
    assert found["works"].status == "ok"


def test_checks_wait_side_by_side() -> None:
    together = threading.Barrier(3)

    def meets() -> Any:
        together.wait(60)
        return ok("met")

    assert {one.status for one in examine({name: Check(meets, 15.0) for name in "abc"}).values()} == {"ok"}


def test_no_engine_is_loaded_into_the_commands_process(home: Path) -> None:

    probe = """
import json, sys
from llmspell_cli.root import run
status = run(["doctor", "--offline"])
print(json.dumps([status, sorted(sys.modules)]), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=os.environ)
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status == 0
    assert {"xllamacpp", "torch", "llama_cpp", "lupa", "httpx", "httpx2"} & set(modules) == set()
