-- What JSON tells apart and a plain Lua table doesn't: null, an array (an empty one too), an integer beyond 64 bits.
-- Stands on Lua alone; returns null, and functions that mark an array, make an integer, and say what a table is.

local error, getmetatable, rawget, rawequal, setmetatable = error, getmetatable, rawget, rawequal, setmetatable
local tostring, type = tostring, type

local function read_only()
  error("attempt to change JSON.null", 2)
end

local function indexed(_, key)
  error("attempt to index JSON.null (field '" .. tostring(key) .. "')", 2)
end

local null = setmetatable({}, {
  __name = "null", __tostring = function() return "null" end, __newindex = read_only, __index = indexed,
})

local ARRAY = { __name = "array" }

local INTEGER = { __name = "integer" }
function INTEGER.__tostring(value) return rawget(value, "digits") end
function INTEGER.__concat(a, b) return tostring(a) .. tostring(b) end
function INTEGER.__eq(a, b) return rawget(a, "digits") == rawget(b, "digits") end

local function array(table)
  return setmetatable(table, ARRAY)
end

local function integer(digits)
  return setmetatable({ digits = digits }, INTEGER)
end

-- "null", "array", "integer" and its digits, or nil for a plain table.
local function shape(table)
  if rawequal(table, null) then
    return "null"
  end
  local meta = getmetatable(table)
  if meta == ARRAY then
    return "array"
  elseif meta == INTEGER and type(rawget(table, "digits")) == "string" then
    return "integer", rawget(table, "digits")
  end
  return nil
end

return null, array, integer, shape
