"""Commands that name no kernel: they use the one that runs where it means the same, and never fail for want of one."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.connection import ConnectionInfo
from tests.support.command_line import AtTerminal, Running, llmspell
from tests.support.daemons import daemon, end_all
from tests.support.kernels import KernelProcess

ASKED = ("exec", "return 1", "--json")
TRIES = 20
CHAT = ("chat", "mock/a", "--message", "hi")


def used(*words: str, **env: str) -> str | None:
    """The kernel that a command says it used, None for one of its own."""
    done = llmspell(*words, *ASKED, env=env)
    assert done.status == 0, done.err
    document = done.document
    assert document["mode"] == ("embedded" if document["kernel"] is None else "connected")
    kernel: str | None = document["kernel"]
    return kernel


def uses(kernel: str, *words: str, **env: str) -> bool:
    """Whether a command uses this kernel; on a busy machine it may not answer within 0.2 s each time."""
    return any(used(*words, **env) == kernel for _ in range(TRIES))


def is_told(what: str, **env: str) -> bool:
    """Whether a command says this with --trace info of the kernel that runs; it may be too slow to answer instead."""
    return any(what in why_not(**env) for _ in range(TRIES))


def why_not(**env: str) -> str:
    """What a command says with --trace info of the kernels that it doesn't use."""
    done = llmspell("--trace", "info", "exec", "return 1", env=env)
    assert (done.status, done.out) == (0, "1\n"), done.err
    return done.err


def change(connection_file: str, **changed: Any) -> None:
    """Writes other values into a kernel's connection file; `version` and the like are in our own part of it."""
    path = Path(connection_file)
    content = json.loads(path.read_text())
    for name, value in changed.items():
        (content if name in content else content["llmspell"])[name] = value
    path.write_text(json.dumps(content))


def test_a_command_uses_the_newest_kernel_unless_told_otherwise(home: Path, tmp_path: Path) -> None:
    assert used() is None
    assert used(LLMSPELL_CONNECT="auto") is None
    with daemon("older"), daemon("newer"):
        assert uses("newer")
        assert uses("older", "--connect", "old")
        assert uses("newer", "--connect", "auto")
        assert used("--embedded") is None
        assert used("-p", "candle") is None
        assert used(LLMSPELL_CONNECT="embedded") is None
        assert uses("older", LLMSPELL_CONNECT="older")
        assert used("--embedded", LLMSPELL_CONNECT="older") is None
        assert used("-p", "candle", LLMSPELL_CONNECT="older") is None
        # The weakest word is the setting's; a variable for it beats the file, as for every setting.
        (home / "config.toml").write_text('extends = "candle"\n[cli]\nconnect = "older"\n')
        assert uses("older")
        assert uses("newer", LLMSPELL_CONNECT="auto")
        assert used(LLMSPELL_CLI__CONNECT="embedded") is None
        gone = llmspell("exec", "return 1", env={"LLMSPELL_CLI__CONNECT": "nosuch"})
        assert gone.status == 3
        assert "the setting cli.connect names it; --embedded goes without" in gone.err


def test_the_kernel_that_was_used_is_told_on_demand(home: Path) -> None:
    with daemon("one"):
        assert llmspell("--connect", "one", *CHAT, "--stats").err.rstrip().endswith(", kernel one")
        assert llmspell("--embedded", *CHAT, "--stats").err.rstrip().endswith(", embedded")
        for words in ((*CHAT, "--json", "--no-stream"), ("model", "list", "--json")):
            done = llmspell("--connect", "one", *words).document
            assert (done["mode"], done["kernel"]) == ("connected", "one")
        assert is_told("kernel one at 127.0.0.1:")
        # What is about this command line's own configuration is not asked of a kernel that was not named.
        (home / "config.toml").write_text("[kernel]\nmax_clients = 7\n")
        assert llmspell("config", "show", "kernel", "--json").document["max_clients"] == 7
        assert llmspell("--connect", "one", "config", "show", "kernel", "--json").document["max_clients"] == 64


def test_loading_listing_and_chatting_speak_of_the_same_models(home: Path, smollm2_path: Path) -> None:
    assert llmspell("model", "pull", smollm2_path.as_uri()).status == 0
    (model,) = llmspell("model", "list", "--json").document["models"]
    with daemon("older"), daemon("newer"):
        chat = ("chat", model["id"], "--message", "hi", "--max-tokens", "1", "--json")
        assert any(llmspell(*chat).events[-1]["kernel"] == "newer" for _ in range(TRIES))
        assert any(llmspell("model", "list", "-v").out.split()[-1] == "yes" for _ in range(TRIES))
        assert llmspell("--embedded", "model", "list", "-v").out.split()[-1] == "no"
        assert llmspell("--connect", "older", "model", "list", "-v").out.split()[-1] == "no"
        assert [one["model"] for one in llmspell("model", "ps", "--json").document["models"]] == [model["id"]]
        assert llmspell("model", "unload", model["id"]).status == 0
        refused = llmspell("--embedded", "model", "ps")
        assert (refused.status, refused.err.splitlines()[1]) == (2, "Hint: drop --embedded")


def test_a_kernel_with_other_settings_is_left_alone_and_the_reason_told(home: Path, tmp_path: Path) -> None:
    with daemon("one") as started:
        keep_alive = {"LLMSPELL_MODELS__KEEP_ALIVE": "1h"}
        assert is_told("it was not started with the same LLMSPELL_MODELS__KEEP_ALIVE", **keep_alive)
        assert is_told("it was not started with the same OLLAMA_HOST", OLLAMA_HOST="127.0.0.1:9")
        project = tmp_path / "llmspell.toml"
        project.write_text('extends = "candle"\n')
        assert is_told(f"it was not started with {project}")
        watched = AtTerminal(["exec", "return 1"], columns=500)
        assert watched.end() == 0
        assert f"kernel one is left alone: it was not started with {project}; --connect one uses it" in watched.said
        assert llmspell("exec", "return 1").err == ""
        project.write_text("# extends = 'candle'\n[kernel]\n")
        assert uses("one")
        project.write_text('extends = "candle"\n')
        # What lists models in memory needs a kernel that goes on, and says that it is not what others use here.
        warned = llmspell("model", "ps")
        assert (warned.status, warned.out) == (0, "No models loaded\n")
        assert "Warning: kernel one is not what other commands here use" in warned.err
        project.unlink()
        looked = llmspell("doctor", "--offline", "--json", env={"LLMSPELL_MODELS__KEEP_ALIVE": "1h"})
        assert "commands here do not use one: it was not started with the same" in looked.out
        assert uses("one")
        change(started["connection_file"], version="0.0.1")
        assert is_told("it is of version 0.0.1, this is ")


def test_a_kernel_started_with_the_same_settings_is_used(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llmspell.toml").write_text('extends = "candle"\n')
    monkeypatch.setenv("LLMSPELL_MODELS__KEEP_ALIVE", "1h")
    with daemon("one") as started:
        assert uses("one")
        # A value may be a secret: the file has a digest of it.
        assert "1h" not in Path(started["connection_file"]).read_text()
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        assert is_told(f"it was started with {tmp_path / 'llmspell.toml'}")


def test_a_key_that_only_this_shell_has_is_no_key_of_the_kernel(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with daemon("one"):
        words = ("--connect", "one", "chat", "openai/gpt-4o-mini", "--message", "hi", "--json")
        assert llmspell(*words).error["hint"] == "llmspell keys add openai"
        hint = llmspell(*words, env={"OPENAI_API_KEY": "sk-of-this-shell"}).error["hint"]
        assert hint == (
            "it is set here, but was not where the kernel was started: --embedded uses it, or llmspell keys add openai"
        )
        # Many have such keys exported for other programs: they are no reason to load models twice.
        assert uses("one", OPENAI_API_KEY="sk-of-this-shell")


def test_a_kernel_that_was_given_a_profile_is_for_everyone_who_names_none(home: Path) -> None:
    done = llmspell("-p", "candle", "kernel", "start", "--daemon", "--port", "0", "--id", "chosen")
    assert done.status == 0, done.err
    try:
        assert uses("chosen")
    finally:
        end_all(home / "run")


def test_what_does_not_answer_is_gone_on_without(home: Path) -> None:
    with daemon("one") as started:
        os.kill(started["pid"], signal.SIGSTOP)
        try:
            assert "kernel one is not used: no reply from " in why_not()
        finally:
            os.kill(started["pid"], signal.SIGCONT)
        key = ConnectionInfo.read(started["connection_file"]).key
        change(started["connection_file"], key="another")
        assert is_told("does not accept the key")
        change(started["connection_file"], key=key)
        os.kill(started["pid"], signal.SIGKILL)
        assert used() is None
        Path(started["connection_file"]).write_text("{")
        assert used() is None


def test_a_kernel_that_shuts_down_takes_no_more_work(kernel: KernelProcess) -> None:
    busy = Running("--connect", kernel.started["id"], "exec", "print('on') while true do end", "--timeout", "60")
    busy.wait_for("on")
    kernel.signal(signal.SIGTERM)
    with kernel.client() as client:
        while not client.kernel_info["llmspell"]["draining"]:
            client.kernel_info = client.request("kernel_info_request", {}).result(60).content
    assert is_told("is not used: it is shutting down")
    kernel.stop()
    busy.done()


def test_kernels_of_notebooks_have_names_and_must_be_named(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "kernel-0677daab-9cb2-4fa7-a506-d0456b5e4075.json"
    with daemon("other") as other:
        info = ConnectionInfo.read(other["connection_file"])
    ports = dict(
        zip(("shell", "iopub", "stdin", "control", "hb"), range(info.shell_port, info.shell_port + 5), strict=True)
    )
    file.write_text(info._replace(id=None, **{f"{name}_port": port for name, port in ports.items()}).to_json())
    process = KernelProcess(["-f", str(file)], env={"JPY_SESSION_NAME": "/home/me/My analysis.ipynb"})
    try:
        assert process.started["id"] == "My-analysis-0677"
        assert used() is None
        assert uses("My-analysis-0677", "--connect", "My-")
        none = llmspell("model", "ps")
        assert (none.status, none.err.splitlines()[0]) == (4, "Error: nothing is loaded: no kernel is running")
        assert "My-analysis-0677" in none.err
        assert llmspell("kernel", "status", "-q").out == "My-analysis-0677\n"
    finally:
        process.stop()


def test_an_id_may_be_shortened_as_long_as_it_is_clear(home: Path) -> None:
    with daemon("work-a"), daemon("work-b"):
        for words in (
            ("--connect", "work", "exec", "1"),
            ("kernel", "stop", "work"),
            ("kernel", "status", "work"),
            ("kernel", "logs", "work"),
        ):
            done = llmspell(*words)
            assert done.status == 2, words
            assert "several kernels have an id that begins with 'work': work-a, work-b" in done.err
        assert uses("work-b", "--connect", "work-b")
        assert llmspell("kernel", "stop", "work-a").status == 0
        assert llmspell("kernel", "status", "wo", "--json").document["kernels"][0]["id"] == "work-b"
        assert llmspell("kernel", "connect", "wo", stdin="return 7\n").out == "7\n"
        assert llmspell("kernel", "stop", "w").status == 0


@pytest.fixture
def background(home: Path) -> Iterator[Path]:
    """A home in which kernels may start by themselves; they are ended afterwards."""
    yield home
    assert llmspell("kernel", "stop", "--all").status == 0


def test_one_kernel_is_started_for_all_who_need_a_model(background: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert llmspell(*CHAT, "--json").events[-1]["kernel"] is None
    monkeypatch.setenv("LLMSPELL_CLI__AUTOSTART", "always")
    assert used() is None  # Code may need no model.
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: llmspell(*CHAT, "--json"), range(3)))
    assert [one.events[-1]["kernel"] for one in done] == ["background"] * 3
    assert sum("Started a kernel that keeps models loaded" in one.err for one in done) == 1
    assert uses("background")
    kernels = llmspell("kernel", "status", "--json").document["kernels"]
    assert [(kernel["id"], kernel["port"]) for kernel in kernels] == [("background", None)]
    assert llmspell("--embedded", *CHAT, "--json").events[-1]["kernel"] is None


def test_a_kernel_that_can_not_start_is_told_and_done_without(
    background: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMSPELL_CLI__AUTOSTART", "always")
    (background / "run" / "kernel-background.pid").mkdir(parents=True)
    done = llmspell(*CHAT)
    assert done.status == 0
    assert "hi" in done.out
    assert "Warning: no kernel could be started in the background, so this command uses its own: " in done.err


def test_the_question_is_asked_at_a_terminal_only(background: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSPELL_CLI__AUTOSTART", "ask")
    assert llmspell(*CHAT, "--json").events[-1]["kernel"] is None
    for answer, place in (("n\r", "embedded"), ("y\r", "kernel background")):
        terminal = AtTerminal([*CHAT, "--stats"])
        terminal.wait_for("Start one that keeps models loaded for later commands? [y/N]: ")
        terminal.type(answer)
        assert terminal.end() == 0
        assert f"tokens/s, {place}" in " ".join(terminal.said.split())


def test_a_kernel_started_by_hand_offers_to_start_by_itself_the_next_time_and_asks_once(background: Path) -> None:
    start = ["kernel", "start", "--daemon", "--port", "0", "--id"]
    for kernel_id, typed in (("one", "\x04"), ("two", "y\r")):
        terminal = AtTerminal([*start, kernel_id])
        terminal.wait_for("Start one by itself when a command needs a model and none runs? [y/N]: ")
        terminal.type(typed)
        assert terminal.end() == 0
    assert "cli.autostart = always in " in " ".join(terminal.said.split())
    assert (background / "config.toml").read_text() == '[cli]\nautostart = "always"\n'
    terminal = AtTerminal([*start, "three"])
    assert terminal.end() == 0
    assert "Start one by itself" not in terminal.said
