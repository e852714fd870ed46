"""Notebooks that share a kernel: a door for each, with contexts, a key and an end of its own."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import CHANNELS
from llmspell_protocol.discovery import resolve
from llmspell_protocol.errors import Busy, ConfigError, InvalidRequest, KernelUnreachable, NotFound, Unsupported
from tests.support.jupyter import DEADLINE_S, Json, ask, finish_cell, reply_to, run_cell
from tests.support.kernels import KernelProcess
from tests.support.notebook_doors import Keeper, connection_file, ended, frontend_of, open_door

ENDLESS = "print('running') while true do end"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelProcess]:
    """A kernel that the notebooks of this module share."""
    home = tmp_path_factory.mktemp("home")
    running = KernelProcess(["--idle-timeout", "3600"], env={"LLMSPELL_HOME": str(home)}, cwd=home)
    yield running
    running.stop()


@pytest.fixture
def keeper(kernel: KernelProcess) -> Iterator[Client]:
    """A connection that opens notebooks, and their end."""
    with kernel.client() as client:
        yield client


def listed(client: Client) -> dict[str, Json]:
    """What the kernel tells of each notebook, by id."""
    reply = client.request("notebook_request", {"action": "list"}).result().content
    assert reply["count"] == len(reply["notebooks"])
    return {one["id"]: one for one in reply["notebooks"]}


def until_gone(client: Client, id: str) -> None:
    """Asks until a notebook is not listed any more; the test's own deadline ends it."""
    while id in listed(client):
        pass


def until_free(port: int) -> None:
    """Tries until a port can be had, which ZeroMQ lets go a moment after it was told to."""
    while True:
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
            return


def test_two_notebooks_have_variables_counts_and_subshells_of_their_own(keeper: Client, tmp_path: Path) -> None:
    files = [connection_file(tmp_path, "first"), connection_file(tmp_path, "second")]
    ids = [open_door(keeper, file)[0] for file in files]
    assert ids == ["first", "second"]
    with frontend_of(files[0]) as one, frontend_of(files[1]) as other:
        for client in (one, other):
            client.wait_for_ready(timeout=DEADLINE_S)
        run_cell(one, "x = 1")
        run_cell(one, "x = x + 1")
        cell = run_cell(other, "return tostring(x)")
        assert (cell.value, cell.reply["execution_count"]) == ('"nil"', 1)
        assert run_cell(one, "return x").value == "2"
        ask(one, "control", "create_subshell_request")
        assert ask(other, "control", "list_subshell_request")["subshell_id"] == []
        told = listed(keeper)
        assert {id: (told[id]["execution_count"], told[id]["subshells"], told[id]["clients"]) for id in ids} == {
            "first": (3, 1, 1),
            "second": (1, 0, 1),
        }
        assert all(told[id]["state"] == "idle" and told[id]["memory_bytes"] > 1_000_000 for id in ids)


def test_a_notebook_is_called_after_its_file_and_runs_in_its_directory(keeper: Client, tmp_path: Path) -> None:
    (tmp_path / "beside.lua").write_text("return {word = 'from the directory'}")
    file = connection_file(tmp_path)
    id, _ = open_door(keeper, file, name="work/Sales 2026.ipynb", cwd=str(tmp_path))
    assert id == "Sales-2026-0677"
    assert listed(keeper)[id]["name"] == "work/Sales 2026.ipynb"
    with frontend_of(file) as frontend:
        frontend.wait_for_ready(timeout=DEADLINE_S)
        assert run_cell(frontend, "return require('beside').word").value == '"from the directory"'


def test_a_command_reaches_a_notebook_s_variables_by_its_id(
    kernel: KernelProcess, keeper: Client, tmp_path: Path
) -> None:
    run_dir = Path(kernel.started["connection_file"]).parent
    file = connection_file(tmp_path)
    id, _ = open_door(keeper, file, name="Named.ipynb")
    open_door(keeper, connection_file(tmp_path, "91f0aaaa-2222-4222-8333-444455556666"), name="Nameless.ipynb")
    with frontend_of(file) as frontend:
        frontend.wait_for_ready(timeout=DEADLINE_S)
        run_cell(frontend, "seen = 'in the notebook'")
    for target in (id, "Named"):
        info = resolve(target, run_dir, {})
        assert info.id == id
        with Client(info).connect(DEADLINE_S) as client:
            asked = client.request("execute_request", {"code": "return seen"}, metadata={"llmspell": {"deltas": True}})
            assert asked.result().content["result"] == "in the notebook"
    with pytest.raises(InvalidRequest, match="several notebooks have an id that begins with 'Name'"):
        resolve("Name", run_dir, {})
    keeper.request("notebook_request", {"action": "close", "notebook": id}).result()
    with pytest.raises(NotFound, match="there is no kernel 'Named'"):
        resolve("Named", run_dir, {})


def test_an_interrupt_touches_its_own_notebook_alone(keeper: Client, tmp_path: Path) -> None:
    files = [connection_file(tmp_path, "first"), connection_file(tmp_path, "second")]
    for file in files:
        open_door(keeper, file)
    with frontend_of(files[0]) as one, frontend_of(files[1]) as other:
        cells = []
        for client in (one, other):
            client.wait_for_ready(timeout=DEADLINE_S)
            cells.append(client.execute(ENDLESS, allow_stdin=False))
            while client.get_iopub_msg(timeout=DEADLINE_S)["msg_type"] != "stream":
                pass
        ask(one, "control", "interrupt_request")
        assert finish_cell(one, cells[0]).reply["code"] == "cancelled"
        assert {id: told["state"] for id, told in listed(keeper).items()} == {"first": "idle", "second": "busy"}
        ask(other, "control", "interrupt_request")
        assert finish_cell(other, cells[1]).reply["code"] == "cancelled"


@pytest.mark.parametrize("restart", [False, True])
def test_a_shutdown_ends_its_own_notebook_and_answers_what_runs(keeper: Client, tmp_path: Path, restart: bool) -> None:
    files = [connection_file(tmp_path, "ends"), connection_file(tmp_path, "stays")]
    (_, lasting), _ = (open_door(keeper, file) for file in files)
    with frontend_of(files[0]) as one, frontend_of(files[1]) as other:
        for client in (one, other):
            client.wait_for_ready(timeout=DEADLINE_S)
        cell = one.execute(ENDLESS, allow_stdin=False)
        while one.get_iopub_msg(timeout=DEADLINE_S)["msg_type"] != "stream":
            pass
        assert ask(one, "control", "shutdown_request", {"restart": restart}) == {"status": "ok", "restart": restart}
        assert finish_cell(one, cell).reply["code"] == "cancelled"
        told = ended(lasting)
        assert (told["notebook"], told["ended"]) == ("ends", "restart" if restart else "shutdown")
        assert list(listed(keeper)) == ["stays"]
        assert run_cell(other, "return 1").value == "1"
        # The same file again is a new context on the same addresses, where the frontend still listens.
        open_door(keeper, files[0])
        one.wait_for_ready(timeout=DEADLINE_S)
        cell_again = run_cell(one, "return tostring(x)")
        assert (cell_again.value, cell_again.reply["execution_count"]) == ('"nil"', 1)


def test_a_notebook_ends_with_the_process_that_opened_it(kernel: KernelProcess, keeper: Client, tmp_path: Path) -> None:
    vanishing = Keeper(kernel.info)
    file = connection_file(tmp_path, "left")
    id, _ = vanishing.open(file)
    with frontend_of(file) as frontend:
        frontend.wait_for_ready(timeout=DEADLINE_S)
        run_cell(frontend, "return 1")
        pid = listed(keeper)[id]["pid"]
        assert pid
        vanishing.vanish()
        until_gone(keeper, id)
    until_free(json.loads(file.read_text())["shell_port"])


def test_the_newest_who_opens_a_connection_file_has_it(kernel: KernelProcess, keeper: Client, tmp_path: Path) -> None:
    first = Keeper(kernel.info)
    file = connection_file(tmp_path, "twice")
    _, lasting = first.open(file)
    open_door(keeper, file)
    assert ended(lasting)["ended"] == "replaced"
    first.vanish()
    with frontend_of(file) as frontend:
        frontend.wait_for_ready(timeout=DEADLINE_S)
        assert run_cell(frontend, "return 1").value == "1"


def test_a_notebook_can_be_closed_from_outside(keeper: Client, tmp_path: Path) -> None:
    id, lasting = open_door(keeper, connection_file(tmp_path, "closed"))
    assert keeper.request("notebook_request", {"action": "close", "notebook": id}).result().content["notebook"] == id
    assert ended(lasting)["ended"] == "closed"
    with pytest.raises(NotFound, match="there is no notebook 'closed'"):
        keeper.request("notebook_request", {"action": "close", "notebook": id}).result()


def test_another_key_than_the_door_s_is_not_answered(keeper: Client, kernel: KernelProcess, tmp_path: Path) -> None:
    file = connection_file(tmp_path, "locked")
    open_door(keeper, file)
    for wrong in (b"wrong", kernel.info.key.encode()):
        with frontend_of(file, wrong) as stranger:
            key = json.loads(file.read_text())["key"].encode()
            stranger.kernel_info()
            stranger.session.key = key
            answered = stranger.kernel_info()
            assert stranger.get_shell_msg(timeout=DEADLINE_S)["parent_header"]["msg_id"] == answered


def test_a_door_opens_models_and_scripts_and_steers_no_kernel(keeper: Client, tmp_path: Path) -> None:
    file = connection_file(tmp_path, "rights")
    open_door(keeper, file)
    with frontend_of(file) as frontend:
        frontend.wait_for_ready(timeout=DEADLINE_S)
        for content in (
            {"action": "drain"},
            {"action": "config"},
            {"action": "reload_config"},
        ):
            assert ask(frontend, "shell", "kernel_request", content)["code"] == "forbidden"
        refused = ask(frontend, "shell", "notebook_request", {"action": "open", "connection_file": str(file)})
        assert refused["code"] == "forbidden"
        assert ask(frontend, "shell", "model_request", {"action": "ps"})["status"] == "ok"
        assert [one["id"] for one in ask(frontend, "shell", "kernel_request", {"action": "status"})["notebooks"]] == [
            "rights"
        ]


def test_a_person_at_a_notebook_can_be_asked_for_permission(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "note.txt").write_text("a note")
    (tmp_path / "work").mkdir()
    file = connection_file(tmp_path, "asks")
    kernel = KernelProcess(env={"LLMSPELL_HOME": str(tmp_path / "home")})  # its tools' workers end with it
    with kernel.client() as keeper:
        open_door(keeper, file, cwd=str(tmp_path / "work"))
        with frontend_of(file) as frontend:
            frontend.wait_for_ready(timeout=DEADLINE_S)
            code = f"return Tool.execute('file_operations', {{operation = 'read', path = '{hidden}/note.txt'}}).text"
            cell = frontend.execute(code, allow_stdin=True)
            question = frontend.get_stdin_msg(timeout=DEADLINE_S)
            assert "note.txt" in question["content"]["prompt"]
            frontend.input("y")
            assert finish_cell(frontend, cell).value == '"a note"'
    kernel.stop()


def test_state_and_events_are_those_of_the_kernel_s_own_door(keeper: Client, tmp_path: Path) -> None:
    file = connection_file(tmp_path, "state")
    open_door(keeper, file)
    with frontend_of(file) as frontend:
        frontend.wait_for_ready(timeout=DEADLINE_S)
        run_cell(frontend, "State.save('global', 'from_notebook', 42)")
    found = keeper.request("state_request", {"action": "get", "scope": "global", "key": "from_notebook"}).result()
    assert found.content["entry"]["value"] == 42


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"connection_file": "relative.json"}, InvalidRequest, "is not an absolute path"),
        ({"connection_file": "/nowhere/kernel.json"}, NotFound, "there is no connection file"),
        ({"cwd": "here"}, InvalidRequest, "is not an absolute path"),
    ],
)
def test_what_cannot_be_opened_is_said(
    keeper: Client, tmp_path: Path, change: Json, error: type[Exception], words: str
) -> None:
    content = {"action": "open", "connection_file": str(connection_file(tmp_path)), **change}
    with pytest.raises(error, match=words):
        keeper.request("notebook_request", content).result()
    assert listed(keeper) == {}


def test_a_door_that_other_machines_could_reach_is_refused(keeper: Client, tmp_path: Path) -> None:
    file = connection_file(tmp_path)
    file.write_text(json.dumps({**json.loads(file.read_text()), "ip": "0.0.0.0"}))
    with pytest.raises(Unsupported, match="not a loopback address"):
        open_door(keeper, file)
    assert listed(keeper) == {}


def test_the_kernel_is_idle_with_open_notebooks_and_busy_with_a_running_cell(keeper: Client, tmp_path: Path) -> None:
    file = connection_file(tmp_path, "states")
    open_door(keeper, file)

    def state() -> tuple[Any, Any]:
        told = keeper.request("kernel_request", {"action": "status"}).result().content
        return told["state"], told["active_requests"]

    assert state() == ("Idle", 0)
    with frontend_of(file) as frontend:
        frontend.wait_for_ready(timeout=DEADLINE_S)
        cell = frontend.execute(ENDLESS, allow_stdin=False)
        while frontend.get_iopub_msg(timeout=DEADLINE_S)["msg_type"] != "stream":
            pass
        assert state() == ("Busy", 1)
        ask(frontend, "control", "interrupt_request")
        reply_to(frontend, cell)


def test_when_the_kernel_ends_what_runs_is_answered_and_the_opener_is_told(tmp_path: Path) -> None:
    kernel = KernelProcess(env={"LLMSPELL_HOME": str(tmp_path / "home")})
    with kernel.client() as keeper:
        keeper.request("execute_request", {"code": "x = 7"}).result()
        file = connection_file(tmp_path, "ends")
        _, lasting = open_door(keeper, file)
        with frontend_of(file) as frontend:
            frontend.wait_for_ready(timeout=DEADLINE_S)
            assert run_cell(frontend, "return tostring(x)").value == '"nil"'
            cell = frontend.execute(ENDLESS, allow_stdin=False)
            while frontend.get_iopub_msg(timeout=DEADLINE_S)["msg_type"] != "stream":
                pass
            keeper.request("kernel_request", {"action": "drain", "timeout_s": 0}).result()
            assert reply_to(frontend, cell)["code"] == "cancelled"
            with pytest.raises((KernelUnreachable, Exception), match="shutting down"):
                lasting.result(DEADLINE_S)
    assert kernel.wait() == 0


def test_notebooks_that_come_and_go_leave_nothing_in_the_kernel(
    kernel: KernelProcess, keeper: Client, tmp_path: Path
) -> None:
    process = psutil.Process(kernel.pid)

    def come_and_go(name: str) -> None:
        file = connection_file(tmp_path, name)
        _, lasting = open_door(keeper, file)
        with frontend_of(file) as frontend:
            frontend.wait_for_ready(timeout=DEADLINE_S)
            ask(frontend, "control", "shutdown_request", {"restart": False})
        ended(lasting)

    come_and_go("first")
    while psutil.Process(kernel.pid).children():
        pass  # its script's process ends in a moment
    before = process.num_fds()
    for number in range(10):
        come_and_go(f"notebook {number}")
    while process.num_fds() > before:
        pass  # ZeroMQ closes sockets a moment after it was told to
    run_dir = Path(kernel.started["connection_file"]).parent
    assert not list(run_dir.glob("notebook-*"))


def test_a_kernel_ends_idle_once_its_last_notebook_has_gone(tmp_path: Path) -> None:
    kernel = KernelProcess(["--idle-timeout", "1"], env={"LLMSPELL_HOME": str(tmp_path / "home")})
    keeper = Keeper(kernel.info)
    file = connection_file(tmp_path, "last")
    keeper.open(file)
    with frontend_of(file) as frontend:
        frontend.wait_for_ready(timeout=DEADLINE_S)
        run_cell(frontend, "return 1")
        keeper.vanish()
    assert kernel.wait() == 0


TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "ipc"])


def changed(file: Path, **fields: Any) -> Path:
    """A connection file with other contents."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))
    return file


def ipc_file(directory: Path, name: str) -> Path:
    """A connection file whose sockets are files in its directory."""
    ports = {f"{channel}_port": number for number, channel in enumerate(CHANNELS, 1)}
    return changed(connection_file(directory, name), transport="ipc", ip=str(directory / "s"), **ports)


@TRANSPORTS
def test_no_door_opens_without_a_key_or_for_other_signatures(keeper: Client, tmp_path: Path, transport: str) -> None:
    make = ipc_file if transport == "ipc" else connection_file
    with pytest.raises(ConfigError, match="has no key") as refused:
        open_door(keeper, changed(make(tmp_path, "open"), key=""))
    assert "Session.key" in str(refused.value.hint)
    with pytest.raises(Unsupported, match="asks for signatures by hmac-md5") as refused_too:
        open_door(keeper, changed(make(tmp_path, "weak"), signature_scheme="hmac-md5"))
    assert "hmac-sha256" in str(refused_too.value.hint)
    assert listed(keeper) == {}


def test_files_of_one_name_are_notebooks_of_their_own(keeper: Client, tmp_path: Path) -> None:
    files = []
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        files.append(connection_file(tmp_path / name, "nb"))
    opened = [open_door(keeper, file) for file in files]
    ids = [id for id, _ in opened]
    assert ids == ["nb", "nb-2", "nb-3"]
    with frontend_of(files[0]) as one, frontend_of(files[1]) as other:
        for client in (one, other):
            client.wait_for_ready(timeout=DEADLINE_S)
        run_cell(one, "secret = 1")
        assert run_cell(other, "return tostring(secret)").value == '"nil"'
        keeper.request("notebook_request", {"action": "close", "notebook": "nb"}).result()
        assert ended(opened[0][1])["ended"] == "closed"
        assert run_cell(other, "return 1").value == "1"
    assert list(listed(keeper)) == ["nb-2", "nb-3"]
    for id, lasting in opened[1:]:
        keeper.request("notebook_request", {"action": "close", "notebook": id}).result()
        assert ended(lasting)["notebook"] == id


def test_of_two_who_wait_for_one_taken_address_the_newest_gets_it(kernel: KernelProcess, tmp_path: Path) -> None:
    file = connection_file(tmp_path, "wanted")
    with kernel.client() as first, kernel.client() as second:
        taken = socket.socket()
        taken.bind(("127.0.0.1", json.loads(file.read_text())["hb_port"]))
        taken.listen()
        content = {"action": "open", "connection_file": str(file)}
        waiting = first.request("notebook_request", content)
        # Answered in the order of their coming: both wait for the address once this is answered.
        listed(first)
        newest = second.request("notebook_request", content)
        assert waiting.result(DEADLINE_S).content["ended"] == "replaced"
        taken.close()
        assert [opened.content["notebook"] for opened in [next(iter(newest))]] == ["wanted"]
        with frontend_of(file) as frontend:
            frontend.wait_for_ready(timeout=DEADLINE_S)
            assert run_cell(frontend, "return 1").value == "1"
        second.request("notebook_request", {"action": "close", "notebook": "wanted"}).result()
        assert ended(newest)["ended"] == "closed"


def test_an_address_that_stays_taken_is_busy_and_leaves_nothing(keeper: Client, tmp_path: Path) -> None:
    file = connection_file(tmp_path, "taken")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", json.loads(file.read_text())["hb_port"]))
        taken.listen()
        with pytest.raises(Busy, match="is taken"):
            open_door(keeper, file)
    assert open_door(keeper, file)[0] == "taken"


def test_only_a_plain_file_of_this_user_s_is_read_and_nobody_waits_for_it(keeper: Client, tmp_path: Path) -> None:
    good = connection_file(tmp_path, "good")
    (tmp_path / "link.json").symlink_to(good)
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "directory.json").mkdir()
    (tmp_path / "long.json").write_bytes(b" " * 10_000_000)
    for path in (*(tmp_path / f"{name}.json" for name in ("link", "fifo", "directory")), Path("/dev/zero")):
        with pytest.raises(ConfigError, match="is not a plain file"):
            open_door(keeper, path)
    with pytest.raises(ConfigError, match="is too long for a connection file"):
        open_door(keeper, tmp_path / "long.json")
    if os.geteuid() == 0:
        os.chown(good, 12345, 12345)
        with pytest.raises(ConfigError, match="is another user's"):
            open_door(keeper, good)
    assert listed(keeper) == {}


def test_socket_files_take_the_place_of_nothing(keeper: Client, tmp_path: Path) -> None:
    file = ipc_file(tmp_path, "ipc")
    for number, make in enumerate((Path.touch, Path.mkdir, lambda path: path.symlink_to(file)), 3):
        make(tmp_path / f"s-{number}")
        with pytest.raises(ConfigError, match="it exists and is not a socket"):
            open_door(keeper, file)
        (tmp_path / f"s-{number}").rename(tmp_path / f"kept-{number}")
    for number in (1, 2, 3, 4, 5):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmp_path / f"s-{number}"))  # As a kernel that was killed leaves it.
    _, lasting = open_door(keeper, file)
    second = connection_file(tmp_path, "second")
    content = {key: value for key, value in json.loads(file.read_text()).items() if key != "key"}
    with pytest.raises(Busy, match="another process listens on"):
        open_door(keeper, changed(second, **content))
    with frontend_of(file) as frontend:
        frontend.wait_for_ready(timeout=DEADLINE_S)
        assert run_cell(frontend, "return 1").value == "1"
    # The same file again is a new context on the same socket files.
    for how in ("replaced", "closed"):
        if how == "closed":
            keeper.request("notebook_request", {"action": "close", "notebook": "ipc"}).result()
        last, (_, lasting) = lasting, open_door(keeper, file)
        assert ended(last)["ended"] == how
        with frontend_of(file) as frontend:
            frontend.wait_for_ready(timeout=DEADLINE_S)
            assert run_cell(frontend, "return 1").value == "1"
    keeper.request("notebook_request", {"action": "close", "notebook": "ipc"}).result()
    assert ended(lasting)["ended"] == "closed"
    assert list(tmp_path.glob("s-*")) == []


def test_frontends_of_notebooks_count_under_the_limit_that_is_set_now(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text("[kernel]\nmax_clients = 1\n")
    kernel = KernelProcess(env={"LLMSPELL_HOME": str(home)}, cwd=tmp_path)
    with kernel.client() as keeper:
        file = connection_file(tmp_path, "limited")
        open_door(keeper, file)
        with frontend_of(file) as frontend:
            frontend.wait_for_ready(timeout=DEADLINE_S)
            refused = ask(frontend, "shell", "execute_request", {"code": "return 1", "silent": False})
            assert (refused["code"], refused["details"]["max_clients"]) == ("busy", 1)
            (home / "config.toml").write_text("[kernel]\nmax_clients = 2\n")
            keeper.request("kernel_request", {"action": "reload_config"}).result()
            assert run_cell(frontend, "return 1").value == "1"
    kernel.stop()
