-- The levels of Logger and Debug, and the functions that both have. Gets `core`; adds `core.levels`.

local core = ...
local upper = string.upper

local NAMES = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "OFF" }
local rank = {}
for index, name in ipairs(NAMES) do
  rank[name] = index
end

-- The level's name in upper case, or nil for a word that is none.
local function parse(word)
  local name = type(word) == "string" and upper(word) or nil
  if name == "WARNING" then
    name = "WARN"
  end
  return rank[name] and name or nil
end

-- Gives `methods` one function a level, `log`, `setLevel` and `getLevel`. What is at or above the level, at first
-- `lowest`, goes to `emit(name, level, message, …)`; `name` is the function's, for errors about its arguments.
local function add_to(methods, global, lowest, emit)
  local threshold = rank[lowest]

  local function pass(name, level, message, ...)
    core.check(1, name, "string", message)
    if rank[level] >= threshold then
      emit(name, level, message, ...)
    end
  end

  for index = 1, #NAMES - 1 do
    local level = NAMES[index]
    local word = string.lower(level)
    local name = global .. "." .. word
    methods[word] = function(message, extra) pass(name, level, message, extra) end
  end

  function methods.log(level, message, ...)
    local known = parse(level)
    if known == nil or known == "OFF" then
      error("Validation error: unknown log level '" .. tostring(level) .. "'", 0)
    end
    pass(global .. ".log", known, message, ...)
  end

  function methods.setLevel(level)
    local known = parse(level)
    if known == nil then
      return false
    end
    threshold = rank[known]
    return true
  end

  function methods.getLevel()
    return NAMES[threshold]
  end
end

core.levels = { add_to = add_to }
