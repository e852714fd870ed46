-- A shopping list in plain words: the agent changes it with two functions of this script. Each line of input is a turn;
-- with --save the conversation goes on in the next run.
--   llmspell run examples/agent_list.lua
--   echo "We need milk and six eggs." | llmspell run examples/agent_list.lua -- --model qwen3:4b --save
local list = {}

local function shown()
  local items = {}
  for name, count in pairs(list) do
    items[#items + 1] = count .. " " .. name
  end
  table.sort(items)
  return #items == 0 and "nothing" or table.concat(items, ", ")
end

local function tool(name, description, change)
  return Tool.register {
    name = name,
    description = description,
    parameters = "item: what to buy, count integer",
    execute = function(parameters)
      change(parameters.item, parameters.count)
      return { list = shown() }
    end,
  }
end

local agent = Agent.create {
  name = "shopping-list",
  model = ARGS.model or "qwen3:4b",
  system_prompt = "You keep a shopping list. Change it with the tools, then say in one sentence what you did.",
  tools = {
    tool("add-item", "Puts an item on the shopping list.", function(item, count)
      list[item] = (list[item] or 0) + count
    end),
    tool("remove-item", "Takes an item off the shopping list.", function(item, count)
      local left = (list[item] or 0) - count
      list[item] = left > 0 and left or nil
    end),
  },
}
if ARGS.save and agent:load_state() then
  -- What was called then, done again.
  for _, message in ipairs(agent:get_history()) do
    for _, call in ipairs(message.tool_calls or {}) do
      pcall(agent.invokeTool, call.name, call.arguments)
    end
  end
end

for line in io.lines() do
  if line == "" then
    break
  end
  local output = agent:execute(line)
  print(output.text or output.error)
end
print("To buy: " .. shown())
if ARGS.save then
  agent:save_state()
end
