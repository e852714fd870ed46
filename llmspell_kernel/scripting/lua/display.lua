-- A value as a person reads it: strings quoted, tables as a short literal, of limited size.
-- Gets `core`; adds `core.display`; returns the function for the value of a cell.

local core = ...
local type, tostring, next, pcall, getmetatable, rawget, rawlen = type, tostring, next, pcall, getmetatable, rawget, rawlen
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

-- What a cell shows; nil for a file, which is what writing gives.
return function(value)
  if core.streams[value] or io_type(value) ~= nil then
    return nil
  end
  return core.display(value)
end
