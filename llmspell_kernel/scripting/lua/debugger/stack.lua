-- The stack of a script that stands: its frames across coroutines, what they see by name, and code run in one of them.
-- Everything here is called from another coroutine than the one that is looked at, so that its levels stay the same.
-- Gets `core`; returns functions.

local core = ...

local getinfo, getlocal, setlocal = debug.getinfo, debug.getlocal, debug.setlocal
local getupvalue, setupvalue = debug.getupvalue, debug.setupvalue
local create, resume, status, close = core.create, coroutine.resume, coroutine.status, coroutine.close
local error, type, load, next, pcall, pack, unpack = error, type, load, next, pcall, table.pack, table.unpack
local setmetatable, sub, find, gsub = setmetatable, string.sub, string.find, string.gsub
local native_resume = coroutine.resume

local OURS = "=[llmspell]"
local MAX_FRAMES = 1000

local stack = {}

-- Chunks that nobody wrote into a cell or a file.
local HIDDEN = { [OURS] = true, ["@expression"] = true }

-- Whether a chunk of this name is a script's own.
function stack.is_script(source)
  return not HIDDEN[source]
end

-- The coroutine that a waiting one has resumed: the argument of the `resume` that it is in.
local function resumed_by(thread)
  local info = getinfo(thread, 0, "f")
  if info == nil or info.func ~= native_resume then
    return nil
  end
  local _, other = getlocal(thread, 0, 1)
  return type(other) == "thread" and other or nil
end

-- The coroutine that stands, the one that has resumed it, and so on to the main one.
local function chain(standing)
  local found, thread = {}, core.main
  while thread ~= nil and thread ~= standing do
    found[#found + 1] = thread
    thread = resumed_by(thread)
  end
  local outwards = { standing }
  for at = #found, 1, -1 do
    outwards[#outwards + 1] = found[at]
  end
  return outwards
end

local function add_frames(frames, thread, limit)
  local level = 0
  while #frames < limit do
    local info = getinfo(thread, level, "Slnf")
    if info == nil then
      break
    end
    if info.what ~= "C" and not HIDDEN[info.source] then
      frames[#frames + 1] = {
        thread = thread,
        level = level,
        func = info.func,
        line = info.currentline,
        source = info.source,
        short = info.short_src,
        name = info.what == "main" and "main chunk" or info.name or "function at line " .. info.linedefined,
      }
    end
    level = level + 1
  end
end

-- The script's frames, innermost first. `dead` is a coroutine whose error is on its way to `standing`.
function stack.frames(standing, dead)
  local frames = {}
  if dead ~= nil then
    add_frames(frames, dead, MAX_FRAMES)
  end
  for _, thread in next, chain(standing) do
    add_frames(frames, thread, MAX_FRAMES)
  end
  return frames
end

-- The innermost one alone.
function stack.top(standing)
  local frames = {}
  add_frames(frames, standing, 1)
  return frames[1]
end

-- How many levels a frame has below itself, itself included.
function stack.height(frame)
  local level = frame.level
  while getinfo(frame.thread, level, "l") ~= nil do
    level = level + 1
  end
  return level - frame.level
end

-- Whether a pcall, or a resume of the script's own, takes what is raised in a coroutine that `standing` has resumed.
function stack.is_caught(standing)
  for index, thread in next, chain(standing) do
    local level = 0
    while true do
      local info = getinfo(thread, level, "fS")
      if info == nil then
        break
      end
      if info.func == pcall or info.func == core.native.xpcall then
        local caller = getinfo(thread, level + 1, "f")
        if caller == nil or caller.func ~= core.run then
          return true
        end
      elseif info.func == native_resume and (level > 0 or index > 1) then
        local caller = getinfo(thread, level + 1, "S")
        if caller ~= nil and not HIDDEN[caller.source] then
          return true
        end
      end
      level = level + 1
    end
  end
  return false
end

-- ## Names

-- How many levels are on the main coroutine now above those that it had when the script stopped.
local above = 0

local function level_of(frame)
  return frame.thread == core.main and frame.level + above or frame.level
end

-- Calls a function of ours for a call of Python's, which is on top of the main coroutine.
function stack.from_main(fn, ...)
  above = 0
  repeat
    local info = getinfo(core.main, above, "f")
    above = above + 1
  until info == nil or info.func == core.run
  local results = pack(pcall(fn, ...))
  above = 0
  if not results[1] then
    error(results[2], 0)
  end
  return unpack(results, 2, results.n)
end

-- The locals of a frame as { name, value, index }, shadowed ones left out.
function stack.locals(frame)
  local found, at = {}, {}
  local index = 1
  while true do
    local name, value = getlocal(frame.thread, level_of(frame), index)
    if name == nil then
      break
    end
    if sub(name, 1, 1) ~= "(" and name ~= core.KEEPS_CALL then
      local place = at[name] or #found + 1
      at[name] = place
      found[place] = { name = name, value = value, index = index }
    end
    index = index + 1
  end
  return found
end

function stack.upvalues(func)
  local found = {}
  local index = 1
  while true do
    local name, value = getupvalue(func, index)
    if name == nil then
      break
    end
    if name ~= "_ENV" and name ~= "" then
      found[#found + 1] = { name = name, value = value, index = index }
    end
    index = index + 1
  end
  return found
end

function stack.varargs(frame)
  local found = {}
  while true do
    local name, value = getlocal(frame.thread, level_of(frame), -#found - 1)
    if name == nil then
      return found
    end
    found[#found + 1] = { name = "..." .. #found + 1, value = value, index = -#found - 1 }
  end
end

-- The globals that a frame's function sees.
function stack.environment(frame)
  if frame ~= nil then
    for index = 1, 255 do
      local name, value = getupvalue(frame.func, index)
      if name == nil then
        break
      end
      if name == "_ENV" then
        return value
      end
    end
  end
  return core.script_environment
end

local function named(list, name)
  for at = #list, 1, -1 do
    if list[at].name == name then
      return list[at]
    end
  end
  return nil
end

-- Sets a local or an upvalue; false where the frame has none of that name.
function stack.assign(frame, name, value)
  local own = named(stack.locals(frame), name)
  if own ~= nil then
    setlocal(frame.thread, level_of(frame), own.index, value)
    return true
  end
  local up = named(stack.upvalues(frame.func), name)
  if up ~= nil then
    setupvalue(frame.func, up.index, value)
    return true
  end
  return false
end

function stack.assign_vararg(frame, index, value)
  setlocal(frame.thread, level_of(frame), index, value)
end

-- What the names in a piece of code mean where the frame stands. A function that is made there may outlive the frame,
-- and sees the globals alone then.
local function names_of(frame)
  local globals = stack.environment(frame)
  if frame == nil then
    return globals
  end
  return setmetatable({}, {
    __index = function(_, name)
      if not frame.gone then
        local found = named(stack.locals(frame), name) or named(stack.upvalues(frame.func), name)
        if found ~= nil then
          return found.value
        end
      end
      return globals[name]
    end,
    __newindex = function(_, name, value)
      if frame.gone or not stack.assign(frame, name, value) then
        globals[name] = value
      end
    end,
    __metatable = false,
  })
end

-- ## Code in a frame

local function passed(thread, ok, ...)
  if ok and status(thread) == "suspended" then
    close(thread)
    return false, "attempt to yield in the debugger"
  end
  return ok, ...
end

-- Calls a function in a coroutine of its own, which can be stopped; inside of a hook nothing else can be. Gives what
-- `resume` does; a stop is the caller's to pass on.
function stack.call(fn, ...)
  local thread = create(fn)
  core.without_lines(thread)
  return passed(thread, resume(thread, ...))
end

-- Runs an expression or statements where a frame stands (nil: with the globals): true and its values, or false and why.
function stack.evaluate(frame, text)
  local names = names_of(frame)
  local chunk, problem = load("return " .. text, "=debugger", "t", names)
  if chunk == nil then
    local without = problem
    chunk, problem = load(text, "=debugger", "t", names)
    if chunk == nil then
      problem = find(without, "near <eof>", 1, true) and without or problem
      return false, (gsub(problem, "^debugger:%d+: ", ""))
    end
  end
  local arguments = {}
  if frame ~= nil and find(text, "...", 1, true) then
    for at, one in next, stack.varargs(frame) do
      arguments[at] = one.value
    end
    arguments.n = #stack.varargs(frame)
  end
  local results = pack(stack.call(chunk, unpack(arguments, 1, arguments.n or 0)))
  if not results[1] then
    local problem = results[2]
    return false, type(problem) == "string" and gsub(problem, "^debugger:%d+: ", "") or core.display(problem)
  end
  return true, unpack(results, 2, results.n)
end

return stack
