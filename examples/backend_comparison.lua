-- Asks every backend that works here the same question, and shows how long each took.
--   llmspell run examples/backend_comparison.lua -- "Name three colours."
local question = ARGS[1] or "Name three colours."

local function first_model(backend)
  local models = LocalLLM.list(backend)
  return models[1] and models[1].id
end

for _, backend in ipairs { "candle", "ollama" } do
  local state = LocalLLM.status(backend)
  local model = (state.ready or state.running) and first_model(backend)
  if not model then
    print(("%-8s not used: %s"):format(backend, state.error or "no model installed"))
  else
    -- pcall: what fails on one backend must not end the comparison.
    local ok, answer = pcall(function()
      return Agent.builder():provider(backend):model(model):temperature(0):max_tokens(60):build():execute(question)
    end)
    if ok then
      local seconds = answer.duration_ms / 1000
      print(("%-8s %s: %d tokens in %.1f s"):format(backend, model, answer.metadata.token_count, seconds))
      print("         " .. answer.text:gsub("\n", "\n         "))
    else
      print(("%-8s %s failed: %s"):format(backend, model, answer))
    end
  end
end
