"""The globals Config and Provider: what they give of a kernel's answers, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.lua_kernel import LuaBench, reply

SETTINGS = {
    "default_engine": "lua",
    "providers": {
        "default_provider": "candle",
        "openai": {"api_key": "<REDACTED>", "default_model": "gpt-4o", "temperature": 0.7},
        "candle": {"provider_type": "candle"},
        "my.server": {"base_url": "http://127.0.0.1:1"},
    },
    "runtime": {
        "security": {
            "allow_file_access": False,
            "allow_network_access": True,
            "allow_process_spawn": False,
            "max_memory_bytes": 50,
            "max_execution_time_ms": 60,
        }
    },
    "tools": {"system": {"allow_process_execution": False}, "permissions": {"read": ["/data"]}},
}
CANDLE = {
    "name": "candle",
    "type": "candle",
    "enabled": True,
    "available": True,
    "default_model": "smollm2:135m",
    "streaming": True,
    "images": False,
    "context_tokens": 4096,
    "models": ["smollm2:135m"],
}
OPENAI = {"name": "openai", "type": "openai", "enabled": True, "available": False, "reason": "no key", "images": True}


@pytest.fixture
def bench() -> LuaBench:
    bench = LuaBench()
    bench.kernel.answers["kernel settings"] = reply(settings=SETTINGS)
    bench.kernel.answers["model providers"] = reply(providers=[CANDLE, OPENAI])
    bench.kernel.answers["agent create"] = reply(agent={"id": "1", "name": "a", "model": "m"})
    return bench


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("Config.get().default_engine", "lua"),
        ("Config.get('tools.system.allow_process_execution')", False),
        ("Config:get('tools.permissions.read')", ["/data"]),
        ("Config.get('providers.my.server.base_url')", "http://127.0.0.1:1"),
        ("Config.get('providers.nosuch.base_url')", None),
        ("Config.get('default_engine.more')", None),
        ("Config.get('')", None),
        ("Config.getDefaultEngine()", "lua"),
        ("Config.getProvider('openai').api_key", "<REDACTED>"),
        ("Config.getProvider('default_provider')", None),
        ("Config.listProviders()", ["candle", "my.server", "openai"]),
        ("Config.getSecurity()", SETTINGS["runtime"]["security"]),
        ("Config.getTools()", SETTINGS["tools"]),
        ("Config.getSection('tools.system')", {"allow_process_execution": False}),
        ("Config.getSection('default_engine')", None),
        (
            "{Config.isFileAccessAllowed(), Config.isNetworkAccessAllowed(), Config.isProcessSpawnAllowed()}",
            [False, True, False],
        ),
        ("Config.getPermissions().read", True),
        ("Config.getPermissions().modify_providers", False),
        ("Config.getPermissions().access_secrets", False),
        ("JSON.parse(Config.toJson()).providers.candle.provider_type", "candle"),
    ],
)
def test_each_function_gives_its_part_of_the_settings(bench: LuaBench, code: str, value: Any) -> None:
    assert bench.value(f"return {code}") == value


def test_what_a_script_gets_is_a_copy(bench: LuaBench) -> None:
    assert (
        bench.value("Config.get('tools').system.allow_process_execution = true return Config.getTools()")
        == SETTINGS["tools"]
    )


def test_the_settings_are_asked_for_once_a_run(bench: LuaBench) -> None:
    bench.run("Config.get() Config.getTools() Config.listProviders()")
    assert len(bench.kernel.requests) == 1
    changed = {**SETTINGS, "default_engine": "other"}
    bench.kernel.answers["kernel settings"] = reply(settings=changed)
    assert bench.value("return Config.getDefaultEngine()") == "other"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "Config.addAllowedPath('/etc')",
            "Security violation: a script can't widen what it may touch; run it with --allow-read=/etc",
        ),
        ("Config.setSecurity({})", "Security violation: a script can't change what scripts may do"),
        ("Config.setProvider('openai', {base_url = 'http://x'})", "Security violation: a script can't set 'base_url'"),
        ("Config.setProvider('openai', {api_key = 'k'})", "Security violation: a script can't set 'api_key'"),
        (
            "Config.setProvider('new', {default_model = 'x'})",
            "Security violation: a script can't add providers, and 'new'",
        ),
        ("Config.restoreSnapshot(5)", "Snapshot not found: 5"),
        ("Config.get(5)", "bad argument #1 to 'Config.get' (string expected, got number)"),
    ],
)
def test_what_would_widen_a_scripts_rights_is_refused(bench: LuaBench, code: str, message: str) -> None:
    assert bench.caught(code).startswith(message)


def test_what_a_script_sets_for_a_provider_holds_for_it_and_its_agents(bench: LuaBench) -> None:
    bench.run("Config.setProvider('openai', {default_model = 'gpt-5', temperature = 0})")
    assert bench.value("return Config.getProvider('openai').default_model") == "gpt-5"
    assert bench.value("return Provider.get('openai').default_model") == "gpt-5"
    bench.run("Agent.builder():provider('openai'):build()")
    created = bench.kernel.requests[-1][1]
    assert (created["model"], created["options"]["temperature"]) == ("openai/gpt-5", 0)
    bench.run("Agent.builder():provider('openai'):model('gpt-4o'):temperature(1):build()")
    created = bench.kernel.requests[-1][1]
    assert (created["model"], created["options"]["temperature"]) == ("openai/gpt-4o", 1)


def test_a_snapshot_brings_back_what_was_set(bench: LuaBench) -> None:
    code = (
        "Config.setProvider('openai', {temperature = 1}) local one = Config.snapshot() "
        "Config.setProvider('openai', {temperature = 2}) local two = Config.snapshot() "
        "Config.restoreSnapshot(one) local after = Config.get('providers.openai.temperature') "
        "Config.restoreSnapshot(two) return {after, Config.get('providers.openai.temperature'), one < two}"
    )
    assert bench.value(code) == [1, 2, True]


def test_ten_snapshots_are_kept(bench: LuaBench) -> None:
    assert bench.caught(
        "local first = Config.snapshot() for _ = 1, 10 do Config.snapshot() end Config.restoreSnapshot(first)"
    ).startswith("Snapshot not found: ")


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("Provider.list()[1].name", "candle"),
        ("#Provider.list()", 2),
        ("table.concat(Provider.list(), ', ')", "candle, openai"),
        ("table.concat({'one of', Provider.list()[2]}, ' ')", "one of openai"),
        ("'use ' .. Provider.list()[1]", "use candle"),
        ("tostring(Provider.get('openai'))", "openai"),
        ("Provider.get('nosuch')", None),
        (
            "Provider.getCapabilities('candle')",
            {
                "supports_streaming": True,
                "supports_multimodal": False,
                "max_context_tokens": 4096,
                "available_models": ["smollm2:135m"],
            },
        ),
        ("Provider.getCapabilities('openai').supports_multimodal", True),
        ("Provider.getCapabilities('nosuch')", None),
        (
            "{Provider.isAvailable('candle'), Provider.isAvailable('openai'), Provider.isAvailable('nosuch')}",
            [True, False, False],
        ),
        ("Provider.get('openai').reason", "no key"),
    ],
)
def test_providers_are_told_as_the_kernel_knows_them(bench: LuaBench, code: str, value: Any) -> None:
    assert bench.value(f"return {code}") == value


def test_an_agent_takes_a_provider_from_the_list(bench: LuaBench) -> None:
    bench.run("local p = Provider.list() Agent.builder().provider(p[1]).model('m').system_prompt('s').build()")
    assert bench.kernel.requests[-1][1]["model"] == "m@candle"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "local t = table.concat({1, {}}) return t",
            "test.lua:1: invalid value (table) at index 2 in table for 'concat'",
        ),
        ("local t = table.concat(nil) return t", "test.lua:1: bad argument #1 to 'concat' (table expected, got nil)"),
        (
            "local t = table.concat({1}, {}) return t",
            "test.lua:1: bad argument #2 to 'concat' (string expected, got table)",
        ),
    ],
)
def test_joining_what_is_no_text_fails_as_in_lua(bench: LuaBench, code: str, message: str) -> None:
    assert bench.failure(code).message == message


def test_joining_numbers_and_texts_is_as_in_lua(bench: LuaBench) -> None:
    assert bench.value(
        "return {table.concat({1, 'b', 2.5}, '-'), table.concat({1, 2, 3}, ',', 2, 3), table.concat({})}"
    ) == [
        "1-b-2.5",
        "2,3",
        "",
    ]
