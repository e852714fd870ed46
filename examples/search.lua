-- Finds the line of a file that means what you ask for, by comparing embeddings.
--   llmspell run examples/search.lua -- "sweet fruit" notes.txt
local question = ARGS[1] or error("usage: llmspell run examples/search.lua -- QUESTION [FILE]", 0)

local lines = {}
for line in io.lines(ARGS[2]) do -- without a file: standard input
  if line:match("%S") then
    lines[#lines + 1] = line
  end
end

local model = ARGS.model -- without one: an installed model for embeddings
local texts = LocalLLM.embed(lines, model)
local asked = LocalLLM.embed({ question }, model)[1]

-- The vectors have the length 1, so the sum of products says how near two of them are.
local function nearness(a, b)
  local sum = 0
  for i = 1, #a do
    sum = sum + a[i] * b[i]
  end
  return sum
end

local found = {}
for i, line in ipairs(lines) do
  found[i] = { line = line, nearness = nearness(texts[i], asked) }
end
table.sort(found, function(a, b) return a.nearness > b.nearness end)
for i = 1, math.min(3, #found) do
  print(("%.3f  %s"):format(found[i].nearness, found[i].line))
end
