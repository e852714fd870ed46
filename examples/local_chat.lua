-- A conversation with a model on this machine: the first that is installed, or --model NAME.
--   llmspell run examples/local_chat.lua
--   printf 'My name is Ada.\nWhat is my name?\n' | llmspell run examples/local_chat.lua
local model = ARGS.model
if not model then
  local installed = LocalLLM.list()
  if #installed == 0 then
    error("No model is installed. First: llmspell model pull smollm2:135m", 0)
  end
  model = installed[1].id
end

local agent = Agent.create {
  model = model,
  system_prompt = ARGS.system or "Answer briefly.",
  temperature = tonumber(ARGS.temperature),
  max_tokens = tonumber(ARGS["max-tokens"]), -- without one the model ends when it has said all
}

print("Talking to " .. agent.model .. ". An empty line ends it.")
while true do
  io.write("> ")
  local line = io.read()
  if line == nil or line == "" then
    break
  end
  agent:invokeStream(line, function(chunk)
    io.write(chunk.text)
  end)
  print()
end
