-- Tries every tool that has an example, and says what the others need.
--   llmspell run examples/try_tools.lua
--   llmspell run examples/try_tools.lua -- --category utility
local bad = 0
for _, tool in ipairs(Tool.discover { category = ARGS.category }) do
  local example = Tool.get_info(tool.name).example
  local said
  if next(example) == nil then
    said = "not tried; a call may need: " .. table.concat(tool.needs, ", ")
  else
    local called, output = pcall(Tool.execute, tool.name, example)
    if called and output.success then
      said = "works: " .. output.message
    else
      bad = bad + 1
      said = "FAILED: " .. tostring(called and output.error or output)
    end
  end
  print(("%-20s %s"):format(tool.name, said))
end
os.exit(bad == 0 and 0 or 1)
