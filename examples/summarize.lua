-- Sums up a file of any length: part by part first, then the parts together.
--   llmspell run examples/summarize.lua -- report.txt
--   cat report.txt | llmspell run examples/summarize.lua
local text
if ARGS[1] then
  local file = assert(io.open(ARGS[1]))
  text = file:read("a")
  file:close()
else
  text = io.read("a")
end

local agent = Agent.create {
  model = ARGS.model or "smollm2:135m@candle",
  system_prompt = "Sum up the text in two sentences.",
  temperature = 0,
  max_tokens = 100,
  memory_enabled = false,
}

local PART = tonumber(ARGS.part) or 6000 -- bytes: some 1,500 tokens of English
local summaries = {}
for start = 1, #text, PART do
  summaries[#summaries + 1] = agent:execute(text:sub(start, start + PART - 1)).text
  io.stderr:write(("part %d of %d\n"):format(#summaries, math.ceil(#text / PART)))
end
if #summaries > 1 then
  summaries = { agent:execute(table.concat(summaries, "\n")).text }
end
print(summaries[1])
