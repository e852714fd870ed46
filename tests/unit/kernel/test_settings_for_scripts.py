"""The settings that scripts are told: all of them, and no secret at any depth."""

from __future__ import annotations

import json
from pathlib import Path

from llmspell_kernel.configuration import REDACTED, settings_for_scripts
from tests.support.settings import load

CANARY = "canary"
PLACES = """
[providers.openai]
api_key = "canary-1"
base_url = "https://me:canary-2@example.org/v1"
[providers.openai.options]
auth_token = "canary-4"
nested = {deep = {deeper = {password = "canary-5", plain = "shown-1"}, alone = {secret = "canary-3"}}}
client_secrets = ["canary-6"]
list = [{cookie = "canary-7"}, {plain = "shown-2"}]
[providers.candle]
[tools.email]
smtp_password = "canary-8"
[tools.search]
api_key = "canary-9"
[tools.http_request.default_headers]
Authorization = "Bearer canary-10"
Accept = "shown-3"
[tools.mine.below]
my_secret = "canary-11"
[mcp.servers.one]
command = "server"
args = ["--api-key", "canary-12", "--token=canary-13", "Authorization: canary-14", "SOME_KEY=canary-15", "shown-4"]
env = {API_TOKEN = "canary-16", PLAIN = "shown-5", OF_STORE = {secret = "shown-6"}}
[mcp.servers.two]
url = "https://example.org/mcp?key=canary-17"
headers = {X-Api-Key = "canary-18"}
"""


def test_no_secret_reaches_a_script_and_all_else_does(tmp_path: Path) -> None:
    loaded = load(tmp_path, PLACES, LLMSPELL_PROVIDERS__OPENAI__OPTIONS__SESSION_TOKEN="canary-19")
    settings = settings_for_scripts(loaded)
    text = json.dumps(settings)
    assert CANARY not in text
    assert [f"shown-{number}" in text for number in range(1, 7)] == [True] * 6
    assert settings["providers"]["openai"]["api_key"] == REDACTED
    assert settings["providers"]["openai"]["options"]["nested"]["deep"]["deeper"]["password"] == REDACTED


def test_what_is_unset_is_left_out(tmp_path: Path) -> None:
    settings = settings_for_scripts(load(tmp_path, "[providers.openai]\n"))
    assert "api_key" not in settings["providers"]["openai"]
    assert settings["default_engine"] == "lua"
    assert settings["kernel"]["port"] == 9555
