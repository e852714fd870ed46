-- Agents that work for another: one translates, one puts a text in short, and the third calls them as it needs them.
--   llmspell run examples/agent_team.lua -- "Put this in short and then into French: ..."
local model = ARGS.model or "qwen3:4b"

local function helper(name, description, system_prompt)
  Agent.create { name = name, description = description, model = model, system_prompt = system_prompt }
  return Agent.wrap_as_tool(name, { tool_name = name })
end

local lead = Agent.create {
  name = "lead",
  model = model,
  system_prompt = "Let the tools do the work, one after the other, and give their result without a comment.",
  tools = {
    helper("translate", "Translates a text; say into which language.", "Translate. Reply with the translation alone."),
    helper("shorten", "Puts a text into one sentence.", "Say it in one short sentence. Reply with the sentence alone."),
  },
  max_tool_calls = 6,
  max_recursion_depth = 1,
}

local output = lead:execute(ARGS[1] or io.read("a"))
for _, call in ipairs(output.tool_calls) do
  local said = call.success and call.result.content or call.error
  io.stderr:write(("%s (%.1f s): %s\n"):format(call.name, call.duration_ms / 1000, said))
end
print(output.text or output.error)
os.exit(output.success and 0 or 1)
