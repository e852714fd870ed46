-- Takes fields out of JSON, one object a line (as programs log), and prints them again as JSON or with tabs between.
--   llmspell run examples/json_fields.lua -- level user.name < app.log
--   llmspell run examples/json_fields.lua -- level user.name --tabs < app.log
if #ARGS == 0 then
  error("usage: llmspell run examples/json_fields.lua -- FIELD [FIELD...] [--tabs] < FILE", 0)
end

-- The value at a dotted path. What JSON calls null is JSON.null here, which is not nil.
local function at(value, path)
  for _, name in ipairs(Utils.split(path, ".")) do
    if type(value) ~= "table" or value == JSON.null then
      return nil
    end
    value = value[name]
  end
  return value
end

local number = 0
for line in io.lines() do
  number = number + 1
  local ok, object = pcall(JSON.parse, line)
  if not ok then
    io.stderr:write(("line %d: %s\n"):format(number, object))
  elseif ARGS.tabs then
    local cells = {}
    for i, path in ipairs(ARGS) do
      local value = at(object, path)
      cells[i] = type(value) == "table" and JSON.stringify(value) or tostring(value or "")
    end
    print(table.concat(cells, "\t"))
  else
    local taken = {}
    for _, path in ipairs(ARGS) do
      taken[path] = at(object, path)
    end
    print(JSON.stringify(taken)) -- the keys are sorted, and numbers of any length stay as they were
  end
end
