-- Functions of scripts in workflows: wrapped so that they get what scripts expect, and give what they changed besides.
-- Gets `core`; returns `wrapped`.

local core = ...
local ipairs, next, pack, type, unpack = ipairs, next, table.pack, type, table.unpack
local stringify = core.bind("json_stringify")
local results = core.module("workflows/results.lua")

-- What a table holds, so that changes are seen however deep they are.
local function texts_of(values)
  local texts = {}
  for key, value in next, values or {} do
    texts[key] = stringify(value)
  end
  return texts
end

-- What has changed since then: the new values, and the keys that are gone.
local function changes(before, values)
  local changed, gone = nil, nil
  for key, value in next, values do
    if before[key] == nil or stringify(value) ~= before[key] then
      changed = changed or {}
      changed[key] = value
    end
  end
  for key in next, before do
    if values[key] == nil then
      gone = gone or core.host.array {}
      gone[#gone + 1] = key
    end
  end
  return changed, gone
end

local DECORATE = {
  context = results.context,
  result = results.decorated,
  error = function(given)
    return core.problem(given.message, given.code)
  end,
}

local functions = {}

-- What stands for the function in a definition. The kernel calls it with a list of what the arguments are, and those.
function functions.wrapped(fn)
  return core.offer(function(forms, ...)
    local arguments, context, shared, state = pack(...), nil, nil, nil
    for position, form in ipairs(forms) do
      local decorate, given = DECORATE[form], arguments[position]
      if decorate ~= nil and type(given) == "table" then
        arguments[position] = decorate(given)
        if form == "context" then
          context = given
          shared, state = texts_of(context.shared), texts_of(context.state)
        end
      end
    end
    local answer = { value = fn(unpack(arguments, 1, #forms)) }
    if context ~= nil then
      answer.shared, answer.shared_gone = changes(shared, context.shared or {})
      answer.state, answer.state_gone = changes(state, context.state or {})
    end
    return answer
  end)
end

return functions
