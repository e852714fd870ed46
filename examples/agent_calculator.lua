-- Answers a question with the calculator at hand. What it works out is shown on standard error.
--   llmspell run examples/agent_calculator.lua -- "A ticket is 17.50, a third off for six. What do six tickets cost?"
--   llmspell run examples/agent_calculator.lua -- --model qwen3:8b@ollama "What is 17 percent of 2,349?"
local question = ARGS[1] or io.read("a")

local agent = Agent.builder()
  :model(ARGS.model or "qwen3:4b")
  :system_prompt("Work out every number with the calculator. Then answer in one sentence.")
  :tool("calculator")
  :max_tool_calls(10)
  :temperature(0)
  :build()

local ending
for chunk in agent:stream(question) do
  if chunk.type == "tool" and chunk.tool.phase == "ended" then
    local said = chunk.tool.success and chunk.tool.result.result or chunk.tool.error
    io.stderr:write(("  %s = %s\n"):format(chunk.tool.arguments.input or "?", tostring(said)))
  end
  io.write(chunk.text)
  ending = chunk
end
print()
if ending.limit then
  io.stderr:write("ended by ", ending.limit, "\n")
  os.exit(1)
end
