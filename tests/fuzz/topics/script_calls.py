"""Every function that a script can reach, called with values it was not made for: an error, but no defect.

The functions are found by walking the globals in the script itself, with the agents, builders and streams that ours
give. What would end or stop the script on purpose is left out.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import ScriptError
from tests.fuzz.request_kernel import trial_kernel
from tests.fuzz.trial import Trial

AT_ONCE = 50
"""Calls in one script."""

_WALK = """
local made = {
  builder = Agent.builder(), agent = Agent.create{model = "mock/a"}, stream = Streaming.create(function() end),
}
local function fresh(name)
  if name == "builder" then return Agent.builder():model("mock/a") end
  return made[name]
end
local roots = {
  JSON = JSON, Logger = Logger, Utils = Utils, Streaming = Streaming, Debug = Debug, LocalLLM = LocalLLM, Agent = Agent,
  string = string, table = table, math = math, utf8 = utf8, os = os, io = io,
}
local SKIPPED = { ["os.exit"] = true, ["agent.destroy"] = true, ["LocalLLM.unload"] = true }
local paths = {}
for name, root in pairs(roots) do paths[#paths + 1] = {name, root} end
for name in pairs(made) do paths[#paths + 1] = {name, made[name]} end
local functions = {}
for _, each in ipairs(paths) do
  for key, value in pairs(each[2]) do
    local name = each[1] .. "." .. tostring(key)
    if type(value) == "function" and not SKIPPED[name] then functions[#functions + 1] = {name, each[1], key} end
  end
end
for _, name in ipairs { "tostring", "tonumber", "ipairs", "select", "rawlen", "setmetatable", "load", "require" } do
  if _ENV[name] then functions[#functions + 1] = {name, "_G", name} end
end
table.sort(functions, function(a, b) return a[1] < b[1] end)
local function deep(n) local t = {} for _ = 1, n do t = {t} end return t end
local cycle = {} cycle.self = cycle
local found = {}
local function try(number, ...)
  local chosen = functions[number % #functions + 1]
  local owner = chosen[2] == "_G" and _ENV or roots[chosen[2]] or fresh(chosen[2])
  local ok, problem = pcall(owner[chosen[3]], ...)
  if ok and chosen[2] == "builder" and chosen[3] ~= "build" then
    ok, problem = pcall(problem.build)
  end
  local shown, text = pcall(tostring, problem)
  -- Python's own exceptions must not come through either.
  if not ok and shown and (string.find(text, "Internal error", 1, true) or string.find(text, "%u%a+Error:")) then
    found[#found + 1] = chosen[1] .. ": " .. text
  end
end
"""

_TEXTS = (
    *('""', '" "', '"\\0"', '"\\xff\\xfe"', '"\\u{D83D}"', '"\\xed\\xa0\\xbd"', '("9"):rep(400)', '("[" ):rep(5000)'),
    *('("a"):rep(100000)', '"{\\"a\\": 1e999}"', '"\\"\\\\ud83d\\""', '("9"):rep(5000)', '"nan"', '"../../x"', '"x@y"'),
    *('"openai/gpt@"', '"@"', '"all"', '"TRACE"', '"md5"', '"mock/a"', '"2026-99-99T99"', '"%"', '"%s%d%q"', '"é€🎉"'),
)
_NUMBERS = (
    *("0", "-1", "0/0", "1/0", "-1/0", "math.maxinteger", "math.mininteger", "2^53", "1e308", "-0.0", "0.5", "1e-320"),
    *("2147483648", "4294967296", "-2147483649"),
)
_OTHERS = (
    *("nil", "true", "false", "{}", "{1, nil, 3}", "{[0.5] = 1, [true] = 2}", "{a = {b = {}}}", "cycle", "deep(200)"),
    *("print", "function() end", "function() return false end", "function() error('x') end", "coroutine.create(print)"),
    *("{text = 'hi', parameters = {a = 0/0}}", "{text = 'hi', context = {print}}", "io.stdout", "{[{}] = 1}"),
    *("{model = 'mock/a', temperature = 0/0}", "{model = 'mock/a', max_tokens = 2^63, seed = 1/0}", "{model = {}}"),
    *("{model = 'mock/a', stop = {''}}", "{model = 'mock/a', schema = deep(200)}", "{keep_alive = ('9'):rep(400)}"),
    *(
        "{keep_alive = 0/0}",
        "{name = '\\xff', model = 'mock/a'}",
        "setmetatable({}, {__index = function() error() end})",
    ),
    *(
        "setmetatable({}, {__tostring = function() return 5 end})",
        "{resource_limits = {max_execution_time_secs = 1/0}}",
    ),
)


def run(trial: Trial) -> None:
    """Runs scripts of many calls each."""
    with trial_kernel(trial.directory) as kernel:
        client = kernel.client()
        directory = trial.directory / "scripts"
        directory.mkdir()
        try:
            more = True
            while more:
                calls = []
                while len(calls) < AT_ONCE and (more := trial.more()):
                    calls.append(_call(trial.random))
                _demand_no_defect(client, directory, calls)
        finally:
            client.close()
        assert kernel.process.poll() is None


def _demand_no_defect(client: Client, directory: Path, calls: list[str]) -> None:
    options = {"isolated": True, "cwd": str(directory), "path": "script.lua"}
    code = "\n".join((_WALK, *calls, "return found"))
    found: Any
    try:
        found = client.request("execute_request", {"code": code}, metadata={"llmspell": options}).result(60)
    except ScriptError:
        # Out of memory or time: the calls are tried one by one.
        if len(calls) == 1:
            return
        for call in calls:
            _demand_no_defect(client, directory, [call])
        return
    assert not found.content["result"], f"{found.content['result']} from {calls}"


def _call(random: Random) -> str:
    arguments = ", ".join(_argument(random) for _ in range(random.choice((0, 1, 1, 2, 2, 3))))
    number = random.randrange(100_000)
    return f"try({number}{', ' if arguments else ''}{arguments})"


def _argument(random: Random) -> str:
    return random.choice(random.choice((_TEXTS, _NUMBERS, _OTHERS)))
