-- The ground that every other file here stands on: calls into Python, the way to stop a script for good, and the
-- protected call that scripts run in. Runs with Lua's real globals, which scripts never see.
-- Gets `host`, a table of Python functions; returns `core`.

local host = ...

local sethook, getinfo, traceback = debug.sethook, debug.getinfo, debug.traceback
local running, create, resume, close = coroutine.running, coroutine.create, coroutine.resume, coroutine.close
local error, type, tostring, pcall, xpcall, load, next = error, type, tostring, pcall, xpcall, load, next
local rawget, rawequal, getmetatable, setmetatable = rawget, rawequal, getmetatable, setmetatable
local find, sub, format, gmatch, concat = string.find, string.sub, string.format, string.gmatch, table.concat
local pack, select = table.pack, select
local clock, max, min = os.clock, math.max, math.min

local core = { host = host }

-- Lua itself names its library; what scripts may replace (`string.find`, `tostring`) is captured before they start.
core.native = {
  string = string, table = table, math = math, utf8 = utf8, coroutine = coroutine, os = os, io = io, debug = debug,
}

-- Chunks of ours carry this name, so that tracebacks of scripts can leave them out.
local OURS = "[llmspell]"

-- ## Stopping
-- A stop (interrupt, limit, os.exit) has to get through every pcall and coroutine. `stopped` asks Python, which polls
-- the pipe; once it says yes, every thread gets a hook on each instruction that raises again until the top is reached.

local INSTRUCTIONS = 20000
-- Where these take long (calls of C functions on much data), fewer lie between two looks; seconds of computing.
local LONG, WANTED, SHORT, FEWEST = 0.03, 0.01, 0.005, 100
local pace, looked_at = INSTRUCTIONS, 0
local STOP = "script stopped"
local stopped = host.stopped
local threads = setmetatable({}, { __mode = "k" })
local halting = false
local hook
-- A debugger's hook in place of `hook`, and the events beside its counting; nil while none is attached.
local tracer, traced_events = nil, ""

local function arm(thread)
  if halting then
    sethook(thread, hook, "", 1)
  else
    sethook(thread, tracer or hook, traced_events, pace)
  end
end

-- Where a script was when it was last looked at: running out of memory reaches no handler that could tell. Exact for
-- the first lines of a run; later it is looked at now and then, and whenever garbage is collected.
local EXACT_LINES = 200
local exact_lines = 0
local seen_source, seen_line

local function note(level)
  local info = getinfo(level, "Sl")
  if info ~= nil and info.currentline > 0 and find(info.short_src, OURS, 1, true) ~= 1 then
    seen_source, seen_line = info.short_src, info.currentline
  end
end

local function by_line()
  note(3)
  exact_lines = exact_lines - 1
  if exact_lines <= 0 then
    -- Some five instructions a line: how long they take here is known from the first.
    local now = clock()
    local took = now - looked_at
    if took > SHORT then
      pace = max(FEWEST, min(pace, 5 * EXACT_LINES * WANTED // took | 0))
    end
    looked_at = now
    arm((running()))
  end
end

-- How often garbage has been collected.
core.collections = 0

local sentinel = {}
function sentinel.__gc()
  note(3)
  core.collections = core.collections + 1
  setmetatable({}, sentinel)
end
setmetatable({}, sentinel)

local function halt()
  if not halting then
    halting = true
    for thread in next, threads do
      sethook(thread, hook, "", 1)
    end
  end
  error(STOP, 0)
end

local function keep_pace()
  local now = clock()
  local took = now - looked_at
  looked_at = now
  if took > LONG then
    pace = max(FEWEST, pace * WANTED // took | 0)
    arm((running()))
  elseif pace < INSTRUCTIONS and took < SHORT then
    pace = min(INSTRUCTIONS, pace * 2)
    arm((running()))
  end
end

function hook()
  note(3)
  if stopped() then
    halt()
  end
  if not halting then
    keep_pace()
  end
end

local function watch(thread)
  threads[thread] = true
  arm(thread)
end

core.main = running()
watch(core.main)

-- Called by Python when the stop has reached the top.
function core.rearm()
  halting = false
  for thread in next, threads do
    arm(thread)
  end
end

-- Whether a stop is on its way up.
function core.is_halting()
  return halting
end

-- From here on every coroutine has this hook in place of ours: it gets these events, beside its counting, and does what
-- ours does (`counted`) when it counts. Without a hook: ours again.
function core.trace(new_hook, events)
  tracer, traced_events = new_hook, events or ""
  for thread in next, threads do
    arm(thread)
  end
end

-- A coroutine of the debugger's own gets no events but its counting.
function core.without_lines(thread)
  if not halting and tracer ~= nil then
    sethook(thread, tracer, "", pace)
  end
end

-- What `hook` does, for the function `level` levels above the caller's.
function core.counted(level)
  note(level + 3)
  if stopped() then
    halt()
  end
end

-- Hooks belong to one coroutine, so each new one gets its own.
function core.create(fn)
  local thread = create(fn)
  watch(thread)
  return thread
end

-- Where the coroutine was whose error was raised last: by the time that the error is uncaught, its stack is gone.
local inner = {}

-- Raises what a coroutine has ended with, and keeps its stack for the one who reads the error.
function core.raise_from(thread, value)
  local ok, trace = pcall(traceback, thread, "")
  inner.value, inner.trace = value, ok and (rawequal(inner.value, value) and inner.trace or "") .. trace or nil
  if core.on_raised_in ~= nil then
    core.on_raised_in(thread, value)
  end
  close(thread)
  error(value, 0)
end

local function passed(thread, ok, ...)
  if ok then
    return ...
  end
  core.raise_from(thread, (...))
end

function core.wrap(fn)
  local thread = core.create(fn)
  return function(...)
    return passed(thread, resume(thread, ...))
  end
end

-- ## Calls into Python
-- A Python function returns true and its results, false and a message, or nil when the script has to stop. The memory
-- limit is lifted meanwhile: an allocation that fails inside Python's half of the call could not be unwound.

local lift_limit, set_limit = host.lift_limit, host.set_limit

local function finish(ok, ...)
  set_limit()
  if ok then
    return ...
  end
  if ok == nil then
    halt()
  end
  error((...), 0)
end

function core.bind(name)
  local fn = host[name]
  return function(...)
    lift_limit()
    return finish(fn(...))
  end
end

-- Whether the script has to stop, in a hook of another file's: raises then, through every pcall.
function core.poll()
  if stopped() then
    halt()
  end
end

-- ## Files that are read when they are needed

local own_source = core.bind("own_source")
local modules = {}

-- What a file of ours gives; it gets `core`, and is run once.
function core.module(name)
  if modules[name] == nil then
    modules[name] = { load(own_source(name), "=" .. OURS, "t")(core) }
  end
  return modules[name][1]
end

-- ## Arguments

function core.bad_argument(position, name, expected, value)
  error(format("bad argument #%d to '%s' (%s expected, got %s)", position, name, expected,
    value == nil and "no value" or type(value)), 0)
end

function core.check(position, name, expected, value)
  if type(value) ~= expected then
    core.bad_argument(position, name, expected, value)
  end
  return value
end

function core.check_optional(position, name, expected, value)
  if value ~= nil and type(value) ~= expected then
    core.bad_argument(position, name, expected, value)
  end
  return value
end

local schema_of_fields = core.bind("schema_of_fields")

-- A JSON Schema from a table, or from the short form: "name, age int".
function core.schema_of(name, value)
  if type(value) == "string" then
    return schema_of_fields(value, name)
  end
  return core.check_optional(1, name, "table", value)
end

-- The section of the reference that an object belongs to.
core.kinds = setmetatable({}, { __mode = "k" })

-- Makes `object.name(…)` and `object:name(…)` the same call for every function in `methods`; `kind` is the section of
-- the reference that an object belongs to which a call gives.
function core.methods(object, methods, kind)
  core.kinds[object] = kind
  for name, fn in next, methods do
    object[name] = function(first, ...)
      if rawequal(first, object) then
        return fn(...)
      end
      return fn(first, ...)
    end
  end
  return object
end

-- ## What is read late

local read_own = core.bind("read_own")
local read = {}

-- What the file of globals returns. It is read when this is called first: what is long and seldom used costs no start.
function core.part(file)
  if read[file] == nil then
    read[file] = load(read_own(file), "=" .. OURS, "t")(core)
  end
  return read[file]
end

-- Adds functions to `methods`, for each of the `names` in a text, that are in a part.
function core.late(methods, file, names)
  for name in gmatch(names, "%S+") do
    methods[name] = function(...)
      return core.part(file)[name](...)
    end
  end
  return methods
end

-- A global of which every function is in a part; and one field, where that has a name: a table that can't be changed,
-- of what the part's function of that name gives when it is looked at.
function core.late_global(file, names, field)
  local global = core.methods({}, core.late({}, file, names))
  if field ~= "" then
    global[field] = setmetatable({}, {
      __index = function(_, key) return core.part(file)[field]()[key] end,
      __pairs = function() return next, core.part(file)[field]() end,
      __newindex = function() error("'" .. field .. "' can't be changed by a script", 2) end,
    })
  end
  return global
end

-- ## Objects that are a text where one is needed: their metatables. `table.concat` takes them too.

core.text_kinds = {}

-- The metatable of tables that are texts where one is wanted: their `name`.
function core.named_items(kind)
  local item = { __name = kind }
  core.text_kinds[item] = true
  function item.__tostring(one)
    return one.name
  end
  function item.__concat(left, right)
    return tostring(left) .. tostring(right)
  end
  return item
end

-- ## Running scripts

-- Counts executions: what is kept for one of them is old in the next.
core.executions = 0

local failure = {}

local function describe(value)
  local kind = type(value)
  if kind == "string" then
    return value
  end
  if kind == "table" then
    local message = rawget(value, "message")
    if type(message) == "string" then
      return message
    end
    local meta = getmetatable(value)
    if type(meta) ~= "table" or rawget(meta, "__tostring") == nil then
      local ok, text = pcall(core.json, value)
      return ok and text or tostring(value)
    end
  end
  local ok, text = pcall(tostring, value)
  return ok and text or "(error object is a " .. kind .. ")"
end

local function on_error(value)
  if core.on_uncaught ~= nil and not halting then
    core.on_uncaught(value)
  end
  local level, source, line = 2, nil, nil
  while true do
    local info = getinfo(level, "Sl")
    if info == nil then
      break
    end
    if info.currentline > 0 and find(info.short_src, OURS, 1, true) ~= 1 then
      source, line = info.short_src, info.currentline
      break
    end
    level = level + 1
  end
  failure.source, failure.line = source, line
  failure.trace = traceback("", 2)
  if inner.trace ~= nil and rawequal(inner.value, value) then
    failure.trace = inner.trace .. failure.trace
  end
  failure.text = value == nil and "nil" or describe(value)
  return value
end

function core.failure()
  local last = failure
  failure = {} -- A function may have been called in the middle of a script, which can still fail in its own way.
  return last.text, last.source, last.line, last.trace
end

-- What the last run gave, where that is more than one value.
local several = nil

local function ended(ok, value, ...)
  lift_limit()
  several = ok and select("#", ...) > 0 and pack(value, ...) or nil
  if not ok and failure.text == nil then
    -- Running out of memory reaches no handler.
    failure.text, failure.source, failure.line = describe(value), seen_source, seen_line
  end
  return ok, value
end

-- Calls a function of the script's; Python asks for `failure` when it gives false. Returns true and the first result.
function core.run(fn, ...)
  failure, inner.value, inner.trace = {}, nil, nil
  seen_source, seen_line, exact_lines = nil, nil, EXACT_LINES
  looked_at = clock()
  if not halting and tracer == nil then
    sethook(by_line, "l")
  end
  set_limit()
  return ended(xpcall(fn, on_error, ...))
end

-- The chunk of a source, or Lua's message. Where its value is to be shown (`shows_value`), a last statement that
-- is an expression is what the chunk returns.
function core.compile(source, name, env, shows_value)
  core.executions = core.executions + 1
  if shows_value then
    local with_return, keeps_call = core.with_return(source)
    -- A chunk that has all the locals that there can be takes no other.
    local chunk = with_return ~= nil and (load(keeps_call, name, "t", env) or load(with_return, name, "t", env))
    if chunk then
      return chunk
    end
  end
  local chunk, problem = load(source, name, "t", env)
  return chunk or problem
end

-- The first value that a cell's chunk gave; where there are more, how all of them are shown, as Lua's own prompt does, and
-- how many there are.
function core.values_of(value)
  local values = several
  several = nil
  if values == nil then
    return value, nil, 1
  end
  local shown, count = {}, values.n
  for index = 1, count do
    shown[index] = core.display(values[index])
  end
  return value, concat(shown, "  "), count
end

-- Frames that say nothing about the script: ours, and what raised the error.
local DULL = { OURS, "[C]: in function 'xpcall'", "[C]: in function 'error'", "[C]: in function 'assert'", "[C]: in ?", "(...tail calls...)" }

local function is_dull(line)
  for _, part in next, DULL do
    if find(line, part, 1, true) then
      return true
    end
  end
  return line == ""
end

-- A traceback of the script's own lines.
function core.clean_trace(text)
  local kept = {}
  local at = 1
  while at <= #text do
    local stop = find(text, "\n", at, true) or #text + 1
    local line = sub(text, at, stop - 1)
    if not is_dull(line) then
      kept[#kept + 1] = line
    end
    at = stop + 1
  end
  return concat(kept, "\n")
end

return core
