"""`llmspell events` on a running kernel: what it follows, how it ends, and what a run tells of hooks in both modes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_protocol.client.sync import Client
from tests.support.command_line import Running, llmspell
from tests.support.kernels import KernelProcess
from tests.support.steering import wait_until

PUBLISH = "Event.publish('order.placed', {id = 7, note = 'a\\nb'}) Event.publish('other', 1)"


@pytest.fixture
def kernel(home: Path) -> Iterator[KernelProcess]:
    running = KernelProcess()
    yield running
    running.stop()


def until_followed(kernel: KernelProcess, client: Client, count: int = 1) -> None:
    def holds(_: object) -> bool:
        reply = client.request("event_request", {"action": "subscriptions"}).result()
        return int(reply.content["count"]) == count

    wait_until(client, holds)


def publish(client: Client) -> None:
    client.request("execute_request", {"code": PUBLISH, "allow_stdin": False}).result()


def test_follow_shows_a_line_an_event_until_ctrl_c(kernel: KernelProcess) -> None:
    following = Running("events", "--follow", "order.*")
    with kernel.client() as client:
        until_followed(kernel, client)
        publish(client)
        following.wait_for("\n")
        following.interrupt()
        done = following.done()
        until_followed(kernel, client, 0)
    [line] = done.out.splitlines()
    time, event_type, data = line.split(" ", 2)
    assert (time[-1], event_type, json.loads(data)) == ("Z", "order.placed", {"id": 7, "note": "a\nb"})
    assert (done.status, done.err.strip()) == (130, "Cancelled")


def test_follow_shows_no_secrets_and_scripts_have_them(kernel: KernelProcess) -> None:
    following = Running("events", "--follow", "x", "-n", "1", "--json")
    with kernel.client() as client:
        until_followed(kernel, client)
        code = (
            "local id = Event.subscribe('x') Event.publish('x', {api_key = 'canary', note = 'password=hunter22'}) "
            "local got = Event.receive(id).data print(got.api_key, got.note)"
        )
        at = ["--connect", str(kernel.started["connection_file"])]
        assert llmspell(*at, "exec", code).out == "canary\tpassword=hunter22\n"
        done = following.done()
    assert done.events[0]["published"]["data"] == {"api_key": "***", "note": "password=***"}
    assert "canary" not in done.out


def test_follow_in_json_mode_is_one_object_an_event(kernel: KernelProcess) -> None:
    following = Running("events", "-f", "-n", "2", "--json")
    with kernel.client() as client:
        until_followed(kernel, client)
        publish(client)
        done = following.done()
    first, second, end = done.events
    assert (first["event"], first["dropped"], first["published"]["data"]) == ("published", 0, {"id": 7, "note": "a\nb"})
    assert second["published"]["event_type"] == "other"
    assert (end["event"], end["events"], end["mode"]) == ("end", 2, "connected")
    assert (done.status, done.err) == (0, "")


def test_a_closed_pipe_ends_it_quietly(kernel: KernelProcess) -> None:
    following = Running("events", "--follow", keep_out=True)
    with kernel.client() as client:
        until_followed(kernel, client)
        assert following.process.stdout is not None
        following.process.stdout.close()
        publish(client)
        done = following.done()
    assert (done.status, done.err) == (0, "")


def test_a_kernel_that_ends_is_said(kernel: KernelProcess) -> None:
    following = Running("events", "--follow", "order.*")
    with kernel.client() as client:
        until_followed(kernel, client)
    kernel.stop()
    done = following.done()
    assert done.status == 0
    assert "the kernel is shutting down" in done.err


def test_without_follow_it_shows_counts_and_who_has_subscribed(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        code = "Event.subscribe('order.*') " + PUBLISH
        client.request("execute_request", {"code": code, "allow_stdin": False}).result()
        text = llmspell("events").out
        found = llmspell("events", "--json").document
    assert "Published: 2" in text
    assert "order.*" in text
    assert found["events_processed"] == 2
    assert [(one["pattern"], one["waiting"]) for one in found["subscriptions"]] == [("order.*", 1)]


def test_what_makes_no_sense_is_refused(home: Path) -> None:
    alone = llmspell("events", "order.*")
    assert (alone.status, alone.err.splitlines()[-1]) == (2, "Hint: add --follow")
    assert llmspell("events").status == 4


@pytest.mark.parametrize("mode", ["embedded", "connected"])
def test_a_run_tells_of_a_hook_that_is_switched_off_once(home: Path, tmp_path: Path, mode: str) -> None:
    script = tmp_path / "hooked.lua"
    script.write_text(
        "Hook.register('BeforeToolExecution', function() error('broken') end)\n"
        "for i = 1, 7 do print(Tool.execute('calculator', {input = '6 * ' .. i}).output) end\n"
    )
    if mode == "embedded":
        done = llmspell("--embedded", "run", str(script))
    else:
        kernel = KernelProcess()
        done = llmspell("run", str(script))
        kernel.stop()
    assert done.status == 0
    assert done.out.splitlines() == ["6", "12", "18", "24", "30", "36", "42"]
    assert done.err.count(":1: broken") == 5
    assert done.err.count("is switched off: it failed 5 times in a row") == 1
    assert len(done.err.splitlines()) == 6


@pytest.mark.parametrize("mode", ["embedded", "connected"])
def test_built_in_hooks_of_the_configuration_work_in_both_modes(home: Path, mode: str) -> None:
    (home / "config.toml").write_text(
        '[hooks]\nbuiltin = ["rate_limit", "caching", "metrics"]\n[hooks.rate_limit]\nper_minute = 2\n'
        '[hooks.caching]\ncomponents = ["uuid-generator"]\n'
    )
    code = (
        "local one, two = Tool.execute('uuid-generator', {}).output, Tool.execute('uuid-generator', {}).output "
        "local ok, err = pcall(Tool.execute, 'uuid-generator', {}) "
        "return {one == two, err, Hook.get_stats().builtin.metrics['tool uuid-generator'].completed, #Hook.list() > 3}"
    )
    if mode == "embedded":
        done = llmspell("--embedded", "exec", code, "--json")
    else:
        kernel = KernelProcess()
        done = llmspell("exec", code, "--json")
        kernel.stop()
    same, said, completed, listed = done.document["result"]
    assert same
    assert said.startswith("Operation cancelled by hook: rate limit: tool 'uuid-generator' was executed 2 times")
    assert completed == 1
    assert listed


def test_built_in_hooks_count_what_commands_ask_for(home: Path) -> None:
    (home / "config.toml").write_text(
        '[hooks]\nbuiltin = ["rate_limit", "cost_tracking", "security"]\n[hooks.rate_limit]\nper_minute = 1\n'
        "[hooks.cost_tracking]\noutput_prices = { '*' = 1000000.0 }\n"
    )
    kernel = KernelProcess()
    try:
        assert llmspell("chat", "mock/a", "--message", "hello").out == "[mock/a] hello\n"
        again = llmspell("chat", "mock/a", "--message", "hello")
        assert again.status == 1
        assert "Operation cancelled by hook: rate limit: " in again.err
        tool = ("tool", "invoke", "calculator", "--params", '{"input": "6*7"}', "--json")
        assert llmspell(*tool).document["output"] == 42
        refused = llmspell(*tool)
        assert (refused.status, refused.error["details"]["hook"]) == (1, "rate_limit")
        read = '{"operation": "read", "path": "/etc/shadow"}'
        assert llmspell("tool", "invoke", "file-operations", "--params", read).status == 1
        stats = llmspell("exec", "return Hook.get_stats().builtin", "--json").document["result"]
        assert stats["cost_tracking"]["cost_usd"] > 0
        assert stats["security"]["violations"] == 1
    finally:
        kernel.stop()


def test_events_are_exported_to_standard_output_or_as_events_beside_a_document(home: Path) -> None:
    (home / "config.toml").write_text(
        "[events.export]\nstdout = true\n[events.filtering]\ninclude_types = ['order.*']\n"
    )
    environment = {"SOME_API_KEY": "canary-0123456789"}
    code = "Event.publish('order.placed', {secret = 'canary', text = 'canary-0123456789'}) return 1"
    done = llmspell("--embedded", "exec", code, env=environment)
    lines = [json.loads(line) for line in done.out.splitlines() if line.startswith("{")]
    assert [line["data"] for line in lines] == [{"secret": "***", "text": "***"}]
    done = llmspell("--embedded", "exec", code, "--json", env=environment)
    assert done.document["result"] == 1
    [told] = [json.loads(line) for line in done.err.splitlines()]
    assert told["event"] == "published"
    assert told["published"]["data"] == {"secret": "***", "text": "***"}
    assert os.environ.get("SOME_API_KEY") is None
