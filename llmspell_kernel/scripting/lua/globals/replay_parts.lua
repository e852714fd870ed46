-- What Replay makes. Read when it is first used. Gets `core`; returns the functions, and adds `core.replay_options`.

local core = ...
local check, check_optional = core.check, core.check_optional
local error, ipairs, math_type, next, setmetatable, tostring, type = error, ipairs, math.type, next, setmetatable, tostring, type
local format, gmatch, sort, huge = string.format, string.gmatch, table.sort, math.huge
local array, copy = core.host.array, core.deep_copy
local json_parse = core.bind("json_parse")

local made = {}

-- ## Modifications

local values_of = setmetatable({}, { __mode = "k" })

local function modification(path, value, enabled)
  check(1, "Replay.create_modification", "string", path)
  check_optional(3, "Replay.create_modification", "boolean", enabled)
  local on = enabled ~= false
  local object = core.methods({}, {
    get_path = function() return path end,
    get_value = function() return value end,
    is_enabled = function() return on end,
    set_enabled = function(flag) on = check(1, "modification.set_enabled", "boolean", flag) end,
  }, "replay_modification")
  values_of[object] = function() return { path = path, value = value, enabled = on } end
  return object
end
made.create_modification = modification

-- ## Configurations

local OPTIONS = core.key_set { "compare_results", "stop_on_error", "timeout_seconds" }
local options_of = setmetatable({}, { __mode = "k" })

local function mode_of(mode)
  local found = mode == nil and core.replay_modes.exact or core.replay_modes[tostring(mode)]
  if found == nil then
    error("Validation error: Unknown replay mode: " .. tostring(mode)
      .. ". Expected: exact, modified, simulate, debug", 0)
  end
  return found
end

function made.create_config(mode, options)
  mode = mode_of(mode)
  options = copy(check_optional(2, "Replay.create_config", "table", options) or {})
  core.check_keys("Replay.create_config", options, OPTIONS)
  check_optional(2, "Replay.create_config: compare_results", "boolean", options.compare_results)
  check_optional(2, "Replay.create_config: stop_on_error", "boolean", options.stop_on_error)
  local seconds = check_optional(2, "Replay.create_config: timeout_seconds", "number", options.timeout_seconds) or 300
  local modifications = {}
  local config = {}
  local function plain()
    local list = array {}
    for position, one in ipairs(modifications) do
      list[position] = values_of[one]()
    end
    return list
  end
  core.methods(config, {
    get_mode = function() return mode end,
    should_compare_results = function() return options.compare_results == true end,
    should_stop_on_error = function() return options.stop_on_error == true end,
    get_timeout_seconds = function() return seconds end,
    get_modifications = plain,
    add_modification = function(path, value, enabled)
      modifications[#modifications + 1] = values_of[path] and path or modification(path, value, enabled)
      return config
    end,
  }, "replay_config")
  options_of[config] = function()
    return {
      mode = mode.name(), compare_results = options.compare_results == true, stop_on_error = options.stop_on_error == true,
      timeout_seconds = seconds, modifications = plain(),
    }
  end
  return config
end

-- What a configuration says, as a table of options; nil for what is none.
function core.replay_options(config)
  return options_of[config] and options_of[config]()
end

-- ## Schedules

local function seconds_of(name, position, value)
  check(position, name, "number", value)
  if not (value >= 0 and value < huge) then
    error("Validation error: " .. name .. " takes seconds of 0 or more, got " .. tostring(value), 0)
  end
  return value
end

local function schedule(kind, fields)
  return core.methods(fields, { type_name = function() return kind end }, "replay_schedule")
end

function made.once(delay)
  return schedule("once", { delay_seconds = seconds_of("Replay.schedules.once", 1, delay) })
end

function made.interval(initial, interval, most)
  check_optional(3, "Replay.schedules.interval", "number", most)
  return schedule("interval", {
    initial_delay_seconds = seconds_of("Replay.schedules.interval", 1, initial),
    interval_seconds = seconds_of("Replay.schedules.interval", 2, interval),
    max_executions = most,
  })
end

function made.cron(expression)
  check(1, "Replay.schedules.cron", "string", expression)
  local fields = 0
  for _ in gmatch(expression, "%S+") do
    fields = fields + 1
  end
  if fields < 5 or fields > 6 then
    error("Validation error: a cron expression has five fields, or six with seconds; '" .. expression .. "' has "
      .. fields, 0)
  end
  return schedule("cron", { expression = expression })
end

-- ## Comparing results

local shape = core.host.shape

local function kind_of(value)
  if type(value) ~= "table" then
    return type(value)
  end
  local marked = shape(value)
  return marked or (#value > 0 and "array" or "object")
end

local function shown(value)
  local kind = kind_of(value)
  return (kind == "array" or kind == "object") and core.json(value) or core.display(value)
end

-- Counts the values that are alike and all that there are, and notes the others with where they are.
local function compare(a, b, path, found)
  local kind = kind_of(a)
  if kind == kind_of(b) and (kind == "array" or kind == "object") then
    local keys = {}
    for _, side in ipairs { a, b } do
      for key in next, side do
        keys[key] = true
      end
    end
    local sorted = {}
    for key in next, keys do
      sorted[#sorted + 1] = key
    end
    sort(sorted, function(x, y)
      if type(x) == type(y) then
        return x < y
      end
      return type(x) == "number"
    end)
    for _, key in ipairs(sorted) do
      local below = math_type(key) == "integer" and path .. "[" .. key - 1 .. "]" or (path == "" and key or path .. "." .. key)
      compare(a[key], b[key], below, found)
    end
    if #sorted == 0 then
      found.all, found.alike = found.all + 1, found.alike + 1
    end
    return
  end
  found.all = found.all + 1
  if a == b then
    found.alike = found.alike + 1
  elseif a == nil then
    found[#found + 1] = { path = path, description = "only in the second: " .. shown(b) }
  elseif b == nil then
    found[#found + 1] = { path = path, description = "only in the first: " .. shown(a) }
  else
    found[#found + 1] = { path = path, description = shown(a) .. " and " .. shown(b) }
  end
end

function made.create_comparator()
  return core.methods({}, {
    compare_json = function(first, second)
      local a = (json_parse(check(1, "comparator.compare_json", "string", first)))
      local b = (json_parse(check(2, "comparator.compare_json", "string", second)))
      local found = { all = 0, alike = 0 }
      compare(a, b, "", found)
      local identical = #found == 0
      local differences = array {}
      for position, one in ipairs(found) do
        differences[position] = one
      end
      return {
        identical = identical,
        similarity_score = found.alike / found.all,
        summary = identical and "identical" or format("%d of %d values differ", #found, found.all),
        differences = not identical and differences or nil,
      }
    end,
  }, "replay_comparator")
end

return made
