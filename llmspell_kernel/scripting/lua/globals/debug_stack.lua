-- Where a script is: its functions that wait for others, innermost first. Read when it is first used. Gets `core`;
-- returns the functions.

local core = ...
local check_optional, check_keys, ipairs, next = core.check_optional, core.check_keys, ipairs, next
local getinfo, getlocal, getupvalue = core.native.debug.getinfo, core.native.debug.getlocal, core.native.debug.getupvalue
local format, find, sub, concat, sort = string.format, string.find, string.sub, table.concat, table.sort
local array = core.host.array
local source_line = core.bind("source_line")

local OPTIONS = core.key_set { "max_depth", "capture_locals", "capture_upvalues", "include_source" }
local MAX_DEPTH = 50

local function function_name(info)
  if info.what == "main" then
    return nil
  end
  return info.name or format("<%s:%d>", info.short_src, info.linedefined)
end

-- Values by name, as they are shown; what Lua keeps for itself, `(temporary)`, is left out.
local function locals_at(level)
  local found, at = {}, 1
  while true do
    local name, value = getlocal(level + 1, at)
    if name == nil then
      return found
    end
    if sub(name, 1, 1) ~= "(" and name ~= core.KEEPS_CALL then
      found[name] = core.display(value)
    end
    at = at + 1
  end
end

local function upvalues_of(fn)
  local found, at = {}, 1
  while true do
    local name, value = getupvalue(fn, at)
    if name == nil then
      return found
    end
    if name ~= "_ENV" then
      found[name] = core.display(value)
    end
    at = at + 1
  end
end

local function frames_of(name, options)
  options = check_optional(1, name, "table", options) or {}
  check_keys(name, options, OPTIONS)
  local most = check_optional(1, name .. ": max_depth", "number", options.max_depth) or MAX_DEPTH
  local frames, level = array {}, 2
  while #frames < most do
    local info = getinfo(level, "Slnf")
    if info == nil then
      break
    end
    if info.currentline > 0 and find(info.short_src, "[llmspell]", 1, true) == nil then
      local fn = function_name(info)
      frames[#frames + 1] = {
        ["function"] = fn or "main chunk", is_main = fn == nil, source = info.short_src, line = info.currentline,
        text = options.include_source and source_line(info.short_src, info.currentline) or nil,
        locals = options.capture_locals and locals_at(level) or nil,
        upvalues = options.capture_upvalues and upvalues_of(info.func) or nil,
      }
    end
    level = level + 1
  end
  return frames
end

local function add_values(lines, what, values)
  local names = {}
  for name in next, values or {} do
    names[#names + 1] = name
  end
  sort(names)
  for _, name in ipairs(names) do
    lines[#lines + 1] = format("      %s %s = %s", what, name, values[name])
  end
end

local methods = {}

function methods.stackTrace(options)
  local lines = { "Stack trace:" }
  for at, frame in ipairs(frames_of("Debug.stackTrace", options)) do
    local what = frame.is_main and "in main chunk" or "in function '" .. frame["function"] .. "'"
    lines[#lines + 1] = format("  #%d: %s (%s:%d)", at - 1, what, frame.source, frame.line)
    if frame.text ~= nil then
      lines[#lines + 1] = "      " .. frame.text
    end
    add_values(lines, "local", frame.locals)
    add_values(lines, "upvalue", frame.upvalues)
  end
  return concat(lines, "\n")
end

function methods.stackTraceJson(options)
  local frames = frames_of("Debug.stackTraceJson", options)
  for _, frame in ipairs(frames) do
    frame.is_main = nil
  end
  return core.json { frames = frames }
end

return methods
