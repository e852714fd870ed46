"""`llmspell doctor`: the engines, devices, Ollama and the hub that it finds, or does not."""

from __future__ import annotations

import re
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llmspell_cli.doctor import engines
from llmspell_cli.doctor.engines import Engines, Probed
from llmspell_cli.doctor.network import hub
from tests.support.command_line import llmspell
from tests.support.doctor import doctor, said
from tests.support.llama_server import launcher, stand_in
from tests.support.ollama_replay import OllamaReplay

pytestmark = pytest.mark.usefixtures("quiet_machine")


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
    assert said(found["ollama"]) == ("skip", "switched off, or not in this profile")


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
