"""The configuration read again by a kernel that runs: what counts at once, at the next load, or after a restart."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from llmspell_kernel.embedded import EmbeddedKernel
from llmspell_protocol.client.events import Delta
from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import BackendNotConfigured, Busy, ConfigError
from tests.support.kernels import KernelProcess
from tests.support.ollama_replay import OllamaReplay
from tests.support.steering import ask_kernel, wait_until

ISOLATED = {"llmspell": {"isolated": True, "name": "test.lua"}}


@pytest.fixture
def config(home: Path, tmp_path: Path) -> Path:
    """The configuration file, which tests write before and while the kernel runs."""
    path = tmp_path / "changing.toml"
    path.write_text("")
    return path


@contextmanager
def standing(config: Path) -> Iterator[Client]:
    kernel = KernelProcess(["--config", str(config)])
    try:
        with kernel.client() as client:
            yield client
    finally:
        kernel.stop()


@contextmanager
def embedded(config: Path) -> Iterator[Client]:
    kernel = EmbeddedKernel.start(config=config, env=os.environ, cwd=config.parent)
    try:
        kernel.wait()
        with Client(kernel.info, context=kernel.context) as client:
            yield client.connect()
    finally:
        kernel.stop()


@pytest.fixture(params=[standing, embedded], ids=["connected", "embedded"])
def serving(request: pytest.FixtureRequest) -> Callable[[Path], Any]:
    """A kernel of its own, or one inside this process."""
    return request.param  # type: ignore[no-any-return]


def reload(client: Client) -> dict[str, Any]:
    return ask_kernel(client, "reload_config")


def backend(client: Client, name: str) -> dict[str, Any]:
    content = client.request("model_request", {"action": "status"}).result().content
    return dict(content["backends"][name])


def test_a_reload_says_of_each_key_when_it_counts(config: Path, serving: Callable[[Path], Any]) -> None:
    config.write_text('[engines.lua]\nstdlib = "Standard"\n[providers.candle]\n')
    with serving(config) as client:
        config.write_text(
            '[engines.lua]\nstdlib = "Basic"\n'
            '[runtime]\nlog_level = "error"\nscript_timeout_seconds = 7\n'
            '[kernel]\ntransport = "ipc"\nmax_clients = 3\nidle_timeout_seconds = 600\ndrain_timeout_seconds = 3\n'
            'log_format = "json"\nlog_rotate_size = 1000\n'
            '[models]\nmemory_budget_bytes = "1 GB"\nkeep_alive = "1m"\nmax_queue = 3\nstream_window_ms = 5\n'
            '[providers.candle]\ntemperature = 0.1\ncontext_size = 512\nmodel_directory = "/elsewhere"\n'
        )
        told = reload(client)
        again = reload(client)
        shown = ask_kernel(client, "config")["config"]
        types = client.request("execute_request", {"code": "return type(require)"}, metadata=ISOLATED).result()
    assert told["applied"] == [
        "engines.lua.stdlib",
        *("kernel.drain_timeout_seconds", "kernel.idle_timeout_seconds", "kernel.log_format"),
        *("kernel.log_rotate_size", "kernel.max_clients"),
        *("models.keep_alive", "models.max_queue"),
        "providers.candle.temperature",
        *("runtime.log_level", "runtime.script_timeout_seconds"),
    ]
    assert told["at_next_load"] == ["models.stream_window_ms", "providers.candle.context_size"]
    assert told["restart_needed"] == [
        *("kernel.transport", "models.memory_budget_bytes", "providers.candle.model_directory")
    ]
    assert (again["applied"], again["at_next_load"]) == ([], [])
    assert again["restart_needed"] == told["restart_needed"]
    assert types.content["result"] == "nil", "the sandbox is that of the new standard library"
    assert shown["kernel"]["max_clients"] == 3
    assert shown["kernel"]["transport"] == "tcp", "what needs a restart is not in force"
    assert shown["providers"]["candle"]["model_directory"] != "/elsewhere"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ('[engines.lua]\nstdlib = "nonsense"\n', r"changing.toml:2 engines.lua.stdlib: 'nonsense' is not one of"),
        ("[kernel\n", "changing.toml:1.* is not valid TOML"),
    ],
)
def test_a_reload_that_does_not_validate_is_refused_and_the_old_settings_stay(
    broken: str, reason: str, config: Path, serving: Callable[[Path], Any]
) -> None:
    config.write_text("[kernel]\nmax_clients = 5\n")
    with serving(config) as client:
        config.write_text(broken)
        with pytest.raises(ConfigError, match=reason):
            reload(client)
        config.unlink()
        with pytest.raises(ConfigError, match="configuration file not found"):
            reload(client)
        assert ask_kernel(client, "config", section="kernel")["config"]["max_clients"] == 5


def test_a_provider_is_asked_at_its_new_address_while_a_running_stream_goes_on(
    config: Path, serving: Callable[[Path], Any]
) -> None:
    talk = {
        "action": "chat",
        "model": "smollm2:135m@ollama",
        "messages": [{"role": "user", "content": "Hi"}],
        "options": {"max_tokens": 32},
    }
    with (
        OllamaReplay("064-chat-stream", hold_after=5) as before,
        OllamaReplay("003-version", "033-tags-two") as after,
    ):
        config.write_text(f'[providers.ollama]\nbase_url = "{before.base_url}"\n')
        with serving(config) as client:
            running = client.request("model_request", talk)
            assert isinstance(next(iter(running)), Delta)
            config.write_text(f'[providers.ollama]\nbase_url = "{after.base_url}"\ntimeout_seconds = 9\n')
            told = reload(client)
            asked_before = len(before.asked)
            assert told["applied"] == ["providers.ollama.base_url", "providers.ollama.timeout_seconds"]
            assert backend(client, "ollama")["base_url"] == after.base_url
            assert backend(client, "ollama")["running"]
            assert not before.closed_by_client.is_set()
            before.release()
            assert running.result().content["finish_reason"] == "length"
            assert backend(client, "ollama")["running"]
        assert len(before.asked) == asked_before


def test_providers_come_and_go_and_so_does_the_default_model(config: Path, serving: Callable[[Path], Any]) -> None:
    config.write_text('[providers.candle]\ndefault_model = "one"\n')
    info = {"action": "info", "model": ""}
    with serving(config) as client:
        with pytest.raises(Exception, match="Model 'one'"):
            client.request("model_request", info).result()
        config.write_text('[providers.candle]\ndefault_model = "two"\n')
        assert reload(client)["applied"] == ["providers.candle.default_model"]
        with pytest.raises(Exception, match="Model 'two'"):
            client.request("model_request", info).result()
        config.write_text('[providers.ollama]\nbase_url = "http://127.0.0.1:9"\n')
        applied = ["providers.candle.default_model", "providers.ollama.base_url"]
        assert reload(client)["applied"] == applied
        config.write_text('[providers.candle]\nenabled = false\n[providers.ollama]\nbase_url = "http://127.0.0.1:9"\n')
        assert reload(client)["applied"] == ["providers.candle.enabled", "providers.default_provider"]
        assert backend(client, "ollama")["configured"]
        assert not backend(client, "candle")["configured"]
        with pytest.raises(BackendNotConfigured):
            client.request("model_request", {"action": "list", "backend": "candle"}).result()


def test_the_log_level_and_the_form_of_the_log_change_while_the_kernel_runs(config: Path, home: Path) -> None:
    kernel = KernelProcess(["--config", str(config)])
    path = Path(kernel.started["log_file"])
    with kernel.client() as client:
        ask_kernel(client, "status")
        assert "[DEBUG]" not in path.read_text()
        config.write_text('[runtime]\nlog_level = "debug"\n')
        reload(client)
        config.write_text('[runtime]\nlog_level = "debug"\n[kernel]\nlog_format = "json"\n')
        reload(client)
    kernel.stop()
    _started, first, *_, last = path.read_text().splitlines()
    assert "[INFO] configuration reloaded; applied: runtime.log_level; " in first
    assert '"message": "kernel' in last


def test_the_limit_of_clients_changes_for_connected_ones_too(config: Path) -> None:
    config.write_text("[kernel]\nmax_clients = 1\n")
    kernel = KernelProcess(["--config", str(config)])
    listing = {"action": "list"}
    try:
        with kernel.client() as first, kernel.client() as second:
            first.request("model_request", listing).result()
            with pytest.raises(Busy, match="the kernel serves 1 clients already"):
                second.request("model_request", listing).result()
            config.write_text("[kernel]\nmax_clients = 2\n")
            # Even a client above the limit may ask for it: the limit could not be raised otherwise.
            assert reload(second)["applied"] == ["kernel.max_clients"]
            second.request("model_request", listing).result()
    finally:
        kernel.stop()


def test_an_idle_timeout_that_is_set_later_ends_the_kernel(config: Path) -> None:
    kernel = KernelProcess(["--config", str(config)])
    with kernel.client() as client:
        config.write_text("[kernel]\nidle_timeout_seconds = 1\n")
        assert reload(client)["applied"] == ["kernel.idle_timeout_seconds"]
        code = "local t = os.clock() while os.clock() - t < 1.2 do end return 'done'"
        assert client.request("execute_request", {"code": code}, metadata=ISOLATED).result().content["result"] == "done"
    assert kernel.wait() == 0, "it ended by itself after the client had gone"


def test_sighup_reloads_and_what_does_not_validate_is_logged(config: Path) -> None:
    config.write_text("[kernel]\ndrain_timeout_seconds = 11\n")
    kernel = KernelProcess(["--config", str(config)])
    log = Path(kernel.started["log_file"])
    try:
        with kernel.client() as client:
            config.write_text('[kernel]\ndrain_timeout_seconds = 12\n[runtime]\nlog_level = "info"\n')
            kernel.signal(signal.SIGHUP)
            wait_until(client, lambda _: "configuration reloaded" in log.read_text())
            assert ask_kernel(client, "config", section="kernel")["config"]["drain_timeout_seconds"] == 12
            config.write_text("[kernel]\ndrain_timeout_seconds = 'soon'\n")
            kernel.signal(signal.SIGHUP)
            wait_until(client, lambda _: "the old settings stay" in log.read_text())
            assert ask_kernel(client, "config", section="kernel")["config"]["drain_timeout_seconds"] == 12
    finally:
        kernel.stop()
    assert "drain_timeout_seconds: expected an integer" in log.read_text()


def test_more_scripts_may_run_at_once_as_soon_as_the_settings_say_so(config: Path) -> None:
    config.write_text("[runtime]\nmax_concurrent_scripts = 1\n")
    with standing(config) as client:
        first = client.request("execute_request", {"code": "print(1) while true do end"}, metadata=ISOLATED)
        assert isinstance(next(iter(first)), Delta)
        second = client.request("execute_request", {"code": "return 2"}, metadata=ISOLATED)
        wait_until(client, lambda status: status["active_requests"] == 2)
        config.write_text("[runtime]\nmax_concurrent_scripts = 2\n")
        reload(client)
        assert second.result().content["result"] == 2
        client.request("kernel_request", {"action": "cancel", "msg_id": first.msg_id}).result()


@pytest.mark.slow
def test_a_loaded_model_stays_with_its_old_context_until_it_is_loaded_again(config: Path, smollm2_path: Path) -> None:
    config.write_text("[providers.candle]\ncontext_size = 512\n[models]\nkeep_alive = -1\n")
    with standing(config) as client:
        pull = {"action": "pull", "model": f"file://{smollm2_path}@candle"}
        model = client.request("model_request", pull).result().content["model_id"] + "@candle"

        def ask(action: str, **content: Any) -> dict[str, Any]:
            return dict(client.request("model_request", {"action": action, **content}).result().content)

        def resident() -> dict[str, Any]:
            [only] = ask("ps")["models"]
            return dict(only)

        ask("load", model=model)
        before = resident()
        talk = {"action": "generate", "model": model, "prompt": "Count.", "options": {"max_tokens": 100, "seed": 1}}
        running = client.request("model_request", talk)
        next(event for event in running if isinstance(event, Delta))
        config.write_text(
            f'[providers.candle]\ncontext_size = 1024\n[models]\nkeep_alive = "50s"\npin = ["{model}"]\nmax_queue = 2\n'
        )
        told = reload(client)
        assert told["at_next_load"] == ["providers.candle.context_size"]
        assert running.result().content["usage"]["completion_tokens"] > 10
        assert resident()["pid"] == before["pid"]
        wait_until(client, lambda _: bool(resident()["pinned"]))

        config.write_text('[providers.candle]\ncontext_size = 1024\n[models]\nkeep_alive = "50s"\n')
        reload(client)
        wait_until(client, lambda _: not resident()["pinned"] and resident()["expires_at"] is not None)
        ask("unload", model=model)
        ask("generate", model=model, prompt="x", options={"max_tokens": 1})
        assert (before["context_size"], resident()["context_size"]) == (512, 1024)

        worker = psutil.Process(resident()["pid"])
        config.write_text("[providers.candle]\nenabled = false\n")
        reload(client)
        assert psutil.wait_procs([worker], timeout=20)[1] == [], "the models of a provider that is gone go as well"


def test_pins_of_a_backend_that_keeps_its_models_itself_come_and_go(config: Path) -> None:
    kernel = KernelProcess(["--config", str(config)])
    log = Path(kernel.started["log_file"])
    try:
        with kernel.client() as client:
            config.write_text('[models]\npin = ["mock/pinned", "nosuch@candle"]\n[providers.candle]\n')
            assert reload(client)["applied"] == ["models.pin"]
            wait_until(client, lambda _: "pinned model nosuch@candle is not loaded" in log.read_text())
            [loaded] = client.request("model_request", {"action": "ps"}).result().content["models"]
            assert loaded["model"].endswith("pinned")
            config.write_text('[models]\npin = ["nosuch@candle"]\n[providers.candle]\n')
            assert reload(client)["applied"] == ["models.pin"]
    finally:
        kernel.stop()
    assert "stays pinned" not in log.read_text()
