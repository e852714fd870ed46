-- Evaluates the expressions and chunks that workflows have as texts. They see data, and a few functions that reach
-- nothing; what they compute is bounded. Gets `core`; returns the evaluator.

local core = ...
local create, resume, close = coroutine.create, coroutine.resume, coroutine.close
local error, load, next, sethook, set_metatable = error, load, next, debug.sethook, debug.setmetatable
local gsub, sub, type = string.gsub, string.sub, type
local poll, pcall = core.poll, pcall

-- Enough for any condition; as many take about a second.
local MOST = 20000000
local STRIDE = 10000

local function copied(library, without)
  local copy = {}
  for name, value in next, library do
    if name ~= without then
      copy[name] = value
    end
  end
  return copy
end

local function environment(variables)
  local found = {}
  for name, value in next, variables do
    found[name] = value
  end
  found.string, found.table, found.math = copied(string, "dump"), copied(table), copied(math)
  found.tostring, found.tonumber, found.ipairs, found.pairs = tostring, tonumber, ipairs, pairs
  return found
end

local function no() return false end

-- In an expression what is missing has no fields and compares as false. It holds while one is evaluated.
local MISSING = { __index = function() return nil end, __lt = no, __le = no, __len = function() return 0 end }

-- What `fn` gives, within the limit; a script that has to stop stops here too.
local function limited(fn)
  local thread, left = create(fn), MOST // STRIDE
  sethook(thread, function()
    poll()
    left = left - 1
    if left <= 0 then
      error("the expression computes for too long", 0)
    end
  end, "", STRIDE)
  local ok, value = resume(thread)
  close(thread)
  if not ok then
    error(value, 0)
  end
  return value
end

-- A problem with the expression that has it in place of a position.
local function about(text, problem)
  if type(problem) ~= "string" then
    return problem
  end
  local shown = #text > 80 and sub(text, 1, 80) .. "…" or text
  return "in '" .. shown .. "': " .. gsub(problem, "^expression:%d+: ", "")
end

return function(kind, text, variables)
  local env = environment(variables)
  if kind == "chunk" then
    local chunk, problem = load(text, "=state_update", "t", env)
    if chunk == nil then
      error(problem, 0)
    end
    limited(chunk)
    return env.state
  end
  local chunk, problem = load("return " .. text, "=expression", "t", env)
  if chunk == nil then
    error(about(text, problem), 0)
  end
  set_metatable(nil, MISSING)
  local ok, value = pcall(limited, chunk)
  set_metatable(nil, nil)
  if not ok then
    error(about(text, value), 0)
  end
  return value
end
