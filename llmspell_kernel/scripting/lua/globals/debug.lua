-- Debug: messages for the one who runs the script, on its standard error, and timers. Gets `core`; returns the global.

local core = ...
local host = core.host
local format = string.format

local Debug = {}
local methods = {}
local clock_text = core.bind("clock_text")
local now_ms = core.bind("precise_ms")

core.levels.add_to(methods, "Debug", "INFO", function(name, level, message, module)
  core.check_optional(2, name, "string", module)
  local where = module and " [" .. module .. "]" or ""
  host.write("stderr", format("%s %-5s%s %s\n", clock_text(), level, where, message))
end)

local timers = 0

-- A stopwatch that runs; `stop` and `elapsed` give milliseconds, nil once it was stopped.
function methods.timer(name)
  core.check(1, "Debug.timer", "string", name)
  timers = timers + 1
  local started = now_ms()
  local laps = {}
  local timer = { id = format("%s_%d", name, timers), name = name, laps = laps }
  local function elapsed()
    return started and now_ms() - started or nil
  end
  return core.methods(timer, {
    elapsed = elapsed,
    stop = function()
      local time = elapsed()
      started = nil
      return time
    end,
    lap = function(label)
      core.check(1, "timer.lap", "string", label)
      if started == nil then
        return false
      end
      laps[#laps + 1] = { name = label, elapsed_ms = elapsed() }
      return true
    end,
  }, "timer")
end

return core.methods(Debug, methods)
