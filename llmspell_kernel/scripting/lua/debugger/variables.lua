-- What a debugger shows of a script that stands: scopes, and values level by level, each behind a number that is good
-- until the script goes on. Gets `core`; returns functions.

local core = ...
local stack = core.module("debugger/stack.lua")

local error, type, tostring, tonumber, next = error, type, tostring, tonumber, next
local rawget, rawlen, getmetatable, pack, setupvalue = rawget, rawlen, getmetatable, table.pack, debug.setupvalue
local getinfo, traceback, status = debug.getinfo, debug.traceback, coroutine.status
local math_type, sort, min = math.type, table.sort, math.min
local find, format, gmatch, gsub, sub, utf8_len = string.find, string.format, string.gmatch, string.gsub, string.sub, utf8.len
local concat, match = table.concat, string.match
local array, display, shown = core.host.array, core.display, core.shown

local MAX_CHILDREN = 500
local MAX_TEXT = 400

local variables = {}

-- What stands behind each number.
local references = {}

function variables.forget()
  references = {}
end

local function kept(entry)
  references[#references + 1] = entry
  return #references
end

-- Beginnings of characters of which the rest is missing: one U+FFFD stands for each, as in what scripts print.
local BEGUN = {
  "^\xE0[\xA0-\xBF]", "^[\xE1-\xEC\xEE\xEF][\x80-\xBF]", "^\xED[\x80-\x9F]",
  "^\xF0[\x90-\xBF][\x80-\xBF]?", "^[\xF1-\xF3][\x80-\xBF][\x80-\xBF]?", "^\xF4[\x80-\x8F][\x80-\xBF]?",
}

local function begun(text, at)
  for _, pattern in next, BEGUN do
    local found = match(text, pattern, at)
    if found ~= nil then
      return #found
    end
  end
  return 1
end

-- A text in which what is no UTF-8 is U+FFFD.
local function clean(text)
  if utf8_len(text) then
    return text
  end
  local parts, at = {}, 1
  while true do
    local length, bad = utf8_len(text, at)
    parts[#parts + 1] = sub(text, at, length and #text or bad - 1)
    if length then
      return concat(parts)
    end
    parts[#parts + 1] = "\u{FFFD}"
    at = bad + begun(text, bad)
  end
end
variables.clean = clean

local function cut(text, limit)
  text = clean(text)
  if #text <= limit then
    return text
  end
  local stop = limit
  while stop > 0 and find(sub(text, stop + 1, stop + 1), "[\128-\191]") do
    stop = stop - 1
  end
  return sub(text, 1, stop) .. "…"
end

-- A value as one line; `limit` in bytes. Nothing of the script's runs for it, but where that `may_run`.
function variables.text(value, limit, may_run)
  return cut((may_run and display or shown)(value), limit or MAX_TEXT)
end

local function is_script_function(value)
  if type(value) ~= "function" then
    return false
  end
  local info = getinfo(value, "S")
  return info.what ~= "C" and stack.is_script(info.source)
end

local function has_children(value)
  local kind = type(value)
  if kind == "table" then
    return next(value) ~= nil or type(getmetatable(value)) == "table"
  end
  return kind == "thread" or is_script_function(value) and #stack.upvalues(value) > 0
end

local function count_named(value)
  local count = 0
  local length = rawlen(value)
  for key in next, value do
    if not (math_type(key) == "integer" and key >= 1 and key <= length) then
      count = count + 1
    end
  end
  return count
end

local function kind_of(value)
  return math_type(value) or type(value)
end

-- A value as the Debug Adapter Protocol has it; `path` is an expression that gives it, where there is one.
function variables.described(value, path, frame, limit, may_run)
  local found = { value = variables.text(value, limit, may_run), type = kind_of(value), variablesReference = 0 }
  if has_children(value) then
    found.variablesReference = kept({ kind = "value", value = value, path = path, frame = frame })
    if type(value) == "table" then
      found.indexedVariables, found.namedVariables = rawlen(value), count_named(value)
    end
  end
  return found
end

local function variable(name, value, path, frame)
  local found = variables.described(value, path, frame)
  found.name, found.evaluateName = clean(name), path
  return found
end

-- ## Scopes

local function scope(name, hint, entry, expensive)
  return { name = name, presentationHint = hint, variablesReference = kept(entry), expensive = expensive }
end

function variables.scopes(frame)
  local found = { scope("Locals", "locals", { kind = "locals", frame = frame }, false) }
  if #stack.upvalues(frame.func) > 0 then
    found[#found + 1] = scope("Upvalues", nil, { kind = "upvalues", frame = frame }, false)
  end
  if #stack.varargs(frame) > 0 then
    found[#found + 1] = scope("Varargs", "arguments", { kind = "varargs", frame = frame }, false)
  end
  found[#found + 1] = scope("Globals", nil, { kind = "globals", frame = frame }, true)
  return array(found)
end

-- The globals that scripts have made.
function variables.globals(frame)
  return kept({ kind = "globals", frame = frame })
end

-- ## What is behind a number

local function by_text(a, b)
  local ka, kb = type(a), type(b)
  if ka ~= kb then
    return ka < kb
  end
  if ka == "number" or ka == "string" then
    return a < b
  end
  return format("%p", a) < format("%p", b)
end

local function key_name(key)
  if type(key) == "string" and find(key, "^[%a_][%w_]*$") then
    return key, "." .. key
  end
  local name = "[" .. variables.text(key, 80) .. "]"
  return name, (type(key) == "string" or type(key) == "number" or type(key) == "boolean") and name or nil
end

local function listed(list, frame)
  local found = {}
  for _, one in next, list do
    found[#found + 1] = variable(one.name, one.value, find(one.name, "^%.") == nil and one.name or nil, frame)
  end
  return found
end

local function global_variables(entry)
  local env = stack.environment(entry.frame)
  local names = {}
  for key in next, env do
    if type(key) == "string" and not core.standard_names[key] then
      names[#names + 1] = key
    end
  end
  sort(names)
  local found = {}
  for _, name in next, names do
    found[#found + 1] = variable(name, rawget(env, name), find(name, "^[%a_][%w_]*$") and name or nil, entry.frame)
  end
  return found
end

-- The items of a table from `start` (counted from 0): "indexed" ones, "named" ones, or both.
local function table_items(entry, filter, start, count)
  local value, found = entry.value, {}
  local length = rawlen(value)
  local limit = min(count or MAX_CHILDREN, MAX_CHILDREN)
  entry.keys = entry.keys or {}
  if filter ~= "named" then
    for index = start + 1, min(length, start + limit) do
      local path = entry.path and format("%s[%d]", entry.path, index) or nil
      local name = format("[%d]", index)
      entry.keys[name] = index
      found[#found + 1] = variable(name, rawget(value, index), path, entry.frame)
    end
    if filter == "indexed" then
      return found
    end
  end
  local keys = {}
  for key in next, value do
    if not (math_type(key) == "integer" and key >= 1 and key <= length) then
      keys[#keys + 1] = key
    end
  end
  sort(keys, by_text)
  for at = filter == "named" and start + 1 or 1, #keys do
    if #found >= limit then
      found[#found + 1] = { name = "…", value = format("%d more", #keys - at + 1), type = "", variablesReference = 0 }
      break
    end
    local name, suffix = key_name(keys[at])
    entry.keys[name] = keys[at]
    found[#found + 1] = variable(name, rawget(value, keys[at]), entry.path and suffix and entry.path .. suffix, entry.frame)
  end
  -- As a script itself sees it: what a library hides behind `__metatable` stays hidden.
  local meta = getmetatable(value)
  if type(meta) == "table" and start == 0 then
    found[#found + 1] = variable("(metatable)", meta, nil, entry.frame)
  end
  return found
end

local function coroutine_lines(thread)
  local found = { { name = "status", value = status(thread), type = "string", variablesReference = 0 } }
  for line in gmatch(core.clean_trace(traceback(thread, "")), "[^\n]+") do
    if not find(line, "^stack traceback") then
      local text = clean(gsub(line, "^%s+", ""))
      found[#found + 1] = { name = format("#%d", #found - 1), value = text, type = "", variablesReference = 0 }
    end
  end
  return found
end

local function entry_of(number)
  local entry = references[number]
  if entry == nil then
    error("these variables belong to an earlier stop", 0)
  end
  return entry
end

-- The variables behind a number.
function variables.children(number, filter, start, count)
  local entry = entry_of(number)
  local found
  if entry.kind == "locals" then
    found = listed(stack.locals(entry.frame), entry.frame)
  elseif entry.kind == "upvalues" then
    found = listed(stack.upvalues(entry.frame.func), entry.frame)
  elseif entry.kind == "varargs" then
    found = listed(stack.varargs(entry.frame), entry.frame)
  elseif entry.kind == "globals" then
    found = global_variables(entry)
  elseif type(entry.value) == "table" then
    found = table_items(entry, filter, start or 0, count)
  elseif type(entry.value) == "thread" then
    found = coroutine_lines(entry.value)
  else
    found = listed(stack.upvalues(entry.value), entry.frame)
  end
  return array(found)
end

local function assign_upvalue(func, name, value)
  for _, one in next, stack.upvalues(func) do
    if one.name == name then
      setupvalue(func, one.index, value)
      return
    end
  end
  error("there is no upvalue '" .. name .. "'", 0)
end

-- Gives the variable `name` behind a number the value of an expression; returns how that is shown.
function variables.set(number, name, text)
  local entry = entry_of(number)
  local results = pack(stack.evaluate(entry.frame, text))
  if not results[1] then
    error(results[2], 0)
  end
  local value = results[2]
  if entry.kind == "locals" or entry.kind == "upvalues" then
    if not stack.assign(entry.frame, name, value) then
      error("there is no variable '" .. name .. "' here", 0)
    end
  elseif entry.kind == "varargs" then
    stack.assign_vararg(entry.frame, -(tonumber(sub(name, 4)) or 0), value)
  elseif entry.kind == "globals" then
    stack.environment(entry.frame)[name] = value
  elseif type(entry.value) == "table" and name ~= "(metatable)" then
    local key = entry.keys and entry.keys[name]
    if key == nil then
      key = name
    end
    local ok, problem = stack.call(function() entry.value[key] = value end)
    if not ok then
      error(tostring(problem), 0)
    end
  elseif is_script_function(entry.value) then
    assign_upvalue(entry.value, name, value)
  else
    error("'" .. name .. "' cannot be set", 0)
  end
  return variables.described(value, nil, entry.frame)
end

return variables
