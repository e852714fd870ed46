"""`llmspell doctor`: what each check finds, with real engines, kernels, servers and files, and what `--fix` does."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from llmspell_cli.doctor import engines
from llmspell_cli.doctor.engines import Engines, Probed
from llmspell_cli.doctor.examination import Check, examine
from llmspell_cli.doctor.finding import ok
from llmspell_cli.doctor.kernelspec import jupyter
from llmspell_cli.doctor.network import hub
from llmspell_protocol.errors import KernelUnreachable
from llmspell_protocol.vendors import KEY_VARIABLES
from tests.support.command_line import AtTerminal, llmspell
from tests.support.kernels import KernelProcess
from tests.support.llama_server import launcher, stand_in
from tests.support.ollama_replay import OllamaReplay

CHECKS = [
    *("python", "engines", "devices", "ollama", "hub", "disk", "memory", "config", "kernel", "files", "keys"),
    "jupyter",
]
KEY = "sk-not-to-be-seen-1234"


@pytest.fixture(autouse=True)
def _quiet_machine(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Ollama, no keyring, no key, no kernelspec and no configuration of the developer's."""
    for variable in (*KEY_VARIABLES.values(), "BRAVE_API_KEY", "SERPAPI_API_KEY", "SERPERDEV_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(user / ".config"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


def doctor(*words: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit status and the findings by name, without a look at the network."""
    done = llmspell("doctor", "--offline", "--json", *words, env=env)
    assert done.out, done.err
    return done.status, {check["name"]: check for check in done.document["checks"]}


def said(finding: dict[str, Any]) -> tuple[str, str]:
    """A finding's status and message."""
    return finding["status"], finding["message"]


def test_the_report_has_one_line_a_check_hints_below_and_a_sum(home: Path) -> None:
    done = llmspell("doctor", "--offline")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    patterns = [
        r"✓ python      3\.\d+\.\d+\S* on (Linux|Darwin) \w+",
        r"✓ engines     lua \(lupa [\d.]+\), xllamacpp(, \S+ [\d.+a-z]+)*(; .+ not installed)?",
        r"[✓⚠] devices     (\S+, )*cpu, \d+ cores?(; .+)?",
        r"⚠ ollama      no answer from http://127\.0\.0\.1:9 \(connection refused\)",
        r"  Hint: ollama serve, or llmspell model install-ollama",
        r"- hub         not asked \(--offline\)",
        rf"[✓⚠] disk        {re.escape(str(home))}: [\d.]+ GB free; models use 0\.0 GB",
        r"[✓⚠] memory      [\d.]+ GB available, model budget [\d.]+ GB",
        r"✓ config      no file, defaults hold",
        r"- kernel      none is running",
        rf"✓ files       modes of {re.escape(str(home))} are safe",
        r"✓ keys        none",
        r"- jupyter     no kernelspec of llmspell",
        r"\d+ ok, \d+ warnings?, 0 failed, 3 skipped",
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


def fake_engine(tmp_path: Path, module: str, code: str) -> dict[str, str]:
    """An environment in which a module is found before the installed one."""
    (tmp_path / "fake").mkdir(exist_ok=True)
    (tmp_path / "fake" / f"{module}.py").write_text(code)
    return {"PYTHONPATH": str(tmp_path / "fake")}


def test_an_engine_that_kills_its_process_is_a_finding_and_the_others_go_on(tmp_path: Path) -> None:
    env = fake_engine(tmp_path, "xllamacpp", "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    status, found = doctor(env=env)
    assert status == 1
    assert found["engines"]["status"] == "fail"
    assert "xllamacpp can't be imported: its import ends with SIGILL" in found["engines"]["message"]
    assert 'providers.candle.engine = "llama-cpp-python"' in found["engines"]["hint"]
    assert "lua (lupa" in found["engines"]["message"]
    assert found["config"]["status"] == "ok"


def test_an_engine_that_cannot_be_imported_says_why(tmp_path: Path) -> None:
    env = fake_engine(tmp_path, "xllamacpp", "raise ImportError('libcudart.so.12: no such file')\n")
    _, found = doctor(env=env)
    assert "xllamacpp can't be imported: ImportError: libcudart.so.12: no such file" in found["engines"]["message"]


def test_an_engine_whose_import_hangs_is_ended_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = fake_engine(tmp_path, "xllamacpp", "import threading\nthreading.Event().wait()\n")
    monkeypatch.setenv("PYTHONPATH", env["PYTHONPATH"])
    monkeypatch.setattr(engines, "DEADLINE_S", 2.0)
    assert engines.probe_engines("xllamacpp", None).probed["xllamacpp"].problem == "its import was not done after 2 s"


def test_what_an_engine_prints_at_its_import_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = fake_engine(
        tmp_path,
        "xllamacpp",
        "print('hello')\nclass Kind:\n    name = 'GPU'\n"
        "def get_device_info():\n    return [{'name': 'CUDA0', 'type': Kind()}]\n",
    )
    monkeypatch.setenv("PYTHONPATH", env["PYTHONPATH"])
    assert engines.probe_engines("xllamacpp", None).probed["xllamacpp"].devices == ("cuda:0",)


def test_the_llama_server_of_the_settings_is_asked_for_its_version(tmp_path: Path) -> None:
    server = launcher(tmp_path)
    env = {"LLMSPELL_PROVIDERS__CANDLE__ENGINE": "llama-server", "LLMSPELL_PROVIDERS__CANDLE__SERVER_PATH": str(server)}
    _, found = doctor(env=env)
    assert found["engines"]["status"] == "ok"
    assert "llama-server b11549" in found["engines"]["message"]


def test_a_llama_server_that_cannot_be_used_is_a_finding_where_it_is_wanted_only(tmp_path: Path) -> None:
    server = stand_in(tmp_path, "echo 'version: 4500 (abc)'; exit")
    env = {"LLMSPELL_PROVIDERS__CANDLE__SERVER_PATH": str(server)}
    _, found = doctor(env=env)
    assert "llama-server" not in found["engines"]["message"]
    status, found = doctor(env={**env, "LLMSPELL_PROVIDERS__CANDLE__ENGINE": "llama-server"})
    assert (status, found["engines"]["status"]) == (1, "fail")
    assert "llama-server can't be used" in found["engines"]["message"]
    assert "it is build 4500 of llama.cpp" in found["engines"]["message"]
    assert "providers.candle.server_path" in found["engines"]["hint"]


def test_a_llama_server_that_is_wanted_and_not_there_is_a_finding() -> None:
    status, found = doctor(env={"LLMSPELL_PROVIDERS__CANDLE__ENGINE": "llama-server"})
    if shutil.which("llama-server") is None:
        assert (status, found["engines"]["status"]) == (1, "fail")
        assert "llama-server not installed" in found["engines"]["message"]
        assert "providers.candle.server_path" in found["engines"]["hint"]


def found_engines(*, cards: tuple[str, ...] = (), **probed: Probed) -> Engines:
    """Engines as they may be found; Lua and xllamacpp are there unless said otherwise."""
    return Engines({"lua": Probed("2.6"), "xllamacpp": Probed("1"), **probed}, cards)


@pytest.mark.parametrize(
    ("found", "wanted", "status", "message"),
    [
        (
            found_engines(torch=Probed("2.13.0"), llama_cpp_python=Probed(None)),
            "xllamacpp",
            "ok",
            "lua (lupa 2.6), xllamacpp, torch 2.13.0; llama_cpp_python not installed",
        ),
        (found_engines(torch=Probed("2.13.0", "no AVX2")), "xllamacpp", "warn", "torch can't be imported: no AVX2"),
        (found_engines(xllamacpp=Probed(None)), "xllamacpp", "fail", "lua (lupa 2.6); xllamacpp not installed"),
        (found_engines(xllamacpp=Probed(None)), "llama-server", "ok", "xllamacpp not installed"),
        (found_engines(lua=Probed(None)), "xllamacpp", "fail", "lua not installed"),
    ],
)
def test_only_lua_and_the_engine_of_the_settings_are_needed(
    found: Engines, wanted: str, status: str, message: str
) -> None:
    finding = engines.engines(found, wanted)
    assert (finding.status, message in finding.message) == (status, True)
    assert (finding.hint is None) == (status == "ok")


@pytest.mark.skipif(sys.platform == "darwin", reason="about CUDA")
@pytest.mark.parametrize(
    ("devices", "cards", "asked", "status", "message"),
    [
        ((), (), "auto", "ok", "cores?; no CUDA device"),
        (("cuda:0",), ("NVIDIA H200",), "auto", "ok", r"cuda:0, cpu, \d+ cores?$"),
        ((), ("NVIDIA H200",), "auto", "warn", "NVIDIA H200 is here, but this build of xllamacpp can't use it"),
        ((), (), "cuda", "fail", "providers.candle.device is cuda, which xllamacpp has not found"),
        (("cuda:0",), (), "cuda:1", "fail", "cuda:1, which xllamacpp has not found"),
        (("cuda:0",), (), "cuda", "ok", "cuda:0"),
    ],
)
def test_devices_are_those_that_the_engine_finds(
    devices: tuple[str, ...], cards: tuple[str, ...], asked: str, status: str, message: str
) -> None:
    found = found_engines(cards=cards, xllamacpp=Probed("1", None, devices))
    finding = engines.devices(found, "xllamacpp", asked)
    assert finding.status == status
    assert re.search(message, finding.message)


def test_an_ollama_that_answers_is_shown_with_its_version_and_models() -> None:
    with OllamaReplay("003-version", "033-tags-two") as ollama:
        _, found = doctor(env={"OLLAMA_HOST": ollama.base_url})
    assert found["ollama"]["status"] == "ok"
    assert re.fullmatch(rf"[\d.]+\S* at {ollama.base_url}, 2 models", found["ollama"]["message"])


def test_an_ollama_elsewhere_is_not_asked_offline_and_one_that_is_not_configured_never() -> None:
    _, found = doctor(env={"OLLAMA_HOST": "http://192.0.2.1:11434"})
    assert said(found["ollama"]) == ("skip", "not asked, since it is on another machine (--offline)")
    assert found["memory"]["status"] in ("ok", "warn")
    _, found = doctor("-p", "candle")
    assert said(found["ollama"]) == ("skip", "not configured")


@pytest.fixture
def web() -> Iterator[tuple[str, list[int]]]:
    """A web server: its address, and the statuses that it answers with, 200 when they have run out."""
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(statuses.pop() if statuses else 200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", statuses
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_hub_or_its_mirror_is_asked_unless_that_is_forbidden(web: tuple[str, list[int]]) -> None:
    url, statuses = web
    done = llmspell("doctor", "--json", env={"HF_ENDPOINT": url})
    found = {check["name"]: check for check in done.document["checks"]}
    assert found["hub"]["status"] == "ok"
    assert re.fullmatch(rf"{url} answers in \d+ ms", found["hub"]["message"])
    statuses.append(503)
    finding = hub({"HF_ENDPOINT": url}, offline=False)
    assert (finding.status, finding.message) == ("warn", f"{url} can't be reached (it answers with status 503)")
    finding = hub({"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "1"}, offline=False)
    assert (finding.status, finding.message) == ("skip", "not asked (HF_HUB_OFFLINE is set)")
    finding = hub({"HF_ENDPOINT": "http://127.0.0.1:9"}, offline=False)
    assert (finding.status, "refused" in finding.message) == ("warn", True)


def test_a_hub_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmspell_cli.doctor.network.HUB_DEADLINE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        finding = hub({"HF_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"}, offline=False)
    assert (finding.status, finding.hint is not None) == ("warn", True)
    assert "no answer within 0.3 s" in finding.message


def test_a_configuration_that_can_be_used_is_named_with_what_it_extends(tmp_path: Path) -> None:
    (tmp_path / "llmspell.toml").write_text("extends = 'candle'\n")
    assert said(doctor()[1]["config"]) == ("ok", "./llmspell.toml (extends candle), valid")
    assert said(doctor("-p", "minimal")[1]["config"]) == ("ok", "profile minimal, valid")
    (tmp_path / "llmspell.toml").write_text("[kernel]\nprot = 1\n")
    finding = doctor()[1]["config"]
    assert finding["status"] == "warn"
    assert "./llmspell.toml, valid with 1 warning: llmspell.toml:2 kernel.prot: unknown key" in finding["message"]
    assert finding["hint"] == "llmspell config validate"


def test_a_broken_configuration_fails_and_leaves_out_what_needs_it(tmp_path: Path) -> None:
    (tmp_path / "llmspell.toml").write_text("[kernel]\nport = 'x'\n")
    status, found = doctor()
    assert status == 1
    assert found["config"]["status"] == "fail"
    assert found["config"]["message"].startswith("llmspell.toml:2 kernel.port: expected an integer")
    for name in ("ollama", "memory"):
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


def open_files(home: Path) -> None:
    """Files that others can read, and what a dead kernel leaves."""
    (home / "run").mkdir(mode=0o755)
    (home / "run").chmod(0o755)
    (home / "keys.json").write_text('{"keys": {}, "in_keyring": []}')
    (home / "keys.json").chmod(0o644)
    for suffix in ("json", "lock", "pid"):
        (home / "run" / f"kernel-dead.{suffix}").write_text("{}" if suffix == "json" else "")
        (home / "run" / f"kernel-dead.{suffix}").chmod(0o600)


def modes(home: Path) -> tuple[int, int]:
    """Of the run directory and the key file."""
    return stat.S_IMODE((home / "run").stat().st_mode), stat.S_IMODE((home / "keys.json").stat().st_mode)


def test_open_modes_fail_and_what_dead_kernels_left_is_a_warning(home: Path) -> None:
    open_files(home)
    status, found = doctor()
    assert status == 1
    assert found["files"]["status"] == "fail"
    assert found["files"]["hint"] == "llmspell doctor --fix"
    assert found["files"]["details"]["problems"] == [
        f"{home}/run can be read by others (mode 0755)",
        f"{home}/keys.json can be read by others (mode 0644)",
        "dead ended without clearing up",
    ]
    assert modes(home) == (0o755, 0o644)
    (home / "run").chmod(0o700)
    (home / "keys.json").chmod(0o600)
    assert doctor()[1]["files"]["status"] == "warn"


def test_fix_asks_puts_everything_right_and_the_exit_status_tells(home: Path) -> None:
    open_files(home)
    done = llmspell("doctor", "--offline", "--fix", stdin="y\n")
    assert done.status == 0
    assert f"  - set the mode of {home}/run to 0700 (it is 0755)\n" in done.out
    assert "  - remove what is left of kernel dead\n" in done.out
    assert "Do this? [y/N]: " in done.out
    assert f"✓ set the mode of {home}/keys.json to 0600 (it is 0644)\n" in done.out
    assert modes(home) == (0o700, 0o600)
    assert list((home / "run").iterdir()) == []
    assert (home / "logs").is_dir()
    assert (home / "models").is_dir()
    assert "Nothing to fix" in llmspell("doctor", "--offline", "--fix").out


@pytest.mark.parametrize(("answer", "status"), [("n\n", 1), ("", 1)])
def test_fix_does_nothing_without_a_yes(answer: str, status: int, home: Path) -> None:
    open_files(home)
    done = llmspell("doctor", "--offline", "--fix", stdin=answer)
    assert done.status == status
    assert "Cancelled" in done.out + done.err
    assert modes(home) == (0o755, 0o644)


def test_fix_in_json_needs_yes_and_tells_what_it_did(home: Path) -> None:
    open_files(home)
    refused = llmspell("doctor", "--offline", "--fix", "--json")
    assert (refused.status, refused.out, refused.error["hint"]) == (2, "", "use --yes")
    done = llmspell("doctor", "--offline", "--fix", "--yes", "--json")
    assert done.status == 0
    assert f"set the mode of {home}/run to 0700 (it is 0755)" in done.document["fixed"]
    assert {check["name"]: check["status"] for check in done.document["checks"]}["files"] == "ok"


def test_a_running_kernel_keeps_its_files(home: Path) -> None:
    kernel = KernelProcess(["--id", "alive"])
    try:
        assert llmspell("doctor", "--offline", "--fix", "--yes").status == 0
        assert (home / "run" / "kernel-alive.json").exists()
    finally:
        kernel.stop()


def test_a_home_that_is_not_there_yet_is_no_problem_and_fix_makes_it(tmp_path: Path) -> None:
    env = {"LLMSPELL_HOME": str(tmp_path / "new" / "home")}
    status, found = doctor(env=env)
    assert (status, found["files"]["status"]) == (0, "ok")
    assert "is not there yet" in found["files"]["message"]
    other = tmp_path / "other"
    done = llmspell("doctor", "--offline", "--fix", "--yes", env={"LLMSPELL_HOME": str(other)})
    assert f"✓ create {other}/run" in done.out
    assert stat.S_IMODE((other / "run").stat().st_mode) == 0o700


def test_a_home_that_is_a_file_fails_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, found = doctor(env={"LLMSPELL_HOME": str(tmp_path / "file")})
    assert status == 1
    assert said(found["files"]) == ("fail", f"{tmp_path}/file is no directory")
    assert "LLMSPELL_HOME" in found["files"]["hint"]


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
        together.wait(10)
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
