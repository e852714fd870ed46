-- Says in what two JSON files differ, value by value: was it the same answer as last time?
--   llmspell run examples/compare_json.lua -- before.json after.json
local function content(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

if #ARGS ~= 2 then
  error("usage: llmspell run examples/compare_json.lua -- FILE FILE", 0)
end

local told = Replay.create_comparator():compare_json(content(ARGS[1]), content(ARGS[2]))
for _, one in ipairs(told.differences or {}) do
  print(one.path .. ": " .. one.description)
end
print(("%s (%d%% alike)"):format(told.summary, told.similarity_score * 100 // 1))
os.exit(told.identical and 0 or 1)
