-- Hooks: functions that are called around the script's work, and say what is to become of it.
--   llmspell run examples/tool_hooks.lua

-- Refuses what is not wanted: the reason is the error that the caller gets.
Hook.register("BeforeToolExecution", function(context)
  if context.data.tool_name == "process-executor" then
    return { type = "cancel", reason = "this script runs no programs" }
  end
end, "highest")

-- Changes what is asked for.
Hook.register("BeforeToolExecution", function(context)
  local parameters = context.data.parameters
  if context.data.tool_name == "calculator" and parameters.input then
    parameters.input = parameters.input:gsub(",", ".")
    return { type = "modified", data = { parameters = parameters } }
  end
end)

-- Counts, and changes nothing.
local calls = {}
local counter = Hook.register("AfterToolExecution", function(context)
  local name = context.component_id.name
  calls[name] = (calls[name] or 0) + 1
end, "low")

-- Puts something in the place of an error.
Hook.register("ToolError", function(context)
  if context.data.tool_name == "calculator" then
    return { type = "replace", data = "no number" }
  end
end)

print("3,5 * 2 =", Tool.execute("calculator", { input = "3,5 * 2" }).output)
print("nothing =", Tool.execute("calculator", { operation = "evaluate" }).output)
print(select(2, pcall(Tool.execute, "process-executor", { executable = "ls" })))

-- An agent's calls are the script's work as well.
local agent = Agent.create { model = "mock/helper", tools = { "calculator" } }
agent:execute('call calculator {"input": "2+3"}')
print("calls of the calculator:", calls.calculator)

for _, hook in ipairs(Hook.list()) do
  io.stderr:write(("%-22s %-8s called %d times\n"):format(hook.hook_point, hook.priority, hook.calls))
end
counter:unregister()
