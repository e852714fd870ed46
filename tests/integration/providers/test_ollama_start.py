"""`auto_start`: Ollama is started when it is wanted and down, and ended only by the kernel that started it."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import psutil
import pytest

from llmspell_protocol.errors import BackendUnavailable
from llmspell_providers.ollama.provider import OllamaProvider
from tests.support.command_line import llmspell
from tests.support.kernels import KernelProcess
from tests.support.model_server import ModelServer
from tests.support.ollama_backend import ollama_backend
from tests.support.ollama_program import OllamaProgram, is_alive
from tests.support.ollama_replay import OllamaReplay

LISTS = ("033-tags-two", "010-ps-empty")


@pytest.fixture
def port() -> int:
    """A free one: a connection to it is refused."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


def _provider(port: int, home: Path, program: OllamaProgram, **variables: str) -> OllamaProvider:
    environment = {"PATH": program.path, **variables}
    return ollama_backend(f"http://127.0.0.1:{port}", home, "auto_start = true\n", environment)


def test_it_is_started_when_it_is_wanted_and_ended_on_closing(port: int, tmp_path: Path) -> None:
    program = OllamaProgram(tmp_path / "bin", *LISTS)

    async def scenario() -> None:
        provider = _provider(port, tmp_path, program, OPENAI_API_KEY="secret", OLLAMA_MODELS="/data", HOME="/root")
        # Asking how it is does not start it.
        assert not (await provider.health()).ready
        assert program.starts == []
        # Who comes while it starts waits for the same one.
        lists = await asyncio.gather(*(provider.list_models() for _ in range(4)))
        assert [len(models) for models in lists] == [2] * 4
        assert (await provider.health()).ready
        (start,) = program.starts
        assert is_alive(start["pid"])
        assert start["own_group"]
        assert {"HOME", "OLLAMA_HOST", "OLLAMA_MODELS", "PATH"} <= set(start["variables"])
        assert "OPENAI_API_KEY" not in start["variables"]
        await provider.close()
        assert not is_alive(start["pid"])

    asyncio.run(scenario())


def test_one_that_runs_already_is_used_and_left_alone(tmp_path: Path) -> None:
    program = OllamaProgram(tmp_path / "bin", *LISTS)

    async def scenario(base_url: str) -> None:
        provider = ollama_backend(base_url, tmp_path, "auto_start = true\n", {"PATH": program.path})
        assert len(await provider.list_models()) == 2
        await provider.close()
        assert (await ollama_backend(base_url, tmp_path).health()).ready

    with OllamaReplay(*LISTS) as ollama:
        asyncio.run(scenario(ollama.base_url))
    assert program.starts == []


def test_one_that_died_is_started_again(port: int, tmp_path: Path) -> None:
    program = OllamaProgram(tmp_path / "bin", *LISTS)

    async def scenario() -> None:
        provider = _provider(port, tmp_path, program)
        await provider.list_models()
        os.kill(program.starts[0]["pid"], 9)
        try:
            models = await provider.list_models()
        except BackendUnavailable:  # asked before its end was noticed; the next request starts it
            models = await provider.list_models()
        assert len(models) == 2
        await provider.close()

    asyncio.run(scenario())
    assert len(program.starts) == 2
    assert not any(is_alive(start["pid"]) for start in program.starts)


@pytest.mark.slow
def test_one_that_does_not_end_when_it_is_asked_to_is_killed(port: int, tmp_path: Path) -> None:
    program = OllamaProgram(tmp_path / "bin", *LISTS)

    async def scenario() -> None:
        provider = _provider(port, tmp_path, program, OLLAMA_DEAF="1")
        await provider.list_models()
        async with asyncio.timeout(20):
            await provider.close()
        assert not is_alive(program.starts[0]["pid"])

    asyncio.run(scenario())


def test_one_that_ends_at_once_is_an_error_with_its_last_words(port: int, tmp_path: Path) -> None:
    async def scenario() -> None:
        provider = _provider(port, tmp_path, OllamaProgram(tmp_path / "bin"))
        with pytest.raises(BackendUnavailable, match="ended at once: Error: no library for this CPU") as caught:
            await provider.list_models()
        assert caught.value.details["log"] == str(tmp_path / "ollama.log")
        await provider.close()

    asyncio.run(scenario())


def test_it_is_not_started_where_something_else_answers(tmp_path: Path) -> None:
    program = OllamaProgram(tmp_path / "bin", *LISTS)

    async def scenario(base_url: str) -> None:
        provider = ollama_backend(base_url, tmp_path, "auto_start = true\n", {"PATH": program.path})
        with pytest.raises(BackendUnavailable, match="something else than Ollama"):
            await provider.list_models()
        await provider.close()

    with ModelServer() as foreign:
        asyncio.run(scenario(foreign.base_url.removesuffix("/v1")))
    assert program.starts == []


def test_without_the_program_it_is_just_down(port: int, tmp_path: Path) -> None:
    async def scenario() -> None:
        environment = {"PATH": str(tmp_path)}
        provider = ollama_backend(f"http://127.0.0.1:{port}", tmp_path, "auto_start = true\n", environment)
        with pytest.raises(BackendUnavailable, match="connection refused"):
            await provider.list_models()

    asyncio.run(scenario())


@pytest.mark.parametrize("extra", ["auto_start = false\n", ""])
def test_it_is_not_started_without_leave(extra: str, port: int, tmp_path: Path) -> None:
    program = OllamaProgram(tmp_path / "bin", *LISTS)

    async def scenario() -> None:
        provider = ollama_backend(f"http://127.0.0.1:{port}", tmp_path, extra, {"PATH": program.path})
        with pytest.raises(BackendUnavailable):
            await provider.list_models()

    asyncio.run(scenario())
    assert program.starts == []


def test_one_at_an_address_that_other_machines_reach_is_not_started(port: int, tmp_path: Path) -> None:
    """An address of this machine stands for another one's: it refuses at once, and is no loopback address either."""
    found = [one.address for each in psutil.net_if_addrs().values() for one in each if one.family == socket.AF_INET]
    addresses = [address for address in found if not address.startswith("127.")]
    if not addresses:
        pytest.skip("this machine has no address but loopback")
    program = OllamaProgram(tmp_path / "bin", *LISTS)

    async def scenario() -> None:
        url = f"http://{addresses[0]}:{port}"
        provider = ollama_backend(url, tmp_path, "auto_start = true\n", {"PATH": program.path})
        with pytest.raises(BackendUnavailable, match="connection refused"):
            await provider.list_models()
        await provider.close()

    asyncio.run(scenario())
    assert program.starts == []


def _configuration(directory: Path, port: int) -> Path:
    path = directory / "with-ollama.toml"
    path.write_text(f'[providers.ollama]\nbase_url = "http://127.0.0.1:{port}"\nauto_start = true\n')
    return path


def test_a_command_with_an_embedded_kernel_starts_and_ends_it(port: int, tmp_path: Path) -> None:
    program = OllamaProgram(tmp_path / "bin", *LISTS)
    config = _configuration(tmp_path, port)
    done = llmspell("-c", str(config), "model", "list", env={"PATH": program.path})
    assert done.status == 0, done.err
    assert "smollm2:135m" in done.out
    (start,) = program.starts
    # The embedded kernel's thread blocks SIGINT; what it starts must not inherit that.
    assert start["blocked"] == []
    assert start["sigint"]
    assert not is_alive(start["pid"])


def test_a_kernel_keeps_what_it_started_until_it_ends(port: int, tmp_path: Path) -> None:
    program = OllamaProgram(tmp_path / "bin", *LISTS)
    kernel = KernelProcess(["--config", str(_configuration(tmp_path, port))], env={"PATH": program.path})
    try:
        with kernel.client() as client:
            for _ in range(2):
                reply = client.request("model_request", {"action": "list"}).result(30)
                assert reply.content["count"] == 2
        (start,) = program.starts
        assert is_alive(start["pid"])
    finally:
        kernel.stop()
    assert not is_alive(start["pid"])
