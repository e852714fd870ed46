-- What a frontend asks about code that isn't run: whether it is complete, and how a name could go on.
-- Gets `core`; adds to it.

local core = ...
local load, type, next, rawget, rawlen, getmetatable = load, type, next, rawget, rawlen, getmetatable
local find, sub, gmatch, concat = string.find, string.sub, string.gmatch, table.concat
local getinfo, getlocal, io_type, math_type, tointeger =
  debug.getinfo, debug.getlocal, io.type, math.type, math.tointeger

local OURS = "[llmspell]"

-- "complete", "incomplete" (Lua stopped at the end of the text) or "invalid".
function core.is_complete(source)
  local chunk, problem = load(source, "=cell", "t")
  if chunk ~= nil then
    return "complete"
  end
  local with_return, value_problem = core.with_return(source), nil
  if with_return ~= nil then
    chunk, value_problem = load(with_return, "=cell", "t")
    if chunk ~= nil then
      return "complete"
    end
  end
  if find(problem, "near <eof>", 1, true) or value_problem ~= nil and find(value_problem, "near <eof>", 1, true) then
    return "incomplete"
  end
  return "invalid"
end

-- Only tables are asked, and no metamethod that is a function is called: completing must not run a script's code.

-- The metatable's `__index` where that is a table.
local function inherited(value)
  local meta = getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__index") or nil
end

local function field(value, key)
  for _ = 1, 8 do
    if type(value) == "string" then
      value = core.native.string
    end
    if type(value) ~= "table" then
      return nil
    end
    local found = rawget(value, key)
    if found ~= nil then
      return found
    end
    value = inherited(value)
  end
  return nil
end

-- What is asked and answered travels as text, not as tables: those can't be read from outside while a coroutine waits.

-- The value behind a path: each key with `s` (a text) or `i` (an integer) before it and a zero byte behind it.
local function value_at(env, path)
  local value = env
  for kind, key in gmatch(path, "([si])(%Z*)%z") do
    if kind == "i" then
      key = tointeger(key)
    end
    value = field(value, key)
  end
  return value
end

-- The parameters of a function that is written in Lua and is no part of llmspell, as a text.
local function parameters_of(value)
  local info = getinfo(value, "Su")
  if info.what == "C" or find(info.short_src, OURS, 1, true) then
    return nil
  end
  local names = {}
  for at = 1, info.nparams do
    names[at] = getlocal(value, at)
  end
  if info.isvararg then
    names[#names + 1] = "..."
  end
  return concat(names, ", ")
end

local KEYS_LOOKED_AT = 100000

-- Fields whose names begin with `prefix`, at most `most`: a line each, of the name, the type and, where they are known, a
-- function's parameters, with zero bytes between them. With `any` the names may be any text without control characters.
local function fields_of(value, prefix, any, most)
  local found, seen = {}, {}
  local looked = 0
  for _ = 1, 8 do
    if type(value) == "string" then
      value = core.native.string
    end
    if type(value) ~= "table" then
      break
    end
    for key, item in next, value do
      looked = looked + 1
      if #found >= most or looked > KEYS_LOOKED_AT then
        return concat(found)
      end
      if type(key) == "string" and sub(key, 1, #prefix) == prefix and find(key, any and "^%C*$" or "^[%a_][%w_]*$") and not seen[key] then
        seen[key] = true
        local kind = type(item)
        local parameters = kind == "function" and parameters_of(item)
        found[#found + 1] = key .. "\0" .. kind .. (parameters and "\0" .. parameters or "") .. "\n"
      end
    end
    value = inherited(value)
  end
  return concat(found)
end

function core.fields(env, path, prefix, any, most)
  return fields_of(value_at(env, path), prefix, any, most)
end

function core.text_methods(prefix, most)
  return fields_of("", prefix, false, most)
end

-- `package.path`, where there is one.
function core.search_path(env)
  local path = field(field(env, "package"), "path")
  return type(path) == "string" and path or ""
end

local COUNTED = 10000

local function counted(count, one, many)
  return count >= COUNTED and "more than " .. COUNTED .. " " .. many or count .. " " .. (count == 1 and one or many)
end

-- A value's type and how large it is.
local function shape(value)
  local kind = type(value)
  if kind == "string" then
    return "string (" .. counted(#value, "byte", "bytes") .. ")"
  elseif kind == "number" then
    return math_type(value)
  elseif kind ~= "table" then
    return io_type(value) or kind
  end
  local items, others = rawlen(value), 0
  for key in next, value do
    if not (math_type(key) == "integer" and key >= 1 and key <= items) then
      others = others + 1
      if others >= COUNTED then
        break
      end
    end
  end
  local parts = {}
  if items > 0 then
    local first = rawget(value, 1)
    local width = type(first) == "table" and rawlen(first) or 0
    parts[1] = width > 0 and items .. " × " .. width or counted(items, "item", "items")
  end
  if others > 0 then
    parts[#parts + 1] = counted(others, "field", "fields")
  end
  return #parts == 0 and "table (empty)" or "table (" .. concat(parts, ", ") .. ")"
end

-- The type of the value behind a list of names, the section of the reference that it belongs to, its shape, and how it
-- is shown; nil where there is none. Of a script's function its parameters, the chunk, and its first and last line.
function core.look(env, path)
  local value = value_at(env, path)
  if value == nil then
    return nil, nil, nil, nil, nil, nil, nil, nil
  end
  local kind = type(value)
  if kind ~= "function" then
    return kind, kind == "table" and core.kinds[value] or nil, shape(value), core.shown(value), nil, nil, nil, nil
  end
  local info = getinfo(value, "S")
  if info.what == "C" then
    return kind, nil, kind, "a function of Lua's own", nil, nil, nil, nil
  elseif find(info.short_src, OURS, 1, true) then
    return kind, nil, kind, "a function of llmspell's", nil, nil, nil, nil
  end
  local where = "defined at " .. info.short_src .. ":" .. info.linedefined
  return kind, nil, kind, where, parameters_of(value), sub(info.source, 2), info.linedefined, info.lastlinedefined
end

-- The names of the globals, for "did you mean".
function core.global_names(env)
  local names = {}
  for key in next, env do
    if type(key) == "string" then
      names[#names + 1] = key
    end
  end
  return names
end
