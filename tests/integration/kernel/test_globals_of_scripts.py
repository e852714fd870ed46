"""The globals of scripts in a real kernel: all are there, Config and Provider tell what holds, and no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import ScriptError
from tests.support.kernels import KernelProcess
from tests.support.script_kernel import ran

ALWAYS = (
    *("JSON", "Logger", "Config", "Debug", "State", "Utils", "Event", "Hook", "Replay", "Tool", "Provider", "Agent"),
    *("Workflow", "Streaming", "LocalLLM"),
)
WITH_SESSIONS = ("Session", "Artifact")
SETTINGS = """
[providers.candle]
[providers.openai]
api_key = "canary-1"
default_model = "gpt-4o-mini"
options = {deep = {deeper = {secret = "canary-2"}}}
[providers.spare]
provider_type = "openai"
base_url = "https://me:canary-3@127.0.0.1:9/v1"
enabled = false
[mcp.servers.one]
command = "no-such-server"
args = ["--token=canary-4"]
enabled = false
"""
THERE = """
local found = {}
for _, name in ipairs(%s) do
  if type(_G[name]) == "table" then found[#found + 1] = name end
end
return found
"""


def answered(home: Path, settings: str, *codes: str, **env: str) -> list[Any]:
    """What scripts return in a kernel with these settings."""
    file = home / "settings.toml"
    file.write_text(settings)
    kernel = KernelProcess(["--config", str(file)], env=env)
    try:
        with kernel.client() as client:
            return [ran(client, code) for code in codes]
    finally:
        kernel.stop()


def test_all_fifteen_globals_are_always_there_and_two_more_with_sessions(home: Path) -> None:
    names = (*ALWAYS, *WITH_SESSIONS, "RAG")
    there = THERE % ("{'" + "', '".join(names) + "'}")
    assert answered(home, "", there) == [list(ALWAYS)]
    assert answered(home, "[runtime.sessions]\nenabled = true\n", there) == [[*ALWAYS, *WITH_SESSIONS]]


def test_a_script_is_told_the_settings_and_no_secret(home: Path) -> None:
    everything, key, own = answered(
        home,
        SETTINGS,
        "return Config.toJson()",
        "return Config.getProvider('openai').api_key",
        "return {Config.get('providers.openai.default_model'), Config.listProviders(), Config.getDefaultEngine()}",
    )
    assert "canary" not in everything
    assert json.loads(everything)["providers"]["openai"]["options"]["deep"]["deeper"]["secret"] == "<REDACTED>"
    assert key == "<REDACTED>"
    assert own == ["gpt-4o-mini", ["candle", "ollama", "openai", "spare"], "lua"]


def test_providers_are_listed_without_asking_one(home: Path) -> None:
    code = (
        "local told = {} for _, p in ipairs(Provider.list()) do "
        "told[p.name] = {p.type, p.enabled, p.available, p.capabilities.supports_streaming} end return told"
    )
    [told, groq] = answered(home, SETTINGS, code, "return Provider.isAvailable('groq')", GROQ_API_KEY="gsk")
    assert told == {
        "candle": ["candle", True, True, True],
        "groq": ["groq", True, True, True],
        "ollama": ["ollama", True, True, True],
        "openai": ["openai", True, True, True],
        "spare": ["openai", False, False, True],
    }
    assert groq is True


BEGINNERS = r"""
local providers = Provider.list()
local names = table.concat(providers, ", ") .. "\n"
local agent = Agent.builder().provider(providers[1]).model("smollm2:135m").system_prompt("Be brief.").build()
return {names, agent.provider, agent.model}
"""


def test_a_beginners_script_joins_providers_and_takes_one(home: Path) -> None:
    assert answered(home, "[providers.candle]\n", BEGINNERS) == [["candle, ollama\n", "candle", "smollm2:135m@candle"]]


@pytest.mark.parametrize(
    "code",
    [
        "Config.addAllowedPath('/')",
        "Config.setSecurity({allow_file_access = true})",
        "Config.setProvider('candle', {base_url = 'x'})",
    ],
)
def test_a_script_can_not_widen_its_rights(home: Path, code: str) -> None:
    with pytest.raises(ScriptError, match="Security violation: "):
        answered(home, "[providers.candle]\n", code)
