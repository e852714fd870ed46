-- JSON: text to values and back. Gets `core`; returns the global.

local core = ...
local parse, stringify = core.bind("json_parse"), core.bind("json_stringify")

-- What error values that are tables are shown as.
function core.json(value)
  return (stringify(value, nil))
end

local JSON = {}

local function decode(text)
  return (parse(core.check(1, "JSON.parse", "string", text)))
end

local function encode(value, indent)
  if indent == true then
    indent = 2
  elseif indent == false then
    indent = nil
  end
  return (stringify(value, core.check_optional(2, "JSON.stringify", "number", indent)))
end

return core.methods(JSON, { parse = decode, stringify = encode, encode = encode, decode = decode })
