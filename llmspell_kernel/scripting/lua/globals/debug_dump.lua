-- A value with its types, as a person reads it who looks for a mistake. Read when it is first used. Gets `core`; returns
-- the functions.

local core = ...
local check, check_optional, next, type, tostring = core.check, core.check_optional, next, type, tostring
local math_type, getmetatable, rawget, pcall, rawlen = math.type, getmetatable, rawget, pcall, rawlen
local format, rep, sub, concat, sort = string.format, string.rep, string.sub, table.concat, table.sort
local shape = core.host.shape

local NORMAL = {
  max_depth = 10, indent_size = 2, max_string_length = 200, max_array_elements = 50, max_table_pairs = 50,
  show_types = true, show_addresses = false, compact_mode = false,
}

local function with(changes)
  local options = {}
  for name, value in next, NORMAL do
    options[name] = value
  end
  for name, value in next, changes do
    options[name] = value
  end
  return options
end

local COMPACT = with {
  max_depth = 3, max_string_length = 50, max_array_elements = 10, max_table_pairs = 10, show_types = false,
  compact_mode = true,
}
local VERBOSE = with {
  max_depth = 20, max_string_length = 1000, max_array_elements = 200, max_table_pairs = 200, show_addresses = true,
}

local function by_kind(a, b)
  if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then
    return a < b
  end
  return type(a) == type(b) and tostring(a) < tostring(b) or type(a) < type(b)
end

local function typed(text, kind, options)
  return options.show_types and text .. " (" .. kind .. ")" or text
end

local function plain(value, options)
  local kind = type(value)
  if kind == "nil" then
    return "nil"
  elseif kind == "number" then
    return typed(tostring(value), math_type(value) == "integer" and "integer" or "number", options)
  elseif kind == "boolean" then
    return typed(tostring(value), "boolean", options)
  elseif kind == "string" then
    local cut = #value > options.max_string_length
    local text = cut and sub(value, 1, options.max_string_length) or value
    return typed(core.display(text) .. (cut and "…" or ""), "string, " .. #value .. " chars", options)
  end
  return options.show_addresses and "<" .. tostring(value) .. ">" or "<" .. kind .. ">"
end

local dump_value

-- The items of a table as lines, each with how its key is shown; and how many were left out.
local function items_of(value, options, depth, seen)
  local items, left = {}, 0
  local length = rawlen(value)
  for at = 1, length do
    if at > options.max_array_elements then
      left = left + length - at + 1
      break
    end
    items[at] = dump_value(rawget(value, at), options, depth + 1, seen)
  end
  local keys = {}
  for key in next, value do
    if not (math_type(key) == "integer" and key >= 1 and key <= length) then
      keys[#keys + 1] = key
    end
  end
  sort(keys, by_kind)
  for at, key in next, keys do
    if at > options.max_table_pairs then
      left = left + #keys - at + 1
      break
    end
    local name = type(key) == "string" and key or "[" .. plain(key, with { show_types = false }) .. "]"
    items[#items + 1] = name .. ": " .. dump_value(rawget(value, key), options, depth + 1, seen)
  end
  if left > 0 then
    items[#items + 1] = format("… (%d more)", left)
  end
  return items, length, #keys
end

local function dump_table(value, options, depth, seen)
  local items, length, pairs = items_of(value, options, depth, seen)
  local is_array = pairs == 0 and (length > 0 or shape(value) == "array")
  local open, close = is_array and "[" or "{", is_array and "]" or "}"
  if options.show_addresses then
    open = "<" .. tostring(value) .. "> " .. open
  end
  if options.show_types then
    open = open .. (is_array and format(" (array, %d elements)", length) or format(" (table, %d pairs)", length + pairs))
  end
  if options.compact_mode then
    return open .. (options.show_types and " " or "") .. concat(items, ", ") .. (options.show_types and " " or "") .. close
  end
  if #items == 0 then
    return open .. (options.show_types and " " or "") .. close
  end
  local inner = "\n" .. rep(" ", options.indent_size * depth)
  return open .. inner .. concat(items, inner) .. "\n" .. rep(" ", options.indent_size * (depth - 1)) .. close
end

function dump_value(value, options, depth, seen)
  if type(value) ~= "table" then
    return plain(value, options)
  end
  local meta = getmetatable(value)
  if type(meta) == "table" and rawget(meta, "__tostring") ~= nil and next(value) == nil or shape(value) == "integer" then
    local ok, text = pcall(tostring, value)
    return typed(ok and text or "<error in __tostring>", rawget(meta, "__name") or "object", options)
  end
  if seen[value] then
    return format("<circular reference to depth %d>", seen[value])
  end
  if depth > options.max_depth then
    return "<deeper than " .. options.max_depth .. ">"
  end
  seen[value] = depth - 1
  local text = dump_table(value, options, depth, seen)
  seen[value] = nil
  return text
end

local function dumped(name, value, label, options, position)
  check_optional(position, name, "string", label)
  local text = dump_value(value, options, 1, {})
  return label and label .. ":\n" .. text or text
end

local methods = {}

function methods.dump(value, label)
  return dumped("Debug.dump", value, label, NORMAL, 2)
end

function methods.dumpCompact(value, label)
  return dumped("Debug.dumpCompact", value, label, COMPACT, 2)
end

function methods.dumpVerbose(value, label)
  return dumped("Debug.dumpVerbose", value, label, VERBOSE, 2)
end

function methods.dumpWithOptions(value, options, label)
  check(2, "Debug.dumpWithOptions", "table", options)
  core.check_keys("Debug.dumpWithOptions", options, NORMAL)
  for name, given in next, options do
    check(2, "Debug.dumpWithOptions: " .. name, type(NORMAL[name]), given)
  end
  return dumped("Debug.dumpWithOptions", value, label, with(options), 3)
end

return methods
