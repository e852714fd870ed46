-- Debug's timers, and what they tell about a run: reports, flame graphs, memory. Read when it is first used. Gets `core`;
-- returns the functions.

local core = ...
local check, check_optional, ipairs, next, type = core.check, core.check_optional, ipairs, next, type
local format, gsub, concat, sort = string.format, string.gsub, table.concat, table.sort
local huge, min, max = math.huge, math.min, math.max
local collectgarbage, remove = collectgarbage, table.remove
local array, copy = core.host.array, core.deep_copy
local now_ms, memory, unix_ms = core.bind("precise_ms"), core.bind("memory"), core.bind("now_ms")

-- The timers that reports know, oldest first; of many, those that have ended first go first.
local MOST_TIMERS = 1000
local timers = {}
local by_id = {}
-- Those that run, innermost last: a timer that begins while another runs is a part of it.
local running = {}
local numbers = 0
local began_with

local function used_bytes()
  return collectgarbage("count") * 1024 // 1 | 0
end

local function without(list, item)
  for at = #list, 1, -1 do
    if list[at] == item then
      return remove(list, at)
    end
  end
end

local function forget_one()
  for at = 1, #timers do
    if timers[at].took ~= nil then
      by_id[timers[at].id] = nil
      remove(timers, at)
      return
    end
  end
  local oldest = remove(timers, 1)
  by_id[oldest.id] = nil
  without(running, oldest)
end

local function elapsed(one)
  return one.took == nil and now_ms() - one.began or nil
end

local function object_of(one)
  return core.methods({ id = one.id, name = one.name, laps = one.laps }, {
    elapsed = function() return elapsed(one) end,
    stop = function()
      local time = elapsed(one)
      if time ~= nil then
        one.took, one.end_bytes = time, used_bytes()
        without(running, one)
      end
      return time
    end,
    lap = function(label)
      check(1, "timer.lap", "string", label)
      if one.took ~= nil then
        return false
      end
      one.laps[#one.laps + 1] = { name = label, elapsed_ms = elapsed(one) }
      return true
    end,
  }, "timer")
end

local methods = {}

function methods.timer(name)
  check(1, "Debug.timer", "string", name)
  if #timers >= MOST_TIMERS then
    forget_one()
  end
  numbers = numbers + 1
  began_with = began_with or used_bytes()
  local one = {
    id = format("%s_%d", name, numbers), name = name, laps = {}, events = {}, parent = running[#running],
    start_bytes = used_bytes(),
  }
  timers[#timers + 1], running[#running + 1], by_id[one.id] = one, one, one
  one.began = now_ms()
  return object_of(one)
end

function methods.recordEvent(id, name, data)
  local one = by_id[type(id) == "table" and id.id or check(1, "Debug.recordEvent", "string", id)]
  check(2, "Debug.recordEvent", "string", name)
  check_optional(3, "Debug.recordEvent", "table", data)
  if one == nil or one.took ~= nil then
    return false
  end
  one.events[#one.events + 1] = { name = name, elapsed_ms = elapsed(one), metadata = copy(data) }
  return true
end

-- ## Reports

local function time_of(one)
  return one.took or elapsed(one)
end

function methods.performanceReport()
  local rows, order = {}, {}
  for _, one in ipairs(timers) do
    local row = rows[one.name]
    if row == nil then
      row = { count = 0, total = 0, least = huge, most = 0, running = 0, events = 0 }
      rows[one.name], order[#order + 1] = row, one.name
    end
    local time = time_of(one)
    row.count, row.total = row.count + 1, row.total + time
    row.least, row.most = min(row.least, time), max(row.most, time)
    row.running, row.events = row.running + (one.took == nil and 1 or 0), row.events + #one.events + #one.laps
  end
  if #order == 0 then
    return "Performance report: no timers (Debug.timer starts one)"
  end
  sort(order, function(a, b) return rows[a].total > rows[b].total end)
  local lines = {
    format("Performance report: %d timers, %d running", #timers, #running),
    format("%-24s %6s %12s %12s %12s %12s %6s", "timer", "count", "total ms", "mean ms", "least ms", "most ms", "marks"),
  }
  for _, name in ipairs(order) do
    local row = rows[name]
    lines[#lines + 1] = format("%-24s %6d %12.3f %12.3f %12.3f %12.3f %6d%s", name, row.count, row.total,
      row.total / row.count, row.least, row.most, row.events, row.running > 0 and "  running" or "")
  end
  return concat(lines, "\n")
end

function methods.jsonReport()
  local list = array {}
  for at, one in ipairs(timers) do
    list[at] = {
      id = one.id, name = one.name, parent = one.parent and one.parent.id, running = one.took == nil,
      elapsed_ms = time_of(one), laps = array(copy(one.laps)), events = array(copy(one.events)),
      start_bytes = one.start_bytes, end_bytes = one.end_bytes,
    }
  end
  return core.json { timers = list, timer_count = #timers, running = #running }
end

local function path_of(one)
  local name = gsub(one.name, "[;%c]", " ")
  return one.parent and path_of(one.parent) .. ";" .. name or name
end

-- One line a stack, as flame graph programs read it: names, then the microseconds that were spent there and in no part.
function methods.flameGraph()
  local own = {}
  for _, one in ipairs(timers) do
    own[one] = (own[one] or 0) + time_of(one)
    if one.parent ~= nil then
      own[one.parent] = (own[one.parent] or 0) - time_of(one)
    end
  end
  local sums, paths = {}, {}
  for _, one in ipairs(timers) do
    local path = path_of(one)
    if sums[path] == nil then
      paths[#paths + 1] = path
    end
    sums[path] = (sums[path] or 0) + max(0, own[one])
  end
  local lines = {}
  for at, path in ipairs(paths) do
    lines[at] = format("%s %d", path, sums[path] * 1000 // 1 | 0)
  end
  return concat(lines, "\n")
end

-- ## Memory

function methods.memoryStats()
  local used = used_bytes()
  local allocated, resident = memory()
  return {
    used_bytes = used, allocated_bytes = allocated, resident_bytes = resident, collections = core.collections,
  }
end

function methods.memorySnapshot()
  local used = {}
  for _, one in ipairs(timers) do
    used[one.id] = {
      start_bytes = one.start_bytes, end_bytes = one.end_bytes,
      delta_bytes = one.end_bytes and one.end_bytes - one.start_bytes,
    }
  end
  return {
    timestamp_secs = unix_ms() // 1000, active_trackers = #running,
    total_memory_delta_bytes = began_with and used_bytes() - began_with, tracker_memory_usage = used,
  }
end

return methods
