-- A chat that remembers you tomorrow: the conversation is saved under a name, and goes on the next time.
--   llmspell run examples/remembering_chat.lua
--   llmspell run examples/remembering_chat.lua -- --forget
local agent = Agent.create {
  name = ARGS.name or "friend",
  model = ARGS.model or "smollm2:135m@candle",
  system_prompt = "You are a friend who remembers what was said. Answer in one or two sentences.",
  max_tokens = tonumber(ARGS["max-tokens"]) or 80,
  max_conversation_length = 40, -- the oldest messages go first
}

if ARGS.forget then
  agent:delete_state()
  print("Forgotten.")
  return
end

if agent:load_state() then
  print(("We have talked before: %d messages. An empty line ends it."):format(#agent:get_history()))
else
  print("Hello! An empty line ends it.")
end

for line in io.lines() do
  if line == "" then
    break
  end
  agent:invokeStream(line, function(chunk)
    io.write(chunk.text)
  end)
  print()
  agent:save_state() -- after each turn, so that nothing is lost
end
