-- Debug: messages for the one who runs the script, on its standard error. They are kept for the script too. What is
-- longer stands in parts: filters, timers, dumps. Gets `core`; returns the global and adds `core.journal`.

local core = ...
local host = core.host
local format, type = string.format, type

local Debug = {}
local methods = {}
local clock_text, timestamp = core.bind("clock_text"), core.bind("timestamp")

-- The last messages; the oldest go first.
local MOST_ENTRIES, MOST_BYTES = 10000, 2000000
local journal = { entries = {}, first = 1, last = 0, bytes = 0, enabled = true }
core.journal = journal

local function keep(level, message, module, data)
  local entries = journal.entries
  journal.last = journal.last + 1
  entries[journal.last] = { timestamp = timestamp(), level = level, message = message, module = module, metadata = data }
  journal.bytes = journal.bytes + #message
  while journal.last - journal.first >= MOST_ENTRIES or journal.bytes > MOST_BYTES and journal.first < journal.last do
    journal.bytes = journal.bytes - #entries[journal.first].message
    entries[journal.first] = nil
    journal.first = journal.first + 1
  end
end

local function emit(name, level, message, module, data)
  core.check_optional(data and 4 or 2, name, "string", module)
  if not journal.enabled or journal.admits and not journal.admits(module) then
    return
  end
  keep(level, message, module, data)
  local where = module and " [" .. module .. "]" or ""
  local more = data and " " .. core.display(data) or ""
  host.write("stderr", format("%s %-5s%s %s%s\n", clock_text(), level, where, message, more))
end

core.levels.add_to(methods, "Debug", "INFO", emit)

function methods.logWithData(level, message, data, module)
  core.check(3, "Debug.logWithData", "table", data)
  methods.log(level, message, module, core.deep_copy(data))
end

function methods.setEnabled(on)
  journal.enabled = core.check(1, "Debug.setEnabled", "boolean", on)
end

function methods.isEnabled()
  return journal.enabled
end

function methods.clearCaptured()
  journal.entries, journal.first, journal.last, journal.bytes = {}, 1, 0, 0
end

function methods.getCapturedEntries(limit)
  core.check_optional(1, "Debug.getCapturedEntries", "number", limit)
  local last, list = journal.last, {}
  for at = limit and math.max(journal.first, last - limit // 1 + 1) or journal.first, last do
    list[#list + 1] = core.deep_copy(journal.entries[at])
  end
  return host.array(list)
end

core.late(methods, "debug_filters.lua", "addModuleFilter removeModuleFilter clearModuleFilters "
  .. "setDefaultFilterEnabled addAdvancedFilter getFilterSummary")
core.late(methods, "debug_timers.lua", "timer recordEvent performanceReport jsonReport flameGraph memoryStats "
  .. "memorySnapshot")
core.late(methods, "debug_dump.lua", "dump dumpCompact dumpVerbose dumpWithOptions")
core.late(methods, "debug_stack.lua", "stackTrace stackTraceJson")

return core.methods(Debug, methods)
