"""Commands beside a damaged model, and what a script may have pulled: the same in both modes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.support.bad_files import IN_PLACE_OF_A_FILE, replaced
from tests.support.command_line import llmspell
from tests.support.installed import install
from tests.support.json_reference import problems
from tests.support.kernels import KernelProcess

MODES = ("embedded", "connected")


@pytest.fixture(params=MODES)
def words(request: pytest.FixtureRequest, home: Path) -> Iterator[tuple[str, ...]]:
    """How a command names its kernel in each mode."""
    if request.param == "embedded":
        yield ("-p", "candle")
        return
    kernel = KernelProcess(["--profile", "candle"])
    try:
        yield ("--connect", str(kernel.started["connection_file"]))
    finally:
        kernel.stop()


@pytest.fixture
def damaged(home: Path) -> Path:
    """The place of a damaged model, beside a good one; nothing but a name for its manifest."""
    install(home, "good")
    install(home, "bad", "Q4")
    place = home / "models" / "candle" / "bad" / "Q4"
    replaced(place / "manifest.json", "a directory")
    return place


class _Counting(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_error(404)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def port_and_asked() -> Iterator[tuple[int, list[str]]]:
    """A server of this machine, and what it was asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Counting)
    server.asked = []  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_address[1], server.asked  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join(60)


def test_a_damaged_model_is_listed_with_its_reason_and_the_others_are_as_always(
    words: tuple[str, ...], damaged: Path
) -> None:
    text = llmspell(*words, "model", "list")
    assert text.status == 0
    assert text.out.splitlines()[0].split() == ["good", "candle"]
    assert text.out.splitlines()[1].startswith("✗ bad:Q4 is damaged: 'manifest.json' is a directory, not a file")

    listed = llmspell(*words, "model", "list", "--json")
    assert problems("model list", listed.document) == []
    assert [model["id"] for model in listed.document["models"]] == ["good"]
    assert listed.document["count"] == 1
    (one,) = listed.document["damaged"]
    assert one == {
        "id": "bad:Q4",
        "backend": "candle",
        "path": str(damaged),
        "reason": "'manifest.json' is a directory, not a file",
    }
    assert llmspell(*words, "model", "info", "good").status == 0


def test_every_use_of_a_damaged_model_says_so(words: tuple[str, ...], damaged: Path) -> None:
    uses = [("model", "info"), ("model", "verify"), ("model", "remove", "--yes"), ("chat", "--message", "x")]
    uses += [("model", "load")] if words[0] == "--connect" else []
    for use in uses:
        for name in ("bad:Q4", "bad"):
            done = llmspell(*words, *use, name, "--json")
            assert (done.status, done.error["code"]) == (1, "model_load_failed"), (use, done.err)
            assert "bad:Q4' is damaged: 'manifest.json' is a directory" in done.error["message"]
            assert "doctor --fix" in done.error["hint"]
    everything = llmspell(*words, "model", "verify", "--all", "--json")
    assert everything.status == 1
    assert [(one["model"], one["ok"]) for one in everything.document["models"]][-1] == ("bad:Q4", False)
    assert damaged.is_dir()


def test_doctor_moves_a_damaged_model_away_when_asked_to(home: Path) -> None:
    directory = home / "models" / "candle"
    install(home, "good")
    for number, kind in enumerate(IN_PLACE_OF_A_FILE):
        install(home, f"bad{number}", "Q4")
        replaced(directory / f"bad{number}" / "Q4" / "manifest.json", kind)
    for directory_of_ours in (home, home / "run", home / "logs"):
        directory_of_ours.mkdir(exist_ok=True)
        directory_of_ours.chmod(0o700)

    before = llmspell("-p", "candle", "doctor", "--offline", "--json").document["checks"]
    (found,) = [check for check in before if check["name"] == "files"]
    assert found["status"] == "warn"
    assert sum("is damaged" in problem for problem in found["details"]["problems"]) == len(IN_PLACE_OF_A_FILE)

    fixed = llmspell("-p", "candle", "doctor", "--offline", "--fix", "--yes", "--json").document
    assert len(fixed["fixed"]) == len(IN_PLACE_OF_A_FILE)
    (after,) = [check for check in fixed["checks"] if check["name"] == "files"]
    assert after["status"] == "ok"
    assert sorted(os.listdir(directory / ".damaged")) == [f"bad{n}-Q4" for n in range(len(IN_PLACE_OF_A_FILE))]
    assert sorted(os.listdir(directory)) == [".damaged", "good"]
    assert llmspell("-p", "candle", "model", "list", "--json").document["damaged"] == []


def test_a_model_on_another_disk_is_used_and_removed_through_its_link(
    words: tuple[str, ...], home: Path, tmp_path: Path
) -> None:
    install(home, "linked", "Q4")
    place = home / "models" / "candle" / "linked" / "Q4"
    shutil.move(place, tmp_path / "other")
    (tmp_path / "other" / "notes.txt").write_text("mine")
    place.symlink_to(tmp_path / "other")

    assert llmspell(*words, "model", "verify", "linked:Q4", "--json").document["models"][0]["files"][0]["actual"]
    removed = llmspell(*words, "model", "remove", "linked:Q4", "--yes", "--json")

    assert (removed.status, removed.document["bytes_freed"]) == (0, 3), removed.err
    assert llmspell(*words, "model", "list", "--json").document["models"] == []
    assert os.listdir(tmp_path / "other") == ["notes.txt"]
    assert not os.path.lexists(place)


def test_a_script_has_no_address_and_no_path_opened(
    words: tuple[str, ...], home: Path, port_and_asked: tuple[int, list[str]]
) -> None:
    port, asked = port_and_asked
    (home / "x.gguf").write_bytes(b"GGUF")
    refused = [
        *(f"http://127.0.0.1:{port}/x.gguf@candle", f"HTTP://localhost:{port}/x.gguf", f"http://[::1]:{port}/x"),
        *("https://example.com/x.gguf@candle", "pypi://x==1.0/x.gguf@candle", f"file://{home}/x.gguf"),
        *(f"127.0.0.1:{port}/org/model@ollama", f"localhost:{port}/org/model@ollama"),
    ]
    script = """
for address in ADDRESSES do
  for _, name in ipairs { "load", "info", "unload", "chat", "verify", "embed" } do
    if LocalLLM[name] ~= nil then pcall(LocalLLM[name], address, "x") end
  end
  pcall(function() Agent.builder():model(address):build() end)
  print(pcall(LocalLLM.pull, address))
end
""".replace("ADDRESSES", f"string.gmatch({json.dumps(' '.join(refused))}, '%S+')")
    done = llmspell(*words, "exec", script)
    assert done.status == 0, done.err
    answers = done.out.splitlines()
    assert len(answers) == len(refused)
    for address, answer in zip(refused, answers, strict=True):
        assert answer.startswith("false"), address
        assert "may not" in answer, answer
    uncaught = llmspell(*words, "exec", f"LocalLLM.pull({json.dumps(refused[0])})", "--json")
    assert uncaught.error["details"]["cause"]["code"] == "forbidden"
    assert "allow_pull_addresses" in uncaught.error["hint"]
    assert asked == []


def test_a_setting_lets_scripts_pull_addresses_but_never_from_this_machine_s_network(
    home: Path, port_and_asked: tuple[int, list[str]], tmp_path: Path
) -> None:
    port, asked = port_and_asked
    config = tmp_path / "c.toml"
    config.write_text('extends = "candle"\n[runtime.security]\nallow_pull_addresses = true\n')
    script = f"LocalLLM.pull('http://127.0.0.1:{port}/x.gguf@candle')"

    done = llmspell("--config", str(config), "exec", script, "--json")

    assert done.error["details"]["cause"]["code"] == "forbidden", done.err
    assert "may not reach" in done.error["message"]
    assert asked == []
    own = llmspell("-p", "candle", "model", "pull", f"http://127.0.0.1:{port}/x.gguf", "--json")
    assert own.error["code"] == "model_not_found"
    assert asked != [], "whoever has the kernel's own key reaches it"


@pytest.mark.parametrize("path", ["/nowhere/x.gguf", "./x.gguf", "~/x.gguf", "x.gguf", "file:/tmp/x.gguf"])
def test_the_path_of_a_file_that_is_not_there_is_told(words: tuple[str, ...], path: str) -> None:
    for command in (("model", "pull"), ("model", "import"), ("chat", "--message", "x")):
        done = llmspell(*words, *command, path, "--json")
        assert (done.status, done.error["code"]) == (3, "model_not_found"), (command, done.err)
        assert "x.gguf does not exist" in done.error["message"]
    done = llmspell(*words, "model", "info", path, "--json")
    assert (done.status, done.error["code"]) == (2, "invalid_request"), done.err
    assert f"llmspell model import {shlex.quote(path)}" in done.error["hint"]


def test_a_directory_without_a_model_is_told(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = llmspell(*words, "chat", "./empty", "--message", "x", "--json")
    assert (done.status, done.error["message"]) == (3, f"No model is in {tmp_path}/empty"), done.err
