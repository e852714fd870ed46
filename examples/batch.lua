-- Answers each line of its input and prints one JSON object a line, so that other programs can go on with it.
--   llmspell run examples/batch.lua -- --prompt "Translate to French:" < words.txt
local prompt = ARGS.prompt or "Answer in one short sentence:"
local agent = Agent.create {
  model = ARGS.model or "smollm2:135m@candle",
  temperature = 0,
  max_tokens = tonumber(ARGS["max-tokens"]) or 40,
  memory_enabled = false, -- each line is a question of its own
}

for line in function() return io.read() end do
  if line:match("%S") then
    local answer = agent:execute(prompt .. " " .. line)
    print(JSON.stringify {
      input = line,
      output = answer.text,
      complete = answer.metadata.finish_reason == "stop",
    })
  end
end
