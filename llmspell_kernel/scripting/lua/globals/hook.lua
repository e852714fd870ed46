-- Hook: functions that are called at points of the script's work, as `hook_request`s. Gets `core`; returns the global.

local core = ...
local check, check_optional, check_keys, key_set = core.check, core.check_optional, core.check_keys, core.key_set
local request, type, setmetatable = core.request, type, setmetatable

local function ask(action, content)
  content.action = action
  return request("hook_request", content)
end

-- The handles that scripts have, and their hooks.
local handles = setmetatable({}, { __mode = "k" })

local function unregister(id)
  return ask("unregister", { hook = id }).removed
end

local function handle_of(hook)
  local id, point = hook.id, hook.hook_point
  local handle = core.methods({}, {
    id = function()
      return id
    end,
    hook_point = function()
      return point
    end,
    unregister = function()
      return unregister(id)
    end,
  }, "hook")
  handles[handle] = id
  return handle
end

local methods = {}

function methods.register(point, fn, priority)
  check(1, "Hook.register", "string", point)
  check(2, "Hook.register", "function", fn)
  check_optional(3, "Hook.register", "string", priority)
  return handle_of(ask("register", { point = point, execute = core.offer(fn), priority = priority }).hook)
end

function methods.unregister(handle)
  local id = type(handle) == "table" and handles[handle]
  if not id then
    core.bad_argument(1, "Hook.unregister", "hook handle", handle)
  end
  return unregister(id)
end

local FILTER = key_set { "hook_point", "language", "priority", "tag" }

function methods.list(filter)
  if type(filter) == "string" then
    filter = { hook_point = filter }
  end
  filter = check_optional(1, "Hook.list", "table", filter) or {}
  check_keys("Hook.list", filter, FILTER)
  return ask("list", {
    point = filter.hook_point,
    language = filter.language,
    priority = filter.priority,
    tag = filter.tag,
  }).hooks
end

function methods.fire(point, data)
  check(1, "Hook.fire", "string", point)
  return ask("fire", { point = point, data = check_optional(2, "Hook.fire", "table", data) })
end

function methods.get_stats()
  return ask("stats", {})
end

return core.methods({}, methods)
