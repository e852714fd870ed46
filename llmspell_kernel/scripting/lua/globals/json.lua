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

-- The table, or a new one, as what JSON writes as an array though it is empty.
local function array(items)
  return core.host.array(core.check_optional(1, "JSON.array", "table", items) or {})
end

-- What null is in a table, where nil would be nothing at all.
JSON.null = core.host.null

return core.methods(JSON, { parse = decode, stringify = encode, encode = encode, decode = decode, array = array })
