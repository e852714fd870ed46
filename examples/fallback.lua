-- Asks the first model of a list that works. Where one fails, it says why and takes the next.
--   llmspell run examples/fallback.lua -- "Say hello." --models openai/gpt-4o-mini,llama3.2@ollama,smollm2:135m@candle
local question = ARGS[1] or "Say hello in French."
local models = Utils.split(ARGS.models or "openai/gpt-4o-mini,llama3.2@ollama,smollm2:135m@candle", ",")

for _, model in ipairs(models) do
  local ok, answer = pcall(function()
    return Agent.builder():model(Utils.trim(model)):build():execute(question).text
  end)
  if ok then
    print(answer)
    return model
  end
  io.stderr:write(model, ": ", answer, "\n")
end
error("none of the models answered", 0)
