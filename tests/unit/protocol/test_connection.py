"""Connection files, URLs, and what `--connect` finds; all with real files and real locks."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.connection import CHANNELS, MAX_SOCKET_PATH_BYTES, ConnectionInfo
from llmspell_protocol.discovery import connection_path, is_running, resolve, running_kernels
from llmspell_protocol.errors import (
    ConfigError,
    InvalidRequest,
    KernelUnreachable,
    LlmspellError,
    NotFound,
    Unauthorized,
    Unsupported,
)

INFO = ConnectionInfo.consecutive("127.0.0.1", 9555, "a+key/with=signs")._replace(
    id="port-9555",
    pid=4321,
    started_at="2026-01-02T03:04:05Z",
    version="0.1.0",
)

StartKernel = Callable[[ConnectionInfo], None]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture
def start(run_dir: Path) -> Iterator[StartKernel]:
    """Leaves the files of a running kernel: its connection file and the lock that is held."""
    locks: list[int] = []

    def start_kernel(info: ConnectionInfo) -> None:
        assert info.id is not None
        path = connection_path(run_dir, info.id)
        info.write(path)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        locks.append(lock)

    yield start_kernel
    for lock in locks:
        os.close(lock)


def test_a_connection_file_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "kernel.json"
    for info in (INFO, INFO._replace(transport="ipc", ip="/run/k", id=None, pid=None, started_at=None, version=None)):
        info.write(path)
        assert ConnectionInfo.read(path) == info


def test_a_connection_file_is_jupyter_s_with_our_part_beside() -> None:
    content = json.loads(INFO.to_json())
    ours = content.pop("llmspell")
    assert content == {
        "transport": "tcp",
        "ip": "127.0.0.1",
        "shell_port": 9555,
        "iopub_port": 9556,
        "stdin_port": 9557,
        "control_port": 9558,
        "hb_port": 9559,
        "key": "a+key/with=signs",
        "signature_scheme": "hmac-sha256",
        "kernel_name": "llmspell",
    }
    assert ours == {
        "id": "port-9555",
        "pid": 4321,
        "started_at": "2026-01-02T03:04:05Z",
        "version": "0.1.0",
        "frontend": False,
        "chosen": False,
        "config_file": None,
        "variables": [],
    }


def test_a_connection_file_is_its_owner_s_alone_and_replaces_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "kernel.json"
    path.write_text("older and readable by all")
    path.chmod(0o644)
    INFO.write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ConnectionInfo.read(path) == INFO
    assert list(tmp_path.iterdir()) == [path]


def test_the_key_shows_in_no_repr() -> None:
    assert INFO.key not in repr(INFO)
    assert "127.0.0.1:9555" in repr(INFO)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"shell_port": None}, "shell_port"),
        ({"hb_port": "9559"}, "hb_port"),
        ({"control_port": True}, "control_port"),
        ({"iopub_port": 65536}, "iopub_port"),
        ({"key": None}, "key"),
        ({"key": 5}, "key"),
        ({"transport": "udp"}, "transport"),
        ({"ip": ["127.0.0.1"]}, "ip"),
        ({"llmspell": "yes"}, "llmspell"),
    ],
)
def test_a_wrong_field_of_a_connection_file_is_named(change: dict[str, Any], key: str) -> None:
    content = {**json.loads(INFO.to_json()), **change}
    with pytest.raises(ConfigError, match=key) as caught:
        ConnectionInfo.from_json(json.dumps(content), origin="kernel.json")
    assert caught.value.details == {"file": "kernel.json", "key": key}
    assert INFO.key not in caught.value.message


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "\x00", "[" * 100_000])
def test_a_file_that_is_no_json_object_is_a_clear_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"kernel\.json is not"):
        ConnectionInfo.from_json(text, origin="kernel.json")


@pytest.mark.parametrize("change", [{"signature_scheme": "hmac-md5"}, {"curve_publickey": "abc"}])
def test_a_connection_that_we_could_only_make_less_safe_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        ConnectionInfo.from_json(json.dumps({**json.loads(INFO.to_json()), **change}))


def test_an_unreadable_file_says_why(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no connection file"):
        ConnectionInfo.read(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="Is a directory"):
        ConnectionInfo.read(tmp_path)


def test_endpoints_follow_the_transport() -> None:
    assert INFO.endpoint("control") == "tcp://127.0.0.1:9558"
    assert INFO._replace(ip="::1").endpoint("shell") == "tcp://[::1]:9555"
    assert INFO._replace(transport="ipc", ip="/run/k").endpoint("hb") == "ipc:///run/k-9559"
    assert ConnectionInfo.inproc("e1").endpoint("stdin") == "inproc://llmspell-e1-stdin"


def test_a_socket_path_that_the_system_would_cut_is_refused() -> None:
    room = MAX_SOCKET_PATH_BYTES - len("-9555")
    fits = INFO._replace(transport="ipc", ip="/" + "x" * (room - 1))
    assert fits.endpoint("shell").startswith("ipc:///x")
    with pytest.raises(ConfigError, match=str(MAX_SOCKET_PATH_BYTES)):
        fits._replace(ip=fits.ip + "x").endpoint("shell")
    with pytest.raises(ConfigError):
        fits._replace(ip="/" + "é" * (room - 2)).endpoint("shell")


def test_a_url_comes_back_as_the_same_kernel() -> None:
    expected = ConnectionInfo.consecutive("127.0.0.1", 9555, INFO.key)
    assert "ports" not in INFO.to_url()
    assert ConnectionInfo.from_url(INFO.to_url()) == expected
    scattered = expected._replace(ip="::1", iopub_port=1, stdin_port=20, control_port=300, hb_port=4000)
    assert scattered.to_url().endswith("&ports=1,20,300,4000")
    assert ConnectionInfo.from_url(scattered.to_url()) == scattered


@pytest.mark.parametrize(
    "url",
    [
        "http://host:1?key=k",
        "llmspell://?key=k",
        "llmspell://host?key=k",
        "llmspell://host:0?key=k",
        "llmspell://host:99999?key=k",
        "llmspell://host:65533?key=k",
        "llmspell://host:1/path?key=k",
        "llmspell://host:1?key",
        "llmspell://host:1?key=k&ports=1,2,3",
        "llmspell://host:1?key=k&ports=1,2,3,x",
        "llmspell://host:1?key=k&ports=1,2,3,70000",
        "llmspell://[::1:1?key=k",
    ],
)
def test_a_url_that_names_no_kernel_is_an_invalid_request(url: str) -> None:
    with pytest.raises(InvalidRequest):
        ConnectionInfo.from_url(url)


def test_a_url_with_encryption_is_not_used_without_it() -> None:
    with pytest.raises(Unsupported, match="curve"):
        ConnectionInfo.from_url("llmspell://host:1?key=k&curve=c")


def test_only_tcp_kernels_have_a_url() -> None:
    with pytest.raises(InvalidRequest, match="inproc has no URL"):
        ConnectionInfo.inproc("e1").to_url()


def test_a_kernel_runs_as_long_as_its_lock_is_held(run_dir: Path, start: StartKernel) -> None:
    assert not is_running(run_dir, "port-9555")
    INFO.write(connection_path(run_dir, "port-9555"))
    assert not is_running(run_dir, "port-9555")
    connection_path(run_dir, "port-9555").with_suffix(".lock").touch()
    assert not is_running(run_dir, "port-9555")
    start(INFO)
    assert is_running(run_dir, "port-9555")
    assert running_kernels(run_dir) == [INFO]


def test_the_newest_kernel_comes_first_and_stale_files_do_not_count(run_dir: Path, start: StartKernel) -> None:
    older = INFO._replace(id="older", started_at="2025-12-31T23:59:59Z")
    start(older)
    start(INFO)
    INFO._replace(id="stale", started_at="2027-01-01T00:00:00Z").write(connection_path(run_dir, "stale"))
    assert running_kernels(run_dir) == [INFO, older]
    assert resolve("auto", run_dir, {}) == INFO


def test_a_kernel_is_found_by_id_path_port_and_url(run_dir: Path, start: StartKernel) -> None:
    start(INFO)
    path = str(connection_path(run_dir, "port-9555"))
    for target in ("port-9555", path, "localhost:9555", "127.0.0.1:9555", "[::1]:9555"):
        assert resolve(target, run_dir, {}) == INFO, target
    assert resolve(INFO.to_url(), run_dir, {}).key == INFO.key


def test_the_key_may_come_from_the_environment(run_dir: Path) -> None:
    env = {"LLMSPELL_KEY": "from the environment"}
    for target in ("gpu-box:9555", "llmspell://gpu-box:9555", "127.0.0.1:9555"):
        assert resolve(target, run_dir, env).key == "from the environment", target
    assert resolve("llmspell://gpu-box:9555?key=own", run_dir, env).key == "own"


@pytest.mark.parametrize(
    ("target", "kind", "says", "hint"),
    [
        ("auto", KernelUnreachable, "no kernel is running", "kernel start"),
        ("abc123", NotFound, "no kernel 'abc123'", "kernel start"),
        ("stale", KernelUnreachable, "not running", "--id stale"),
        ("127.0.0.1:9555", KernelUnreachable, "port 9555", "kernel status"),
        ("gpu-box:9555", Unauthorized, "needs its key", "kernel status --url"),
        ("llmspell://gpu-box:9555", Unauthorized, "no key", "LLMSPELL_KEY"),
        ("./kernel-x.json", NotFound, "kernel-x.json", "kernel status"),
        ("a b", InvalidRequest, "not a kernel id", None),
        ("..", InvalidRequest, "not a kernel id", None),
    ],
)
def test_a_target_that_leads_nowhere_says_so_and_what_to_do(
    run_dir: Path, target: str, kind: type[LlmspellError], says: str, hint: str | None
) -> None:
    INFO._replace(id="stale").write(connection_path(run_dir, "stale"))
    with pytest.raises(kind, match=says) as caught:
        resolve(target, run_dir, {})
    assert type(caught.value) is kind
    assert hint is None or hint in (caught.value.hint or "")


def test_the_kernels_that_run_are_named_when_an_id_is_wrong(run_dir: Path, start: StartKernel) -> None:
    start(INFO)
    with pytest.raises(NotFound) as caught:
        resolve("port-9999", run_dir, {})
    assert caught.value.hint == "running: port-9555"


def test_every_channel_has_its_port() -> None:
    assert tuple(INFO.ports) == CHANNELS
    assert list(INFO.ports.values()) == [9555, 9556, 9557, 9558, 9559]
