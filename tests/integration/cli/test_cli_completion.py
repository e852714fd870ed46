"""Completion: what each shell's script is told, what that loads, and the real shells where they are installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmspell_cli.completion.sections import SECTIONS
from llmspell_profiles.loading.profiles import SHOWN_PROFILES
from tests.support.command_imports import HEAVY
from tests.support.command_line import AtTerminal, Done, call, llmspell
from tests.support.installed import install
from tests.support.kernels import KernelProcess

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(autouse=True)
def _models(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three installed models, one of them Ollama's."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    install(home, "tiny", "135m")
    install(home, "tiny", "1b")
    library = tmp_path / "ollama" / "manifests" / "registry.ollama.ai" / "library"
    (library / "llama3.1").mkdir(parents=True)
    (library / "llama3.1" / "8b").write_text("{}")


def ask(shell: str, line: str) -> Done:
    """What a shell's script is told about a command line with the cursor at its end."""
    words = line.split(" ")
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_WORDBREAKS": " \t\n\"'@><=;|&(:"},
        "zsh": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "fish": {"COMP_WORDS": line, "COMP_CWORD": words[-1]},
    }
    return llmspell(env={"_LLMSPELL_COMPLETE": f"{shell}_complete", **asked[shell]})


def completions(line: str, shell: str = "zsh") -> list[str]:
    """The values alone. zsh by default: its values are whole words."""
    done = ask(shell, line)
    assert (done.status, done.err) == (0, "")
    lines = done.out.strip("\n").split("\n")
    if shell == "zsh":
        return [value.replace("\\:", ":") for value in lines[1::3]]
    return [value.partition(",")[2].partition("\t")[0] for value in lines if value]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_is_told_commands_options_and_values(shell: str) -> None:
    assert completions("llmspell mo", shell) == ["model"]
    assert {"list", "pull", "info"} <= set(completions("llmspell model ", shell))
    assert completions("llmspell model list --back", shell) == ["--backend"]
    assert completions("llmspell -p cand", shell) == ["candle"]
    assert completions("llmspell model info tin", shell) == ["tiny:135m", "tiny:1b"]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("llmspell model info ", ["tiny:135m", "tiny:1b", "llama3.1:8b"]),
        ("llmspell model info tiny:1", ["tiny:135m", "tiny:1b"]),
        ("llmspell model info tiny:135m@", ["tiny:135m@candle"]),
        ("llmspell model remove --yes ll", ["llama3.1:8b"]),
        ("llmspell chat l", ["llama3.1:8b"]),
        ("llmspell chat tiny:1b l", []),
        ("llmspell chat -m tiny:1b l", []),
        ("llmspell chat -m tiny:13", ["tiny:135m"]),
        ("llmspell chat -o temp", ["temperature"]),
        ("llmspell show ll", ["llama3.1:8b"]),
        ("llmspell embed t", ["tiny:135m", "tiny:1b"]),
        ("llmspell embed --model t", ["tiny:135m", "tiny:1b"]),
        ("llmspell model pull smol", ["smollm2:135m", "smollm2:360m", "smollm3:3b"]),
        ("llmspell model status --backend ", ["ollama", "candle"]),
        ("llmspell model list --backend c", ["candle"]),
        ("llmspell run x.lua --trace de", ["debug"]),
        ("llmspell model list --trace de", ["debug"]),
        ("llmspell --output ", ["text", "json", "pretty"]),
        ("llmspell config show runtime.s", [name for name in SECTIONS if name.startswith("runtime.s")]),
        ("llmspell completion ", ["bash", "zsh", "fish"]),
        ("llmspell keys remove open", ["openai"]),
        ("llmspell tool info calcu", ["calculator"]),
        ("llmspell tool invoke --params {} calcu", ["calculator"]),
        ("llmspell tool search --category ", ["filesystem", "web", "api", "data", "system", "media", "utility"]),
        ("llmspell tool list --perm", ["--permissions"]),
        ("llmspell --profile=cand", ["--profile=candle"]),
        ("llmspell model list --profile=cand", ["--profile=candle"]),
        ("llmspell nosuch ", []),
        ("llmspell model nosuch --", []),
        ("llmspell --nosuch", []),
        ("llmspell version ", []),
        ("llmspell kernel stop ", []),
    ],
)
def test_values_come_from_where_they_are(line: str, values: list[str]) -> None:
    assert completions(line) == values


def test_every_profile_is_offered() -> None:
    assert {profile.name for profile in SHOWN_PROFILES} <= set(completions("llmspell -p "))
    assert set(completions("llmspell run x.lua -p ")) <= set(completions("llmspell -p "))


def test_global_options_stand_before_and_behind_commands_once_each() -> None:
    for line in ("llmspell --", "llmspell model --", "llmspell model list --", "llmspell keys add --"):
        offered = completions(line)
        assert {"--config", "--profile", "--connect", "--output", "--json", "--help"} <= set(offered)
        assert len(offered) == len(set(offered))
    assert "model" in completions("llmspell -p candle --json ")
    assert completions("llmspell -p candle model list --backend o") == ["ollama"]


def test_files_and_directories_are_left_to_the_shell() -> None:
    for line in ("llmspell run ", "llmspell -c ", "llmspell chat --schema ", "llmspell embed --file "):
        assert ask("bash", line).out == "file,\n"
    assert ask("bash", "llmspell jupyter install --prefix ").out == "dir,\n"


def test_a_dead_kernel_is_offered_where_its_log_can_still_be_read(home: Path) -> None:
    (home / "logs").mkdir()
    (home / "logs" / "kernel-dead.log").touch()
    assert completions("llmspell kernel logs ") == ["dead"]
    assert completions("llmspell kernel status ") == []
    assert completions("llmspell kernel install-service --id ") == []


def test_running_kernels_are_offered_and_dead_ones_are_not(home: Path) -> None:
    (home / "run").mkdir(mode=0o700)
    (home / "run" / "kernel-dead.json").write_text("{}")
    kernel = KernelProcess(["--id", "alive"])
    try:
        for line in ("llmspell --connect ", "llmspell model list --connect ", "llmspell --kernel "):
            assert completions(line) == ["auto", "alive"] if "connect" in line else ["alive"]
        assert completions("llmspell kernel stop ") == ["alive"]
        assert completions("llmspell kernel status --id a") == ["alive"]
        assert completions("llmspell kernel start --id ") == []
    finally:
        kernel.stop()


def test_a_configured_model_directory_is_looked_into(tmp_path: Path) -> None:
    install(tmp_path / "other", "elsewhere")
    text = f"[providers.candle]\nmodel_directory = '{tmp_path}/other/models/candle'\n"
    (tmp_path / "named.toml").write_text(text)
    assert completions("llmspell -c named.toml model info e") == ["elsewhere"]
    assert completions("llmspell model info e") == []
    (tmp_path / "llmspell.toml").write_text(text)
    assert completions("llmspell model info e") == ["elsewhere"]
    assert completions("llmspell -p candle model info t") == ["tiny:135m", "tiny:1b"]
    (tmp_path / "llmspell.toml").write_text("[providers")
    assert completions("llmspell model info t") == ["tiny:135m", "tiny:1b"]


@pytest.mark.parametrize(
    ("word", "breaks", "offered"),
    [
        ("tiny:1", ":@=", ["135m", "1b"]),
        ("tiny:135m@", ":@=", ["candle"]),
        ("tiny:1", "=", ["tiny:135m", "tiny:1b"]),
        ('"tiny:1', ":@=\"'", ["tiny:135m", "tiny:1b"]),
    ],
)
def test_bash_gets_only_what_stands_behind_its_last_break(word: str, breaks: str, offered: list[str]) -> None:
    env = {
        "_LLMSPELL_COMPLETE": "bash_complete",
        "COMP_WORDS": f"llmspell model info {word}",
        "COMP_WORDBREAKS": f" \t\n{breaks}",
    }
    done = llmspell(env=env)
    assert [line.removeprefix("plain,") for line in done.out.split()] == offered


@pytest.mark.parametrize(
    "line", ["llmspell ", "llmspell model ", "llmspell model info t", "llmspell -p ", "llmspell --connect "]
)
def test_a_completion_loads_no_kernel_no_settings_and_no_other_command(line: str, home: Path) -> None:
    (home / "config.toml").write_text("[providers.candle]\n")
    probe = """
import json, sys
import click, zmq
before = set(sys.modules)
from llmspell_cli.root import run
status = run([])
print(json.dumps([status, sorted(set(sys.modules) - before)]), file=sys.stderr)
"""
    env = {**os.environ, "_LLMSPELL_COMPLETE": "bash_complete", "COMP_WORDS": line}
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=env)
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status == 0
    assert done.stdout.strip()
    # Click itself looks for names like an option that lacks its value; what is installed is looked up in directories.
    assert set(modules) & (HEAVY | {"keyring"}) <= {"difflib", "pathlib"}
    commands = {name for name in modules if name.startswith("llmspell_cli.commands.")}
    typed = ["llmspell_cli.commands.model", "llmspell_cli.commands.model.info"][: line.count(" ") - 1]
    assert commands == (set(typed) if "model" in line else set())


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_names_the_program_and_its_variable(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "completion", shell)
    assert (done.status, done.err) == (0, "")
    assert f"_LLMSPELL_COMPLETE={shell}_complete" in done.out
    document = call(capsys, "--json", "completion", shell).document
    assert document["script"] == done.out
    assert f"llmspell completion {shell}" in document["usage"]


def test_an_unknown_shell_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "completion", "tcsh")
    assert done.status == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in done.err
    assert llmspell(env={"_LLMSPELL_COMPLETE": "tcsh_complete", "COMP_WORDS": "llmspell "}).status == 1


@pytest.fixture
def on_path(tmp_path: Path) -> Mapping[str, str]:
    """An environment in which the shells find this llmspell."""
    program = tmp_path / "bin" / "llmspell"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from llmspell_cli.main import main; main()" "$@"\n')
    program.chmod(0o755)
    return {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb", "PS1": "% ", "HISTFILE": ""}


@contextmanager
def interactive(*program: str, env: Mapping[str, str]) -> Iterator[AtTerminal]:
    """A shell at a terminal, which ends with the block."""
    shell = AtTerminal([], program=program, env=env, columns=200)
    try:
        yield shell
    finally:
        shell.process.kill()
        shell.end()


def _needs(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    return found


def test_a_real_bash_completes_words_with_colons(on_path: Mapping[str, str]) -> None:
    with interactive(_needs("bash"), "--norc", "--noprofile", "-i", env=on_path) as shell:
        shell.type("bind 'set enable-bracketed-paste off'; source <(llmspell completion bash); echo re''ady\n")
        shell.wait_for("ready")
        for typed, completed in (
            ("llmspell compl\t", "llmspell completion "),
            ("llmspell model info tiny:13\t", "llmspell model info tiny:135m "),
            ("llmspell model info tiny:135m@\t", "candle "),
            ("llmspell --profile=cand\t", "llmspell --profile=candle "),
            ("NO_COLOR=1 llmspell -p cand\t", "llmspell -p candle "),
        ):
            shell.type(typed)
            shell.wait_for(completed)
            shell.type("\x15")


def test_a_real_zsh_completes_words_with_colons(on_path: Mapping[str, str]) -> None:
    with interactive(_needs("zsh"), "-f", "-i", env=on_path) as shell:
        shell.type("autoload -U compinit; compinit -u -D; source <(llmspell completion zsh); echo re''ady\n")
        shell.wait_for("\nready")
        for typed, completed in (
            ("llmspell compl\t", "llmspell completion "),
            ("llmspell model info tiny:13\t", "tiny:135m "),
            ("llmspell --profile=cand\t", "--profile=candle "),
        ):
            shell.type(typed)
            shell.wait_for(completed)
            shell.type("\x15")


def test_a_real_fish_completes_words_with_colons(on_path: Mapping[str, str], tmp_path: Path) -> None:
    fish = _needs("fish")
    for line, completed in (
        ("llmspell compl", ["completion"]),
        ("llmspell model info tiny:1", ["tiny:135m", "tiny:1b"]),
        ("llmspell --profile=cand", ["--profile=candle"]),
    ):
        done = subprocess.run(
            [fish, "--no-config", "-c", f"llmspell completion fish | source; complete -C '{line}'"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **on_path, "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
            timeout=60,
        )
        assert [re.split(r"\t", offered)[0] for offered in done.stdout.splitlines()] == completed


def test_collections_tenants_and_documents_come_from_the_database(tmp_path: Path) -> None:
    for number, place in enumerate(([], ["--collection", "notes"], ["--collection", "north", "--tenant", "acme"])):
        words = ("rag", "ingest", "-", "--id", f"text{number}", "--model", "mock/a", *place)
        assert llmspell(*words, stdin="High water comes twice a day.").status == 0
    assert completions("llmspell rag search --collection ") == ["default", "notes"]
    assert completions("llmspell rag search x --tenant acme --collection n") == ["north"]
    assert completions("llmspell rag list --tenant ") == ["acme"]
    assert completions("llmspell rag delete ") == ["text0"]
    assert completions("llmspell rag delete --collection notes te") == ["text1"]
    assert completions("llmspell rag ingest - --id te") == ["text0"]
    assert completions("llmspell rag ingest - --model tiny:1") == ["tiny:135m", "tiny:1b"]
    assert completions("llmspell rag search --method ") == ["hybrid", "vectors", "words"]
    (tmp_path / "named.toml").write_text(f"[rag.vector_storage]\npersistence_path = '{tmp_path}/elsewhere'\n")
    assert completions("llmspell -c named.toml rag search --collection ") == []
    assert ask("bash", "llmspell rag ingest ").out == "file,\n"


def test_the_owner_whose_collections_are_offered_is_the_key_of_commands_here() -> None:
    from llmspell_cli.completion.documents import _OWNER
    from llmspell_kernel.identity import CONNECTION_KEY

    assert _OWNER == CONNECTION_KEY


def test_what_is_no_database_of_documents_offers_nothing(home: Path) -> None:
    (home / "rag").mkdir()
    (home / "rag" / "rag.db").write_bytes(b"no database")
    assert completions("llmspell rag search --collection ") == []
