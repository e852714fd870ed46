-- A value as a person reads it: strings quoted, tables as a short literal, of limited size.
-- Gets `core`; adds `core.display`; returns the function for the value of a cell.

local core = ...
local type, tostring, next, pcall, rawget, rawlen = type, tostring, next, pcall, rawget, rawlen
local getmetatable, setmetatable = getmetatable, setmetatable
local format, gsub, sub, find, byte = string.format, string.gsub, string.sub, string.find, string.byte
local io_type = io.type
local concat, sort, math_type = table.concat, table.sort, math.type

local MAX_DEPTH, MAX_ITEMS, MAX_STRING, MAX_TEXT = 5, 100, 2000, 10000

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"', ["\0"] = "\\0" }

local function quote(text)
  local rest = ""
  if #text > MAX_STRING then
    text, rest = sub(text, 1, MAX_STRING), "…"
  end
  local escaped = gsub(text, '[%c\\"]', function(c) return ESCAPES[c] or format("\\%03d", byte(c)) end)
  return '"' .. escaped .. '"' .. rest
end

local KEYWORDS = {}
for word in string.gmatch("and break do else elseif end false for function goto if in local nil not or repeat return then "
  .. "true until while", "%a+") do
  KEYWORDS[word] = true
end

local show

local function by_kind(a, b)
  local ka, kb = type(a), type(b)
  if ka ~= kb then
    return ka < kb
  end
  if ka == "number" or ka == "string" then
    return a < b
  end
  return tostring(a) < tostring(b)
end

local function by_type(a, b)
  local ka, kb = type(a), type(b)
  if ka ~= kb then
    return ka < kb
  end
  return (ka == "number" or ka == "string") and a < b
end

local function show_table(value, depth, seen, budget)
  if seen[value] then
    return "<cycle>"
  end
  if next(value) == nil then
    return "{}"
  end
  if depth > MAX_DEPTH then
    return "{…}"
  end
  seen[value] = true
  local parts = {}
  local length = rawlen(value)
  for i = 1, length do
    if #parts >= MAX_ITEMS or budget.left <= 0 then
      break
    end
    parts[#parts + 1] = show(rawget(value, i), depth, seen, budget)
  end
  local keys = {}
  for key in next, value do
    if not (math_type(key) == "integer" and key >= 1 and key <= length) then
      keys[#keys + 1] = key
      if #keys > 10 * MAX_ITEMS then
        break
      end
    end
  end
  sort(keys, budget.plain and by_type or by_kind)
  local shown = #parts
  for _, key in next, keys do
    if #parts >= MAX_ITEMS or budget.left <= 0 then
      break
    end
    local plain = type(key) == "string" and find(key, "^[%a_][%w_]*$") and not KEYWORDS[key]
    local name = plain and key or "[" .. show(key, depth, seen, budget) .. "]"
    parts[#parts + 1] = name .. " = " .. show(rawget(value, key), depth, seen, budget)
  end
  if shown < length or #parts - shown < #keys then
    parts[#parts + 1] = "…"
  end
  seen[value] = nil
  return "{" .. concat(parts, ", ") .. "}"
end

function show(value, depth, seen, budget)
  local kind, text = type(value), nil
  if kind == "string" then
    text = quote(value)
  elseif kind == "table" then
    local meta = getmetatable(value)
    if not budget.plain and type(meta) == "table" and rawget(meta, "__tostring") ~= nil then
      local ok, shown = pcall(tostring, value)
      text = ok and shown or "<error in __tostring>"
    else
      return show_table(value, depth + 1, seen, budget)
    end
  else
    text = tostring(value)
  end
  budget.left = budget.left - #text
  return text
end

function core.display(value)
  return show(value, 0, {}, { left = MAX_TEXT })
end

-- The same without calling a function of the script's: a table whose metatable makes it a text is shown as a table.
function core.shown(value)
  return show(value, 0, {}, { left = MAX_TEXT, plain = true })
end

-- Objects that stand for something on the screen already: as a cell's value they show nothing.
core.unshown = setmetatable({}, { __mode = "k" })

-- Whether a value may have more forms than its text: one of its own, or that of a table of rows.
function core.is_rich(value)
  if type(value) ~= "table" then
    return false
  end
  local meta = getmetatable(value)
  if type(meta) == "table" then
    for key in next, meta do
      if type(key) == "string" and find(key, "^__repr_") then
        return true
      end
    end
  end
  return type(rawget(value, 1)) == "table"
end

-- The forms of such a value, or nil.
function core.rich_value(value)
  return core.module("rich.lua").of_value(value)
end

-- What displays are made with is read when the first one is made.
for _, name in next, { "display", "update_display", "clear_output" } do
  core[name == "display" and "make_display" or name] = function(...)
    return core.module("rich.lua")[name](...)
  end
end

-- What a cell shows; nil for a file, which is what writing gives.
return function(value)
  if core.streams[value] or core.unshown[value] or io_type(value) ~= nil then
    return nil
  end
  return core.display(value)
end
