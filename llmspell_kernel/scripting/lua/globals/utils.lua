-- Utils: small things that Lua's library lacks. Gets `core`; returns the global.

local core = ...
local check, check_optional = core.check, core.check_optional
local find, sub, match, format = string.find, string.sub, string.match, string.format
local next, type, setmetatable, getmetatable, sort = next, type, setmetatable, getmetatable, table.sort
local sleep, hash = core.bind("sleep"), core.bind("hash")

local shape = core.host.shape

local function copy(value, seen)
  if type(value) ~= "table" or shape(value) == "null" then
    return value
  end
  if seen[value] == nil then
    local result = {}
    seen[value] = result
    for key, item in next, value do
      result[copy(key, seen)] = copy(item, seen)
    end
    setmetatable(result, getmetatable(value))
  end
  return seen[value]
end

-- A copy with copies of all tables in it.
function core.deep_copy(value)
  return copy(value, {})
end

local function is_object(value)
  return type(value) == "table" and #value == 0 and shape(value) == nil
end

-- Objects are merged level by level; anything else of `second` replaces that of `first`.
local function merge(first, second, depth)
  if depth > 128 then
    error("Validation error: tables are nested deeper than 128 or contain themselves", 0)
  end
  local result = copy(first, {})
  for key, value in next, second do
    if is_object(value) and is_object(result[key]) then
      result[key] = merge(result[key], value, depth + 1)
    else
      result[key] = copy(value, {})
    end
  end
  return result
end

local uuid, now_ms, timestamp = core.bind("uuid"), core.bind("now_ms"), core.bind("timestamp")

local methods = {
  uuid = function() return (uuid()) end,
  now_ms = function() return (now_ms()) end,
  timestamp = function() return (timestamp()) end,
}

function methods.sleep(seconds)
  sleep(check(1, "Utils.sleep", "number", seconds))
end

function methods.hash(text, algorithm)
  return (hash(check(1, "Utils.hash", "string", text), check_optional(2, "Utils.hash", "string", algorithm) or "sha256"))
end

methods.deep_copy = core.deep_copy

function methods.merge(first, second)
  return merge(check(1, "Utils.merge", "table", first), check(2, "Utils.merge", "table", second), 1)
end

function methods.keys(value)
  local keys = {}
  for key in next, check(1, "Utils.keys", "table", value) do
    keys[#keys + 1] = key
  end
  sort(keys, function(a, b)
    if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then
      return a < b
    end
    return type(a) < type(b)
  end)
  return keys
end

function methods.trim(text)
  return match(check(1, "Utils.trim", "string", text), "^%s*(.-)%s*$")
end

function methods.split(text, separator)
  check(1, "Utils.split", "string", text)
  check(2, "Utils.split", "string", separator)
  if separator == "" then
    error("Validation error: Utils.split needs a separator that is not empty", 0)
  end
  local parts, at = {}, 1
  while true do
    local first, last = find(text, separator, at, true)
    if first == nil then
      parts[#parts + 1] = sub(text, at)
      return parts
    end
    parts[#parts + 1] = sub(text, at, first - 1)
    at = last + 1
  end
end

return core.methods({}, methods)
