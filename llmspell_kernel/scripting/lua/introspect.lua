-- What a frontend asks about code that isn't run: whether it is complete, and how a name could go on.
-- Gets `core`; adds to it.

local core = ...
local load, type, next, rawget, getmetatable = load, type, next, rawget, getmetatable
local find, sub, match, gmatch = string.find, string.sub, string.match, string.gmatch
local sort, getinfo = table.sort, debug.getinfo

local KEYWORDS = {
  "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil", "not",
  "or", "repeat", "return", "then", "true", "until", "while",
}

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
local function field(value, name)
  for _ = 1, 8 do
    if type(value) == "string" then
      value = core.native.string
    end
    if type(value) ~= "table" then
      return nil
    end
    local found = rawget(value, name)
    if found ~= nil then
      return found
    end
    local meta = getmetatable(value)
    value = type(meta) == "table" and rawget(meta, "__index") or nil
  end
  return nil
end

local function collect(value, prefix, functions_only, found)
  for _ = 1, 8 do
    if type(value) == "string" then
      value = core.native.string
    end
    if type(value) ~= "table" then
      return
    end
    for key, item in next, value do
      if type(key) == "string" and sub(key, 1, #prefix) == prefix and find(key, "^[%a_][%w_]*$")
        and (type(item) == "function" or not functions_only) then
        found[key] = true
      end
    end
    local meta = getmetatable(value)
    value = type(meta) == "table" and rawget(meta, "__index") or nil
  end
end

-- The names that could stand where `text` (the code up to the cursor) ends, sorted, and how many of its bytes they
-- replace.
function core.complete(env, text)
  local path = match(text, "[%a_][%w_%.:]*$") or ""
  -- What is behind a number, or behind what a call gives, has no name here.
  if path == "" and find(text, "[%w_%.:]$") or path ~= "" and find(text, "[%.:][%a_][%w_%.:]*$") and find(sub(text, -#path - 1), "^[%.:]") then
    return {}, 0
  end
  local before, separator, prefix = match(path, "^(.*)([%.:])([%w_]*)$")
  local found = {}
  if before == nil then
    prefix = path
    collect(env, prefix, false, found)
    for _, word in next, KEYWORDS do
      if sub(word, 1, #prefix) == prefix then
        found[word] = true
      end
    end
  else
    local value = env
    for name in gmatch(before, "[^%.:]+") do
      value = field(value, name)
    end
    collect(value, prefix, separator == ":", found)
  end
  local names = {}
  for name in next, found do
    names[#names + 1] = name
  end
  sort(names)
  return names, #prefix
end

-- The type of the value behind a list of names, the section of the reference that it belongs to, and how it is shown;
-- nil where there is none.
function core.look(env, path)
  local value = env
  for _, name in next, path do
    value = field(value, name)
  end
  if value == nil then
    return nil, nil, nil
  end
  local kind = type(value)
  if kind == "function" then
    local info = getinfo(value, "S")
    local where = info.what == "C" and "a function of Lua's own" or "defined at " .. info.short_src .. ":" .. info.linedefined
    return kind, nil, find(where, "[llmspell]", 1, true) and "a function of llmspell's" or where
  end
  return kind, kind == "table" and core.kinds[value] or nil, core.display(value)
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
