-- Asks two models the same questions and shows their answers one below the other, with how long each took.
--   llmspell run examples/compare_models.lua -- --models smollm2:135m,qwen3:0.6b "Name a fruit." "What is 2 + 2?"
local models = Utils.split(ARGS.models or "smollm2:135m@candle,smollm2:135m@candle", ",")
local questions = #ARGS > 0 and ARGS or { "Name a fruit.", "What is 2 + 2?" }

local totals = {}
for position, question in ipairs(questions) do
  print(("%d. %s"):format(position, question))
  local answers = {}
  for _, model in ipairs(models) do
    local timer = Debug.timer(model)
    local ok, answer = pcall(LocalLLM.chat, { model = model, prompt = question, temperature = 0, max_tokens = 30 })
    local took = timer:stop()
    totals[model] = (totals[model] or 0) + took
    answers[#answers + 1] = ok and Utils.trim(answer.text) or answer
    print(("   %-22s %7.0f ms  %s"):format(model, took, answers[#answers]:gsub("%s+", " ")))
  end
  if answers[1] == answers[2] then
    print("   the same")
  end
end
for model, milliseconds in pairs(totals) do
  io.stderr:write(("%s: %.0f ms in all\n"):format(model, milliseconds))
end
