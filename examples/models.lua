-- The models on this machine: how large they are, what they can do, and which are in memory.
--   llmspell run examples/models.lua
--   llmspell run examples/models.lua -- --load smollm2:135m
if ARGS.load then
  local model = LocalLLM.load(ARGS.load)
  print(("%s loaded in %d ms"):format(model.model, model.load_ms // 1))
end

local loaded = {}
for _, model in ipairs(LocalLLM.ps().models) do
  loaded[model.model] = true
end

local total = 0
for _, model in ipairs(LocalLLM.list()) do
  total = total + model.size_bytes
  local info = LocalLLM.info(model.id .. "@" .. model.backend)
  print(("%-24s %-7s %6.0f MB  %s  %s"):format(
    model.id, model.backend, model.size_bytes / 1e6, info.parameter_count or info.format,
    loaded[model.id] and "in memory" or ""))
end
print(("%.0f MB in all"):format(total / 1e6))

for backend, state in pairs(LocalLLM.status()) do
  if state.error then
    io.stderr:write(backend .. ": " .. state.error .. "\n")
  end
end
