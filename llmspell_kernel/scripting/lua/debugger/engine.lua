-- The debugger of one Lua state: where a script has to stop, how it goes on, and what is answered meanwhile. Read when a
-- debugger attaches; until then nothing of it runs.
--
-- One hook serves it and the stopping of scripts: it counts as `core`'s does, and gets an event for each line only while
-- there is a breakpoint or a step. A script that stands does so inside of its hook: there Python waits for the next
-- command, and everything that is looked at is looked at from a coroutine of its own.
-- Gets `core`; returns a function that starts it.

local core = ...

local getinfo, running, status = debug.getinfo, coroutine.running, coroutine.status
local error, load, next, pcall, tostring, type, native_xpcall = error, load, next, pcall, tostring, type, xpcall
local rawequal, rawget, rawset, select, native_resume = rawequal, rawget, rawset, select, coroutine.resume
local pack, unpack, concat, min, dump = table.pack, table.unpack, table.concat, math.min, string.dump
local find, format, gsub, match, sub = string.find, string.format, string.gsub, string.match, string.sub
local array, waits, write = core.host.array, core.host.debug_waits, core.host.write
local take, answer, send_event = core.bind("debug_take"), core.bind("debug_answer"), core.bind("debug_event")
local aside = core.host.debug_aside
local source_of, code_lines = core.bind("debug_source"), core.bind("debug_lines")

local stack, variables = core.module("debugger/stack.lua"), core.module("debugger/variables.lua")

local THREAD = 1

-- Breakpoints by path and line, the lines that have any, and the paths of chunks.
local by_path, any_line, path_of = {}, {}, {}
local filters = {}
local attached, active = false, true
-- Where the next stop is due, besides breakpoints: { kind = "in" | "over" | "out" | "pause", … }.
local step
-- How deep the debugger itself is at work: nothing that it runs stops anywhere.
local busy = 0
-- Where the script stands: { frames, reason, … }.
local standing
local tracer

local function arm()
  local lines = active and (step ~= nil or next(any_line) ~= nil)
  core.trace(attached and tracer or nil, attached and lines and "l" or "")
end

-- A stop that came while the debugger was at work goes on through the script.
local function pass_stop_on()
  if core.is_halting() then
    core.counted(1)
  end
end

-- ## Standing

local handle

local RESUMES = { continue = true, next = true, stepIn = true, stepOut = true, detach = true }

-- What a step means from the frame where the script stands.
local function step_for(command)
  local top = standing.frames[1]
  if command == "continue" or command == "detach" then
    return nil
  elseif command == "stepIn" or top == nil or standing.error ~= nil then
    return { kind = "in" }
  end
  return {
    kind = command == "next" and "over" or "out", thread = top.thread, height = stack.height(top), func = top.func,
  }
end

local function answered(id, command, arguments)
  local ok, result = pcall(handle, command, arguments)
  pass_stop_on()
  if not ok then
    result = variables.clean(tostring(result))
  end
  answer(id, ok, result)
end

-- Answers commands until one lets the script go on; that one is answered when the script does.
local function converse()
  while true do
    local id, command, arguments = take(true)
    if RESUMES[command] then
      step = step_for(command)
      if command == "detach" then
        handle(command, arguments)
      end
      return id
    end
    answered(id, command, arguments)
  end
end

-- Calls a function where it can look at the running coroutine, and where nothing that it runs stops.
local function apart(fn, ...)
  busy = busy + 1
  local results = pack(stack.call(fn, ...))
  busy = busy - 1
  return unpack(results, 1, results.n)
end

-- The line on which the first statement of a text begins. Lua's own first line is that of the first instruction, which
-- for a `local function` makes the function and stands at its `end`.
local function first_line(text)
  local at = 1
  while true do
    at = find(text, "[^%s;]", at) or #text + 1
    local level = match(text, "^%-%-%[(=*)%[", at)
    if level ~= nil then
      local _, stop = find(text, "]" .. level .. "]", at, true)
      at = (stop or #text) + 1
    elseif sub(text, at, at + 1) == "--" then
      at = find(text, "\n", at, true) or #text + 1
    else
      local _, newlines = gsub(sub(text, 1, at - 1), "\n", "")
      return newlines + 1
    end
  end
end

local function put_at_first_statement(frame)
  local text = frame ~= nil and path_of[frame.source] ~= nil and source_of(path_of[frame.source])
  if text then
    frame.line = min(frame.line, first_line(text))
  end
end

-- The script stands here until the debugger lets it go on. `dead` is a coroutine whose error has ended it.
local function stand(reason, more, dead)
  if busy > 0 or standing ~= nil then
    return
  end
  local ok, frames = apart(stack.frames, (running()), dead)
  pass_stop_on()
  if not ok then
    return -- The stack of C is too high for another call.
  end
  if reason == "entry" then
    put_at_first_statement(frames[1])
  end
  standing, step = { frames = frames, error = more.error }, nil
  send_event("stopped", {
    reason = reason, threadId = THREAD, allThreadsStopped = true, text = more.text, description = more.text,
    hitBreakpointIds = more.id and array({ more.id }) or nil,
  })
  local id
  ok, id = apart(converse)
  for _, frame in next, frames do
    frame.gone = true
  end
  standing = nil
  variables.forget()
  arm()
  pass_stop_on()
  if not ok then
    error(id, 0)
  end
  send_event("continued", { threadId = THREAD, allThreadsContinued = true })
  answer(id, true, { allThreadsContinued = true })
end

-- ## Where to stop

-- What a text has between braces is evaluated, as in `n is {n}`.
local function interpolated(frame, message)
  local parts, at = {}, 1
  while true do
    local open, close = find(message, "%b{}", at)
    if open == nil then
      parts[#parts + 1] = sub(message, at)
      return concat(parts)
    end
    parts[#parts + 1] = sub(message, at, open - 1)
    local ok, value = stack.evaluate(frame, sub(message, open + 1, close - 1))
    local text = ok and (type(value) == "string" and value or variables.text(value, nil, true)) or "<" .. tostring(value) .. ">"
    parts[#parts + 1] = variables.clean(text)
    at = close + 1
  end
end

local HIT_TESTS = {
  ["=="] = function(hits, wanted) return hits == wanted end,
  [">="] = function(hits, wanted) return hits >= wanted end,
  [">"] = function(hits, wanted) return hits > wanted end,
  ["<="] = function(hits, wanted) return hits <= wanted end,
  ["<"] = function(hits, wanted) return hits < wanted end,
  ["%"] = function(hits, wanted) return hits % wanted == 0 end,
}

-- Whether a breakpoint that was reached stops the script, and what is wrong with its condition.
local function decide(breakpoint, thread)
  local frame = stack.top(thread)
  if breakpoint.condition ~= nil then
    local ok, value = stack.evaluate(frame, breakpoint.condition)
    if not ok then
      return true, "the condition failed: " .. variables.clean(tostring(value))
    elseif not value then
      return false
    end
  end
  breakpoint.hits = breakpoint.hits + 1
  if breakpoint.operator ~= nil and not HIT_TESTS[breakpoint.operator](breakpoint.hits, breakpoint.number) then
    return false
  end
  if breakpoint.message ~= nil then
    write("stderr", interpolated(frame, breakpoint.message) .. "\n")
    return false
  end
  return true
end

local function breakpoint_here(line, info)
  local path = path_of[info.source]
  local lines = path ~= nil and by_path[path]
  local breakpoint = lines and lines[line]
  if not breakpoint then
    return nil
  end
  aside(true)
  local ok, stops, problem = apart(decide, breakpoint, (running()))
  aside(false)
  pass_stop_on()
  if not ok then
    return breakpoint, tostring(stops)
  end
  return stops and breakpoint or nil, problem
end

-- Whether a step ends in the function of the hook's level, 3 from here.
local function ends_step(info)
  if not stack.is_script(info.source) then
    return false
  end
  if step.kind == "in" or step.kind == "pause" then
    return true
  end
  local here = running()
  if here ~= step.thread then
    -- Whatever it has resumed is part of the step; where it has ended or yielded, its resumer goes on.
    return status(step.thread) ~= "normal"
  end
  -- This function and the hook are above the frames that count.
  if getinfo(step.height + 3, "l") ~= nil then
    return false
  elseif getinfo(step.height + 2, "l") ~= nil then
    -- As high as where the step began: there, or in what that frame became by a tail call.
    return step.kind == "over" and getinfo(3, "f").func == step.func
  end
  return true
end

-- Commands that came while the script runs; called with the hook's level, 2 from here.
local function serve_meanwhile()
  core.serve_debugger()
  if step ~= nil and step.kind == "pause" and standing == nil then
    local info = getinfo(3, "S")
    if info ~= nil and stack.is_script(info.source) then
      stand("pause", {})
    end
  end
end

-- The hook's own instructions are counted as well, so that a count may end in them time and again and never be told:
-- after so many lines it is looked as if it had been.
local LINES = 500
local lines_left = LINES

function tracer(event, line)
  lines_left = lines_left - 1
  if event == "count" or lines_left <= 0 then
    lines_left = LINES
    core.counted(1)
    if busy == 0 and waits() then
      serve_meanwhile()
    end
  end
  if busy > 0 or event == "count" then
    return
  end
  local info
  if any_line[line] ~= nil then
    info = getinfo(2, "S")
    local breakpoint, problem = breakpoint_here(line, info)
    if breakpoint ~= nil then
      stand("breakpoint", { id = breakpoint.id, text = problem })
      return
    end
  end
  if step ~= nil then
    info = info or getinfo(2, "S")
    if ends_step(info) then
      stand(step.kind == "pause" and "pause" or step.entry and "entry" or "step", {})
    end
  end
end

-- ## Errors

local function message_of(value)
  return type(value) == "string" and variables.clean(value) or variables.text(value, nil, true)
end

local function stop_for_error(value, dead)
  if busy == 0 and active and not core.is_halting() and standing == nil then
    local text = message_of(value)
    stand("exception", { text = text, error = text }, dead)
  end
end

local function on_raised(value)
  stop_for_error(value)
  return value
end

local function traced_pcall(fn, ...)
  return native_xpcall(fn, on_raised, ...)
end

local function traced_xpcall(fn, handler, ...)
  return native_xpcall(fn, function(value)
    on_raised(value)
    return handler(value)
  end, ...)
end

local function resumed(thread, ok, ...)
  if not ok and status(thread) == "dead" then
    stop_for_error((...), thread)
  end
  return ok, ...
end

local function traced_resume(thread, ...)
  return resumed(thread, native_resume(thread, ...))
end

-- A coroutine's error that was told where it was raised comes up to its resumers as well.
local told, told_value = false, nil

local function raised_in(thread, value)
  if busy > 0 or told and rawequal(told_value, value) then
    return
  end
  local stops = filters.raised
  if not stops then
    local ok, caught = apart(stack.is_caught, (running()))
    pass_stop_on()
    stops = ok and not caught
  end
  if stops then
    told, told_value = true, value
    stop_for_error(value, thread)
  end
end

local function uncaught(value)
  local before = told and rawequal(told_value, value)
  told, told_value = false, nil
  if not before then
    stop_for_error(value)
  end
end

local function replace(env, name, from, to)
  if rawget(env, name) == from then
    rawset(env, name, to)
  end
end

local function set_filters(wanted)
  filters = wanted
  local env, native = core.script_environment, core.native
  if wanted.raised then
    replace(env, "pcall", pcall, traced_pcall)
    replace(env, "xpcall", native_xpcall, traced_xpcall)
    if type(env.coroutine) == "table" then
      replace(env.coroutine, "resume", native_resume, traced_resume)
    end
  else
    replace(env, "pcall", traced_pcall, pcall)
    replace(env, "xpcall", traced_xpcall, native_xpcall)
    if type(env.coroutine) == "table" then
      replace(env.coroutine, "resume", traced_resume, native_resume)
    end
  end
  core.on_uncaught = (wanted.raised or wanted.uncaught) and uncaught or nil
  core.on_raised_in = (wanted.raised or wanted.uncaught) and raised_in or nil
end

-- ## Commands

local commands = {}

local function frame_of(number)
  if number == nil then
    return standing ~= nil and standing.frames[1] or nil
  end
  local frame = standing ~= nil and standing.frames[number]
  if not frame then
    error("the script is no longer paused there", 0)
  end
  return frame
end

local function recount_lines()
  any_line = {}
  for _, lines in next, by_path do
    for line in next, lines do
      any_line[line] = true
    end
  end
  arm()
end

-- The lines of a path that have code, in order; nil where its text is not known or is no Lua.
local function lines_of(path)
  local source = source_of(path)
  local chunk = source ~= nil and load(source, "=lines", "t", {})
  return chunk and code_lines(dump(chunk)) or nil
end

local function line_with_code(lines, wanted)
  for _, line in next, lines do
    if line >= wanted then
      return line
    end
  end
  return nil
end

local function place(path, breakpoints)
  local lines, placed, told_of = lines_of(path), {}, {}
  for at, one in next, breakpoints do
    local state = { id = one.id, line = one.line, verified = true }
    local problem
    if one.condition ~= nil then
      local chunk, why = load("return " .. one.condition, "=condition", "t", {})
      problem = chunk == nil and gsub(why, "^condition:%d+: ", "") or nil
    end
    if lines ~= nil then
      state.line = line_with_code(lines, one.line) or one.line
      problem = problem or line_with_code(lines, one.line) == nil and "there is no code on this line or after it" or nil
    end
    state.message, state.verified = problem, problem == nil
    if problem == nil then
      one.place = state.line
      placed[state.line] = one
    end
    told_of[at] = state
  end
  by_path[path] = next(placed) ~= nil and placed or nil
  return told_of
end

local requested = {}

-- Sets all breakpoints of a path: { id, line, condition, operator, number, message }. One that was there before goes on
-- counting its hits.
function commands.setBreakpoints(arguments)
  local before = {}
  for _, one in next, requested[arguments.path] or {} do
    before[one.id] = one.hits
  end
  for _, one in next, arguments.breakpoints do
    one.hits = before[one.id] or 0
  end
  requested[arguments.path] = arguments.breakpoints
  local told_of = place(arguments.path, arguments.breakpoints)
  recount_lines()
  return { breakpoints = array(told_of) }
end

function commands.setExceptionBreakpoints(arguments)
  set_filters({ raised = arguments.raised, uncaught = arguments.uncaught })
  return {}
end

function commands.pause(arguments)
  if standing == nil and arguments.running then
    step = { kind = "pause" }
    arm()
  end
  return {}
end

-- The next line that runs is a stop.
function commands.stopOnEntry()
  step = { kind = "in", entry = true }
  arm()
  return {}
end

function commands.stackTrace(arguments)
  local frames = standing ~= nil and standing.frames or {}
  local first, found = arguments.startFrame or 0, {}
  local count = arguments.levels
  local last = (count == nil or count == 0) and #frames or min(#frames, first + count)
  for at = first + 1, last do
    local frame = frames[at]
    local path = path_of[frame.source]
    if path == nil and find(frame.source, "^[^@=]") then
      -- What `load` was given as a text is its own name.
      path = frame.short
    end
    found[#found + 1] = { id = at, name = variables.clean(frame.name), line = frame.line, column = 1,
      source = { name = variables.clean(frame.short), path = path or sub(frame.source, 2) } }
  end
  return { stackFrames = array(found), totalFrames = #frames }
end

function commands.scopes(arguments)
  return { scopes = variables.scopes(frame_of(arguments.frameId)) }
end

function commands.variables(arguments)
  local found = variables.children(
    arguments.variablesReference, arguments.filter, arguments.start, arguments.count ~= 0 and arguments.count or nil)
  return { variables = found }
end

function commands.inspectVariables()
  if standing == nil then
    variables.forget()
  end
  return { variables = variables.children(variables.globals(standing ~= nil and standing.frames[1] or nil)) }
end

function commands.setVariable(arguments)
  return variables.set(arguments.variablesReference, arguments.name, arguments.value)
end

local REPL_TEXT, HOVER = 10000, "^[%a_][%w_%.]*$"

function commands.evaluate(arguments)
  if arguments.context == "hover" and not find(arguments.expression, HOVER) then
    error("only names are evaluated where the mouse points", 0)
  end
  local frame = frame_of(arguments.frameId)
  local results = pack(stack.evaluate(frame, arguments.expression))
  if not results[1] then
    error(results[2], 0)
  end
  local limit = (arguments.context == "repl" or arguments.context == "clipboard") and REPL_TEXT or nil
  local path = find(arguments.expression, HOVER) and arguments.expression or nil
  -- A panel asks by itself, time and again; a user who types something wants it as the script shows it.
  local context = arguments.context
  local may_run = context == nil or context == "repl"
  local shown = variables.described(results[2], path, frame, limit, may_run)
  if results.n == 1 then
    shown.value = ""
  elseif results.n > 2 then
    local texts = {}
    for at = 2, results.n do
      texts[#texts + 1] = variables.text(results[at], limit, may_run)
    end
    shown.value = concat(texts, "\t")
  end
  shown.result, shown.value = shown.value, nil
  return shown
end

function commands.setExpression(arguments)
  local frame = frame_of(arguments.frameId)
  local ok, problem = stack.evaluate(frame, arguments.expression .. " = " .. arguments.value)
  if not ok then
    error(problem, 0)
  end
  local shown = variables.described(select(2, stack.evaluate(frame, arguments.expression)), nil, frame)
  return shown
end

function commands.exceptionInfo()
  if standing == nil or standing.error == nil then
    error("the script is not paused at an error", 0)
  end
  return { exceptionId = "error", description = standing.error, breakMode = filters.raised and "always" or "unhandled" }
end

-- A text that belongs to a path, though nothing of it has run: Python keeps it.
function commands.know()
  return {}
end

-- Files that were loaded; Python knows them.
function commands.modules(arguments)
  return { modules = array(arguments.modules), totalModules = #arguments.modules }
end

function commands.source(arguments)
  if arguments.text == nil then
    error("source unavailable", 0)
  end
  return { content = variables.clean(arguments.text) }
end

function commands.attach()
  attached = true
  arm()
  return {}
end

function commands.detach()
  by_path, requested, any_line, step, attached = {}, {}, {}, nil, false
  set_filters({})
  arm()
  return {}
end

function commands.copyToGlobals(arguments)
  local frame = frame_of(arguments.frameId)
  local ok, value = stack.evaluate(frame, arguments.from)
  if not ok then
    error(value, 0)
  end
  stack.environment(frame)[arguments.to] = value
  return {}
end

function handle(command, arguments)
  local wanted = commands[command]
  if wanted == nil then
    error("the script is not paused", 0)
  end
  return wanted(arguments)
end

-- ## What Python calls

-- Answers the commands that are there, while no script stands.
local function serve()
  while true do
    local id, command, arguments = take(false)
    if id == nil then
      return
    end
    apart(answered, id, command, arguments)
    pass_stop_on()
  end
end
core.serve_debugger = serve

-- A chunk of this name is of this path from here on. Breakpoints that were set before its text was known find their
-- lines now.
local function loaded(source, path)
  path_of[source] = path
  local waiting = requested[path]
  if waiting == nil then
    return
  end
  local before = {}
  for _, one in next, waiting do
    before[one.id] = one.place
  end
  for at, state in next, place(path, waiting) do
    if before[state.id] ~= state.line or not state.verified then
      send_event("breakpoint", { reason = "changed", breakpoint = state })
    end
  end
  recount_lines()
end

-- Whether what runs from here on may stop.
local function activate(wanted)
  if active ~= wanted then
    active = wanted
    arm()
  end
end

-- Nothing runs any more: a step that has not ended has nowhere to end.
local function idle()
  busy, told, told_value = 0, false, nil
  if step ~= nil and not step.entry then
    step = nil
    arm()
  end
end

-- A function that does what `fn` does, for a call while the script stands: the hook would let nothing stop it.
local function called_apart(fn)
  return function(...)
    local results = pack(apart(fn, ...))
    pass_stop_on()
    if not results[1] then
      error(results[2], 0)
    end
    return unpack(results, 2, results.n)
  end
end

-- A command that may run functions of the script's, called by Python as those are: it can be stopped by itself. An error
-- is told and not raised, so that nothing stands for it.
local function look(command, arguments)
  local results = pack(apart(stack.from_main, handle, command, arguments))
  pass_stop_on()
  if results[1] then
    return { result = results[2] }
  end
  return { problem = variables.clean(tostring(results[2])) }
end

return function(environment, names)
  core.script_environment, core.standard_names = environment, names
  return serve, loaded, activate, idle, called_apart, look
end
