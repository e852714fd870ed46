-- Progress: how far a script's own work is. The kernel draws it; here is only what is told. Gets `core`; returns the
-- functions of the global.

local core = ...
local check, check_optional, check_keys, key_set = core.check, core.check_optional, core.check_keys, core.key_set
local show, uuid = core.bind("show"), core.bind("uuid")
local type, tostring, error, format, huge = type, tostring, error, string.format, math.huge

local OPTIONS = key_set { "total", "label", "unit" }

local function check_finite(name, value)
  if value ~= nil and (value ~= value or value == huge or value == -huge) then
    error(format("bad argument #1 to '%s' (finite number expected, got %s)", name, value), 0)
  end
  return value
end

local function new(total, label)
  local options = total
  if type(total) ~= "table" then
    options = { total = check_optional(1, "Progress.new", "number", total), label = label }
  end
  check_keys("Progress.new", options, OPTIONS)
  local told = {
    id = uuid(),
    label = options.label ~= nil and tostring(options.label) or "",
    value = 0,
    total = check_finite("Progress.new", check_optional(1, "Progress.new", "number", options.total)),
    unit = check_optional(1, "Progress.new", "string", options.unit),
    state = "running",
  }
  local bar, methods = {}, {}

  local function tell(message)
    if message ~= nil then
      told.message = tostring(message)
    end
    show("progress", told)
    return bar
  end

  function methods.update(value, message)
    told.value = check_finite("progress:update", check(1, "progress:update", "number", value))
    return tell(message)
  end

  function methods.add(more, message)
    more = check_optional(1, "progress:add", "number", more) or 1
    told.value = check_finite("progress:add", told.value + more)
    return tell(message)
  end

  function methods.label(text)
    told.label = tostring(text)
    return tell()
  end

  local function finish(state, message)
    if told.state == "running" then
      told.state = state
      tell(message or "")
    end
    return bar
  end

  function methods.done(message)
    if told.total ~= nil then
      told.value = told.total
    end
    return finish("done", message)
  end

  function methods.fail(message)
    return finish("failed", message)
  end

  tell()
  core.methods(bar, methods, "progress")
  core.unshown[bar] = true
  return bar
end

local Progress = { new = new }

-- The items of a list, one by one, with a bar that says how many there have been.
function Progress.each(list, label)
  check(1, "Progress.each", "table", list)
  local bar = new { total = #list, label = label }
  local at = 0
  return function()
    if at > 0 then
      bar.update(at)
    end
    at = at + 1
    if at > #list then
      bar.done()
      return nil
    end
    return at, list[at]
  end
end

return Progress
