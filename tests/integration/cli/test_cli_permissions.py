"""Permissions on the command line: the same with a kernel of one's own and on a running one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import llmspell


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory `work`, and a file beside it."""
    (tmp_path / "work").mkdir()
    (tmp_path / "beside.txt").write_text("beside")
    (tmp_path / "work/in.txt").write_text("inside")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def test_a_script_reads_below_the_working_directory_without_permission(target: list[str], place: Path) -> None:
    assert llmspell(*target, "exec", "io.open('in.txt'):read('a')").out == "inside\n"


def test_a_relative_path_means_the_clients_directory(target: list[str], place: Path) -> None:
    done = llmspell(*target, "exec", "--allow-read=../beside.txt", "io.open('../beside.txt'):read('a')")
    assert (done.status, done.out) == (0, "beside\n")


def test_a_refusal_ends_the_script_and_names_the_option(target: list[str], place: Path) -> None:
    done = llmspell(*target, "exec", "assert(io.open('../beside.txt'))")
    assert done.status == 1
    assert "exec:1: io.open: reading ../beside.txt needs --allow-read=../beside.txt" in done.err


def test_an_option_alone_takes_no_word_and_allows_everything(target: list[str], place: Path) -> None:
    assert llmspell(*target, "exec", "--allow-read", "io.open('../beside.txt'):read('a')").out == "beside\n"
    (place / "work/s.lua").write_text("print(ARGS[1], io.open('../beside.txt'):read('a'))")
    assert llmspell(*target, "run", "--allow-read", "s.lua", "--", "--allow-run").out.endswith("beside\n")
    assert llmspell(*target, "run", "-A", "s.lua", "word").out == "word\tbeside\n"


def test_an_option_behind_the_script_is_the_scripts_after_two_dashes_alone(target: list[str], place: Path) -> None:
    (place / "work/s.lua").write_text("print(arg[1], io.open('../beside.txt') == nil)")
    assert llmspell(*target, "run", "s.lua", "--", "--allow-read").out == "--allow-read\ttrue\n"
    assert "Hint: llmspell run --allow-read s.lua" in llmspell(*target, "run", "s.lua", "--allow-read").err


def test_a_script_reads_the_variables_of_the_client(
    target: list[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINE", "of this command")
    assert llmspell(*target, "exec", "--allow-env=MINE", "os.getenv('MINE')").out == "of this command\n"
    assert llmspell(*target, "exec", "--allow-env", "os.getenv('MINE')").out == "of this command\n"
    refused = llmspell(*target, "exec", "os.getenv('MINE')")
    assert (refused.status, refused.out) == (0, 'nil  "os.getenv: reading MINE needs --allow-env=MINE"\n')
    assert refused.err == "warning: os.getenv: reading MINE needs --allow-env=MINE; it is nil here\n"


def test_a_program_runs_in_the_clients_directory(target: list[str], place: Path) -> None:
    assert llmspell(*target, "exec", "--allow-run=ls", "io.popen('ls'):read('a')").out == "in.txt\n\n"
    refused = llmspell(*target, "exec", "--allow-run=ls", "os.execute('cat in.txt')")
    assert "os.execute: running cat needs --allow-run=cat" in refused.err


def test_a_repl_has_its_permissions_in_every_input(target: list[str], place: Path) -> None:
    done = llmspell(*target, "repl", "--allow-write=.", stdin="f = io.open('new.txt', 'w')\nf:write('x'):close()\n")
    assert done.status == 0
    assert (place / "work/new.txt").read_text() == "x"


def test_pulls_of_addresses_need_the_host(target: list[str], place: Path) -> None:
    code = "LocalLLM.pull('https://127.0.0.1:9/x.gguf', 'candle')"
    assert "--allow-net=HOST" in llmspell(*target, "exec", code).err
    assert (
        "pulling from 127.0.0.1 needs --allow-net=127.0.0.1"
        in llmspell(*target, "exec", "--allow-net=example.org", code).err
    )


@pytest.mark.parametrize("option", ["--allow-read=", "--allow-run=,"])
def test_an_option_that_names_nothing_is_refused(option: str, place: Path) -> None:
    done = llmspell("exec", option, "1")
    assert (done.status, done.err.splitlines()[0]) == (2, f"Error: {option.partition('=')[0]}= names nothing")


def test_a_directory_that_is_still_to_be_made_is_allowed_with_all_below_it(
    target: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = """
        Tool.execute("file-operations", {operation = "create_dir", path = "out/of/it", recursive = true})
        local file = assert(io.open("out/of/it/x.txt", "w"))
        file:write("written") file:close()
        local wrote = Tool.execute("file-operations", {operation = "write", path = "out/of/it/y.txt", content = "too"})
        return tostring(wrote.success) .. " " .. select(2, io.open("out/beside.txt", "w"))
    """
    done = llmspell(*target, "exec", "--allow-write=out/of/it", code)
    assert done.status == 0, done.err
    assert done.out == "true io.open: writing out/beside.txt needs --allow-write=out/beside.txt (Path not allowed)\n"
    assert (tmp_path / "out" / "of" / "it" / "x.txt").read_text() == "written"
    assert (tmp_path / "out" / "of" / "it" / "y.txt").read_text() == "too"
