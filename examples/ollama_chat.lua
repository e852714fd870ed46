-- One question to a model of Ollama: its default one, or --model NAME.
--   llmspell run examples/ollama_chat.lua -- "Why is the sky blue?" --model llama3.2
local state = LocalLLM.status("ollama")
if not state.running then
  error("Ollama isn't running (" .. state.error .. "). Start it with: ollama serve", 0)
end

local model = ARGS.model
if not model then
  local installed = LocalLLM.list("ollama")
  if #installed == 0 then
    error("Ollama has no model. First: llmspell model pull llama3.2@ollama", 0)
  end
  model = installed[1].id
end

local agent = Agent.builder():provider("ollama"):model(model):build()
local result = agent:invokeStream(ARGS[1] or "Say hello in one short sentence.", function(chunk)
  io.write(chunk.text)
end)
print()
print(("(%s, %d tokens)"):format(result.metadata.model, result.metadata.token_count))
