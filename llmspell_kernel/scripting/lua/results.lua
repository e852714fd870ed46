-- What earlier cells were and gave, as IPython has it: `In`, `Out`, `_`, `__`, `___`. Gets `core`; returns the function
-- that is told of each cell that counts. What a script has given one of these names stays the script's.

local rawget, rawset, rawequal = rawget, rawset, rawequal

local KEPT = 100

local last = {}
local inputs, outputs = {}, {}

-- Sets a global that is ours still; whether it is.
local function set(env, name, value)
  local there = rawget(env, name)
  if there ~= nil and not rawequal(there, last[name]) then
    return false
  end
  last[name] = value
  rawset(env, name, value)
  return true
end

return function(env, number, source, value)
  inputs[number], inputs[number - KEPT] = source, nil
  outputs[number - KEPT] = nil
  set(env, "In", inputs)
  set(env, "Out", outputs)
  if value ~= nil then
    outputs[number] = value
    local first, second = last._, last.__
    set(env, "___", second)
    set(env, "__", first)
    set(env, "_", value)
  end
end
