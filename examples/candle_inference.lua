-- Loads a model into a process of its own, asks it twice, and says what that took. The second answer comes sooner:
-- the model is in memory, and the beginning of the conversation has been read.
--   llmspell run examples/candle_inference.lua -- --model smollm2:135m
local model = (ARGS.model or "smollm2:135m") .. "@candle"

local loaded = LocalLLM.load(model)
print(("%s on %s by %s: %d MB, loaded in %d ms"):format(
  loaded.model, loaded.device, loaded.engine, loaded.memory_bytes // 1000000, loaded.load_ms // 1))

local agent = Agent.create {
  model = model,
  system_prompt = "You are a careful geography teacher.",
  temperature = 0, -- the same answer each time
  max_tokens = 40,
}
for _, question in ipairs { "What is the capital of France?", "And of Italy?" } do
  local answer = agent:execute(question)
  print()
  print(question)
  print(answer.text)
  print(("(%d tokens in %d ms, ended by %s)"):format(
    answer.metadata.token_count, answer.duration_ms, answer.metadata.finish_reason))
end
