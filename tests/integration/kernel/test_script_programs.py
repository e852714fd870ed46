"""Programs that a script runs: what they see, what comes back, and that none outlives the call."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from llmspell_kernel.scripting.lua.programs import Programs
from tests.support.children import is_running
from tests.support.kernels import KernelProcess
from tests.support.lua_kernel import LuaBench
from tests.support.steering import wait_until


def programs(*names: str, directory: Path | None = None, limit: int = 1000) -> LuaBench:
    made = LuaBench()
    where = None if directory is None else str(directory)
    made.place(programs=Programs(names, where, {"GRANTED": "yes"}, limit))
    return made


def processes(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid)] if psutil.pid_exists(pid) else []


def test_a_named_program_runs_without_a_shell(tmp_path: Path) -> None:
    made = programs("echo", "false", directory=tmp_path)
    assert made.value("return io.popen(\"echo 'a  b' c\"):read('a')") == "a  b c\n"
    assert made.value("return {os.execute('echo out')}") == [True, "exit", 0]
    assert made.kernel.output == "out\n"
    assert made.value("local ok, how, code = os.execute('false') return {ok == nil, how, code}") == [True, "exit", 1]
    assert made.value("return os.execute()") is True
    assert made.kernel.waits[:2] == [True, False]


def test_where_all_programs_may_run_a_shell_reads_the_line(tmp_path: Path) -> None:
    made = programs("*", directory=tmp_path)
    assert made.value("return io.popen('pwd; echo two | tr t T'):read('a')") == f"{tmp_path}\nTwo\n"


def test_a_program_sees_the_granted_variables_and_none_of_the_workers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    seen = programs("env").value("return io.popen('env'):read('a')")
    assert "GRANTED=yes" in seen
    assert "secret" not in seen


def test_a_program_reads_what_is_written_to_it(tmp_path: Path) -> None:
    made = programs("*", directory=tmp_path)
    code = "local p = io.popen('cat > got', 'w') p:write('a', 1):write('b') return {p:close()}"
    assert made.value(code) == [True, "exit", 0]
    assert (tmp_path / "got").read_text() == "a1b"


def test_a_pipe_is_read_and_closed_like_a_file() -> None:
    code = """
    local p, lines = io.popen('printf "1\\\\n2\\\\n3"; exit 3'), {}
    local first, kind = p:read('n'), io.type(p)
    for line in p:lines() do lines[#lines + 1] = line end
    local ok, how, code = p:close()
    return {first, kind, lines, ok == nil, how, code, io.type(p), select(2, pcall(p.read, p))}
    """
    assert programs("*").value(code) == [1, "file", ["", "2", "3"], True, "exit", 3, "closed file", CLOSED]


CLOSED = "attempt to use a closed file"


def test_a_program_that_is_not_there_is_no_error_of_the_scripts() -> None:
    made = programs("no-such-program")
    assert made.value("local ok, how, code = os.execute('no-such-program') return {ok == nil, how, code}") == [
        True,
        "exit",
        127,
    ]
    assert made.value("return select(2, io.popen('no-such-program'))").startswith("no-such-program: No such file")


def test_a_program_that_prints_without_end_is_ended() -> None:
    assert programs("yes").caught("io.popen('yes')") == "Validation error: io.popen: yes prints more than 1000 bytes"


def test_a_script_that_has_to_stop_ends_its_program(tmp_path: Path) -> None:
    made = programs("*", directory=tmp_path)
    made.kernel.looks_left = 3
    assert made.failure("os.execute('echo $$ > pid; sleep 1000')").kind == "stopped"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_program_that_goes_on_in_the_background_ends_with_the_call(tmp_path: Path) -> None:
    programs("*", directory=tmp_path).run("os.execute('sleep 1000 & echo $! > pid')")
    left = processes(int((tmp_path / "pid").read_text()))
    psutil.wait_procs(left, timeout=60)
    assert [one for one in left if is_running(one)] == []


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of what descendants leave behind")
DETACHED = "setsid sh -c 'echo $$ > pid; exec sleep 1000' &"


@linux
def test_a_program_that_detaches_itself_ends_with_the_call(tmp_path: Path) -> None:
    programs("*", directory=tmp_path).run(f'os.execute("{DETACHED} while ! test -s pid; do sleep 0.01; done")')
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


@linux
@pytest.mark.parametrize("how", ["the kernel ends", "the script is cancelled"])
def test_a_program_that_detaches_itself_ends_with_its_script(kernel: KernelProcess, tmp_path: Path, how: str) -> None:
    options = {"isolated": True, "cwd": str(tmp_path), "allow": {"run": ["*"]}}
    with kernel.client() as client:
        code = {"code": f'os.execute("{DETACHED} sleep 1000")'}
        pending = client.request("execute_request", code, metadata={"llmspell": options})
        wait_until(client, lambda _: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()))
        left = processes(int((tmp_path / "pid").read_text()))
        assert len(left) == 1
        if how == "the script is cancelled":
            pending.cancel()
            wait_until(client, lambda _: not left[0].is_running() or left[0].status() == psutil.STATUS_ZOMBIE)
    if how == "the kernel ends":
        kernel.stop()
        psutil.wait_procs(left, timeout=20)
        assert not left[0].is_running() or left[0].status() == psutil.STATUS_ZOMBIE
